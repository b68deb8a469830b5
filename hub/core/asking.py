"""Whom a request is about: the row of the contract that its subject belongs to, and the names in its message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from hub.core.permissions import ANY
from hub.wire.channel import HUB, PARAMETERS, Channel
from hub.wire.channels import CHANNELS
from hub.wire.claims import CLAIMS, Claim
from hub.wire.codec import Decoder
from hub.wire.micro import MICRO_CHANNELS


class Named(Protocol):
    """What a message names. It has only those of them that the claim of its channel speaks of."""

    @property
    def service(self) -> str:
        """The service; empty where none is named."""

    @property
    def instance(self) -> str | None:
        """Its instance."""

    @property
    def others(self) -> tuple[str, ...]:
        """Further services."""

    @property
    def where(self) -> tuple[str, ...]:
        """What the claim's `whenever` may be among."""


@dataclass(frozen=True, slots=True)
class Row:
    """A channel, who may use it, and how to find out whom a message on it is about.

    Attributes:
        channel: The channel.
        claim: What it says of a service; None where it says nothing of any.
        roles: Who may say something on it, or hear what the hub tells on it.
        named: Reads whom a message names; None where the address does, or nothing.
    """

    channel: Channel
    claim: Claim | None
    roles: frozenset[str]
    named: Decoder[Any] | None


def row_of(subject: str) -> Row | None:
    """The row of a subject, or of a wildcard within one family of them; None where the contract has none such."""
    return _ROWS.get(subject) or _family(subject)


def places_of(channel: Channel, subject: str) -> dict[str, str]:
    """What stands in the places of an address."""
    prefix = channel.address.partition("{")[0]
    given = [token for token in subject.removeprefix(prefix).split(".") if token != ">"]
    return {place: given[at] if at < len(given) else ANY for at, place in enumerate(channel.parameters)}


def _row(channel: Channel) -> Row:
    sides = channel.publishers if HUB in channel.subscribers else channel.subscribers
    claim = CLAIMS.get(channel.name)
    lean = Decoder(_lean(claim)) if claim is not None and claim.service and not channel.parameters else None
    return Row(channel, claim, frozenset(sides), lean)


def _lean(claim: Claim) -> type[Struct]:
    """A message of which nothing is read but what the claim speaks of."""
    fields: dict[str, tuple[str, Any, Any]] = {
        claim.service: ("service", str, ""),
        claim.instance: ("instance", str | None, None),
        claim.others: ("others", tuple[str, ...], ()),
        claim.where: ("where", tuple[str, ...], ()),
    }
    fields.pop("", None)
    renamed = {python: wire for wire, (python, _, _) in fields.items()}
    return msgspec.defstruct("Named", list(fields.values()), rename=renamed, frozen=True)


_ALL: Final = (*CHANNELS, *MICRO_CHANNELS)
_ROWS: Final[dict[str, Row]] = {channel.address: _row(channel) for channel in _ALL if not channel.parameters}
_FAMILIES: Final[tuple[tuple[str, int, Row], ...]] = tuple(
    (channel.address.partition("{")[0], sum(PARAMETERS[place].tokens for place in channel.parameters), _row(channel))
    for channel in _ALL
    if channel.parameters
)


def _family(subject: str) -> Row | None:
    """The family of subjects that one with parameters belongs to, or a wildcard over some of them."""
    for channel_prefix, width, row in _FAMILIES:
        if subject.startswith(channel_prefix):
            rest = subject.removeprefix(channel_prefix).split(".")
            if len(rest) == width or (rest[-1] == ">" and len(rest) <= width):
                return row
    return None
