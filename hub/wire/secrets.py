"""Secrets: values that configurations refer to by name, for the services that may read them. On `hub.secret.*`.

A configuration has `{"$secret": "<name>"}` in the place of a text. The value is kept apart from it, encrypted, in the
bucket `hub-secrets`, and leaves the hub in the answer to `hub.secret.resolve` alone. That a secret has changed is
republished by the NATS server on `hub.delta.secret.<name>`, with headers and without a payload.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from hub.wire.config import Revision
from hub.wire.names import Author, InstanceId, Reason, ServiceName

REFERENCE: Final = "$secret"
"""The only member of an object that stands for a secret."""
SECRET_PATTERN: Final = r"^[A-Za-z0-9_-]{1,128}\Z"
MAX_VALUE_BYTES: Final = 16 * 1024
"""Of a value, in UTF-8."""
MAX_NAMES: Final = 64
"""Secrets in one request."""
MAX_READERS: Final = 64
"""Patterns that say who may read one secret."""

_secret = re.compile(SECRET_PATTERN)

SecretName = Annotated[
    str,
    Meta(
        pattern=SECRET_PATTERN,
        description="Names a secret",
        extra={"expected": "1..128 of A-Z, a-z, 0-9, '_' and '-'"},
    ),
]
Reader = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9*]([a-z0-9*-]{0,61}[a-z0-9*])?\Z",
        description="A service, or several: `*` stands for any characters, or none",
        extra={"expected": "the name of a service, in which '*' may stand for anything: 'trading-*'"},
    ),
]

PublicKey = Annotated[
    bytes,
    Meta(
        min_length=32,
        max_length=32,
        description="A public key, X25519",
        extra={"expected": "32 bytes in base64, the public half of an X25519 key"},
    ),
]


def is_secret_name(text: str) -> bool:
    """Whether a secret may go by this name."""
    return _secret.match(text) is not None


def is_reference(value: Any) -> bool:
    """Whether this stands for a secret."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(REFERENCE), str)


class Sealed(Struct, frozen=True, kw_only=True):
    """A value, encrypted with a key of its own, and that key, encrypted with the one of the hub."""

    key_id: str
    """Which key of the hub."""
    wrapped: bytes
    """The value's own key, encrypted."""
    ciphertext: bytes


class SecretRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A secret as stored. Only the hub reads it."""

    name: str
    version: str
    """Made anew with each value; the same when only the key has changed."""
    at: datetime
    readers: tuple[str, ...]
    sealed: Sealed
    author: str = ""
    reason: str = ""


# --- operators


class PutSecret(Struct, frozen=True, kw_only=True):
    """Stores a secret, in place of the one that had this name."""

    CONFIDENTIAL: ClassVar[bool] = True

    name: SecretName
    value: Annotated[str, Meta(min_length=1, max_length=MAX_VALUE_BYTES)]
    """At most 16 KiB in UTF-8."""
    readers: Annotated[tuple[Reader, ...], Meta(min_length=1, max_length=MAX_READERS)] | None = None
    """Who may read it; null leaves those who may, and is refused for one that is new."""
    author: Author = ""
    reason: Reason = ""
    revision: Revision | None = None
    """Only if this is its newest revision (0: there is none); null changes whatever there is."""

    def __repr__(self) -> str:
        return f"PutSecret(name={self.name!r}, readers={self.readers!r})"


class DeleteSecret(Struct, frozen=True, kw_only=True):
    """Takes a secret away, for good."""

    name: SecretName
    author: Author = ""
    reason: Reason = ""
    revision: Revision | None = None
    """Only if this is its newest revision; null takes whatever there is."""
    force: bool = False
    """Whether even where configurations refer to it."""


class SecretChanged(Struct, frozen=True, kw_only=True):
    """It is done, as of `revision`."""

    name: str
    revision: int


class ListSecrets(Struct, frozen=True, kw_only=True):
    """Asks which secrets there are."""

    limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many at most; 0 for as many as the reply can hold."""
    after: str = ""
    """Only those after this name."""


class Secret(Struct, frozen=True, kw_only=True):
    """What is told of a secret: all but its value."""

    name: str
    revision: int
    at: datetime
    author: str
    reason: str
    readers: tuple[str, ...]
    key_id: str
    """Which key of the hub it is encrypted with."""


class SecretList(Struct, frozen=True, kw_only=True):
    """The secrets, by name."""

    secrets: tuple[Secret, ...]
    key_id: str | None
    """Which key this hub encrypts with; null where it has none."""
    next: str | None = None
    """What to ask for as `after`, where the list was cut."""


class RekeySecrets(Struct, frozen=True, kw_only=True):
    """Asks for every secret to be encrypted with the hub's current key. May be asked again at any time."""


class Rekeyed(Struct, frozen=True, kw_only=True):
    """They are, but for those that cannot be read."""

    key_id: str
    """The current key."""
    rekeyed: int
    """How many were encrypted with another until now."""
    unreadable: tuple[str, ...] = ()
    """The first hundred that stay as they are, since the hub cannot decrypt them."""


# --- services


class ResolveSecrets(Struct, frozen=True, kw_only=True):
    """Asks for the values of secrets. All of them, or an error for the first that cannot be had."""

    service: ServiceName
    """Who asks."""
    names: Annotated[tuple[SecretName, ...], Meta(min_length=1, max_length=MAX_NAMES)]
    instance_id: InstanceId | None = None
    min_revision: Revision = 0
    """Answer as of this revision of the bucket at least: that of the change which was heard of."""
    seal_to: PublicKey | None = None
    """Seal the answer for the owner of this key, made for this one question; null has it in the clear."""


class ResolvedSecret(Struct, frozen=True, kw_only=True):
    """One value."""

    revision: int
    value: str

    def __repr__(self) -> str:
        return f"ResolvedSecret(revision={self.revision})"


class SealedAnswer(Struct, frozen=True, kw_only=True):
    """An answer that its recipient alone can open."""

    key: PublicKey
    """The one that the hub has made for this one answer."""
    ciphertext: bytes
    """The answer as JSON, as it would have been in the clear: a nonce of 12 bytes, AES-256-GCM, and its tag."""


class ResolvedSecrets(Struct, frozen=True, kw_only=True):
    """The values, by name."""

    secrets: dict[str, ResolvedSecret]
    """Empty where they are sealed."""
    sealed: SealedAnswer | UnsetType = UNSET
    """There where the question had a `seal_to`."""
