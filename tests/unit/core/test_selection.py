"""Filters, tiers of health, strategies."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from hub.core.catalog import Catalog
from hub.core.entry import Entry
from hub.core.selection import matching, pick
from hub.wire.discovery import Discover
from hub.wire.names import Strategy
from hub.wire.record import Desired
from tests.unit.core.making import record, want


def entries(*given: dict[str, Any]) -> list[Entry]:
    catalog = Catalog()
    for n, values in enumerate(given):
        if (mode := values.get("status")) in ("draining", "maintenance"):
            want(catalog, f"engine.i{n}", Desired(mode=mode))
        catalog.apply(record(instance_id=f"i{n}", port=1000 + n, **values), n + 1)
    return list(catalog.services["engine"].sorted())


def ids(found: list[Entry]) -> list[str]:
    return [entry.record.instance_id for entry in found]


def test_every_tag_and_capability_asked_for_must_be_there() -> None:
    all_of_them = entries(
        {"tags": ("blue", "fast"), "metadata": {"capabilities": ["trade", "quote"]}},
        {"tags": ("blue",), "metadata": {"capabilities": "trade"}},
        {"metadata": {"capabilities": [1, "trade"]}},
    )
    assert ids(matching(all_of_them, Discover(tags=("blue",))).chosen) == ["i0", "i1"]
    assert ids(matching(all_of_them, Discover(tags=("blue", "fast"))).chosen) == ["i0"]
    assert ids(matching(all_of_them, Discover(capabilities=("trade",))).chosen) == ["i0", "i2"]


def test_versions_outside_the_range_are_left_out() -> None:
    found = matching(entries({"version": "1.1"}, {"version": "1.5"}, {}), Discover(version=">=1.2,<2"))
    assert ids(found.chosen) == ["i1"]


def test_a_zone_filters_except_for_nearest_which_only_prefers_it() -> None:
    all_of_them = entries({"zone": "eu"}, {"zone": "us"}, {})
    assert ids(matching(all_of_them, Discover(zone="us")).chosen) == ["i1"]
    query = Discover(zone="us", strategy="nearest", limit=3)
    order = pick(matching(all_of_them, query).chosen, query, turn=0, random=Random(1))
    assert ids(order)[0] == "i1"
    assert len(order) == 3


@pytest.mark.parametrize(
    ("statuses", "chosen", "degraded"),
    [
        (["passing", "warning", "suspect", "critical"], ["i0"], False),
        (["warning", "suspect", "critical"], ["i0"], True),
        (["suspect", "critical", "draining"], ["i0"], True),
        (["critical", "draining", "maintenance"], [], False),
    ],
)
def test_the_best_tier_that_has_anybody_answers(statuses: list[str], chosen: list[str], degraded: bool) -> None:
    selection = matching(entries(*({"status": status} for status in statuses)), Discover())
    assert (ids(selection.chosen), selection.degraded) == (chosen, degraded)


def test_other_statuses_are_matched_exactly_and_any_matches_all() -> None:
    all_of_them = entries({"status": "passing"}, {"status": "critical"})
    assert ids(matching(all_of_them, Discover(status="critical")).chosen) == ["i1"]
    assert ids(matching(all_of_them, Discover(status="any")).chosen) == ["i0", "i1"]


def picks(strategy: Strategy, candidates: list[Entry], times: int, **given: Any) -> Counter[str]:
    random = Random(7)
    query = Discover(strategy=strategy, **given)
    return Counter(
        instance_id for turn in range(times) for instance_id in ids(pick(candidates, query, turn=turn, random=random))
    )


def test_round_robin_gives_everybody_the_same() -> None:
    assert set(picks("round_robin", entries({}, {}, {}), 300).values()) == {100}


def test_random_gives_everybody_about_the_same() -> None:
    counts = picks("random", entries({}, {}, {}), 3000)
    assert len(counts) == 3
    assert min(counts.values()) > 850


def test_weighted_follows_the_weights_and_leaves_weight_nought_for_last() -> None:
    candidates = entries({"weight": 300}, {"weight": 100}, {"weight": 0})
    counts = picks("weighted", candidates, 4000)
    assert 2800 < counts["i0"] < 3200
    assert counts["i2"] == 0
    assert picks("weighted", entries({"weight": 0}, {"weight": 0}), 100).total() == 100


def test_least_loaded_takes_the_lowest_and_counts_the_unknown_as_average() -> None:
    catalog = Catalog()
    for n, load in enumerate([0.9, 0.1, None]):
        catalog.apply(record(instance_id=f"i{n}", port=n + 1), n + 1)
        if load is not None:
            catalog.set_load(f"engine.i{n}", load)
    candidates = list(catalog.services["engine"].sorted())
    assert picks("least_loaded", candidates, 10) == {"i1": 10}
    order = pick(candidates, Discover(strategy="least_loaded", limit=3), turn=0, random=Random(1))
    assert ids(order) == ["i1", "i2", "i0"]


@pytest.mark.parametrize("strategy", ["random", "round_robin", "weighted", "least_loaded", "nearest"])
def test_a_pick_names_nobody_twice_and_never_more_than_there_are(strategy: Strategy) -> None:
    candidates = entries({}, {}, {})
    found = ids(pick(candidates, Discover(strategy=strategy, limit=9), turn=2, random=Random(3)))
    assert sorted(found) == ["i0", "i1", "i2"]
    assert len(pick(candidates, Discover(strategy=strategy), turn=0, random=Random(3))) == 1
    assert pick([], Discover(strategy=strategy), turn=0, random=Random(3)) == []


@pytest.mark.parametrize(
    ("threshold", "statuses", "chosen", "degraded"),
    [
        (0.0, ["passing", "critical", "critical"], ["i0"], False),
        (0.3, ["passing", "critical", "critical"], ["i0"], False),
        (0.34, ["passing", "critical", "critical"], ["i0", "i1", "i2"], True),
        (0.5, ["warning", "critical"], ["i0", "i1"], True),
        (0.5, ["critical", "critical"], ["i0", "i1"], True),
        (1.0, ["passing", "passing"], ["i0", "i1"], False),
        (0.5, ["passing", "suspect", "draining", "maintenance"], ["i0", "i1"], True),
        (0.5, ["draining"], [], False),
    ],
)
def test_where_too_few_are_well_all_are_answered_with_as_they_are_save_whom_operators_took_out(
    threshold: float, statuses: list[str], chosen: list[str], degraded: bool
) -> None:
    all_of_them = entries(*({"status": status, "protect_threshold": threshold} for status in statuses))
    found = matching(all_of_them, Discover())
    assert (ids(found.chosen), found.degraded) == (chosen, degraded)
    assert [entry.instance.status for entry in found.chosen] == [statuses[int(name[1:])] for name in chosen]


def test_of_the_thresholds_of_a_service_the_highest_counts_and_a_query_for_a_status_is_answered_to_the_letter() -> None:
    all_of_them = entries(
        {"status": "passing", "protect_threshold": 0.1}, {"status": "critical", "protect_threshold": 0.9}
    )
    assert ids(matching(all_of_them, Discover()).chosen) == ["i0", "i1"]
    assert ids(matching(all_of_them, Discover(status="critical")).chosen) == ["i1"]
