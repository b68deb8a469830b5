"""What messages mean for what is stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from hub.core.damping import LONGEST
from hub.core.registry import Registry
from hub.errors import Conflict, NotFound, Unsupported
from hub.wire.checks import CheckState, HttpCheck
from hub.wire.record import Desired
from hub.wire.registration import Register
from tests.unit.core.making import WALL, record

FAILED = CheckState(name="http", status="critical", output="connection refused", since=WALL)


def wall() -> datetime:
    return WALL


def later() -> datetime:
    return WALL + timedelta(hours=1)


def request(**given: Any) -> Register:
    values: dict[str, Any] = {"name": "engine", "host": "10.0.0.1", "port": 1000, "instance_id": "a1", **given}
    return Register(**values)


def stored(registry: Registry, revision: int, now: float = 0.0, **given: Any) -> None:
    admission = registry.admit(request(**given), now, wall)
    registry.admitted(admission.record, revision, now)


def due_at(registry: Registry, since: float, until: float) -> float | None:
    """When somebody is to be removed, looked for every tenth of a second; None where nobody is."""
    for tenth in range(round(since * 10), round(until * 10)):
        registry.tick(tenth / 10, wall)
        if registry.liveness.due_removals(tenth / 10):
            return tenth / 10
    return None


def status(registry: Registry) -> str:
    return registry.catalog.entries["engine.a1"].instance.status


def test_a_new_instance_is_to_be_stored_over_nothing() -> None:
    admission = Registry(0.0).admit(request(), 0.0, wall)
    assert (admission.key, admission.expected, admission.changed, admission.is_new) == ("engine.a1", 0, True, True)
    assert (admission.record.status, admission.record.ttl, admission.record.registered_at) == ("passing", 6.0, WALL)


def test_the_same_again_changes_nothing() -> None:
    registry = Registry(0.0)
    stored(registry, 7)
    admission = registry.admit(request(), 1.0, later)
    assert (admission.expected, admission.changed, admission.is_new) == (7, False, False)


def test_an_update_keeps_the_age_and_is_stored_over_what_is_known() -> None:
    registry = Registry(0.0)
    stored(registry, 7)
    admission = registry.admit(request(version="2"), 1.0, later)
    assert (admission.expected, admission.changed) == (7, True)
    assert (admission.record.registered_at, admission.record.since) == (WALL, WALL)


def test_registering_again_revives_a_critical_instance() -> None:
    registry = Registry(0.0)
    stored(registry, 7)
    for tenth in range(70):
        registry.tick(tenth / 10, wall)
    assert status(registry) == "critical"
    admission = registry.admit(request(), 7.0, later)
    assert admission.record.status == "passing"
    assert status(registry) == "passing"


def test_an_instance_id_of_another_service_is_refused_until_it_is_free() -> None:
    registry = Registry(0.0)
    stored(registry, 7)
    with pytest.raises(Conflict) as refused:
        registry.admit(request(name="other"), 1.0, wall)
    assert refused.value.field == "instance_id"
    registry.removed("engine.a1", 8)
    assert registry.admit(request(name="other"), 2.0, wall).is_new


def test_without_an_id_the_instance_at_the_address_is_meant() -> None:
    registry = Registry(0.0)
    stored(registry, 7)
    assert registry.admit(request(instance_id=None), 1.0, wall).key == "engine.a1"
    made = registry.admit(request(instance_id=None, port=2), 1.0, wall)
    assert made.record.instance_id == registry.admit(request(instance_id=None, port=2), 2.0, wall).record.instance_id


def test_what_operators_want_is_in_the_record_of_a_new_registration() -> None:
    registry = Registry(0.0)
    registry.desired("engine.a1", Desired(mode="draining"), 1, wall)
    admission = registry.admit(request(), 0.0, wall)
    assert (admission.record.status, admission.record.desired) == ("draining", Desired(mode="draining"))


@pytest.mark.parametrize(
    ("given", "field"), [({"liveness": "probe"}, "liveness"), ({"checks": (HttpCheck(),)}, "checks[0]")]
)
def test_probes_are_refused_rather_than_promised(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Unsupported) as refused:
        Registry(0.0).admit(request(**given), 0.0, wall)
    assert refused.value.field == field


def test_an_instance_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="no instance 'x'"):
        Registry(0.0).locate("engine", "x")


def test_silence_is_to_be_written_by_a_leader_over_the_revision_that_was_read() -> None:
    registry = Registry(0.0)
    stored(registry, 7)
    for tenth in range(70):
        registry.tick(tenth / 10, later)
    [write] = registry.writes(10)
    assert (write.key, write.expected, write.record.status) == ("engine.a1", 7, "critical")
    assert write.record.since == later()
    registry.written(write.record, 8)
    assert registry.writes(10) == []


def test_a_second_hub_that_learns_the_verdict_agrees() -> None:
    first, second = Registry(0.0), Registry(0.0)
    stored(first, 7)
    second.learned(first.catalog.entries["engine.a1"].record, 7, 0.0)
    for tenth in range(70):
        first.tick(tenth / 10, wall)
    [write] = first.writes(10)
    second.learned(write.record, 8, 7.0)
    assert status(second) == "critical"
    assert second.writes(10) == []
    second.beat("engine.a1", 7.1, wall)
    assert status(second) == "passing"


def test_what_was_deleted_is_forgotten() -> None:
    registry = Registry(0.0)
    registry.learned(record(), 7, 0.0)
    registry.unlearned("engine.a1", 8)
    assert registry.catalog.entries == {}
    assert registry.beat("engine.a1", 1.0, wall) is None
    assert registry.tick(100.0, wall) == []


def test_the_share_that_may_be_removed_is_as_it_was_set() -> None:
    registry = Registry(0.0, removal_share=0.5)
    for n in range(40):
        stored(registry, n + 1, instance_id=f"i{n}", port=n + 1, ttl=1.0, deregister_after=1.0)
    for tenth in range(100):
        registry.tick(tenth / 10, wall)
    assert len(registry.liveness.due_removals(9.9)) == 20


def test_one_in_maintenance_is_not_removed_for_its_checks_until_a_while_after_that_is_over() -> None:
    registry = Registry(0.0)
    registry.learned(
        record(liveness="probe", checks=(HttpCheck(),), check_states=(FAILED,), deregister_after=10.0), 1, 0.0
    )
    registry.desired("engine.a1", Desired(mode="maintenance"), 1, wall)

    assert due_at(registry, 0.1, 60.0) is None
    assert status(registry) == "maintenance"
    registry.lifted("engine.a1", 2, wall)
    assert due_at(registry, 60.0, 80.0) == pytest.approx(70.0, abs=0.2)
    registry.desired("engine.a1", Desired(mode="draining"), 3, wall)
    assert due_at(registry, 70.2, 71.0) is not None


def test_one_that_registers_again_while_its_checks_fail_has_all_of_its_time_again_on_every_hub() -> None:
    registry, other = Registry(0.0, cannot=lambda check: None), Registry(0.0)
    given: dict[str, Any] = {"liveness": "probe", "checks": (HttpCheck(),), "deregister_after": 10.0}
    stored(registry, 1, **given)
    registry.checked("engine.a1", FAILED, 0.0)
    (write,) = registry.writes(1)
    registry.written(write.record, 2)
    other.learned(write.record, 2, 0.0)
    assert due_at(registry, 0.1, 9.0) is None
    assert due_at(other, 0.1, 9.0) is None
    again = registry.admit(request(**given), 9.0, later)
    assert (again.changed, again.record.status, again.record.since) == (True, "critical", WALL)
    registry.admitted(again.record, 3, 9.0)
    other.learned(again.record, 3, 9.0)
    assert due_at(registry, 9.0, 30.0) == pytest.approx(19.0, abs=0.2)
    assert due_at(other, 9.0, 30.0) == pytest.approx(19.0, abs=0.2)
    registry.checked("engine.a1", replace(FAILED, status="passing", since=later()), 31.0)
    (write,) = registry.writes(1)
    registry.written(write.record, 4)
    assert not registry.admit(request(**given), 32.0, wall).changed


def test_one_whose_check_flaps_is_not_removed_before_it_could_have_proved_itself() -> None:
    registry = Registry(0.0)
    flaps = replace(FAILED, flapping=True)
    registry.learned(
        record(liveness="probe", checks=(HttpCheck(),), check_states=(flaps,), deregister_after=10.0), 1, 0.0
    )
    assert due_at(registry, 0.1, 80.0) == pytest.approx(10.0 + LONGEST, abs=0.2)
    registry.checked("engine.a1", replace(FAILED, status="passing", flapping=True, since=later()), 70.3)
    assert due_at(registry, 70.4, 100.0) is None
    registry.checked("engine.a1", replace(FAILED, since=later() + timedelta(seconds=1)), 100.0)
    assert due_at(registry, 100.1, 120.0) == pytest.approx(110.0, abs=0.2)
