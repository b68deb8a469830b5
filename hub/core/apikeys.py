"""The API keys as a hub knows them, and when each was last used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from hub.wire.keys import Key, KeyRecord, KeyState

WRITE_EVERY: Final = 60.0
"""Seconds for which the use of a key is written once at most."""
MISSED: Final = 5.0
"""Seconds after which a key that is not known is taken to be gone."""
MAX_MISSED: Final = 10_000


class KnownKey(NamedTuple):
    """The newest record of a key, and the revision that made it so."""

    record: KeyRecord
    revision: int


class ApiKeys:
    """What is stored of every key, as far as this hub has heard.

    Attributes:
        complete: Whether all that is stored is known: a key that is not is then none.
    """

    def __init__(self) -> None:
        self.complete = False
        self._known: dict[str, KnownKey] = {}
        self._used: dict[str, float] = {}
        self._stored: dict[str, float] = {}
        self._missed: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[KnownKey]:
        """All of them, by id."""
        return (self._known[key_id] for key_id in sorted(self._known))

    def get(self, key_id: str) -> KeyRecord | None:
        """The newest record of a key; None where there is none."""
        known = self._known.get(key_id)
        return None if known is None else known.record

    def valid(self, now: float) -> int:
        """How many have not expired."""
        return sum(not expired(known.record, now) for known in self._known.values())

    def ended(self, key_id: str, now: float) -> str:
        """Why a key that has let somebody in would not do so now; empty where it would.

        Where it is not known, that must last for `MISSED`: another replica may have made it this moment.
        """
        known = self._known.get(key_id)
        if known is not None:
            self._missed.pop(key_id, None)
            return "its key has expired" if expired(known.record, now) else ""
        if not self.complete:
            return ""
        if key_id not in self._missed and len(self._missed) >= MAX_MISSED:
            self._missed.clear()
        return "its key is gone" if now >= self._missed.setdefault(key_id, now) + MISSED else ""

    # --- learning

    def learn(self, record: KeyRecord, revision: int) -> None:
        """A record was stored."""
        known = self._known.get(record.id)
        if known is None or revision > known.revision:
            self._known[record.id] = KnownKey(record, revision)

    def forget(self, key_id: str, revision: int) -> None:
        """A key is gone."""
        known = self._known.get(key_id)
        if known is not None and revision >= known.revision:
            del self._known[key_id]
            self._used.pop(key_id, None)
            self._stored.pop(key_id, None)

    def reset(self) -> None:
        """The bucket was made anew."""
        self.complete = False
        self._known.clear()
        self._stored.clear()

    # --- use

    def use(self, key_id: str, now: float) -> None:
        """A key has just let somebody in; `now` in seconds since the epoch, as everywhere here."""
        if key_id in self._known:
            self._used[key_id] = max(now, self._used.get(key_id, now))

    def use_stored(self, key_id: str, at: float) -> None:
        """It is stored that a key was used then, by this replica or another."""
        self._stored[key_id] = max(at, self._stored.get(key_id, at))

    def last_use(self, key_id: str) -> float | None:
        """When it was last used, as far as is known here."""
        return max((seen[key_id] for seen in (self._used, self._stored) if key_id in seen), default=None)

    def unwritten(self) -> list[tuple[str, float]]:
        """The uses that are to be written: those of which nothing is stored for as long as `WRITE_EVERY`."""
        return [
            (key_id, at)
            for key_id, at in self._used.items()
            if key_id not in self._stored or at >= self._stored[key_id] + WRITE_EVERY
        ]


def expired(record: KeyRecord, now: float) -> bool:
    """Whether a key has ended by itself; `now` in seconds since the epoch."""
    return record.expires is not None and record.expires.timestamp() <= now


def told(record: KeyRecord, used: datetime | None, now: float, *, revoked: bool) -> Key:
    """What is told of a key."""
    state: KeyState = "revoked" if revoked else "expired" if expired(record, now) else "valid"
    return Key(
        id=record.id,
        name=record.name,
        role=record.role,
        state=state,
        scopes=record.scopes,
        created=record.created,
        expires=record.expires,
        used=used,
        author=record.author,
        reason=record.reason,
        replaced_by=record.replaced_by,
    )
