"""Who guesses waits ever longer; nobody else does; and nothing grows without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.guessing import FREE, LONGEST, MAX_PLACES, WINDOW, Guesses, host_place


def test_the_failures_after_ten_in_a_minute_wait_twice_as_long_each_up_to_half_a_minute() -> None:
    guesses = Guesses()
    pauses = [guesses.failed(("h",), 1.0) for _ in range(FREE + 8)]
    assert pauses == [0.0] * FREE + [1.0, 2.0, 4.0, 8.0, 16.0, LONGEST, LONGEST, LONGEST]


def test_ten_in_a_minute_may_fail_for_ever() -> None:
    guesses = Guesses()
    assert {guesses.failed(("h",), number * WINDOW / FREE) for number in range(500)} == {0.0}


def test_who_fails_once_and_again_waits_for_the_answer_and_then_tries_is_no_faster() -> None:
    guesses = Guesses()
    now = tries = 0.0
    while now < 3600:
        now += guesses.failed(("h",), now) + 0.01
        tries += 1
    assert tries < FREE + 6 + 3600 / LONGEST


def test_it_begins_anew_after_a_quiet_minute() -> None:
    guesses = Guesses()
    for _ in range(FREE + 5):
        guesses.failed(("h",), 0.0)
    assert guesses.failed(("h",), WINDOW - 0.1) == LONGEST
    assert guesses.failed(("h",), 2 * WINDOW) == 0.0


def test_others_do_not_wait_for_somebody_who_guesses() -> None:
    guesses = Guesses()
    for _ in range(100):
        guesses.failed(("bad",), 0.0)
    assert guesses.failed(("good",), 0.0) == 0.0


def test_one_key_that_is_guessed_at_from_everywhere_is_a_place_of_its_own() -> None:
    guesses = Guesses()
    pauses = [guesses.failed((f"10.0.0.{number}", "key:a"), 0.0) for number in range(FREE + 2)]
    assert pauses == [0.0] * FREE + [1.0, 2.0]


def test_places_are_remembered_within_bounds_and_the_busiest_is_told() -> None:
    guesses = Guesses()
    for number in range(MAX_PLACES + 500):
        guesses.failed((f"h{number}",), 0.0)
        guesses.failed(("busy",), 0.0)
    assert len(guesses) == MAX_PLACES
    assert guesses.worst(0.0) == "busy"
    assert guesses.worst(1000.0) == ""


def test_the_failures_of_the_last_minute_are_counted() -> None:
    guesses = Guesses()
    for number in range(100):
        guesses.failed(("h",), float(number))
    assert guesses.recent(99.0) == WINDOW
    assert guesses.recent(500.0) == 0


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 500, "x" * 64),
    ],
)
def test_an_address_of_ipv6_counts_with_all_of_its_network(host: str, place: str) -> None:
    assert host_place(host) == place


@given(st.lists(st.floats(0, 40), max_size=80))
def test_no_pause_is_longer_than_the_longest_or_shorter_than_a_second(gaps: list[float]) -> None:
    guesses, now = Guesses(), 0.0
    for gap in gaps:
        now += gap
        pause = guesses.failed(("h",), now)
        assert pause == 0 or 1.0 <= pause <= LONGEST
