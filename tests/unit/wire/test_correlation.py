"""Headers of requests: what is taken as it comes, what is mended, and what is left out."""

from __future__ import annotations

import pytest

from hub.wire.correlation import is_request_id, new_request_id, traceparent, traceparent_of, tracestate_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.mark.parametrize("text", ["a", "req-1", "x" * 128, "!~"])
def test_visible_ascii_is_a_request_id(text: str) -> None:
    assert is_request_id(text)


@pytest.mark.parametrize("text", ["", " ", "a b", "x" * 129, "é", "a\n", "a\x00", "\x7f", "１"])
def test_nothing_else_is_a_request_id(text: str) -> None:
    assert not is_request_id(text)


def test_no_two_requests_get_the_same_id() -> None:
    made = {new_request_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(map(is_request_id, made))


@pytest.mark.parametrize(
    ("received", "passed_on"),
    [
        (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f"cc-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", f"00-{TRACE}-{SPAN}-01"),
        (f"00-{TRACE}-{SPAN}-01-more", ""),
        (f"cc-{TRACE}-{SPAN}-01.more", ""),
        (f"ff-{TRACE}-{SPAN}-01", ""),
        (f"00-{'0' * 32}-{SPAN}-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"00-{TRACE.upper()}-{SPAN}-01", ""),
        (f"00-{TRACE}-{SPAN}", ""),
        (f"00-{TRACE}-{SPAN}-01\n", ""),
        ("", ""),
    ],
)
def test_a_traceparent_is_passed_on_as_the_standard_says(received: str, passed_on: str) -> None:
    assert traceparent_of(received) == passed_on


def test_the_traceparent_of_a_span_is_one() -> None:
    made = traceparent(int(TRACE, 16), int(SPAN, 16), 1)
    assert made == traceparent_of(made) == f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(("text", "passed_on"), [("a=1,b=2", "a=1,b=2"), ("x" * 513, ""), ("a=é", ""), ("a\n", "")])
def test_a_tracestate_is_passed_on_where_a_header_can_hold_it(text: str, passed_on: str) -> None:
    assert tracestate_of(text) == passed_on
