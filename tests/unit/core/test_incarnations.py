from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.incarnations import began, incarnation, moment, nanoseconds

STAMPS = st.builds(
    lambda at, fraction: f"{at:%Y-%m-%dT%H:%M:%S}" + (f".{fraction}" if fraction else "") + "Z",
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
    st.from_regex(r"\A([0-9]{0,8}[1-9])?\Z"),
)


@pytest.mark.parametrize(
    ("stamp", "name"),
    [
        ("2026-11-25T18:22:10.103258822Z", "20261125T182210103258822Z"),
        ("2026-11-25T18:22:10.1Z", "20261125T182210100000000Z"),
        ("2026-11-25T18:22:10Z", "20261125T182210000000000Z"),
    ],
)
def test_an_incarnation_is_named_after_when_it_began(stamp: str, name: str) -> None:
    assert incarnation(stamp) == name
    assert began(name) == nanoseconds(stamp)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-25T18:22:10+01:00", "2026-11-25 18:22:10Z", "2026-11-25T18:22:10.Z"]
)
def test_what_is_no_time_of_jetstream_is_refused(text: str) -> None:
    for read in (incarnation, nanoseconds, began):
        with pytest.raises(ValueError, match="expected a time"):
            read(text)


@given(STAMPS, STAMPS)
def test_names_are_in_the_order_of_time(one: str, other: str) -> None:
    assert (incarnation(one) < incarnation(other)) == (nanoseconds(one) < nanoseconds(other))
    assert began(incarnation(one)) == nanoseconds(one)


def test_a_moment_is_cut_to_microseconds() -> None:
    at = nanoseconds("2026-11-25T18:22:10.103258999Z")
    assert moment(at) == datetime(2026, 11, 25, 18, 22, 10, 103258, tzinfo=UTC)
