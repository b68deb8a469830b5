"""What becomes an entry of the audit: every change, every refusal, and who was let in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from msgspec import Struct, structs
from msgspec.structs import fields

from hub.core.condition import WELL, Condition
from hub.core.refusals import Alike, Refusals
from hub.errors import Forbidden, InvalidRequest, PayloadTooLarge, RateLimited, Unauthenticated, Unsupported
from hub.handlers.auditwriting import CAPACITY, AuditWriter, Log
from hub.handlers.clock import Clock
from hub.handlers.gate import Asked, Unproven
from hub.masking import mask
from hub.telemetry.meter import OK
from hub.telemetry.request import current_request
from hub.transport.loops import Keep, Kept, alone
from hub.wire.audit import AuditKind
from hub.wire.channels import CHANNELS
from hub.wire.mutations import HARMLESS
from hub.wire.roles import Caller
from hub.wire.subjects import HEARTBEAT_PREFIX

_MOST_TARGETS: Final = 16
_LONGEST_TARGET: Final = 256
_LONGEST_REASON: Final = 256

REFUSALS: Final = frozenset({Unauthenticated.code, Forbidden.code, RateLimited.code})
"""Refusals that are told whatever was asked."""
_ALIKE: Final = REFUSALS | {InvalidRequest.code, PayloadTooLarge.code, Unsupported.code}
"""What is refused before anything was done: alike ones are summed up."""
_CONFIDENTIAL: Final = frozenset(
    channel.address for channel in CHANNELS if getattr(channel.payload, "CONFIDENTIAL", False)
)
"""Of what has a secret in it not even the hash is kept: a short secret could be guessed by it."""
_HARMLESS: Final = frozenset(channel.address for channel in CHANNELS if channel.name in HARMLESS)


def _is_harmless(subject: str) -> bool:
    """Whether what is asked there changes nothing; a beat, which names its instance, is harmless too."""
    return subject in _HARMLESS or subject.startswith(HEARTBEAT_PREFIX)


class _Change(Struct):
    service: str = ""


class _Target(Struct):
    """The fields of all requests that say what they are about. None of them is a value."""

    name: str = ""
    service: str = ""
    instance_id: str | None = None
    id: str | None = None
    who: str | None = None
    credential: str | None = None
    changes: tuple[_Change, ...] = ()


def _named_by(kind: type[Struct]) -> msgspec.json.Decoder[Any]:
    """Reads of a kind of message what it is about: the fields that it has, and no others, which anybody can add."""
    mine = [each for each in fields(_Target) if each.name in kind.__struct_encode_fields__]
    return msgspec.json.Decoder(msgspec.defstruct("Named", [(each.name, each.type, each.default) for each in mine]))


_named: Final = {channel.address: _named_by(channel.payload) for channel in CHANNELS if channel.payload is not None}


class Audit:
    """Witnesses every change and every refusal. It never keeps anybody waiting, and never fails.

    What is seen is told when its outcome is known, and written within moments; a hub that is killed before loses the
    entries of these moments.

    Args:
        stream: Where to write; None where nothing is audited.
        hub_id: Which hub this is.
        clock: Where to read the time.
        keep: What runs it. Entries that wait are not lost when it must be started again.
        checkpoint: Seconds after which it vouches for what other chains have written meanwhile.
        capacity: Entries that may wait.

    Attributes:
        writer: What writes; None where nothing is audited.
    """

    def __init__(
        self,
        stream: Log | None,
        hub_id: str,
        clock: Clock,
        *,
        keep: Keep = alone,
        checkpoint: float = 60.0,
        capacity: int = CAPACITY,
    ) -> None:
        self._clock = clock
        self._keep = keep
        self._refusals = Refusals()
        self._writing: Kept | None = None
        self.writer: AuditWriter | None = None
        if stream is not None:
            self.writer = AuditWriter(stream, hub_id, clock, self._sum_up, checkpoint=checkpoint, capacity=capacity)

    async def __aenter__(self) -> Self:
        if self.writer is not None:
            self._writing = self._keep("audit", self.writer.run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def wants(self, subject: str) -> bool:
        """Whether requests on that subject change something."""
        return self.writer is not None and not _is_harmless(subject)

    def saw(self, asked: Asked | Unproven, outcome: str) -> None:
        """See `Witness.saw`."""
        if self.writer is None:
            return
        refused = outcome in REFUSALS
        if not refused and _is_harmless(asked.subject):
            return
        request = current_request()
        if outcome == OK and request is not None and request.changes is False:
            return
        caller = asked.caller
        name, host = (None, "") if caller is None else (str(caller), caller.host)
        kind: AuditKind = "refused" if refused else "request"
        if outcome in _ALIKE and not self._is_first(Alike(name, host, asked.subject, outcome)):
            return
        payload, hidden = asked.payload, asked.subject in _CONFIDENTIAL
        self.writer.add(
            self._clock.wall(),
            kind,
            caller=name,
            host=host,
            subject=asked.subject,
            target=target_of(asked.subject, payload),
            outcome=outcome,
            request_id="" if request is None else request.known_id,
            payload=None if hidden else hashlib.sha256(payload).hexdigest(),
            bytes=None if hidden else len(payload),
        )

    def login(self, caller: Caller | None, host: str, outcome: str, reason: str = "") -> None:
        """Somebody was let in, or was not.

        Args:
            caller: Who it is; None where nothing proves it.
            host: The address that he came from.
            outcome: `ok`, or the code of an error.
            reason: What proved it, or why nothing did, without any secret. It is cut after 256 characters.
        """
        if self.writer is None:
            return
        name = None if caller is None else str(caller)
        if outcome != OK and not self._is_first(Alike(name, host, "", outcome)):
            return
        at, why = self._clock.wall(), mask(reason)[:_LONGEST_REASON]
        self.writer.add(at, "login", caller=name, host=host, outcome=outcome, reason=why)

    @property
    def condition(self) -> Condition:
        """Whether it is kept as it should be."""
        return WELL if self.writer is None else self.writer.condition

    def plain(self) -> dict[str, Callable[[], float]]:
        """The metrics, by their name in the catalogue."""
        return {} if self.writer is None else self.writer.plain()

    async def aclose(self, within: float = 1.0) -> None:
        """Write what waits, and that the chain ends, within so many seconds. What remains is lost."""
        if self._writing is None or self.writer is None:
            return
        await self._writing.aclose()
        self._writing = None
        self._sum_up(all_of_them=True)
        await self.writer.end(within)

    def _is_first(self, alike: Alike) -> bool:
        return self._refusals.first(alike, self._clock.now(), self._clock.wall())

    def _sum_up(self, *, all_of_them: bool = False) -> None:
        for alike, times, since, at in self._refusals.due(self._clock.now(), all_of_them=all_of_them):
            kind: AuditKind = "refused" if alike.subject else "login"
            if alike.subject and alike.outcome not in REFUSALS:
                kind = "request"
            if self.writer is not None:
                self.writer.add(at, kind, **alike._asdict(), count=times, since=since)


def target_of(subject: str, payload: bytes) -> str:
    """What a request is about: `engine/a1`, `engine`, several separated by commas; empty where it does not say.

    Somebody may give a whole key where its id belongs: what is a secret by its form is masked.
    """
    decoder = _named.get(subject)
    if decoder is None:
        return ""
    try:
        told = _Target(**structs.asdict(decoder.decode(payload)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    if told.changes:
        names = [change.service for change in told.changes[:_MOST_TARGETS]]
        more = len(told.changes) - len(names)
        return mask(",".join(names))[:_LONGEST_TARGET] + (f" and {more} more" if more else "")
    name = told.name or told.service or told.id or told.who or told.credential or ""
    return mask(f"{name}/{told.instance_id}" if told.instance_id else name)[:_LONGEST_TARGET]
