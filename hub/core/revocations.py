"""Whom the hub lets in no more."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from hub.wire.admitted import credential_name
from hub.wire.keys import RevocationRecord
from hub.wire.roles import Caller


class Proven(Protocol):
    """Whoever has proven himself: a proof, or the user of a connection."""

    @property
    def caller(self) -> Caller:
        """Who it is."""

    @property
    def credential(self) -> str:
        """What proves it."""


class _Known(NamedTuple):
    record: RevocationRecord
    revision: int


class Revocations:
    """What was revoked, as far as this hub has heard: callers and credentials."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._callers: set[str] = set()
        self._credentials: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[RevocationRecord]:
        """All of them, by what was revoked."""
        records = (known.record for known in self._known.values())
        return iter(sorted(records, key=what))

    def revoked(self, proven: Proven) -> bool:
        """Whether it counts no more: its credential is revoked, or who it is.

        A service that is revoked is so with each of its instances. An instance that is revoked is so where a credential
        is bound to it; one that speaks for the whole service is none of it.
        """
        if not self._known:
            return False
        caller = proven.caller
        return (
            str(caller) in self._callers
            or f"{caller.role}:{caller.name}" in self._callers
            or credential_name(proven.credential) in self._credentials
            or proven.credential in self._credentials
        )

    def has(self, *, who: str | None = None, credential: str | None = None) -> bool:
        """Whether this very caller or credential is revoked."""
        return who in self._callers or (credential is not None and credential_name(credential) in self._credentials)

    # --- learning

    def learn(self, key: str, record: RevocationRecord, revision: int) -> bool:
        """A record was stored under a key; whether it revokes what was not revoked until now."""
        known = self._known.get(key)
        if known is not None and revision <= known.revision:
            return False
        self._known[key] = _Known(record, revision)
        if record.who is not None:
            self._callers.add(record.who)
        if record.credential is not None:
            self._credentials.add(credential_name(record.credential))
        return known is None

    def forget(self, key: str, revision: int) -> None:
        """What was stored under a key is gone."""
        known = self._known.get(key)
        if known is None or revision < known.revision:
            return
        del self._known[key]
        if known.record.who is not None:
            self._callers.discard(known.record.who)
        if known.record.credential is not None:
            self._credentials.discard(credential_name(known.record.credential))

    def reset(self) -> None:
        """The bucket was made anew."""
        self._known.clear()
        self._callers.clear()
        self._credentials.clear()


def what(record: RevocationRecord) -> str:
    """What a record revokes, in one text."""
    return record.who if record.who is not None else record.credential or ""


def stored_as(*, who: str | None, credential: str | None) -> str:
    """The last part of the key that a revocation is stored under: any text, in what keys may be made of."""
    text = f"who {who}" if who is not None else f"credential {credential}"
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
