"""Whether a caller may do what it asks for: by its role, by who it is, and by what `access.toml` allows it.

Operators, readers and all others that are no service see whatever their role may see. A service speaks for itself
alone, and sees, as whoever comes from outside does, what an `[[allow]]` lets it. Where the file has none at all,
services may discover all services.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol, cast

import msgspec
from msgspec import Struct

from hub.core.access import matches
from hub.core.asking import Named, Row, places_of, row_of
from hub.core.permissions import ANY, EVERYTHING, USUAL, Sight, covers, permissions
from hub.wire.channel import HUB, Channel
from hub.wire.claims import Claim
from hub.wire.config import EVERYBODY
from hub.wire.roles import Caller, Right

FILE: Final = "access.toml"
_CONFINED: Final = ("service", "external")
"""Roles that see of services what they are allowed; all others see whatever their role may see."""
_KEPT: Final = 10_000
_LONGEST: Final = 128
"""Characters of a name: more than any service or database has."""

Kind = Literal["discover", "config", "lease"]


class Allowance(Protocol):
    """An `[[allow]]`, as `hub.settings.access.Allow` has it."""

    @property
    def who(self) -> tuple[str, ...]:
        """Patterns of callers as they are written."""

    @property
    def discover(self) -> tuple[str, ...]:
        """Patterns of services that they may discover."""

    @property
    def config(self) -> tuple[str, ...]:
        """Patterns of services whose configuration they may read."""

    @property
    def lease(self) -> tuple[str, ...]:
        """Patterns of databases that they may lease connections to."""


class Declared(Protocol):
    """What is declared, as `hub.settings.access.AccessFile` has it."""

    @property
    def allow(self) -> Sequence[Allowance]:
        """Who is allowed what, in the order of the file."""


class Decision(Struct, frozen=True, kw_only=True):
    """Whether a request is let through, and why.

    Attributes:
        allowed: Whether it is.
        rule: What decided: a role, who the caller is, or an entry of the file.
        reason: In a sentence.
        field: The field of the message that was refused; None where it is the whole.
    """

    allowed: bool
    rule: str
    reason: str
    field: str | None = None


class Policy:
    """Decides by what is declared.

    Args:
        access: What is declared.
        file: How it is called in reasons.
    """

    def __init__(self, access: Declared, *, file: str = FILE) -> None:
        self._allow = tuple(access.allow)
        self._file = file
        self._mine: dict[tuple[str, str, str | None], tuple[int, ...]] = {}
        self._known: dict[tuple[str, str, str | None, str, str], Decision] = {}

    def decide(self, caller: Caller, subject: str, payload: bytes = b"") -> Decision:
        """Whether the caller may publish this, or ask for it; of a subject that the hub tells things on, hear it.

        Raises:
            InvalidRequest: the message cannot be read as far as it says whom it is about.
        """
        row = row_of(subject)
        if row is None:
            return self._beside(caller, subject)
        if caller.role not in row.roles:
            return _not_for(caller, subject, row)
        claim = row.claim
        if claim is None or caller.role not in _CONFINED:
            return _by_role(caller, subject)
        if row.named is None:
            return self._of_address(caller, subject, row.channel, claim)
        named = cast("Named", row.named(payload))
        if claim.meaning == "own":
            return self._own(caller, claim, named)
        return self._seen(caller, subject, claim, named.service)

    def sight(self, caller: Caller) -> Sight:
        """What of the services the caller sees, besides itself."""
        if caller.role not in _CONFINED:
            return EVERYTHING
        if caller.role == "service" and not self._allow:
            return USUAL
        mine = [self._allow[index] for index in self._entries(caller)]
        return Sight(
            discover=tuple(dict.fromkeys(_plain(each) for entry in mine for each in entry.discover)),
            config=tuple(dict.fromkeys(_plain(each) for entry in mine for each in entry.config)),
        )

    def may(self, caller: Caller, kind: Kind, name: str) -> Decision:
        """Whether the caller may discover a service, read its configuration, or lease connections to a database.

        Args:
            caller: Who it is.
            kind: Which of these.
            name: The service, or the database; empty for all of them.
        """
        if (
            len(name) > _LONGEST
        ):  # nothing is called so: of that nothing is kept, neither here nor in what is told of it
            return self._may(caller, kind, f"{name[:_LONGEST]}...")
        key = (caller.role, caller.name, caller.instance, kind, name)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            found = self._known[key] = self._may(caller, kind, name)
        return found

    # --- inside

    def _beside(self, caller: Caller, subject: str) -> Decision:
        """Of a subject that is none of the contract: inboxes, and what is read of the store past the hub."""
        granted = permissions(caller, sight=self.sight(caller))
        for does, patterns in (("publish to", granted.publish), ("subscribe to", granted.subscribe)):
            for pattern in patterns:
                if covers(pattern, subject):
                    return Decision(allowed=True, rule="permissions of NATS", reason=f"it may {does} {pattern}")
        return Decision(
            allowed=False, rule="permissions of NATS", reason=f"{subject} is no subject of the contract, nor its own"
        )

    def _own(self, caller: Caller, claim: Claim, named: Named) -> Decision:
        instance = named.instance if claim.instance else None
        refused = _impostor(caller, claim, named.service, instance)
        if refused is not None:
            return refused
        if claim.others and claim.whenever in named.where:
            for index, other in enumerate(named.others):
                seen = self.may(caller, "discover", other)
                if not seen.allowed:
                    return _at(seen, f"{claim.others}[{index}]")
        return _ITSELF

    def _seen(self, caller: Caller, subject: str, claim: Claim, service: str) -> Decision:
        kind: Kind = "config" if claim.meaning == "config" else "discover"
        found = self.may(caller, kind, service)
        if found.allowed:
            return found
        if not service:
            reason = f"{subject}: it tells of all services, and {_who(caller)} may not discover all of them"
            return Decision(allowed=False, rule=found.rule, reason=reason, field=claim.service or None)
        return _at(found, claim.service)

    def _of_address(self, caller: Caller, subject: str, channel: Channel, claim: Claim) -> Decision:
        places = places_of(channel, subject)
        if claim.meaning == "own":
            refused = _impostor(caller, claim, places[claim.service], places[claim.instance])
            return refused or _ITSELF
        service = places.get(claim.service, ANY)
        return self._seen(caller, subject, claim, "" if service == ANY else service)

    def _may(self, caller: Caller, kind: Kind, name: str) -> Decision:
        if caller.role == "service" and kind != "lease" and name and name in (caller.name, *_SHARED[kind]):
            return _ITSELF
        if caller.role == "service" and not self._allow and kind == "discover":
            rule = f"{self._file} has no [[allow]]"
            return Decision(allowed=True, rule=rule, reason="services may then discover all services")
        mine = self._entries(caller)
        for index in mine:
            for pattern in _patterns(self._allow[index], kind):
                if _plain(pattern) == ANY or (name and matches(pattern, name)):
                    return Decision(
                        allowed=True,
                        rule=f"{self._file}: [[allow]] {index + 1}, {kind} {pattern!r}",
                        reason=f"it lets {', '.join(self._allow[index].who)} have {_WORDS[kind]} {name or 'all'}",
                    )
        return Decision(
            allowed=False, rule=self._missing(mine), reason=f"{_who(caller)} may not {_DOES[kind]} {name!r}"
        )

    def _missing(self, mine: tuple[int, ...]) -> str:
        if not self._allow:
            return f"{self._file} has no [[allow]]"
        if not mine:
            return f"{self._file}: none of {len(self._allow)} [[allow]] is for this caller"
        return f"{self._file}: [[allow]] {', '.join(str(index + 1) for index in mine)}: none has it"

    def _entries(self, caller: Caller) -> tuple[int, ...]:
        """Which entries are for the caller."""
        key = (caller.role, caller.name, caller.instance)
        found = self._mine.get(key)
        if found is None:
            if len(self._mine) >= _KEPT:
                self._mine.clear()
            names = (f"{caller.role}:{caller.name}", str(caller))
            found = self._mine[key] = tuple(
                index
                for index, entry in enumerate(self._allow)
                if any(matches(pattern, name) for pattern in entry.who for name in names)
            )
        return found


def right_of(subject: str) -> Right | None:
    """The right that a credential must be good for, to use a subject; None where the contract has none such."""
    row = row_of(subject)
    return None if row is None else row.channel.right


# --- words

_SHARED: Final[dict[Kind, tuple[str, ...]]] = {"discover": (), "config": (EVERYBODY,), "lease": ()}
_WORDS: Final[dict[Kind, str]] = {
    "discover": "the instances of",
    "config": "the configuration of",
    "lease": "leases of",
}
_DOES: Final[dict[Kind, str]] = {
    "discover": "discover",
    "config": "read the configuration of",
    "lease": "lease connections to",
}
_ITSELF: Final = Decision(allowed=True, rule="its own", reason="a service may speak for itself, and see itself")


def _shown(name: str) -> str:
    return repr(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")


def _who(caller: Caller) -> str:
    return f"{caller.role}:{caller.name}"


def _not_for(caller: Caller, subject: str, row: Row) -> Decision:
    able = ", ".join(sorted(row.roles - {HUB})) or "hubs alone"
    return Decision(
        allowed=False, rule=f"role {caller.role}", reason=f"{subject} is not for the role {caller.role}, but for {able}"
    )


def _by_role(caller: Caller, subject: str) -> Decision:
    return Decision(allowed=True, rule=f"role {caller.role}", reason=f"{subject} is for the role {caller.role}")


def _impostor(caller: Caller, claim: Claim, service: str, instance: str | None) -> Decision | None:
    """The refusal of a message that speaks for somebody else than the caller; None where it does not."""
    if service != caller.name:
        got = _shown(service)
        return Decision(
            allowed=False,
            rule="its own",
            reason=f"{claim.service}: expected {caller.name!r}, the service that the login is of, got {got}",
            field=claim.service,
        )
    bound = caller.instance
    if bound is None or not claim.instance or instance == bound or (instance is None and not claim.required):
        return None
    got = "none" if instance is None else _shown(instance)
    return Decision(
        allowed=False,
        rule="its own",
        reason=f"{claim.instance}: expected {bound!r}, the one instance that the login is of, got {got}",
        field=claim.instance,
    )


def _at(decision: Decision, field: str) -> Decision:
    return msgspec.structs.replace(decision, field=field, reason=f"{field}: {decision.reason}")


def _patterns(entry: Allowance, kind: Kind) -> tuple[str, ...]:
    if kind == "discover":
        return entry.discover
    return entry.config if kind == "config" else entry.lease


def _plain(pattern: str) -> str:
    """The pattern; one that everything goes by as `*`."""
    return pattern if pattern.strip(ANY) else ANY
