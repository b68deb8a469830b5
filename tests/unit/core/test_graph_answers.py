"""Questions about the graph of services: what is told, in pages that fit into a message, and at which price."""

from __future__ import annotations

import gc
from datetime import timedelta
from time import thread_time

import msgspec
import pytest

from hub.core import graph_answers
from hub.core.catalog import Catalog
from hub.core.cycles import cycles
from hub.core.graph_answers import MAX_CYCLE, MAX_SERVICES, GraphAnswers
from hub.core.observations import Observations
from hub.wire.graph import Graph, GraphEdge, GraphService, ServiceGraph
from tests.unit.core.making import WALL, record

NOW = 100.0


class Fleet:
    """A catalog and what is asked of it."""

    def __init__(self, max_bytes: int = 1 << 20) -> None:
        self.catalog = Catalog(lambda service: self.answers.notice(service))
        self.observations = Observations()
        self.answers = GraphAnswers(self.catalog, self.observations, max_bytes=max_bytes)
        self._revision = 0

    def add(self, name: str, *needs: str, instance_id: str = "i") -> None:
        self._revision += 1
        self.catalog.apply(record(name, instance_id, depends_on=needs), self._revision)

    def remove(self, name: str, instance_id: str = "i") -> None:
        self._revision += 1
        self.catalog.apply_removal(f"{name}.{instance_id}", self._revision)

    def encoded(self, **asked: object) -> bytes:
        return self.answers.graph(msgspec.convert(asked, Graph), NOW, WALL)

    def ask(self, **asked: object) -> ServiceGraph:
        return msgspec.json.decode(self.encoded(**asked), type=ServiceGraph)

    def names(self, **asked: object) -> list[str]:
        return [service.name for service in self.ask(**asked).services]


def edges(graph: ServiceGraph) -> list[str]:
    return [f"{edge.source} {edge.target}" for edge in graph.edges]


def test_declared_edges_are_the_union_of_what_the_instances_declare() -> None:
    fleet = Fleet()
    fleet.add("gate", "engine", instance_id="g1")
    fleet.add("gate", "ledger", instance_id="g2")
    fleet.add("engine")
    assert edges(fleet.ask()) == ["gate engine", "gate ledger"]
    fleet.remove("gate", "g2")
    assert edges(fleet.ask()) == ["gate engine"]
    fleet.add("gate", instance_id="g1")
    assert edges(fleet.ask()) == []
    assert fleet.answers.counts(NOW) == {"declared": 0, "observed": 0}


def test_a_service_that_is_depended_on_and_not_known_is_critical_without_instances() -> None:
    fleet = Fleet()
    fleet.add("gate", "engine")
    assert fleet.ask().services == (
        GraphService(name="engine", status="critical", instances=0, passing=0, reason="no instances"),
        GraphService(
            name="gate", status="warning", instances=1, passing=0, reason="i: upstream: engine cannot be chosen"
        ),
    )
    fleet.add("engine")
    assert fleet.ask().services[0] == GraphService(name="engine", status="passing", instances=1, passing=1)
    fleet.remove("engine")
    assert fleet.ask().services[0].status == "critical"


def test_one_that_only_asks_for_others_is_no_reason_for_alarm() -> None:
    fleet = Fleet()
    fleet.add("engine")
    fleet.observations.see("script", "engine", NOW)
    (_, script) = fleet.ask().services
    assert (script.name, script.status, script.instances) == ("script", "warning", 0)
    assert "not registered" in script.reason


def test_how_a_service_is_is_told_with_the_worst_reason() -> None:
    fleet = Fleet()
    for number in range(3):
        fleet.add("engine", instance_id=f"e{number}")
    fleet.ask()
    fleet.catalog.set_state("engine.e0", "warning", "busy", 0, WALL)
    fleet.catalog.set_state("engine.e1", "critical", "no heartbeat for 6 s", 0, WALL)
    assert fleet.ask().services == (
        GraphService(
            name="engine", status="warning", instances=3, passing=1, reason="e1: no heartbeat for 6 s (and 1 more)"
        ),
    )
    for number in range(3):
        fleet.catalog.set_state(f"engine.e{number}", "critical", "x" * 500, 0, WALL)
    (engine,) = fleet.ask().services
    assert (engine.status, engine.passing) == ("critical", 0)
    assert len(engine.reason) < 250


def test_an_edge_says_whether_it_is_declared_and_when_it_was_last_seen() -> None:
    fleet = Fleet()
    fleet.add("gate", "engine", "ledger")
    fleet.observations.see("gate", "engine", NOW - 30)
    fleet.observations.see("gate", "cache-proxy", NOW)
    seen = WALL - timedelta(seconds=30)
    assert fleet.ask().edges == (
        GraphEdge(source="gate", target="cache-proxy", declared=False, observed=True, last_seen=WALL),
        GraphEdge(source="gate", target="engine", declared=True, observed=True, last_seen=seen),
        GraphEdge(source="gate", target="ledger", declared=True, observed=False, last_seen=None),
    )
    declared = fleet.ask(observed=False)
    assert edges(declared) == ["gate engine", "gate ledger"]
    assert declared.edges[0].last_seen == seen, "what is declared still says whether it is used"
    assert "cache-proxy" not in fleet.names(observed=False)
    assert fleet.answers.counts(NOW) == {"declared": 2, "observed": 2}


def test_an_observed_edge_is_gone_when_it_is_forgotten() -> None:
    fleet = Fleet()
    fleet.add("gate")
    fleet.observations.see("gate", "engine", NOW - 901)
    assert edges(fleet.ask()) == []


def test_a_part_of_the_graph_follows_one_direction_or_both_as_far_as_asked() -> None:
    fleet = Fleet()
    for source, target in ("ab", "bc", "cd", "xc", "yz"):
        fleet.add(source, target)
    fleet.add("alone")
    assert fleet.names(name="c") == ["a", "b", "c", "d", "x"]
    assert fleet.names(name="b", direction="dependencies") == ["b", "c", "d"]
    assert fleet.names(name="c", direction="dependants", depth=1) == ["b", "c", "x"]
    assert fleet.names(name="b", depth=1) == ["a", "b", "c"]
    assert fleet.names(name="b", depth=100_000) == fleet.names(name="b")
    assert fleet.names(name="alone") == ["alone"]
    assert fleet.names() == ["a", "alone", "b", "c", "d", "x", "y", "z"]


def test_an_unknown_name_is_an_empty_graph() -> None:
    fleet = Fleet()
    fleet.add("gate", "engine")
    graph = fleet.ask(name="nobody", depth=100_000)
    assert (graph.revision, graph.services, graph.edges, graph.cycles, graph.next) == (1, (), (), (), None)
    assert fleet.names(name="engine") == ["engine", "gate"], "one that others depend on is known by that"


def test_cycles_are_told_and_a_service_that_needs_itself_is_one() -> None:
    fleet = Fleet()
    for source, targets in {"a": "b", "b": "c", "c": "ad", "d": "d"}.items():
        fleet.add(source, *targets)
    fleet.observations.see("e", "f", NOW)
    fleet.observations.see("f", "e", NOW)
    assert fleet.ask().cycles == (("a", "b", "c"), ("d",), ("e", "f"))
    assert fleet.ask(observed=False).cycles == (("a", "b", "c"), ("d",))
    assert fleet.ask(name="d", depth=1).cycles == (("d",),), "a part has only the cycles that are in it"


@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize("max_bytes", [1400, 3000, 1 << 20])
def test_pages_join_to_the_whole_and_each_stays_below_the_limit(limit: int, max_bytes: int) -> None:
    whole, fleet = Fleet(), Fleet(max_bytes)
    for number in range(40):
        needs = [f"s{n:02}" for n in range(number % 5, 40, 1 + number % 7)]
        for each in (whole, fleet):
            each.add(f"s{number:02}", *needs)
    expected = whole.ask()
    graph = ServiceGraph(revision=40, services=(), edges=(), cycles=())
    after: str | None = ""
    while after is not None:
        payload = fleet.encoded(limit=limit, after=after)
        assert len(payload) <= max_bytes
        page = msgspec.json.decode(payload, type=ServiceGraph)
        assert len(page.services) <= limit
        assert page.services or page.edges or page.cycles
        graph = msgspec.structs.replace(
            graph,
            services=graph.services + page.services,
            edges=graph.edges + page.edges,
            cycles=graph.cycles + page.cycles,
        )
        after = page.next
    assert (graph.services, graph.edges) == (expected.services, expected.edges)
    assert [set(knot) <= set(full) for knot, full in zip(graph.cycles, expected.cycles, strict=True)] == [True]


def test_a_huge_cycle_is_cut() -> None:
    fleet = Fleet()
    for number in range(1000):
        fleet.add(f"s{number:03}", f"s{(number + 1) % 1000:03}")
    (knot,) = fleet.ask().cycles
    assert len(knot) == MAX_CYCLE


def test_a_chain_longer_than_pythons_stack_is_followed_to_its_end() -> None:
    chain = {str(number): (str(number + 1),) for number in range(50_000)}
    assert cycles([*chain, "50000"], chain) == []
    assert len(cycles([*chain, "50000"], {**chain, "50000": ("0",)})[0]) == 50_001


def test_a_page_has_no_more_services_than_can_be_told_without_keeping_others_waiting() -> None:
    fleet = Fleet(max_bytes=1 << 24)
    for number in range(MAX_SERVICES + 10):
        fleet.add(f"s{number}")
    page = fleet.ask(limit=100_000)
    assert len(page.services) == MAX_SERVICES
    assert len(fleet.ask(after=page.next).services) == 10


def test_what_changed_does_not_pile_up_while_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_answers, "MAX_CHANGED", 10)
    fleet = Fleet()
    for number in range(100):
        fleet.add(f"s{number:02}", "ledger")
        assert len(fleet.answers._changed) <= 10
    assert len(fleet.ask().edges) == 100


def test_a_question_costs_about_the_same_per_service_among_ten_thousand() -> None:
    def seconds(size: int) -> float:
        fleet = Fleet()
        for number in range(size):
            fleet.add(f"s{number:05}", *(f"s{(number * 7 + step) % size:05}" for step in (1, 2, 3)))
        fleet.ask(limit=1)
        took: list[float] = []
        gc.disable()  # or a collection of all that other tests left falls into one of them
        try:
            for _ in range(5):
                fleet.add("s00000", f"s{len(took) + 5:05}")
                began = thread_time()
                fleet.ask(limit=10)
                took.append(thread_time() - began)
        finally:
            gc.enable()
        return min(took)

    assert seconds(10_000) < 100 * seconds(1_000), "ten times the services, ten times the time; a hundred if quadratic"
