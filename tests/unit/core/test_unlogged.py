from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.core.unlogged import LIMIT, Unlogged

KEPT = 64


def sure(base: int = 0) -> Unlogged:
    """One that knows that the log has everything up to there."""
    unlogged = Unlogged()
    unlogged.regain()
    unlogged.confirm(base, base)
    return unlogged


def test_at_first_the_log_must_have_all_that_there_is() -> None:
    unlogged = Unlogged()
    unlogged.regain()
    assert unlogged.needs(["a"], 12) == 12
    assert unlogged.needs(["a"], 0) == 0, "of an empty bucket there is nothing to have"
    unlogged.confirm(11, 12)
    assert unlogged.needs(["a"], 12) == 12
    unlogged.confirm(12, 12)
    assert unlogged.needs(["a"], 12) == 0


def test_a_scope_is_held_back_once_it_was_changed_so_often_and_no_other_is() -> None:
    unlogged = sure()
    for revision in range(1, LIMIT):
        unlogged.note("a", revision)
    assert unlogged.needs(["a", "b"], LIMIT - 1) == 0
    unlogged.note("a", LIMIT)
    unlogged.note("b", LIMIT + 1)
    assert unlogged.needs(["b", "a"], LIMIT + 1) == LIMIT
    assert unlogged.needs(["b"], LIMIT + 1) == 0
    unlogged.confirm(LIMIT - 1, LIMIT + 1)
    assert unlogged.needs(["a"], LIMIT + 1) == LIMIT
    unlogged.confirm(LIMIT, LIMIT + 1)
    assert unlogged.needs(["a"], LIMIT + 1) == 0


def test_after_a_loss_the_log_is_asked_each_time_and_once_more_when_that_is_over() -> None:
    unlogged = sure(3)
    unlogged.lose()
    for _ in range(2):
        assert unlogged.needs(["a"], 9) == 9
        unlogged.confirm(9, 9)
    unlogged.regain()
    assert unlogged.needs(["a"], 12) == 12, "some between 9 and 12 may not have been noted"
    unlogged.confirm(12, 12)
    assert unlogged.needs(["a"], 12) == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.booleans()), max_size=400))
def test_the_bucket_always_has_what_the_log_does_not(steps: list[tuple[str, int, bool]]) -> None:
    """Two hubs write in turn, each upon all that the other has written; the log takes up as much as it pleases."""
    hubs = [sure(), sure()]
    history: list[str] = []
    logged = 0
    for scope, taken, second in steps:
        logged = min(len(history), logged + taken)
        hub = hubs[second]
        if needed := hub.needs([scope], len(history)):
            hub.confirm(logged, len(history))
            if logged < needed:
                continue  # refused
        history.append(scope)
        for each in hubs:
            each.note(scope, len(history))
        for one in "ab":
            assert history[logged:].count(one) <= KEPT
