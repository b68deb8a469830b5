"""Connections whose time is up, and when all of them are looked at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.core import expiries
from hub.core.expiries import ROUND, SECOND_LOOK, Expiries, Looks, Place


def place(cid: int) -> Place:
    return Place("S1", cid)


def test_a_connection_is_due_when_its_time_is_up_and_once() -> None:
    found = Expiries()
    found.expect(place(1), 10.0)
    found.expect(place(2), 5.0)
    found.expect(place(2), 5.0)
    assert found.next() == 5.0
    assert found.due(4.9) == []
    assert found.due(5.0) == [place(2)]
    assert found.due(20.0) == [place(1)]
    assert (found.due(30.0), found.next(), len(found)) == ([], None, 0)


def test_a_connection_that_is_gone_or_lives_longer_now_is_not_due() -> None:
    found = Expiries()
    found.expect(place(1), 5.0)
    found.gone(place(1))
    found.expect(place(2), 5.0)
    found.expect(place(2), 9.0)
    assert found.due(5.0) == []
    assert found.due(9.0) == [place(2)]


def test_no_more_are_remembered_than_may_be_and_nothing_is_kept_of_those_that_went() -> None:
    found = Expiries()
    for cid in range(10_000):
        found.expect(place(cid), 1e9)
        found.gone(place(cid))
    assert len(found) == 0
    assert len(found._heap) < 200


def test_one_beyond_the_bound_is_left_to_the_next_round(monkeypatch: object) -> None:
    found = Expiries()
    bound = expiries.MAX_EXPIRING
    expiries.MAX_EXPIRING = 2  # type: ignore[misc]
    try:
        for cid in range(3):
            found.expect(place(cid), 1.0)
    finally:
        expiries.MAX_EXPIRING = bound  # type: ignore[misc]
    assert found.known() == {place(0), place(1)}


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["expect", "gone", "due"]), st.floats(0, 100))))
def test_whatever_happens_those_are_due_whose_last_end_is_past(steps: list[tuple[int, str, float]]) -> None:
    found, model, now = Expiries(), dict[Place, float](), 0.0
    for cid, what, value in steps:
        if what == "expect":
            found.expect(place(cid), value)
            model[place(cid)] = value
        elif what == "gone":
            found.gone(place(cid))
            model.pop(place(cid), None)
        else:
            now = max(now, value)
            due = {each for each, at in model.items() if at <= now}
            assert set(found.due(now)) == due
            for each in due:
                del model[each]
    assert found.known() == set(model)


def test_all_are_looked_at_at_first_and_once_a_round() -> None:
    looks = Looks(100.0)
    assert looks.due(100.0)
    assert not looks.due(100.1)
    assert not looks.due(100.0 + ROUND - 1)
    assert looks.due(100.0 + ROUND)
    assert looks.due(100.0 + 10 * ROUND)
    assert not looks.due(100.0 + 10 * ROUND + 1)


def test_what_is_revoked_is_looked_for_at_once_and_once_more_for_who_was_just_coming_in() -> None:
    looks = Looks(0.0)
    looks.due(0.0)
    looks.changed(7.0)
    assert looks.next() == 7.0
    assert looks.due(7.0)
    assert not looks.due(7.5)
    assert looks.due(7.0 + SECOND_LOOK)


def test_a_thousand_ends_in_one_moment_are_one_look() -> None:
    looks = Looks(0.0)
    looks.due(0.0)
    for number in range(1000):
        looks.want(20.1 + number / 10_000)
        looks.changed(10.0)
    assert sum(looks.due(step / 10) for step in range(400)) == 3
