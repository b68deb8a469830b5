"""Who is alive: decided from what is heard and from time alone, the same on every replica.

Silence. An instance that promised to beat is critical when `now > max(its last sign of life, hearing_since) + ttl`,
never before; `hearing_since` is when the hub began to hear well. With a tick every `t` seconds it is found at most
`ttl + t` after that, and `2 * ttl + t` when it is kept by the mass-silence guard. What another replica stored after it
heard the instance (that it is better than critical) counts as a sign of life, so that a registration taken elsewhere
does not meet a stale silence here.

Suspicion. A lost connection makes an instance suspect until its next beat. Suspicion alone never evicts.

Recovery. The next beat makes it as good as it says it is; after relapses it first has to behave (see `damping`), which
ends with the first beat that comes late enough. Falling silent again starts that anew. Who registers anew as one that
does not beat is well at once.

Report. What an instance says of itself lasts until another beat says otherwise, or until it falls silent. It is as bad
as the worse of that and of what the hub finds. Saying `critical` never leads to removal: who speaks lives.

Kinds. `permanent` and `probe` instances are expected to be silent, unless they have ever beaten; then their silence is
marked, too. `permanent` ones are never removed. `probe` ones are looked at: what their checks find decides what they
are, elsewhere (see `health`), and here only that they are removed once it has been critical for long enough.

Self-doubt. After the hub stood still, lost NATS or started, everybody gets a full ttl of good hearing before becoming
critical, and before being removed. Who was critical stays so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import KeysView, Mapping
from datetime import datetime

from hub.core.awareness import STALL, Awareness
from hub.core.damping import MEMORY
from hub.core.deadlines import Deadlines
from hub.core.pulse import Pulse, Verdict
from hub.core.removal import SHARE, RemovalCap
from hub.core.silence import MassSilence
from hub.core.strangers import Strangers
from hub.wire import names
from hub.wire.names import CRITICAL, ReportedStatus, Status

__all__ = ["Liveness", "Verdict"]


class Liveness:
    """The state of every registered instance. All times are monotonic seconds and must not go back.

    A beat that changes nothing costs one lookup and one assignment; a tick costs what is due, not what is tracked.

    Args:
        now: When it begins to hear.
        removal_share: The share of a larger fleet that may be removed within a minute.
    """

    def __init__(self, now: float, *, removal_share: float = SHARE) -> None:
        self._pulses: dict[str, Pulse] = {}
        self._kinds: Counter[names.Liveness] = Counter()
        self._awareness = Awareness(now)
        self._mass = MassSilence()
        self._strangers = Strangers()
        self._cap = RemovalCap(removal_share)
        self._silence = Deadlines()
        """When to look at an instance next: never later than when it may become critical or stop being kept."""
        self._removals = Deadlines()
        self._forgiveness = Deadlines()
        self._unsettled: dict[str, None] = {}
        """Those whose state was adopted since the last tick and may not be what was heard here."""

    # --- what is registered

    def track(
        self,
        key: str,
        kind: names.Liveness,
        ttl: float,
        deregister_after: float,
        status: Status,
        relapses: int,
        now: float,
        *,
        beat: bool,
    ) -> None:
        """A registration, or a stored record learnt from another replica; an update where the key is known.

        Args:
            key: `<service>.<instance>`.
            kind: How it shows that it is alive.
            ttl: Seconds of silence until it is critical.
            deregister_after: Seconds that it may then stay critical by silence.
            status: Its stored state, which is adopted. What has been heard here and is worse comes out at the next
                tick; what is better, at the next beat.
            relapses: The stored count.
            now: The time.
            beat: Whether this is the instance's own word just now, and not only a record being learnt.
        """
        self._strangers.discard(key)
        pulse = self._pulses.get(key)
        if pulse is None:
            pulse = Pulse(key, kind, ttl, deregister_after, names.PASSING, 0, now, beats=kind == "heartbeat")
            self._pulses[key] = pulse
        else:
            self._kinds[pulse.kind] -= 1
            pulse.configure(kind, ttl, deregister_after)
        self._kinds[kind] += 1
        pulse.adopt(status, relapses, now)
        pulse.calm = False
        if beat:
            pulse.hear(now)
        self._unsettled[key] = None
        self._schedule(pulse)

    def forget(self, key: str) -> None:
        """The instance is not registered any more.

        Whoever goes while critical was most likely removed by the leader: it counts against the cap here
        too, so that a new leader carries on where the old one stopped.
        """
        pulse = self._pulses.pop(key, None)
        if pulse is None:
            return
        if pulse.is_removable:
            self._cap.removed(self._awareness.now)
        self._kinds[pulse.kind] -= 1
        self._mass.settle(key)
        self._silence.drop(key)
        self._removals.drop(key)
        self._forgiveness.drop(key)
        self._unsettled.pop(key, None)

    # --- what is heard

    def beat(self, key: str, now: float, status: ReportedStatus | None = None, message: str = "") -> Verdict | None:
        """An instance has beaten, registered or not. Returns the change of its state, None in the common case.

        A status that it has reported before is no news, whatever the message: its state is told once per change.
        """
        pulse = self._pulses.get(key)
        if pulse is None:
            self._strangers.beat(key, now)
            return None
        if pulse.calm and (status is None or status == pulse.reported):
            pulse.heard = now
            return None
        pulse.beats = True
        return self._hear(pulse, now, status, message)

    def registered(self, key: str, now: float) -> Verdict | None:
        """A known instance registers again: a sign of life, but no promise to beat. Returns what `beat` does."""
        pulse = self._pulses.get(key)
        return None if pulse is None else self._hear(pulse, now)

    def failing(
        self, key: str, fails: bool, now: float, *, patience: float = 0.0, renewed: datetime | None = None
    ) -> None:
        """Whether the checks of an instance are to lead to its removal. It counts for those who are `probe` alone.

        Args:
            key: `<service>.<instance>`.
            fails: Whether they are.
            now: The time.
            patience: Seconds for which it may succeed by now and yet be critical, as it flaps: it is kept for longer.
            renewed: When it last registered again while they were: each time that begins anew.
        """
        pulse = self._pulses.get(key)
        if pulse is None or (pulse.failing, pulse.patience, pulse.renewed) == (fails, patience, renewed):
            return
        if (pulse.failing, pulse.renewed) != (fails, renewed):
            pulse.failing, pulse.failing_since, pulse.renewed = fails, now, renewed
        pulse.patience = patience
        self._schedule(pulse)

    @property
    def connected_names(self) -> int:
        """How many names that could be instances' have connections, as far as NATS reports them."""
        return self._mass.connected_names

    def connected(self, key: str, now: float) -> None:
        """NATS reports a new connection of that name; a reconnect may overlap the end of the one before.

        It ends the suspicion of an instance that does not beat, at the next tick.
        """
        self._mass.connected(key)
        pulse = self._pulses.get(key)
        if pulse is not None and pulse.suspect and not pulse.beats:
            pulse.suspect = False
            self._unsettled[key] = None

    def disconnected(self, key: str, now: float) -> Verdict | None:
        """NATS reports the end of a connection of that name. Its last one gone, the instance is suspect at once."""
        if not self._mass.disconnected(key):
            return None
        self._release_unfounded(now)
        pulse = self._pulses.get(key)
        if pulse is None or pulse.status == CRITICAL:
            return None
        pulse.suspend()
        return pulse.settle(now)

    def connections(self, existing: Mapping[str, int]) -> None:
        """NATS lists the connections that exist, by name; replaces what `connected` and `disconnected` counted."""
        self._mass.replace_connections(existing)
        self._release_unfounded(self._awareness.now)

    def deafened(self, now: float, reason: str) -> None:
        """The hub may not have heard what was said up to now: nobody's silence counts that lies before.

        Args:
            now: The time.
            reason: Why, for operators: "the connection to NATS is lost".
        """
        self._awareness.deafen(now, reason)
        for key in self._mass.settle_all():
            self._silence.set(key, now + self._pulses[key].ttl / 2)

    # --- what time brings

    def tick(self, now: float) -> list[Verdict]:
        """Time has passed: the changes that are due.

        Call about every 100 ms. A gap of more than `STALL` makes the hub doubt itself, and after one of more than half
        of an instance's ttl that instance is looked at once more before it is found silent.
        """
        gap = self._awareness.tick(now)
        if gap > STALL:
            self.deafened(now, f"the hub stood still for {gap:.1f} s")
        verdicts = [self._settle(self._pulses[key], now) for key in self._take_unsettled()]
        expired = [pulse for key in self._silence.pop_due(now) if self._has_expired(pulse := self._pulses[key], now)]
        guarded = self._mass.is_on(self._fleet)
        for pulse in expired:
            if gap > pulse.ttl / 2:
                self._silence.set(pulse.key, now)  # its beats of that time may be waiting to be heard
            elif not self._keep(pulse, now, guarded):
                verdicts.append(self._expire(pulse, now))
        verdicts += [self._pulses[key].forgive() for key in self._forgiveness.pop_due(now)]
        return [verdict for verdict in verdicts if verdict is not None]

    def due_removals(self, now: float) -> list[str]:
        """Instances to remove now: critical for `deregister_after`, longest due first, within the cap.

        They are due until `removed` or a sign of life. None is while the hub has not ticked, or has not heard well for
        a ttl.
        """
        if self._awareness.is_stalled(now):
            return []
        left = self._cap.allowed(self._fleet + self._kinds["probe"], now)
        chosen: dict[str, float] = {}
        while len(chosen) < left and (keys := self._removals.pop_due(now, left - len(chosen))):
            for key in keys:
                due = self._removal_due(self._pulses[key])
                if due < now:
                    chosen[key] = due
                else:
                    self._removals.set(key, due)
        for key, due in chosen.items():
            self._removals.set(key, due)
        return list(chosen)

    def removed(self, key: str, now: float) -> None:
        """The leader has deleted it. It counts against the cap and is forgotten."""
        pulse = self._pulses.get(key)
        if pulse is not None:
            self._cap.removed(now)
            pulse.silent = pulse.failing = False  # counted already
            self.forget(key)

    def due_reregistrations(self, now: float) -> list[str]:
        """Strangers that have beaten and should be asked to register now; each at most every 5 s."""
        return self._strangers.due(now)

    # --- what the hub thinks of itself

    @property
    def doubt(self) -> str | None:
        """Why the hub doubts what it hears, as of the latest tick; None when it hears well."""
        return self._mass.doubt or self._awareness.doubt

    def hearing_since(self, now: float) -> float:
        """From when this hub has heard well; `now` where it has stood still and no tick has noticed yet."""
        return now if self._awareness.is_stalled(now) else self._awareness.hearing_since

    @property
    def held(self) -> KeysView[str]:
        """The keys that are kept by the mass-silence guard: critical, if the hub trusted what it hears."""
        return self._mass.held

    def is_held(self, key: str) -> bool:
        """Whether the key is kept by the mass-silence guard."""
        return self._mass.is_held(key)

    # --- inside

    @property
    def _fleet(self) -> int:
        """How many have promised to beat."""
        return self._kinds["heartbeat"]

    def _base(self, pulse: Pulse) -> float:
        """From when its silence counts."""
        return max(pulse.heard, self._awareness.hearing_since)

    def _removal_due(self, pulse: Pulse) -> float:
        return max(pulse.critical_since + pulse.kept_for, self._base(pulse) + pulse.ttl)

    def _hear(
        self, pulse: Pulse, now: float, status: ReportedStatus | None = None, message: str = ""
    ) -> Verdict | None:
        self._mass.settle(pulse.key)
        pulse.hear(now, status, message)
        self._schedule(pulse)
        return self._settle(pulse, now)

    def _settle(self, pulse: Pulse, now: float, silence: str = "") -> Verdict | None:
        self._unsettled.pop(pulse.key, None)
        verdict = pulse.settle(now, silence)
        if pulse.relapses and pulse.status != CRITICAL:
            self._forgiveness.set(pulse.key, pulse.recovered + MEMORY)
        else:
            self._forgiveness.drop(pulse.key)
        return verdict

    def _schedule(self, pulse: Pulse) -> None:
        """When to look at it for its silence, and when to remove it, as it is now."""
        key = pulse.key
        if pulse.silent or not pulse.beats:
            self._silence.drop(key)
            self._mass.settle(key)
        else:
            self._silence.set(key, self._base(pulse) + pulse.ttl / 2)
        if pulse.is_removable:
            self._removals.set(key, self._removal_due(pulse))
        else:
            self._removals.drop(key)

    def _has_expired(self, pulse: Pulse, now: float) -> bool:
        """Look at a silence that may be due. Returns whether it has lasted for the ttl; else looks again in time."""
        base = self._base(pulse)
        if base + pulse.ttl / 2 >= now:
            self._silence.set(pulse.key, base + pulse.ttl / 2)
            return False
        pulse.calm = False
        if pulse.kind == "heartbeat":
            self._mass.overdue(pulse.key)
        if base + pulse.ttl >= now:
            self._silence.set(pulse.key, base + pulse.ttl)
            return False
        return True

    def _keep(self, pulse: Pulse, now: float, guarded: bool) -> bool:
        """Whether one that has been silent for its ttl is kept nevertheless, for one more at most."""
        until = self._base(pulse) + 2 * pulse.ttl
        if now > until:
            return False
        if guarded and self._mass.is_mute(pulse.key):
            self._mass.hold(pulse.key, self._fleet)
        elif not self._mass.is_held(pulse.key):
            return False
        self._silence.set(pulse.key, until)
        return True

    def _expire(self, pulse: Pulse, now: float) -> Verdict | None:
        silence = f"no heartbeat for {now - self._base(pulse):.1f} s"
        pulse.expire(now)
        self._mass.settle(pulse.key)
        self._schedule(pulse)
        return self._settle(pulse, now, silence)

    def _release_unfounded(self, now: float) -> None:
        for key in self._mass.unfounded():
            self._mass.release(key)
            self._silence.set(key, now)

    def _take_unsettled(self) -> list[str]:
        keys = list(self._unsettled)
        self._unsettled.clear()
        return keys
