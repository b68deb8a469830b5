"""Metrics: what is counted is scraped, and what is documented is what there is."""

from __future__ import annotations

import gc
import timeit
from collections import Counter

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from hub.telemetry.catalogue import CATALOGUE
from hub.telemetry.meter import BOUNDS, RequestMeter
from hub.telemetry.metrics import OWN_HEALTH, Metrics, Sources
from hub.version import __version__


def scraped(metrics: Metrics) -> dict[str, Metric]:
    """The families of a scrape; counters under the name they are queried by."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {f"{each.name}_total" if each.type == "counter" else each.name: each for each in families}


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    found = [
        s.value for family in scraped(metrics).values() for s in family.samples if (s.name, s.labels) == (name, labels)
    ]
    assert len(found) == 1, f"{name} {labels}: {found}"
    return found[0]


def test_the_catalogue_is_what_is_scraped() -> None:
    families = scraped(Metrics())
    assert {name: family.type for name, family in families.items()} == {each.name: each.kind for each in CATALOGUE}
    assert all(family.documentation for family in families.values())


def test_the_labels_of_the_catalogue_are_those_that_are_scraped() -> None:
    metrics = Metrics()
    metrics.requests("hub.discover").observe("ok", 0.001)
    metrics.probes("http").observe("failed", 0.001)
    metrics.sources = Sources(
        instances=lambda: {"passing": 1},
        resyncs=lambda: {"scheduled": 1},
        graph_edges=lambda: {"declared": 1},
        discoveries=lambda: {"hit": 1},
        labelled={name: lambda: {"some": 1.0} for name in OWN_HEALTH},
    )
    metrics.adoption_skips["name"] += 1
    metrics.logins["ok"] += 1
    metrics.rate_limited["discover", "service"] += 1
    metrics.http.count("/health", 200)
    for name, family in scraped(metrics).items():
        [labels] = {each.labels for each in CATALOGUE if each.name == name}
        assert all(set(sample.labels) - {"le"} == set(labels) for sample in family.samples), name
        assert family.samples, name


def test_no_metric_is_described_twice_and_each_in_a_sentence() -> None:
    assert max(Counter(each.name for each in CATALOGUE).values()) == 1
    assert all(each.meaning.endswith(".") for each in CATALOGUE)


def test_responses_are_counted_by_route_and_status_and_those_expected_are_told_before() -> None:
    metrics = Metrics()
    metrics.http.expect("/health", 200)
    assert sample(metrics, "hub_http_responses_total", route="/health", status="200") == 0
    for status in (200, 503, 200):
        metrics.http.count("/health", status)
    metrics.http.expect("/health", 200)
    assert sample(metrics, "hub_http_responses_total", route="/health", status="200") == 2
    assert sample(metrics, "hub_http_responses_total", route="/health", status="503") == 1


def test_requests_are_counted_by_subject_and_outcome() -> None:
    metrics = Metrics()
    meter = metrics.requests("hub.discover")
    for outcome in ("ok", "ok", "not_found"):
        meter.observe(outcome, 0.001)
    metrics.requests("hub.register").observe("conflict", 0.001)
    assert sample(metrics, "hub_requests_total", subject="hub.discover", outcome="ok") == 2
    assert sample(metrics, "hub_requests_total", subject="hub.discover", outcome="not_found") == 1
    assert sample(metrics, "hub_requests_total", subject="hub.register", outcome="ok") == 0
    assert sample(metrics, "hub_requests_total", subject="hub.register", outcome="conflict") == 1


def test_a_meter_knows_how_many_failed_and_by_what_at_last() -> None:
    meter = RequestMeter("hub.discover")
    assert (meter.requests, meter.errors, meter.last_error) == (0, 0, "")
    for outcome in ("ok", "not_found", "overloaded", "ok"):
        meter.observe(outcome, 0.001)
    assert (meter.requests, meter.errors, meter.last_error) == (4, 2, "overloaded")


def test_a_subject_has_one_meter() -> None:
    metrics = Metrics()
    assert metrics.requests("hub.discover") is metrics.requests("hub.discover")


@pytest.mark.parametrize(
    ("seconds", "first"),
    [(0.0, "5e-05"), (0.00005, "5e-05"), (0.000051, "0.0001"), (0.3, "0.5"), (5.0, "5.0"), (5.1, "+Inf")],
)
def test_a_duration_falls_into_the_first_bucket_that_holds_it_and_all_above(seconds: float, first: str) -> None:
    metrics = Metrics()
    metrics.requests("hub.discover").observe("ok", seconds)
    bounds = [*map(str, BOUNDS), "+Inf"]
    counts = [
        sample(metrics, "hub_request_duration_seconds_bucket", subject="hub.discover", le=bound) for bound in bounds
    ]
    assert counts == [float(place >= bounds.index(first)) for place in range(len(bounds))]
    assert sample(metrics, "hub_request_duration_seconds_count", subject="hub.discover") == 1
    assert sample(metrics, "hub_request_duration_seconds_sum", subject="hub.discover") == seconds


def test_what_is_added_up_is_scraped() -> None:
    metrics = Metrics()
    metrics.heartbeats, metrics.bad_heartbeats, metrics.unknown_heartbeats = 5, 2, 1
    metrics.probes_skipped = 7
    metrics.adoption_skips["conflict"] = 7
    metrics.expiries, metrics.removals = 4, 3
    metrics.ticked(0.5)
    metrics.ticked(0.25)
    metrics.registrations["updated"] += 6
    metrics.deregistrations = 7
    assert sample(metrics, "hub_heartbeats_total") == 5
    assert sample(metrics, "hub_bad_heartbeats_total") == 2
    assert sample(metrics, "hub_unknown_heartbeats_total") == 1
    assert sample(metrics, "hub_expiries_total") == 4
    assert sample(metrics, "hub_removals_total") == 3
    assert sample(metrics, "hub_probes_skipped_total") == 7
    assert sample(metrics, "hub_adoption_skipped_total", reason="conflict") == 7
    assert sample(metrics, "hub_event_loop_lag_seconds") == 0.25
    assert sample(metrics, "hub_event_loop_tick_lag_seconds_sum") == 0.75
    assert sample(metrics, "hub_event_loop_tick_lag_seconds_bucket", le="0.25") == 1
    assert sample(metrics, "hub_registrations_total", outcome="new") == 0
    assert sample(metrics, "hub_registrations_total", outcome="updated") == 6
    assert sample(metrics, "hub_deregistrations_total") == 7
    assert sample(metrics, "hub_build_info", version=__version__) == 1


def test_what_is_there_to_be_seen_is_looked_at_when_scraped() -> None:
    metrics = Metrics()
    instances = {"passing": 2}
    metrics.sources = Sources(
        instances=lambda: instances,
        services=lambda: 1,
        adopted=lambda: 4,
        in_flight=lambda: 9,
        leading=lambda: True,
        resyncs=lambda: {"disconnected": 3},
        events_dropped=lambda: 6,
        doubting=lambda: True,
        discoveries=lambda: {"hit": 8, "miss": 2},
        discover_waiters=lambda: 4,
        cached_answers=lambda: (3, 700),
        connections=lambda: 5,
        probes_owned=lambda: 12,
        replicas=lambda: 3,
        labelled={"hub_task_restarts_total": lambda: {"sweep-time": 2}, "hub_dependency_up": lambda: {"cache": 0}},
        plain={"hub_nats_reconnects_total": lambda: 4},
    )
    instances["critical"] = 1
    assert sample(metrics, "hub_instances", status="passing") == 2
    assert sample(metrics, "hub_instances", status="critical") == 1
    assert sample(metrics, "hub_services") == 1
    assert sample(metrics, "hub_adopted_instances") == 4
    assert sample(metrics, "hub_in_flight_requests") == 9
    assert sample(metrics, "hub_leader") == 1
    assert sample(metrics, "hub_doubt") == 1
    assert sample(metrics, "hub_store_resyncs_total", reason="disconnected") == 3
    assert sample(metrics, "hub_events_dropped_total") == 6
    assert sample(metrics, "hub_discoveries_total", cache="hit") == 8
    assert sample(metrics, "hub_discoveries_total", cache="miss") == 2
    assert sample(metrics, "hub_discover_waiters") == 4
    assert sample(metrics, "hub_cached_answers") == 3
    assert sample(metrics, "hub_cached_answers_bytes") == 700
    assert sample(metrics, "hub_connections") == 5
    assert sample(metrics, "hub_probes_owned") == 12
    assert sample(metrics, "hub_replicas") == 3
    assert sample(metrics, "hub_task_restarts_total", task="sweep-time") == 2
    assert sample(metrics, "hub_dependency_up", dependency="cache") == 0
    assert sample(metrics, "hub_nats_reconnects_total") == 4


def test_probes_are_counted_by_type_and_outcome() -> None:
    metrics = Metrics()
    for outcome in ("ok", "ok", "failed", "void"):
        metrics.probes("http").observe(outcome, 0.002)
    assert sample(metrics, "hub_probes_total", type="http", outcome="ok") == 2
    assert sample(metrics, "hub_probes_total", type="http", outcome="failed") == 1
    assert sample(metrics, "hub_probes_total", type="http", outcome="void") == 1
    assert sample(metrics, "hub_probe_duration_seconds_count", type="http") == 4


def test_two_hubs_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.heartbeats += 1
    assert (sample(one, "hub_heartbeats_total"), sample(other, "hub_heartbeats_total")) == (1, 0)
    assert one.content_type.startswith("text/plain")


def test_observing_costs_next_to_nothing() -> None:
    meter = RequestMeter("hub.discover")
    rounds = 20_000
    seconds = min(timeit.repeat(lambda: meter.observe("ok", 0.0003), number=rounds, repeat=5)) / rounds
    assert seconds < 10e-6  # about 0.13 µs on an idle machine; what this must catch is another order of magnitude


def test_where_performance_is_not_measured_the_dear_figures_are_not_told_and_the_rest_is() -> None:
    metrics = Metrics(performance=False)
    meter = metrics.requests("hub.discover")
    meter.observe("ok", 0.2)
    metrics.ticked(0.5)
    assert set(scraped(metrics)) == {each.name for each in CATALOGUE if not each.costly}
    assert sample(metrics, "hub_requests_total", subject="hub.discover", outcome="ok") == 1
    assert sample(metrics, "hub_event_loop_lag_seconds") == 0.5
    assert (meter.durations, meter.seconds, meter.requests) == (None, 0.0, 1)


def test_pauses_of_the_garbage_collector_are_measured_while_somebody_wants_to_know() -> None:
    metrics = Metrics()
    with metrics.pauses:
        gc.collect(0)
        gc.collect(2)
    gc.collect(2)
    assert sample(metrics, "hub_gc_pause_seconds_count", generation="0") >= 1
    assert sample(metrics, "hub_gc_pause_seconds_count", generation="2") == 1
    assert sample(metrics, "hub_gc_pause_seconds_sum", generation="2") > 0
    assert not any(getattr(callback, "__self__", None) is metrics.pauses for callback in gc.callbacks)
