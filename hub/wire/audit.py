"""The audit: who changed what, who was refused, and when; in chains by which a change to the record of it is found.

Every process of the hub writes a chain of its own, named `<hub id>-<start>`, into the stream `HUB_AUDIT`, on
`hub.audit.chain.<chain>`. A message there has one entry a line, or several; the lines of a chain are one sequence,
numbered from 1. An entry is JSON, and its last member is `hash`: the SHA-256, in hexadecimal, of all bytes of the line
before `,"hash":"`. `previous` is the hash of the entry before in the same chain. `anchors` name the newest entries of
other chains that were stored by then: so chains vouch for each other, and what is cut off the end of one is missed.

An entry never has what was asked or answered in it, but the SHA-256 and the size of the request alone; of one that has
a secret in it not even these.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

CHAIN_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}-[0-9]{8}T[0-9]{6}Z\Z"
MAX_FOUND: Final = 1000
"""Entries that one search answers with at most."""

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="A SHA-256 in hexadecimal")]
ChainId = Annotated[
    str, Meta(pattern=CHAIN_PATTERN, description="A chain: the id of the hub that writes it, and when that started")
]
Number = Annotated[int, Meta(ge=1)]
Filter = Annotated[str, Meta(max_length=256)]
Sequence = Annotated[int, Meta(ge=0)]

AuditKind = Literal["begin", "checkpoint", "end", "request", "refused", "login", "lost"]
"""What an entry tells: that a chain begins, goes on, or ends; a request that changes something, and how it ended;
requests that were refused; who was let in, or was not; that entries were lost because there were too many to keep."""

BEGIN: Final = "begin"
END: Final = "end"
CHECKPOINT: Final = "checkpoint"
LOST: Final = "lost"


class Head(Struct, frozen=True, kw_only=True):
    """The newest entry of a chain, as somebody knew it."""

    number: Number
    at: datetime
    """When it was written."""
    hash: Sha256


class AuditEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry. What does not apply is left out."""

    chain: ChainId
    number: Number
    """Its place in the chain."""
    at: datetime
    """When it happened; of several that are summed up, the last."""
    kind: AuditKind
    caller: str | None = None
    """Who asked, as in `operator:ada`; left out where nobody has proven who he is."""
    host: str = ""
    """The address that the caller came from, where that is known."""
    subject: str = ""
    """What was asked."""
    target: str = ""
    """Of what: a service, an instance, a scope, a secret or a key by its name."""
    outcome: str = ""
    """`ok`, or the code of the error."""
    reason: str = ""
    """Of a login, why."""
    request_id: str = ""
    payload: Sha256 | None = None
    """The SHA-256 of the request; left out where that has a secret in it, which could be guessed by it."""
    bytes: Annotated[int, Meta(ge=0)] | None = None
    """The size of the request."""
    count: Number = 1
    """For how many requests it stands, all of the same caller, subject and outcome; or how many entries were lost."""
    since: datetime | None = None
    """Of several that are summed up, since when."""
    anchors: dict[str, Head] = {}
    """The newest entries of other chains, by chain."""
    previous: str
    """The hash of the entry before in the chain; empty for the first."""
    hash: str = ""
    """See above."""


# --- asking


class ReadAudit(Struct, frozen=True, kw_only=True):
    """Asks for messages as they are stored, for who verifies them himself. Oldest first."""

    after: Sequence = 0
    """Only those stored after this sequence."""
    newest: Annotated[int, Meta(ge=0, le=10_000)] = 0
    """Begin so many messages before the end, where `after` is 0; 0 begins with the oldest."""


class StoredAudit(Struct, frozen=True, kw_only=True):
    """A message as it is stored."""

    sequence: int
    stored: datetime
    """When NATS took it."""
    chain: str
    """From its subject."""
    lines: tuple[str, ...]
    """Its entries, byte for byte."""


class AuditPage(Struct, frozen=True, kw_only=True):
    """Some of the stream."""

    messages: tuple[StoredAudit, ...]
    first: int
    """The oldest sequence that the stream has. More than 1 where older ones have gone, as their time was up."""
    last: int
    """The newest."""
    next: int | None = None
    """What to ask for as `after`, where there is more."""


class ReadArchivedAudit(Struct, frozen=True, kw_only=True):
    """Asks for entries as PostgreSQL has them. Oldest first."""

    after: Annotated[str, Meta(max_length=256)] = ""
    """What an answer before said as `next`."""


class ArchivedAuditPage(Struct, frozen=True, kw_only=True):
    """Some of what PostgreSQL has."""

    archived: bool
    """Whether the hub keeps the audit in PostgreSQL at all."""
    messages: tuple[StoredAudit, ...] = ()
    """Each with one line."""
    next: str | None = None


class SearchAudit(Struct, frozen=True, kw_only=True):
    """Asks for entries that are as said, oldest first. What is left out, or empty, takes all."""

    caller: Filter = ""
    """As it is written; one that ends with `*` is the beginning of it. `-` is nobody."""
    host: Filter = ""
    subject: Filter = ""
    """One that ends with `*` is the beginning of it, as in `hub.config.*`."""
    target: Filter = ""
    """One that ends with `*` is the beginning of it."""
    outcome: Filter = ""
    """`ok`, the code of an error, or `refused` for all but `ok`."""
    since: datetime | None = None
    """Not older than this."""
    until: datetime | None = None
    """Older than this."""
    limit: Annotated[int, Meta(ge=0, le=MAX_FOUND)] = 0
    """How many at most; 0 for a hundred."""
    after: Annotated[str, Meta(max_length=256)] = ""
    """What an answer before said as `next`."""


class AuditFound(Struct, frozen=True, kw_only=True):
    """Some of the entries that are as asked for; few, or none, where much had to be looked through to find them."""

    entries: tuple[AuditEntry, ...]
    complete: bool = True
    """False where PostgreSQL may have older ones and cannot be read."""
    next: str | None = None
    """What to ask for as `after`, where there may be more."""


class AuditHead(Struct, frozen=True, kw_only=True):
    """Asks for the newest entry of every chain: what to keep elsewhere, to compare with one day."""


class AuditHeads(Struct, frozen=True, kw_only=True):
    """The newest entry of every chain, of the 512 that began last."""

    at: datetime
    sequence: int
    """The newest of the stream."""
    heads: dict[str, Head]
