"""Observed edges: bounded, and forgotten in time."""

from __future__ import annotations

from hub.core.observations import MAX_EDGES, REMIND, Observations, Untold


def test_an_edge_is_forgotten_when_it_is_not_seen_again() -> None:
    seen = Observations(memory=900)
    seen.see("a", "b", 0.0)
    seen.see("a", "c", 500.0)
    seen.see("a", "b", 600.0)
    seen.forget(1400.0)
    assert list(seen) == [("a", "c"), ("a", "b")]
    seen.forget(1401.0)
    assert list(seen) == [("a", "b")]
    assert (seen.last_seen("a", "b"), seen.last_seen("a", "c")) == (600.0, None)
    seen.forget(1501.0)
    assert len(seen) == 0


def test_a_source_has_no_more_than_its_share_of_edges_and_keeps_the_latest() -> None:
    seen = Observations(per_source=3)
    for number in range(5):
        seen.see("a", f"t{number}", number)
    seen.see("b", "t0", 9)
    assert list(seen) == [("a", "t2"), ("a", "t3"), ("a", "t4"), ("b", "t0")]


def test_of_too_many_edges_the_one_not_seen_for_longest_goes() -> None:
    seen = Observations(total=3)
    for source in ("a", "b", "c"):
        seen.see(source, "t", 0.0)
    seen.see("a", "t", 1.0)
    seen.see("d", "t", 2.0)
    assert list(seen) == [("c", "t"), ("a", "t"), ("d", "t")]


def test_a_flood_of_sources_takes_no_more_memory_than_the_bound() -> None:
    seen = Observations()
    for number in range(3 * MAX_EDGES):
        seen.see(f"s{number}", "t", number)
    assert len(seen) == MAX_EDGES
    assert len(seen._by_source) == MAX_EDGES


def test_the_version_moves_only_with_edges_that_come_and_go() -> None:
    seen = Observations(memory=10)
    seen.see("a", "b", 0.0)
    before = seen.version
    seen.see("a", "b", 5.0)
    seen.forget(6.0)
    assert seen.version == before
    seen.see("a", "c", 6.0)
    came = seen.version
    seen.forget(15.5)
    assert before < came < seen.version


def test_a_service_that_looks_for_its_own_like_depends_on_nobody() -> None:
    seen = Observations()
    seen.see("a", "a", 0.0)
    assert len(seen) == 0


def test_an_edge_is_told_when_it_is_new_and_once_a_minute_while_it_is_seen() -> None:
    untold = Untold()
    untold.see("a", "b")
    untold.see("a", "b")
    assert untold.due(0.0, 10) == [("a", "b")]
    untold.see("a", "b")
    assert untold.due(REMIND - 1, 10) == []
    assert untold.due(REMIND, 10) == [], "nobody has seen it since"
    untold.see("a", "b")
    assert untold.due(REMIND + 1, 10) == [("a", "b")]


def test_what_does_not_fit_into_one_message_is_told_in_the_next() -> None:
    untold = Untold()
    for number in range(5):
        untold.see("a", str(number))
    assert [len(untold.due(float(second), 2)) for second in range(4)] == [2, 2, 1, 0]


def test_no_more_waits_to_be_told_than_can_be_remembered() -> None:
    untold = Untold()
    for number in range(MAX_EDGES + 5):
        untold.see("a", str(number))
    assert len(untold.due(0.0, 2 * MAX_EDGES)) == MAX_EDGES
