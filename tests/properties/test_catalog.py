"""Random histories of a catalog: what it counts and keeps in indexes is what is found by looking at everything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hub.core.catalog import Catalog
from hub.core.health import heard_of, judged
from hub.core.selection import TIERS
from hub.wire.checks import CheckState, HttpCheck, TcpCheck
from hub.wire.names import ReportedStatus, Status
from hub.wire.record import Desired
from tests.unit.core.making import WALL, record, want

SERVICES = st.sampled_from(["gate", "engine", "ledger", "quotes"])
INSTANCES = st.sampled_from(["a", "b", "c"])
STATUSES: st.SearchStrategy[Status] = st.sampled_from(["passing", "warning", "suspect", "critical"])
FOUND: st.SearchStrategy[ReportedStatus] = st.sampled_from(["passing", "warning", "critical"])
NEEDS = st.lists(st.sampled_from(["gate", "engine", "ledger", "quotes", "nobody", "database"]), max_size=3)
CHECKS = st.sampled_from([(), (HttpCheck(),), (HttpCheck(), TcpCheck())])
WANTED = st.sampled_from([Desired(mode="draining"), Desired(mode="maintenance", reason="rack"), Desired(weight=3)])


class Histories(RuleBasedStateMachine):
    """A leader and one that only follows what the leader writes."""

    def __init__(self) -> None:
        super().__init__()
        self.leader, self.follower = Catalog(), Catalog()
        self.revision = 0
        self.clock = WALL

    def tell(self, what: Any) -> None:
        self.revision += 1
        for catalog in (self.leader, self.follower):
            catalog.apply(what, self.revision)

    @rule(name=SERVICES, instance_id=INSTANCES, needs=NEEDS, checks=CHECKS)
    def register(self, name: str, instance_id: str, needs: list[str], checks: Any) -> None:
        self.tell(record(name, instance_id, depends_on=tuple(needs), checks=checks))

    @rule(name=SERVICES, instance_id=INSTANCES)
    def remove(self, name: str, instance_id: str) -> None:
        self.revision += 1
        for catalog in (self.leader, self.follower):
            catalog.apply_removal(f"{name}.{instance_id}", self.revision)

    @rule(name=SERVICES, instance_id=INSTANCES, status=STATUSES)
    def hear(self, name: str, instance_id: str, status: Status) -> None:
        self.clock += timedelta(seconds=1)
        self.leader.set_state(f"{name}.{instance_id}", status, "heard", 0, self.clock, "report")

    @rule(name=SERVICES, instance_id=INSTANCES, check=st.sampled_from(["http", "tcp"]), status=FOUND)
    def look(self, name: str, instance_id: str, check: str, status: ReportedStatus) -> None:
        self.clock += timedelta(seconds=1)
        state = CheckState(name=check, status=status, output="seen", since=self.clock)
        self.leader.set_check(f"{name}.{instance_id}", state)

    @rule(name=SERVICES, instance_id=INSTANCES, desired=WANTED)
    def wish(self, name: str, instance_id: str, desired: Desired) -> None:
        self.revision += 1
        for catalog in (self.leader, self.follower):
            want(catalog, f"{name}.{instance_id}", desired, self.revision)

    @rule()
    def lead(self) -> None:
        """The leader writes down all that it knows, and the other reads it."""
        self.leader.settle_dependants(self.clock)
        for key in list(self.leader.unwritten):
            written = self.leader.record_to_write(key)
            assert written is not None
            self.tell(written)
        assert not self.leader.unwritten
        self.follower.settle_dependants(self.clock)
        for key, entry in self.leader.entries.items():
            other = self.follower.entries[key]
            assert (entry.finding, entry.heard, entry.check_states) == (
                other.finding,
                other.heard,
                other.check_states,
            )
            assert heard_of(other.record) == entry.heard

    @invariant()
    def what_is_counted_is_what_is_there(self) -> None:
        for catalog in (self.leader, self.follower):
            catalog.settle_dependants(self.clock)
            choosable = {
                name: sum(entry.instance.status in TIERS for entry in service.entries.values())
                for name, service in catalog.services.items()
            }
            assert {name: service.choosable for name, service in catalog.services.items()} == choosable
            for entry in catalog.entries.values():
                needed = [n for n in dict.fromkeys(entry.record.depends_on) if n not in (entry.record.name, "database")]
                upstream = tuple(name for name in needed if not choosable.get(name))
                assert entry.upstream == upstream
                assert entry.finding == judged(entry.heard, entry.check_states, upstream, entry.desired)
                assert entry.instance.status == entry.finding.status


Histories.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestCatalogHistories = Histories.TestCase
