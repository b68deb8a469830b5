from __future__ import annotations

from hub.core.strangers import MAX_STRANGERS, PATIENCE, PAUSE, Strangers


def test_a_stranger_is_due_once_after_some_patience() -> None:
    strangers = Strangers()
    strangers.beat("a", 0.0)
    strangers.beat("a", 0.2)
    assert strangers.due(PATIENCE - 0.01) == []
    assert strangers.due(PATIENCE) == ["a"]
    assert strangers.due(100.0) == []


def test_a_stranger_that_goes_on_beating_is_asked_again_after_a_pause() -> None:
    strangers = Strangers()
    strangers.beat("a", 0.0)
    assert strangers.due(1.0) == ["a"]
    strangers.beat("a", PAUSE)
    assert strangers.due(PAUSE + 0.9) == []
    strangers.beat("a", PAUSE + 1.0)
    assert strangers.due(PAUSE + 1.5) == ["a"]


def test_one_that_registers_in_time_is_not_asked() -> None:
    strangers = Strangers()
    strangers.beat("a", 0.0)
    strangers.discard("a")
    strangers.discard("nobody")
    assert strangers.due(1.0) == []


def test_however_many_strangers_there_are_only_so_many_are_remembered() -> None:
    strangers = Strangers()
    for n in range(2 * MAX_STRANGERS):
        strangers.beat(str(n), 0.0)
    assert len(strangers) == MAX_STRANGERS
    assert len(strangers.due(1.0)) == MAX_STRANGERS
    assert strangers.due(1.0 + PAUSE) == []
    assert len(strangers) == 0
