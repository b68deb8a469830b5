from __future__ import annotations

from hub.core.deadlines import Deadlines


def test_what_has_passed_comes_out_once_and_earliest_first() -> None:
    deadlines = Deadlines()
    for key, due in {"c": 3.0, "a": 1.0, "b": 2.0, "d": 4.0}.items():
        deadlines.set(key, due)
    assert deadlines.pop_due(3.0) == ["a", "b"]  # a deadline has passed only after its moment
    assert deadlines.pop_due(3.5) == ["c"]
    assert (len(deadlines), "d" in deadlines, "c" in deadlines) == (1, True, False)


def test_only_the_newest_deadline_of_a_key_counts() -> None:
    deadlines = Deadlines()
    deadlines.set("later", 1.0)
    deadlines.set("later", 5.0)
    deadlines.set("sooner", 5.0)
    deadlines.set("sooner", 1.0)
    deadlines.set("back", 1.0)
    deadlines.set("back", 3.0)
    deadlines.set("back", 1.0)
    assert deadlines.pop_due(2.0) == ["back", "sooner"]
    assert deadlines.pop_due(9.0) == ["later"]


def test_a_dropped_deadline_never_comes_out() -> None:
    deadlines = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.drop("a")
    deadlines.drop("never there")
    assert deadlines.pop_due(9.0) == []


def test_a_limit_leaves_the_rest_for_later() -> None:
    deadlines = Deadlines()
    for n in range(5):
        deadlines.set(str(n), float(n))
    assert deadlines.pop_due(9.0, 2) == ["0", "1"]
    assert deadlines.pop_due(9.0, 0) == []
    assert deadlines.pop_due(9.0) == ["2", "3", "4"]


def test_the_heap_stays_linear_in_the_keys_however_often_deadlines_move() -> None:
    deadlines = Deadlines()
    for n in range(10_000):
        deadlines.set(str(n % 10), float(n))
        assert deadlines.footprint <= 2 * 10 + 65
    for n in range(10_000):
        deadlines.set(f"fleeting-{n}", float(n))
        deadlines.drop(f"fleeting-{n}")
    assert deadlines.footprint <= 2 * 10 + 65
    assert deadlines.pop_due(1e9) == [str(n) for n in range(10)]


def test_the_first_deadline_is_one_that_still_counts() -> None:
    deadlines = Deadlines()
    assert deadlines.first() is None
    deadlines.set("a", 1.0)
    deadlines.set("a", 3.0)
    deadlines.set("b", 2.0)
    assert deadlines.first() == 2.0
    deadlines.drop("b")
    assert deadlines.first() == 3.0
    deadlines.drop("a")
    assert deadlines.first() is None
