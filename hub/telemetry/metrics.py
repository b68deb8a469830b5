"""The hub's metrics: plain numbers while it works, Prometheus families when they are scraped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.telemetry.meter import RequestMeter as RequestMeter
from hub.version import __version__


class Described(NamedTuple):
    """What a metric is."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()


CATALOGUE: Final = (
    Described(
        "hub_requests_total",
        "counter",
        "Requests answered, by subject and outcome: ok, or the error's code.",
        ("subject", "outcome"),
    ),
    Described(
        "hub_request_duration_seconds",
        "histogram",
        "From a request's arrival to its reply, by subject; what callers asked to wait is part of it.",
        ("subject",),
    ),
    Described("hub_in_flight_requests", "gauge", "Requests that wait for the store or for a change right now."),
    Described("hub_instances", "gauge", "Registered instances by status.", ("status",)),
    Described("hub_services", "gauge", "Services that have instances."),
    Described("hub_graph_edges", "gauge", "Edges of the graph of services, by kind: declared, observed.", ("kind",)),
    Described("hub_heartbeats_total", "counter", "Heartbeats heard."),
    Described("hub_bad_heartbeats_total", "counter", "Heartbeats whose payload was not understood."),
    Described(
        "hub_unknown_heartbeats_total", "counter", "Heartbeats of instances not registered, which were asked to."
    ),
    Described("hub_expiries_total", "counter", "Instances that became critical by silence, as this replica saw it."),
    Described("hub_removals_total", "counter", "Instances that this replica removed after long silence."),
    Described("hub_adopted_instances", "gauge", "Registered instances that were found by the micro protocol of NATS."),
    Described(
        "hub_adoption_skipped_total",
        "counter",
        "Answers to the micro protocol by which nobody was taken into the registry, by reason.",
        ("reason",),
    ),
    Described("hub_store_resyncs_total", "counter", "Full re-reads of a store, by reason.", ("reason",)),
    Described("hub_events_dropped_total", "counter", "Events that were not written to the event stream."),
    Described("hub_leader", "gauge", "1 while this replica writes down expiries for all, else 0."),
    Described("hub_doubt", "gauge", "1 while this replica doubts what it hears and answers so, else 0."),
    Described("hub_event_loop_lag_seconds", "gauge", "How late the event loop was at its last tick."),
    Described("hub_build_info", "gauge", "Always 1; the label says which version runs.", ("version",)),
    Described("process_virtual_memory_bytes", "gauge", "Virtual memory of the hub process (Linux)."),
    Described("process_resident_memory_bytes", "gauge", "Memory that the hub process occupies (Linux)."),
    Described("process_start_time_seconds", "gauge", "When the hub process started, in Unix time (Linux)."),
    Described("process_cpu_seconds_total", "counter", "Processor time that the hub process used (Linux)."),
    Described("process_open_fds", "gauge", "File descriptors that the hub process has open (Linux)."),
    Described("process_max_fds", "gauge", "File descriptors that the hub process may have open (Linux)."),
)
"""Every metric there is."""

_KNOWN: Final = {each.name: each for each in CATALOGUE}


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


class Metrics:
    """The figures of one hub, in a Prometheus registry of their own.

    What counts does so by plain addition (`metrics.heartbeats += 1`), on the event loop's thread alone.

    Attributes:
        sources: Where to look for what is not counted but is there to be seen.
        heartbeats: Heartbeats heard.
        bad_heartbeats: Heartbeats not understood.
        unknown_heartbeats: Heartbeats of instances that were asked to register.
        expiries: Instances that became critical by silence.
        removals: Instances removed after long silence.
        adoption_skips: Answers to the micro protocol by which nobody was taken in, by reason.
        event_loop_lag: Seconds that the event loop was late at its last tick.
        registry: The Prometheus registry.
    """

    __slots__ = (
        "_meters",
        "adoption_skips",
        "bad_heartbeats",
        "event_loop_lag",
        "expiries",
        "heartbeats",
        "registry",
        "removals",
        "sources",
        "unknown_heartbeats",
    )

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.sources = Sources()
        self.heartbeats = 0
        self.bad_heartbeats = 0
        self.unknown_heartbeats = 0
        self.expiries = 0
        self.removals = 0
        self.adoption_skips: Counter[str] = Counter()
        self.event_loop_lag = 0.0
        self._meters: dict[str, RequestMeter] = {}
        self.registry = CollectorRegistry()
        self.registry.register(_Families(self))
        ProcessCollector(registry=self.registry)

    def requests(self, subject: str) -> RequestMeter:
        """The meter of a subject, to be asked for once and kept. Give subjects of the contract, not of messages."""
        return self._meters.setdefault(subject, RequestMeter(subject))

    @property
    def meters(self) -> list[RequestMeter]:
        """The meters of all subjects so far."""
        return list(self._meters.values())

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
        yield from self._requests()
        yield _gauge("hub_in_flight_requests", sources.in_flight())
        yield _labelled(GaugeMetricFamily, "hub_instances", sources.instances())
        yield _gauge("hub_services", sources.services())
        yield _labelled(GaugeMetricFamily, "hub_graph_edges", sources.graph_edges())
        yield _counter("hub_heartbeats_total", metrics.heartbeats)
        yield _counter("hub_bad_heartbeats_total", metrics.bad_heartbeats)
        yield _counter("hub_unknown_heartbeats_total", metrics.unknown_heartbeats)
        yield _counter("hub_expiries_total", metrics.expiries)
        yield _counter("hub_removals_total", metrics.removals)
        yield _gauge("hub_adopted_instances", sources.adopted())
        yield _labelled(CounterMetricFamily, "hub_adoption_skipped_total", metrics.adoption_skips)
        yield _labelled(CounterMetricFamily, "hub_store_resyncs_total", sources.resyncs())
        yield _counter("hub_events_dropped_total", sources.events_dropped())
        yield _gauge("hub_leader", sources.leading())
        yield _gauge("hub_doubt", sources.doubting())
        yield _gauge("hub_event_loop_lag_seconds", metrics.event_loop_lag)
        yield _labelled(GaugeMetricFamily, "hub_build_info", {__version__: 1})

    def _requests(self) -> Iterator[Metric]:
        total, duration = "hub_requests_total", "hub_request_duration_seconds"
        counts = CounterMetricFamily(total, _KNOWN[total].meaning, labels=_KNOWN[total].labels)
        times = HistogramMetricFamily(duration, _KNOWN[duration].meaning, labels=_KNOWN[duration].labels)
        for meter in self._metrics.meters:
            for outcome, count in meter.outcomes.items():
                counts.add_metric([meter.subject, outcome], count)
            times.add_metric([meter.subject], meter.cumulative(), meter.seconds)
        yield counts
        yield times


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
