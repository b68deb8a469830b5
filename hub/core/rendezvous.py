"""Who owns a key among equals that never talk about it: highest random weight hashing.

Every member gives every key a weight that everybody can work out, and the highest wins. So whoever knows the members
knows the owner; keys spread evenly; and when a member goes only its own keys move, when one comes only those that it
wins. The idea is that of Thaler and Ravishankar: "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM
Transactions on Networking, 1998.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


def weight(member: str, key: str) -> int:
    """What a key weighs with a member: 64 bits, the same in every process on every machine."""
    return int.from_bytes(blake2b(f"{member} {key}".encode(), digest_size=8).digest(), "big")


class Rendezvous:
    """The owners of keys among members. Without members nobody owns anything.

    Owners are remembered, so that to ask again costs one look-up, and a change of members one weight for each key that
    a member who came might win, and one for each left member and each key that the one who went had.
    """

    def __init__(self, members: Iterable[str] = ()) -> None:
        self._members = tuple(sorted(set(members)))
        self._owners: dict[str, tuple[int, str]] = {}
        """The highest weight and whose it is; an equal weight, once in 2^64, goes to the name that sorts last."""

    @property
    def members(self) -> tuple[str, ...]:
        """The members, sorted."""
        return self._members

    def owner(self, key: str) -> str | None:
        """Whose key it is."""
        known = self._owners.get(key)
        if known is None:
            if not self._members:
                return None
            known = self._owners[key] = self._highest(key, self._members)
        return known[1]

    def forget(self, key: str) -> None:
        """Nobody will ask for this key any more."""
        self._owners.pop(key, None)

    def change(self, members: Iterable[str]) -> None:
        """These are the members now."""
        now = tuple(sorted(set(members)))
        came = [member for member in now if member not in self._members]
        gone = {member for member in self._members if member not in now}
        self._members = now
        if not now:
            self._owners.clear()
        for key, known in self._owners.items():
            self._owners[key] = self._highest(key, now) if known[1] in gone else self._highest(key, came, known)

    @staticmethod
    def _highest(key: str, members: Iterable[str], best: tuple[int, str] = (-1, "")) -> tuple[int, str]:
        for member in members:
            best = max(best, (weight(member, key), member))
        return best
