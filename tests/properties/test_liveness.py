"""Random histories of a fleet, told to two replicas: what holds after every step of every one of them.

The model below knows only what was said and when; it is told what the hub found, and judges whether it might.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hub.core.damping import probation
from hub.core.liveness import Liveness, Verdict
from hub.wire.names import CRITICAL, PASSING, SUSPECT, ReportedStatus, Status
from hub.wire.names import Liveness as Kind

LONGEST_TICK = 0.2
INSTANCES = st.integers(0, 39).map(lambda n: f"engine.i{n}")
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["heartbeat", "heartbeat", "heartbeat", "permanent", "probe"])
TTLS = st.sampled_from([0.5, 1.0, 3.0, 6.0])
PATIENCE = st.sampled_from([1.0, 5.0, 60.0])
REPORTS: st.SearchStrategy[ReportedStatus | None] = st.sampled_from([None, None, "passing", "warning", "critical"])
STORED: st.SearchStrategy[Status] = st.sampled_from(["passing", "warning", "suspect", "critical"])


@dataclass(slots=True)
class Known:
    """What was said of one instance."""

    kind: Kind
    ttl: float
    deregister_after: float
    word: float
    """When it was last known to live, by its own word or by that of another replica."""
    must_beat: bool
    beat: float = -inf
    reported: ReportedStatus | None = None
    good_since: float | None = None
    """Its first beat since it was last found or said to be critical."""
    alive: bool = False
    suspect: bool = False


@dataclass(slots=True)
class Replica:
    """One hub's decisions, and the states that come of them."""

    liveness: Liveness = field(default_factory=lambda: Liveness(0.0))
    states: dict[str, tuple[Status, int]] = field(default_factory=dict)

    def apply(self, verdict: Verdict | None) -> None:
        if verdict is not None:
            assert self.states[verdict.key] != (verdict.status, verdict.relapses) or verdict.status == CRITICAL
            self.states[verdict.key] = (verdict.status, verdict.relapses)


class Fleet(RuleBasedStateMachine):
    """Services that register, beat, fall silent and leave; a hub that hears, stalls and goes deaf; and a second one.

    The second one is told everything that the first is, and learns each of its verdicts as stored.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.deaf_until = 0.0
        self.first = Replica()
        self.second = Replica()
        self.known: dict[str, Known] = {}
        self.connections: dict[str, int] = {}
        self.removals: list[float] = []
        self.is_regular = True

    # --- what happens

    @rule(key=INSTANCES, kind=KINDS, ttl=TTLS, deregister_after=PATIENCE)
    def register(self, key: str, kind: Kind, ttl: float, deregister_after: float) -> None:
        known = self.known.get(key)
        if known is None:
            self.known[key] = known = Known(kind, ttl, deregister_after, self.now, kind == "heartbeat")
            self.lives(known)
            for replica in self.replicas:
                replica.states[key] = (PASSING, 0)
        else:
            self.lives(known)
            self.decide(lambda replica: replica.liveness.registered(key, self.now))  # as what it was up to now
            if kind != known.kind:
                known.must_beat = kind == "heartbeat"
            known.kind, known.ttl, known.deregister_after = kind, ttl, deregister_after
        for replica in self.replicas:
            status, relapses = replica.states[key]
            replica.liveness.track(key, kind, ttl, deregister_after, status, relapses, self.now, beat=True)

    @rule(count=st.integers(15, 40), ttl=TTLS, deregister_after=PATIENCE, are_connected=st.booleans())
    def register_many(self, count: int, ttl: float, deregister_after: float, are_connected: bool) -> None:
        for n in range(count):
            self.register(f"engine.i{n}", "heartbeat", ttl, deregister_after)
            self.known[f"engine.i{n}"].alive = True
            if are_connected:
                self.connect(f"engine.i{n}")

    @rule(key=INSTANCES, status=STORED, relapses=st.integers(0, 8))
    def learn(self, key: str, status: Status, relapses: int) -> None:
        known = self.known.get(key)
        if known is None:
            known = self.known[key] = Known("heartbeat", 3.0, 5.0, self.now, must_beat=True)
        elif self.first.states[key][0] == CRITICAL != status:
            known.word, known.good_since = self.now, None if known.reported == CRITICAL else -inf
        if status == CRITICAL and self.first.states.get(key, (PASSING, 0))[0] != CRITICAL:
            known.good_since = None
        if self.first.states.get(key) != (status, relapses):
            known.suspect = status == SUSPECT
        for replica in self.replicas:
            self.store(replica, key, status, relapses)

    @rule(key=INSTANCES, status=REPORTS)
    def beat(self, key: str, status: ReportedStatus | None) -> None:
        known = self.known.get(key)
        if known is not None:
            known.must_beat = True
            if status is not None:
                known.reported = status
            self.lives(known)
        self.decide(lambda replica: replica.liveness.beat(key, self.now, status))

    @rule(keys=st.sets(INSTANCES), are_alive=st.booleans())
    def live_or_die(self, keys: set[str], are_alive: bool) -> None:
        for key in keys & self.known.keys():
            self.known[key].alive = are_alive

    @rule(are_alive=st.booleans())
    def all_live_or_die(self, are_alive: bool) -> None:
        self.live_or_die(set(self.known), are_alive)

    @rule(key=INSTANCES)
    def connect(self, key: str) -> None:
        self.connections[key] = self.connections.get(key, 0) + 1
        known = self.known.get(key)
        if known is not None and not known.must_beat:
            known.suspect = False
        for replica in self.replicas:
            replica.liveness.connected(key, self.now)

    @rule(key=INSTANCES)
    def disconnect(self, key: str) -> None:
        self.connections[key] = max(0, self.connections.get(key, 0) - 1)
        self.decide(lambda replica: replica.liveness.disconnected(key, self.now))
        if key in self.known and not self.connections[key] and self.first.states[key][0] != CRITICAL:
            self.known[key].suspect = True
            assert self.first.states[key][0] == SUSPECT

    @rule(keys=st.sets(INSTANCES))
    def list_connections(self, keys: set[str]) -> None:
        self.connections = dict.fromkeys(keys, 1)
        for replica in self.replicas:
            replica.liveness.connections(self.connections)

    @rule(key=INSTANCES)
    def forget(self, key: str) -> None:
        for replica in self.replicas:
            replica.liveness.forget(key)
            replica.states.pop(key, None)
        self.known.pop(key, None)

    @rule()
    def go_deaf(self) -> None:
        self.deaf_until = self.now
        for replica in self.replicas:
            replica.liveness.deafened(self.now, "the connection to NATS is lost")

    @rule(seconds=st.floats(1.01, 30.0))
    def stall(self, seconds: float) -> None:
        self.now += seconds
        self.deaf_until = self.now
        self.tick()

    @rule(seconds=st.floats(LONGEST_TICK, 0.99))
    def tick_late(self, seconds: float) -> None:
        self.now += seconds
        self.tick()
        self.is_regular = False

    @rule(seconds=st.floats(0.1, 25.0), step=st.floats(0.05, LONGEST_TICK))
    def pass_time(self, seconds: float, step: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += step
            for key, known in list(self.known.items()):
                if known.alive and known.must_beat and self.now - known.beat >= known.ttl / 3:
                    self.beat(key, None)
            self.tick()
            self.is_regular = True
            self.everything_holds()

    @precondition(lambda self: any(relapses for _, relapses in self.first.states.values()))
    @rule()
    def pass_a_long_quiet_time(self) -> None:
        self.pass_time(310.0, LONGEST_TICK)

    @rule(count=st.integers(15, 40), deregister_after=PATIENCE, are_connected=st.booleans())
    def lose_a_fleet(self, count: int, deregister_after: float, are_connected: bool) -> None:
        """Many die at once and are removed as fast as they may be."""
        self.register_many(count, 1.0, deregister_after, are_connected)
        self.all_live_or_die(False)
        self.pass_time(deregister_after + 2.5, 0.1)
        self.remove_the_dead()
        self.pass_time(0.3, 0.1)
        self.remove_the_dead()

    @rule()
    def remove_the_dead(self) -> None:
        due = self.first.liveness.due_removals(self.now)
        assert len(due) == len(set(due))
        for key in due:
            known = self.known.pop(key)
            assert self.first.states[key][0] == CRITICAL
            assert known.kind == "heartbeat"
            assert self.now > max(known.word, self.deaf_until) + known.ttl
            assert self.now > known.word + known.deregister_after
            self.first.liveness.removed(key, self.now)
            self.second.liveness.forget(key)
            for replica in self.replicas:
                del replica.states[key]
            self.removals.append(self.now)
        recent = sum(time > self.now - 60.0 for time in self.removals)
        before = recent + sum(known.kind != "permanent" for known in self.known.values())
        if due and before > 20:
            assert recent <= 0.15 * before

    # --- how it is told

    @property
    def replicas(self) -> tuple[Replica, Replica]:
        return self.first, self.second

    def lives(self, known: Known) -> None:
        known.word = known.beat = self.now
        known.suspect = False
        if known.reported == CRITICAL:
            known.good_since = None
        elif known.good_since is None:
            known.good_since = self.now

    def store(self, replica: Replica, key: str, status: Status, relapses: int) -> None:
        known = self.known[key]
        replica.states[key] = (status, relapses)
        replica.liveness.track(
            key, known.kind, known.ttl, known.deregister_after, status, relapses, self.now, beat=False
        )

    def decide(self, ask: object) -> None:
        assert callable(ask)
        verdicts = [ask(replica) for replica in self.replicas]
        assert verdicts[0] == verdicts[1]
        self.judge(verdicts[0])
        for replica, verdict in zip(self.replicas, verdicts, strict=True):
            replica.apply(verdict)
        if verdicts[0] is not None:
            self.store(self.second, verdicts[0].key, verdicts[0].status, verdicts[0].relapses)

    def tick(self) -> None:
        found = [replica.liveness.tick(self.now) for replica in self.replicas]
        assert sorted(found[0]) == sorted(found[1])  # those due at the same moment come in any order
        for verdict in found[0]:
            self.judge(verdict)
            for replica in self.replicas:
                replica.apply(verdict)
            self.store(self.second, verdict.key, verdict.status, verdict.relapses)
            if verdict.reason.startswith("no heartbeat"):
                self.found_silent(self.known[verdict.key])

    def judge(self, verdict: Verdict | None) -> None:
        """Nobody recovers without a sign of life, nor, where it is to beat, before its probation is over."""
        if verdict is None or verdict.status == CRITICAL or self.first.states[verdict.key][0] != CRITICAL:
            return
        known = self.known[verdict.key]
        assert known.good_since is not None
        assert not known.must_beat or known.beat - known.good_since >= probation(verdict.relapses) - 1e-6

    def found_silent(self, known: Known) -> None:
        assert known.must_beat
        assert self.now > max(known.word, self.deaf_until) + known.ttl, "critical before its ttl was over"
        known.reported, known.good_since = None, None

    # --- what holds

    @invariant()
    def everything_holds(self) -> None:
        assert self.first.states == self.second.states
        guard_may_act = len(self.known) > 20 and any(self.connections.values())
        for key, known in self.known.items():
            status, relapses = self.first.states[key]
            self.one_that_lives_is_not_critical(known, status, relapses)
            self.one_that_is_silent_is_critical_in_time(known, status, guard_may_act)
            assert status != SUSPECT or known.suspect, "suspect without cause"

    def one_that_lives_is_not_critical(self, known: Known, status: Status, relapses: int) -> None:
        if self.now - known.beat > known.ttl or known.reported == CRITICAL or known.good_since is None:
            return
        if known.beat - known.good_since >= probation(relapses):
            assert status != CRITICAL, "critical, though it lives and has behaved"

    def one_that_is_silent_is_critical_in_time(self, known: Known, status: Status, guard_may_act: bool) -> None:
        if not known.must_beat or not self.is_regular:
            return
        bound = known.ttl * (2 if guard_may_act else 1) + LONGEST_TICK
        if self.now - max(known.word, self.deaf_until) > bound + 1e-6:
            assert status == CRITICAL, "not critical, though it has been silent for longer than the bound"


TestFleet = Fleet.TestCase
TestFleet.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
