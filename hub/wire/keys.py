"""API keys, for callers that have no key pair and no identity provider; and whom the hub lets in no more.

On `hub.key.*` and `hub.access.*`, for operators. A key is told once, in the reply to the request that made it. What is
stored in the bucket `hub-access` is the hash of its secret.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta, Struct

from hub.wire.names import Author, Reason
from hub.wire.roles import CallerRole

KEY_ID_PATTERN: Final = r"^[0-9A-Za-z]{10}\Z"
MAX_SCOPES: Final = 32
LONGEST_TTL: Final = 10 * 366 * 86_400.0
"""Ten years, in seconds."""
MAX_CREDENTIAL: Final = 512

KeyId = Annotated[
    str,
    Meta(
        pattern=KEY_ID_PATTERN,
        description="Identifies an API key; no secret",
        extra={"expected": "the id of a key: the ten letters and digits after `hk_`, never the whole key"},
    ),
]
KeyName = Annotated[
    str,
    Meta(
        pattern=r"^\S{1,128}\Z",
        description="Whom a key is of; for the role service its name, or `<name>/<instance>`",
        extra={"expected": "1..128 characters without spaces"},
    ),
]
Scope = Annotated[str, Meta(min_length=1, max_length=64)]
Moment = Annotated[datetime, Meta(tz=True)]
Who = Annotated[str, Meta(min_length=3, max_length=256)]
Credential = Annotated[str, Meta(min_length=3, max_length=MAX_CREDENTIAL)]
KeyState = Literal["valid", "expired", "revoked"]


class KeyRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An API key as stored. Only the hub reads it."""

    id: str
    name: str
    role: CallerRole
    digest: bytes
    """SHA-256 of its secret."""
    created: datetime
    expires: datetime | None = None
    scopes: tuple[str, ...] | None = None
    author: str = ""
    reason: str = ""
    replaces: str | None = None
    """The key that it was made for in place of."""
    replaced_by: str | None = None
    """The key that was made in place of it; `expires` is then the end of the overlap."""


class KeyUse(Struct, frozen=True, kw_only=True):
    """When a key was last used, about. Only the hub reads it."""

    at: datetime


class RevocationRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom the hub lets in no more, as stored: a caller or a credential. Only the hub reads it."""

    at: datetime
    who: str | None = None
    credential: str | None = None
    author: str = ""
    reason: str = ""


# --- keys


class CreateKey(Struct, frozen=True, kw_only=True):
    """Makes an API key."""

    name: KeyName
    role: CallerRole = "external"
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=MAX_SCOPES)] | None = None
    """What it is good for, of all that its role may do: names of rights. Null is all of it."""
    expires: Moment | None = None
    """When it ends, with a time zone; or `ttl`. Null for both makes one that does not."""
    ttl: Annotated[float, Meta(ge=1, le=LONGEST_TTL)] | None = None
    """Seconds until it ends."""
    author: Author = ""
    reason: Reason = ""


class RotateKey(Struct, frozen=True, kw_only=True):
    """Makes a key in place of another, which stays valid for a while."""

    CONFIDENTIAL: ClassVar[bool] = True  # somebody may give the whole key for its id

    id: KeyId
    overlap: Annotated[float, Meta(ge=0, le=90 * 86_400.0)] = 3600.0
    """Seconds in which both are valid."""
    author: Author = ""
    reason: Reason = ""


class IssuedKey(Struct, frozen=True, kw_only=True):
    """A new key. This is the only time that it is told."""

    CONFIDENTIAL: ClassVar[bool] = True

    id: str
    key: str
    """`hk_<id>_<secret>`, to be given as a token: to NATS as the token of the connection, on HTTP as a bearer token."""
    name: str
    role: CallerRole
    scopes: tuple[str, ...] | None
    expires: datetime | None
    replaces: str | None = None
    """The key that it takes the place of."""
    overlap_until: datetime | None = None
    """How long that one stays valid."""

    def __repr__(self) -> str:
        return f"IssuedKey(id={self.id!r}, name={self.name!r}, role={self.role!r})"


class RevokeKey(Struct, frozen=True, kw_only=True):
    """Ends a key at once, and every connection that it let in."""

    CONFIDENTIAL: ClassVar[bool] = True  # somebody may give the whole key for its id

    id: KeyId
    author: Author = ""
    reason: Reason = ""


class ListKeys(Struct, frozen=True, kw_only=True):
    """Asks which keys there are."""

    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many at most; 0 for as many as the reply can hold."""
    after: str = ""
    """Only those after this id."""


class Key(Struct, frozen=True, kw_only=True):
    """What is told of a key: all but its secret."""

    id: str
    name: str
    role: CallerRole
    state: KeyState
    scopes: tuple[str, ...] | None
    created: datetime
    expires: datetime | None
    used: datetime | None
    """When it last let somebody in, to the minute; null where it never did."""
    author: str
    reason: str
    replaced_by: str | None = None
    """The key that was made in its place."""


class KeyList(Struct, frozen=True, kw_only=True):
    """The keys, by id."""

    keys: tuple[Key, ...]
    next: str | None = None
    """What to ask for as `after`, where the list was cut."""


# --- revocation


class RevokeAccess(Struct, frozen=True, kw_only=True):
    """Lets a caller in no more, whatever he proves himself by; or a credential, whoever has it. One of the two."""

    who: Who | None = None
    """A caller as it is written: `operator:ada`, `service:engine` with all its instances, `service:engine/a1`."""
    credential: Credential | None = None
    """`nkey:<public key>`, `jwt:<issuer>/<jti or subject>`, `key:<id>` or `certificate:<sha256 in hex>`."""
    author: Author = ""
    reason: Reason = ""


class RestoreAccess(Struct, frozen=True, kw_only=True):
    """Lets a caller or a credential in again that was revoked. One of the two, as in the revocation."""

    who: Who | None = None
    credential: Credential | None = None
    author: Author = ""
    reason: Reason = ""


class AccessChanged(Struct, frozen=True, kw_only=True):
    """It is stored; every replica acts on it as soon as it hears of that."""

    who: str | None
    credential: str | None
    revision: int


class ListRevoked(Struct, frozen=True, kw_only=True):
    """Asks who is let in no more."""

    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many at most; 0 for as many as the reply can hold."""
    after: str = ""
    """Only those after this caller or credential, as the list before was cut."""


class Revocation(Struct, frozen=True, kw_only=True):
    """A caller or a credential that is let in no more."""

    who: str | None
    credential: str | None
    at: datetime
    author: str
    reason: str


class RevocationList(Struct, frozen=True, kw_only=True):
    """All of them, by what was revoked."""

    revoked: tuple[Revocation, ...]
    next: str | None = None
    """What to ask for as `after`, where the list was cut."""
