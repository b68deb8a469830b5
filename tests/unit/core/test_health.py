"""What all that is known of an instance comes to: the worst decides, is named, and survives being stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hub.core.catalog import Catalog
from hub.core.health import WELL, declared, heard_of, judged, newest, told
from hub.core.liveness import Liveness
from hub.core.registry import Registry
from hub.errors import InvalidRequest
from hub.wire.checks import CheckState, HttpCheck, TcpCheck, TtlCheck
from hub.wire.names import ReportedStatus, Status
from hub.wire.record import Desired, Heard
from hub.wire.registration import Register
from tests.unit.core.making import WALL, record, want

LATER = WALL + timedelta(seconds=9)
SILENT = Heard(status="critical", reason="no heartbeat for 6.1 s", check="heartbeat")
SUSPECT = Heard(status="suspect", reason="connection lost", check="connection")
WARNED = Heard(status="warning", reason="reported by the service: slow", check="report")
DRAINED = Desired(mode="draining", reason="rack move")


def found(name: str, status: ReportedStatus, output: str = "it is so", **given: Any) -> CheckState:
    return CheckState(name=name, status=status, output=output, **{"since": WALL, **given})


def probed(name: str = "engine", instance_id: str = "a1", **given: Any) -> Any:
    return record(name, instance_id, **{"liveness": "probe", "checks": (HttpCheck(),), **given})


@pytest.mark.parametrize(
    ("heard", "checks", "upstream", "desired", "status", "reason", "check"),
    [
        (WELL, [], [], None, "passing", "", ""),
        (WELL, [found("http", "passing")], [], None, "passing", "", ""),
        (WELL, [found("http", "critical")], [], None, "critical", "http: it is so", "http"),
        (WELL, [found("a", "warning"), found("b", "critical")], [], None, "critical", "b: it is so", "b"),
        (WELL, [found("a", "critical"), found("b", "critical")], [], None, "critical", "a: it is so", "a"),
        (WARNED, [found("a", "warning")], [], None, "warning", WARNED.reason, "report"),
        (SUSPECT, [found("a", "warning")], [], None, "suspect", "connection lost", "connection"),
        (SUSPECT, [found("a", "critical")], [], None, "critical", "a: it is so", "a"),
        (SILENT, [found("a", "critical")], ["gone"], DRAINED, "critical", SILENT.reason, "heartbeat"),
        (WELL, [], ["engine"], None, "warning", "upstream: engine cannot be chosen", "upstream"),
        (WELL, [], list("abcde"), None, "warning", "upstream: a, b, c and 2 more cannot be chosen", "upstream"),
        (WARNED, [], ["engine"], None, "warning", WARNED.reason, "report"),
        (WELL, [found("a", "critical")], ["gone"], DRAINED, "draining", "rack move", "operator"),
        (SUSPECT, [], [], DRAINED, "draining", "rack move", "operator"),
        (WARNED, [], [], Desired(weight=3, reason="canary"), "warning", WARNED.reason, "report"),
    ],
)
def test_the_worst_decides_and_is_named_unless_operators_want_otherwise_of_the_living(
    heard: Heard,
    checks: list[CheckState],
    upstream: list[str],
    desired: Desired | None,
    status: Status,
    reason: str,
    check: str,
) -> None:
    assert judged(heard, checks, upstream, desired) == (status, reason, check)


@pytest.mark.parametrize("heard", [WELL, SUSPECT, WARNED, SILENT])
@pytest.mark.parametrize("desired", [None, DRAINED])
@pytest.mark.parametrize("checks", [(), (found("http", "critical"),), (found("http", "warning"),)])
def test_what_was_heard_can_be_read_back_from_the_record_whatever_lies_over_it(
    heard: Heard, desired: Desired | None, checks: tuple[CheckState, ...]
) -> None:
    finding = judged(heard, checks, (), desired)
    stored = record(
        status=finding.status, reason=finding.reason, check=finding.check, heard=told(heard, finding), desired=desired
    )
    assert heard_of(stored) == heard


@pytest.mark.parametrize(
    ("given", "checks"),
    [
        ({}, ()),
        ({"health_endpoint": "/health"}, ()),
        ({"liveness": "probe", "health_endpoint": "/up"}, (HttpCheck(name="health", path="/up"),)),
        ({"liveness": "probe", "health_endpoint": "up"}, (HttpCheck(name="health", path="/up"),)),
        ({"liveness": "probe"}, (TcpCheck(name="health"),)),
        ({"liveness": "probe", "health_endpoint": "/up", "checks": (TtlCheck(),)}, (TtlCheck(),)),
    ],
)
def test_who_is_to_be_looked_at_and_says_not_how_is_looked_at_by_its_health_endpoint_or_address(
    given: dict[str, Any], checks: tuple[object, ...]
) -> None:
    assert declared(Register(name="engine", host="h", port=1, **given)) == checks


def test_a_url_as_health_endpoint_is_refused_rather_than_asked_for_as_a_path() -> None:
    url = "http://engine:8000/health"
    with pytest.raises(InvalidRequest, match="expected a path as in '/health', got a URL"):
        declared(Register(name="engine", host="h", port=1, liveness="probe", health_endpoint=url))
    assert declared(Register(name="engine", host="h", port=1, health_endpoint=url)) == ()
    asked = declared(Register(name="engine", host="h", port=1, liveness="probe", health_endpoint=f"/up?of={url}"))
    assert asked == (HttpCheck(name="health", path=f"/up?of={url}"),)


def test_a_check_that_fails_is_shown_told_as_news_once_and_waits_to_be_written() -> None:
    registry = Registry(0.0)
    registry.learned(probed(), 1, 0.0)
    failed = found("http", "critical", "connection refused", since=LATER)
    assert registry.checked("engine.a1", failed, 1.0)
    assert not registry.checked("engine.a1", failed, 2.0)
    entry = registry.catalog.entries["engine.a1"]
    assert (entry.instance.status, entry.instance.since) == ("critical", LATER)
    (write,) = registry.writes(10)
    assert write.moved
    assert (write.record.status, write.record.check, write.record.check_states) == ("critical", "http", (failed,))
    assert write.record.heard == WELL


def test_a_check_of_nobody_or_one_that_is_not_declared_changes_nothing() -> None:
    registry = Registry(0.0)
    registry.learned(probed(), 1, 0.0)
    assert not registry.checked("engine.b2", found("http", "critical"), 1.0)
    assert not registry.checked("engine.a1", found("tcp", "critical"), 1.0)
    assert registry.writes(10) == []


def test_a_check_that_is_declared_no_more_counts_no_more() -> None:
    catalog = Catalog()
    catalog.apply(probed(), 1)
    catalog.set_check("engine.a1", found("http", "critical"))
    catalog.apply(probed(checks=(TcpCheck(),)), 2)
    assert catalog.entries["engine.a1"].instance.status == "passing"


def test_of_two_tellings_of_a_check_the_one_that_began_later_is_believed() -> None:
    earlier, later = found("http", "critical"), found("http", "passing", since=LATER)
    stored = probed(check_states=(earlier,))
    assert newest(stored, {"http": later}) == {"http": later}
    assert newest(probed(check_states=(later,)), {"http": earlier}) == {"http": later}
    assert newest(stored, {}) == {"http": earlier}


def test_what_another_hub_stored_of_checks_is_adopted_and_not_written_again() -> None:
    catalog = Catalog()
    failed = found("http", "critical", "503 Service Unavailable")
    stored = probed(
        status="critical", reason="http: 503 Service Unavailable", check="http", heard=WELL, check_states=(failed,)
    )
    catalog.apply(stored, 1)
    entry = catalog.entries["engine.a1"]
    assert (entry.instance.status, entry.heard, entry.checks) == ("critical", WELL, {"http": failed})
    assert list(catalog.unwritten) == []


def test_an_update_keeps_what_its_checks_have_found() -> None:
    registry = Registry(0.0, cannot=lambda check: None)
    request = Register(name="engine", host="h", port=1, instance_id="a1", liveness="probe", health_endpoint="/up")
    registry.admitted(registry.admit(request, 0.0, lambda: WALL).record, 1, 0.0)
    registry.checked("engine.a1", found("health", "critical", "404 Not Found"), 1.0)
    admission = registry.admit(request, 2.0, lambda: LATER)
    assert (admission.record.status, admission.record.check) == ("critical", "health")
    assert admission.record.since == WALL


def test_only_who_is_to_be_looked_at_is_removed_for_what_its_checks_say() -> None:
    liveness = Liveness(0.0)
    for key, kind in (("probe.a", "probe"), ("permanent.a", "permanent"), ("heartbeat.a", "heartbeat")):
        liveness.track(key, kind, 6.0, 10.0, "passing", 0, 0.0, beat=True)  # type: ignore[arg-type]
        liveness.failing(key, True, 1.0)
    now = 1.0
    while now < 12.0:
        now += 0.1
        liveness.beat("heartbeat.a", now)
        liveness.tick(now)
        assert liveness.due_removals(now) == (["probe.a"] if now > 11.0 else [])
    liveness.failing("probe.a", False, now)
    assert liveness.due_removals(now) == []


def test_a_hub_that_was_deaf_removes_nobody_for_its_checks_before_it_has_heard_well_for_a_ttl() -> None:
    liveness = Liveness(0.0)
    liveness.track("probe.a", "probe", 6.0, 1.0, "passing", 0, 0.0, beat=True)
    liveness.failing("probe.a", True, 0.0)
    liveness.tick(0.1)
    liveness.deafened(0.5, "the connection to NATS is lost")
    for tenth in range(2, 100):
        now = tenth / 10
        liveness.tick(now)
        assert liveness.due_removals(now) == (["probe.a"] if now > 6.5 else [])


def test_those_who_need_a_service_are_warned_while_nobody_of_it_can_be_chosen() -> None:
    registry = Registry(0.0)
    registry.learned(record("engine"), 1, 0.0)
    registry.learned(record("gate", depends_on=("engine", "gate", "database")), 2, 0.0)
    assert registry.catalog.entries["gate.a1"].instance.status == "passing"
    registry.catalog.set_state("engine.a1", "critical", "no heartbeat", 0, WALL, "heartbeat")
    registry.tick(0.1, lambda: LATER)
    gate = registry.catalog.entries["gate.a1"]
    assert gate.finding == ("warning", "upstream: engine cannot be chosen", "upstream")
    assert gate.instance.since == LATER
    registry.catalog.set_state("engine.a1", "suspect", "connection lost", 0, WALL, "connection")
    registry.tick(0.2, lambda: LATER)
    assert gate.instance.status == "passing"


def test_who_registers_before_what_it_needs_is_warned_until_that_is_there() -> None:
    registry = Registry(0.0)
    request = Register(name="gate", host="h", port=1, instance_id="g1", depends_on=("engine",))
    admission = registry.admit(request, 0.0, lambda: WALL)
    assert (admission.record.status, admission.record.check) == ("warning", "upstream")
    registry.admitted(admission.record, 1, 0.0)
    registry.learned(record("engine"), 2, 0.0)
    registry.tick(0.1, lambda: LATER)
    assert registry.catalog.entries["gate.g1"].instance.status == "passing"
    registry.unlearned("engine.a1", 3)
    registry.tick(0.2, lambda: LATER)
    assert registry.catalog.entries["gate.g1"].finding.check == "upstream"


def test_a_warning_from_upstream_is_not_passed_on_nor_taken_for_the_services_own_word() -> None:
    registry = Registry(0.0)
    registry.learned(record("gate", depends_on=("engine",)), 1, 0.0)
    registry.learned(record("shop", depends_on=("gate",)), 2, 0.0)
    registry.tick(0.1, lambda: LATER)
    assert registry.catalog.entries["shop.a1"].instance.status == "passing"
    (write,) = registry.writes(10)
    other = Registry(0.0)
    other.learned(write.record, 3, 0.0)
    other.learned(record("engine"), 4, 0.0)
    other.tick(0.1, lambda: LATER)
    assert other.beat("gate.a1", 0.2, lambda: LATER) is None
    assert other.catalog.entries["gate.a1"].instance.status == "passing"


def test_a_drained_dependency_is_one_that_cannot_be_chosen() -> None:
    registry = Registry(0.0)
    registry.learned(record("engine"), 1, 0.0)
    registry.learned(record("gate", depends_on=("engine",)), 2, 0.0)
    want(registry.catalog, "engine.a1", DRAINED)
    registry.tick(0.1, lambda: LATER)
    assert registry.catalog.entries["gate.a1"].finding.check == "upstream"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 60.0),
        ({"liveness": "permanent"}, 60.0),
        ({"liveness": "probe"}, 1800.0),
        ({"liveness": "probe", "deregister_after": 5.0}, 5.0),
    ],
)
def test_who_registers_but_once_is_kept_for_longer(given: dict[str, Any], seconds: float) -> None:
    registry = Registry(0.0, cannot=lambda check: None)
    request = Register(name="engine", host="h", port=1, **given)
    assert registry.admit(request, 0.0, lambda: WALL).record.deregister_after == seconds
