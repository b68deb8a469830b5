"""The secrets as a hub knows them: who may read each, and its value, encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hub.core.access import may_refer
from hub.wire.secrets import Secret, SecretRecord


class Known(NamedTuple):
    """The newest record of a secret, and the revision that made it so."""

    record: SecretRecord
    revision: int


class Secrets:
    """What is stored of every secret, as far as this hub has heard.

    Attributes:
        revision: The newest of the whole bucket.
    """

    def __init__(self) -> None:
        self.revision = 0
        self._known: dict[str, Known] = {}
        self._gone: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Known]:
        """All of them, by name."""
        return (self._known[name] for name in sorted(self._known))

    def get(self, name: str) -> Known | None:
        """The newest record of a secret; None where there is none."""
        return self._known.get(name)

    def newest(self, name: str) -> int:
        """The revision that made a secret what it is, or took it away; 0 where nothing is known of it."""
        known = self._known.get(name)
        return known.revision if known else self._gone.get(name, 0)

    def refusal(self, scope: str, name: str) -> str | None:
        """Why the configuration of a scope may not refer to a secret, in words; None where it may."""
        known = self._known.get(name)
        if known is None:
            return f"{name!r}, which does not exist"
        if not may_refer(scope, known.record.readers):
            return f"{name!r}, whose readers are {', '.join(known.record.readers)}"
        return None

    # --- learning

    def learn(self, record: SecretRecord, revision: int) -> None:
        """A record was stored."""
        self.reach(revision)
        if revision > self.newest(record.name):
            self._known[record.name] = Known(record, revision)
            self._gone.pop(record.name, None)

    def forget(self, name: str, revision: int) -> None:
        """A secret is gone."""
        self.reach(revision)
        if revision >= self.newest(name):
            self._known.pop(name, None)
            self._gone[name] = revision

    def vanished(self, name: str) -> None:
        """Nothing is stored of a secret, not even that it was taken away; what is known may still be on its way."""
        self._gone.pop(name, None)

    def reach(self, revision: int) -> None:
        """All that was stored until this revision is known."""
        self.revision = max(self.revision, revision)

    def reset(self) -> None:
        """The bucket was made anew: its revisions begin again."""
        self.revision = 0
        self._known.clear()
        self._gone.clear()


def told(known: Known) -> Secret:
    """What is told of a secret."""
    record = known.record
    return Secret(
        name=record.name,
        revision=known.revision,
        at=record.at,
        author=record.author,
        reason=record.reason,
        readers=record.readers,
        key_id=record.sealed.key_id,
    )
