"""Refusals that are alike: one is told, and then how many followed it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.core.refusals import MOST, WINDOW, Alike, Refusals

START = datetime(2026, 3, 1, tzinfo=UTC)
ADA = Alike("operator:ada", "10.0.0.7", "hub.config.put", "forbidden")
BOB = ADA._replace(caller="operator:bob")


def test_the_first_is_told_and_those_that_follow_are_counted_until_nobody_follows() -> None:
    refusals = Refusals()
    told = [refusals.first(ADA, second, START + timedelta(seconds=second)) for second in range(5)]
    assert told == [True, False, False, False, False]
    assert refusals.due(WINDOW - 1) == []
    [summed] = refusals.due(WINDOW)
    assert (summed.alike, summed.times) == (ADA, 4)
    assert (summed.since, summed.at) == (START + timedelta(seconds=1), START + timedelta(seconds=4))
    assert not refusals.first(ADA, WINDOW + 1, START), "a flood that goes on is counted on"
    assert [each.times for each in refusals.due(2 * WINDOW)] == [1]
    assert refusals.due(3 * WINDOW) == []
    assert len(refusals) == 0
    assert refusals.first(ADA, 3 * WINDOW, START)


def test_who_is_another_is_counted_apart() -> None:
    refusals = Refusals()
    assert refusals.first(ADA, 0, START)
    assert refusals.first(BOB, 0, START)
    assert refusals.first(ADA._replace(outcome="rate_limited"), 0, START)
    assert refusals.first(ADA._replace(subject="hub.register"), 0, START)


def test_of_very_many_callers_what_is_alike_but_for_them_is_counted_together() -> None:
    refusals = Refusals()
    for number in range(MOST):
        refusals.first(ADA._replace(host=str(number)), 0, START)
    told = [refusals.first(ADA._replace(host=f"more {number}"), 0, START) for number in range(1000)]
    assert told == [True] + [False] * 999
    assert len(refusals) == MOST + 1
    [summed] = refusals.due(WINDOW)
    assert (summed.alike.caller, summed.alike.host, summed.times) == (None, "", 999)


def test_at_the_end_all_that_was_counted_is_told() -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.first(ADA, 0, START)
    assert [each.times for each in refusals.due(0, all_of_them=True)] == [2]
