"""The hub's metrics: plain numbers while it works, Prometheus families when they are scraped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.telemetry.catalogue import CATALOGUE
from hub.telemetry.meter import Histogram, ResponseMeter
from hub.telemetry.meter import RequestMeter as RequestMeter
from hub.telemetry.pauses import GcPauses
from hub.version import __version__

_KNOWN: Final = {each.name: each for each in CATALOGUE}
_OWN: Final = (
    "hub_dependency_",
    "hub_task_",
    "hub_nats_",
    "hub_stream_",
    "hub_watch_",
    "hub_config_",
    "hub_archive_",
    "hub_audit_",
    "hub_components_",
    "hub_secrets",
    "hub_login_",
    "hub_tls_",
    "hub_issuer_",
    "hub_rate_limits_",
)
OWN_HEALTH: Final = tuple(name for name in _KNOWN if name.startswith(_OWN))
"""The metrics of the hub's own health, which `Sources` takes by their names."""


@dataclass(slots=True, kw_only=True)
class Sources:
    """Where to look at scrape time. Each must answer at once; one that is left as it is reports nothing or 0.

    Attributes:
        instances: Registered instances by status.
        services: How many services have instances.
        graph_edges: Edges of the graph of services by kind.
        adopted: How many instances were found by the micro protocol.
        in_flight: How many requests wait right now.
        leading: Whether this replica leads.
        resyncs: Full re-reads of stores so far, by reason.
        events_dropped: Events that were not written so far.
        doubting: Whether this replica doubts what it hears.
        discoveries: Discoveries so far, by whether the cache had the answer: `hit` or `miss`.
        discover_waiters: How many discoveries wait for a change right now.
        cached_answers: How many encoded answers are kept, and how large they are together.
        connections: How many connections of instances are known.
        probes_owned: How many checks this replica makes.
        replicas: How many replicas of the hub there are.
        labelled: More metrics with one label, by their name in the catalogue: the figure for each value of the label.
        plain: More metrics without a label, by their name in the catalogue.
        http_connections: How many HTTP connections are open.
        http_watchers: How many follow changes over HTTP.
    """

    instances: Callable[[], Mapping[str, int]] = dict
    services: Callable[[], int] = int
    graph_edges: Callable[[], Mapping[str, int]] = dict
    adopted: Callable[[], int] = int
    in_flight: Callable[[], int] = int
    leading: Callable[[], bool] = bool
    resyncs: Callable[[], Mapping[str, int]] = dict
    events_dropped: Callable[[], int] = int
    doubting: Callable[[], bool] = bool
    discoveries: Callable[[], Mapping[str, int]] = dict
    discover_waiters: Callable[[], int] = int
    cached_answers: Callable[[], tuple[int, int]] = lambda: (0, 0)
    connections: Callable[[], int] = int
    probes_owned: Callable[[], int] = int
    replicas: Callable[[], int] = int
    labelled: Mapping[str, Callable[[], Mapping[str, float]]] = field(default_factory=dict)
    plain: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    http_connections: Callable[[], int] = int
    http_watchers: Callable[[], int] = int


class Metrics:
    """The figures of one hub, in a Prometheus registry of their own.

    What counts does so by plain addition (`metrics.heartbeats += 1`), on the event loop's thread alone.

    Args:
        performance: Whether the dearer figures are measured, too: those that the catalogue calls costly.

    Attributes:
        performance: See above.
        sources: Where to look for what is not counted but is there to be seen.
        heartbeats: Heartbeats heard.
        bad_heartbeats: Heartbeats not understood.
        unknown_heartbeats: Heartbeats of instances that were asked to register.
        expiries: Instances that became critical by silence.
        removals: Instances removed after long silence.
        probes_skipped: Looks at instances that were left out.
        adoption_skips: Answers to the micro protocol by which nobody was taken in, by reason.
        logins: Logins on NATS and over HTTP that were good (`ok`) or not (the code of an error).
        registrations: Registrations by what came of them: `new`, `updated`, `unchanged`.
        deregistrations: Instances taken out because somebody asked for it.
        rate_limited: Requests and beats refused as too many, by class and by the caller's role.
        event_loop_lag: Seconds that the event loop was late at its last tick; `ticked` sets it.
        http: The responses of the HTTP face.
        pauses: What measures the garbage collector, to be entered where it shall.
        registry: The Prometheus registry.
    """

    __slots__ = (
        "_meters",
        "_probes",
        "_tick_lags",
        "adoption_skips",
        "bad_heartbeats",
        "deregistrations",
        "event_loop_lag",
        "expiries",
        "heartbeats",
        "http",
        "logins",
        "pauses",
        "performance",
        "probes_skipped",
        "rate_limited",
        "registrations",
        "registry",
        "removals",
        "sources",
        "unknown_heartbeats",
    )

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self, *, performance: bool = True) -> None:
        self.performance = performance
        self.sources = Sources()
        self.heartbeats = 0
        self.bad_heartbeats = 0
        self.unknown_heartbeats = 0
        self.expiries = 0
        self.removals = 0
        self.probes_skipped = 0
        self.adoption_skips: Counter[str] = Counter()
        self.logins: Counter[str] = Counter()
        self.registrations = {"new": 0, "updated": 0, "unchanged": 0}
        self.deregistrations = 0
        self.rate_limited: Counter[tuple[str, str]] = Counter()
        self.event_loop_lag = 0.0
        self.pauses = GcPauses()
        self._tick_lags = Histogram()
        self.http = ResponseMeter()
        self._meters: dict[str, RequestMeter] = {}
        self._probes: dict[str, RequestMeter] = {}
        self.registry = CollectorRegistry()
        self.registry.register(_Families(self))
        ProcessCollector(registry=self.registry)

    def requests(self, subject: str) -> RequestMeter:
        """The meter of a subject, to be asked for once and kept. Give subjects of the contract, not of messages."""
        return self._meters.setdefault(subject, RequestMeter(subject, timed=self.performance))

    def probes(self, kind: str) -> RequestMeter:
        """The meter of a type of check."""
        return self._probes.get(kind) or self._probes.setdefault(kind, RequestMeter(kind, timed=self.performance))

    def ticked(self, late: float) -> None:
        """The event loop was so many seconds late at its regular tick."""
        self.event_loop_lag = late
        if self.performance:
            self._tick_lags.observe(late)

    @property
    def meters(self) -> list[RequestMeter]:
        """The meters of all subjects so far."""
        return list(self._meters.values())

    @property
    def probe_meters(self) -> list[RequestMeter]:
        """The meters of all types of checks so far."""
        return list(self._probes.values())

    def render(self) -> bytes:
        """Everything in Prometheus's text format, of type `content_type`."""
        return generate_latest(self.registry)


class _Families(Collector):
    """Turns the numbers into families at scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        """Nothing in advance, so that registering does not look at a hub that is still being put together."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families."""
        metrics, sources = self._metrics, self._metrics.sources
        yield _outcomes("hub_requests_total", metrics.meters)
        yield _outcomes("hub_probes_total", metrics.probe_meters)
        if metrics.performance:
            yield from self._performance()
        yield _labelled(CounterMetricFamily, "hub_registrations_total", metrics.registrations)
        yield _counter("hub_deregistrations_total", metrics.deregistrations)
        yield _labelled(CounterMetricFamily, "hub_discoveries_total", sources.discoveries())
        yield _gauge("hub_discover_waiters", sources.discover_waiters())
        answers, size = sources.cached_answers()
        yield _gauge("hub_cached_answers", answers)
        yield _gauge("hub_cached_answers_bytes", size)
        yield _gauge("hub_connections", sources.connections())
        yield _gauge("hub_in_flight_requests", sources.in_flight())
        yield _labelled(GaugeMetricFamily, "hub_instances", sources.instances())
        yield _gauge("hub_services", sources.services())
        yield _labelled(GaugeMetricFamily, "hub_graph_edges", sources.graph_edges())
        yield _counter("hub_heartbeats_total", metrics.heartbeats)
        yield _counter("hub_bad_heartbeats_total", metrics.bad_heartbeats)
        yield _counter("hub_unknown_heartbeats_total", metrics.unknown_heartbeats)
        yield _counter("hub_expiries_total", metrics.expiries)
        yield _counter("hub_removals_total", metrics.removals)
        yield self._rate_limited()
        yield _gauge("hub_probes_owned", sources.probes_owned())
        yield _counter("hub_probes_skipped_total", metrics.probes_skipped)
        yield _gauge("hub_replicas", sources.replicas())
        yield _gauge("hub_adopted_instances", sources.adopted())
        yield _labelled(CounterMetricFamily, "hub_adoption_skipped_total", metrics.adoption_skips)
        yield _labelled(CounterMetricFamily, "hub_logins_total", metrics.logins)
        yield _labelled(CounterMetricFamily, "hub_store_resyncs_total", sources.resyncs())
        yield _counter("hub_events_dropped_total", sources.events_dropped())
        yield self._responses()
        yield _gauge("hub_http_connections", sources.http_connections())
        yield _gauge("hub_http_watchers", sources.http_watchers())
        yield _gauge("hub_leader", sources.leading())
        yield _gauge("hub_doubt", sources.doubting())
        yield _gauge("hub_event_loop_lag_seconds", metrics.event_loop_lag)
        yield from self._of_the_hub()
        yield _labelled(GaugeMetricFamily, "hub_build_info", {__version__: 1})

    def _of_the_hub(self) -> Iterator[Metric]:
        """What the hub tells of its own health, in the order of the catalogue."""
        sources = self._metrics.sources
        for name in OWN_HEALTH:
            counts = _KNOWN[name].kind == "counter"
            if _KNOWN[name].labels:
                values = sources.labelled.get(name, dict)()
                yield _labelled(CounterMetricFamily if counts else GaugeMetricFamily, name, values)
            else:
                value = sources.plain.get(name, float)()
                yield _counter(name, value) if counts else _gauge(name, value)

    def _rate_limited(self) -> Metric:
        total = "hub_rate_limited_total"
        family = CounterMetricFamily(total, _KNOWN[total].meaning, labels=_KNOWN[total].labels)
        for labels, count in self._metrics.rate_limited.items():
            family.add_metric(labels, count)
        return family

    def _responses(self) -> Metric:
        total = "hub_http_responses_total"
        family = CounterMetricFamily(total, _KNOWN[total].meaning, labels=_KNOWN[total].labels)
        for (route, status), count in self._metrics.http.counts.items():
            family.add_metric([route, str(status)], count)
        return family

    def _performance(self) -> Iterator[Metric]:
        """What is told only while performance is measured."""
        metrics = self._metrics
        yield _histogram("hub_request_duration_seconds", _durations(metrics.meters))
        yield _histogram("hub_probe_duration_seconds", _durations(metrics.probe_meters))
        yield _histogram("hub_event_loop_tick_lag_seconds", [((), metrics._tick_lags)])
        pauses = (((generation,), durations) for generation, durations in metrics.pauses.durations.items())
        yield _histogram("hub_gc_pause_seconds", pauses)


def _outcomes(name: str, meters: Iterable[RequestMeter]) -> Metric:
    counts = CounterMetricFamily(name, _KNOWN[name].meaning, labels=_KNOWN[name].labels)
    for meter in meters:
        for outcome, count in meter.outcomes.items():
            counts.add_metric([meter.subject, outcome], count)
    return counts


def _durations(meters: Iterable[RequestMeter]) -> Iterator[tuple[tuple[str, ...], Histogram]]:
    return (((meter.subject,), meter.durations) for meter in meters if meter.durations is not None)


def _histogram(name: str, values: Iterable[tuple[tuple[str, ...], Histogram]]) -> Metric:
    family = HistogramMetricFamily(name, _KNOWN[name].meaning, labels=_KNOWN[name].labels)
    for labels, histogram in values:
        family.add_metric(labels, histogram.cumulative(), histogram.seconds)
    return family


def _gauge(name: str, value: float) -> Metric:
    return GaugeMetricFamily(name, _KNOWN[name].meaning, value=float(value))


def _counter(name: str, value: float) -> Metric:
    return CounterMetricFamily(name, _KNOWN[name].meaning, value=float(value))


def _labelled(
    family: type[GaugeMetricFamily] | type[CounterMetricFamily], name: str, values: Mapping[str, float]
) -> Metric:
    labelled = family(name, _KNOWN[name].meaning, labels=_KNOWN[name].labels)
    for value, number in values.items():
        labelled.add_metric([value], float(number))
    return labelled
