"""The chains of the audit: sealing entries into one, and finding in many whatever was done to them since.

What is found: an entry that was altered, taken out, put in, or moved within its chain; a chain that was cut off at its
end, or taken away, as far as another chain, or a head that was kept elsewhere, vouches for what is missing. Where an
entry is altered and hashed anew, the one after it tells.

What cannot be found: what somebody did who wrote every chain anew from the changed place on; what was done to the
newest entries before anybody has vouched for them; and a chain that was made up whole, since the hashes have no key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import msgspec

from hub.wire.audit import END, AuditEntry, Head
from hub.wire.codec import encode

_MARK: Final = b',"hash":"'
_TAIL: Final = len(_MARK) + 66
_SIZE: Final = 32
_FURTHEST: Final = 1_000_000
"""Entries that may be missing in one place; a number further off is no entry of the chain."""
_MOST_FAULTS: Final = 1000
SKEW: Final = timedelta(minutes=2)
"""By how much the clocks of two hubs, or of a hub and NATS, may differ before a false alarm is told."""

FaultKind = Literal["altered", "missing", "inserted", "reordered", "cut", "removed", "gap", "unreadable"]


class Chain:
    """Seals entries, one after the other.

    Args:
        name: The name of the chain.

    Attributes:
        head: The newest entry; None before the first.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.head: Head | None = None

    def seal(self, at: datetime, **told: Any) -> bytes:
        """The next entry, as a line without its end. `told` are fields of `AuditEntry`."""
        number, previous = (1, "") if self.head is None else (self.head.number + 1, self.head.hash)
        body = encode(AuditEntry(chain=self.name, number=number, at=at, previous=previous, **told))[:-1]
        digest = hashlib.sha256(body).hexdigest()
        self.head = Head(number=number, at=at, hash=digest)
        return body + _MARK + digest.encode() + b'"}'


_entry = msgspec.json.Decoder(AuditEntry)


def read_line(line: bytes) -> AuditEntry | None:
    """The entry in a line; None where it is none. Whether its hash is right is not looked at."""
    try:
        return _entry.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def is_sealed(line: bytes, entry: AuditEntry) -> bool:
    """Whether the hash of an entry is that of its line."""
    body, tail = line[:-_TAIL], line[-_TAIL:]
    digest = hashlib.sha256(body).hexdigest()
    return tail == _MARK + digest.encode() + b'"}' and entry.hash == digest


class Fault(NamedTuple):
    """Something that was done to the audit.

    Attributes:
        kind: What.
        chain: To which chain; empty where that cannot be told.
        number: To which of its entries: of several, to the first.
        last: Of several, the last.
        at: When that entry was written, or the one that tells of it; None where nothing says.
        words: The same for people.
    """

    kind: FaultKind
    chain: str
    number: int
    last: int
    at: datetime | None
    words: str


class _Claim(NamedTuple):
    """Somebody vouches for an entry."""

    by: str
    chain: str
    head: Head


@dataclass(slots=True)
class _Known:
    """A chain, as far as it was read from one source."""

    first: int
    last: int = 0
    hashes: bytearray = field(default_factory=bytearray)
    at: datetime | None = None
    ended: bool = False
    missing: dict[int, datetime] = field(default_factory=dict)
    """Numbers that were left out, with the time of the entry after them."""

    def hash_of(self, number: int) -> str | None:
        """Of an entry that was read; None of one that was not."""
        place = (number - self.first) * _SIZE
        if not self.first <= number <= self.last or not any(found := self.hashes[place : place + _SIZE]):
            return None
        return found.hex()

    def lacks(self, number: int) -> bool:
        """Whether an entry of this number was not read, and may be one of the chain."""
        return number in self.missing or number < self.first or number > self.last

    def put(self, number: int, digest: str | None) -> None:
        """Note the hash of an entry that is not older than the first; None where what it says is not believed."""
        place = (number - self.first) * _SIZE
        if place + _SIZE > len(self.hashes):
            self.hashes.extend(bytes(place + _SIZE - len(self.hashes)))
        if digest is not None:
            self.hashes[place : place + _SIZE] = bytes.fromhex(digest)
        self.last = max(self.last, number)

    def put_late(self, number: int, digest: str, at: datetime) -> None:
        """Note the hash of an entry that comes after those that follow it."""
        if number < self.first:
            self.missing.update(dict.fromkeys(range(number + 1, self.first), at))
            self.hashes[:0] = bytes((self.first - number) * _SIZE)
            self.first = number
        self.missing.pop(number, None)
        self.put(number, digest)


class Verification:
    """Reads a stream of entries once, in the order in which it is stored, and says what is wrong with it.

    It keeps the 32 bytes of each entry's hash, and nothing else of it.

    Args:
        heads: Heads that were kept elsewhere, by chain.

    Attributes:
        entries: How many it has read.
        first: When the oldest of them was written.
        last: When the newest was.
    """

    def __init__(self, heads: Mapping[str, Head] | None = None) -> None:
        self._chains: dict[str, _Known] = {}
        self._claims: list[_Claim] = [_Claim("the head that was kept", *each) for each in (heads or {}).items()]
        self._faults: list[Fault] = []
        self._floor: datetime | None = None
        self._sequence = 0
        self._gaps: list[tuple[int, int, datetime | None]] = []
        self.entries = 0
        self.first: datetime | None = None
        self.last: datetime | None = None

    @property
    def chains(self) -> int:
        """How many chains it has seen."""
        return len(self._chains)

    @property
    def sequence(self) -> int:
        """The newest message that it has read; 0 before the first."""
        return self._sequence

    def hash_of(self, chain: str, number: int) -> str | None:
        """The hash of an entry that was read; None of one that was not."""
        known = self._chains.get(chain)
        return None if known is None else known.hash_of(number)

    def take_message(self, sequence: int, stored: datetime, chain: str, lines: Iterable[bytes]) -> None:
        """Read the next message of a stream, which was stored under the name of that chain."""
        if self._sequence and sequence != self._sequence + 1:
            self._gaps.append((self._sequence + 1, sequence - 1, stored))
        self._sequence = sequence
        for line in lines:
            self.take(stored, chain, line)

    def take(self, stored: datetime, chain: str, line: bytes) -> None:
        """Read the next entry, which was stored then under the name of that chain."""
        if self._floor is None:
            self._floor = stored
        entry = read_line(line)
        if entry is None:
            self._tell("unreadable", chain, 0, stored, f"what was stored at {stored:%Y-%m-%d %H:%M:%S} is no entry")
            return
        self.entries += 1
        self.first = min(self.first or entry.at, entry.at)
        self.last = max(self.last or entry.at, entry.at)
        known = self._chains.get(chain)
        sealed = is_sealed(line, entry)
        if not sealed:
            self._tell("altered", entry.chain, entry.number, entry.at, "it is not what its hash was made of")
        if entry.chain != chain or (not sealed and known is not None and entry.number != known.last + 1):
            if sealed:
                self._tell("inserted", chain, entry.number, entry.at, f"it says that it is of {entry.chain}")
            return
        if known is None:
            known = self._chains[chain] = _Known(entry.number)
        elif not self._is_next(known, entry, sealed):
            return
        elif known.ended:
            self._tell("inserted", chain, entry.number, entry.at, "it comes after the end of its chain")
        if entry.number == 1 and entry.previous and sealed:
            self._tell("altered", chain, 1, entry.at, "it is the first, and goes on from another")
        self._note(known, entry, sealed)

    def _note(self, known: _Known, entry: AuditEntry, sealed: bool) -> None:
        known.put(entry.number, entry.hash if sealed else None)
        known.at = entry.at
        known.ended = entry.kind == END
        if sealed:
            self._check_anchors(entry)

    def _is_next(self, known: _Known, entry: AuditEntry, sealed: bool) -> bool:
        """Whether the entry goes on from the newest of its chain, or from further on; if not, what it is is told."""
        expected, before = known.last + 1, known.hash_of(known.last)
        if entry.number == expected:
            if sealed and before is not None and before != entry.previous:
                words = f"its hash is not the one that entry {expected} goes on from"
                self._tell("altered", entry.chain, known.last, known.at, words)
            return True
        if before == entry.previous:
            self._tell("altered", entry.chain, expected, entry.at, f"it says that it is entry {entry.number}")
            known.put(expected, entry.hash)
            return False
        if abs(entry.number - expected) > _FURTHEST or not known.lacks(entry.number):
            self._tell("inserted", entry.chain, entry.number, entry.at, "it is not what comes next in its chain")
            return False
        if entry.number > expected:
            known.missing.update(dict.fromkeys(range(expected, entry.number), entry.at))
            return True
        self._tell("reordered", entry.chain, entry.number, entry.at, "it is stored behind entries that follow it")
        known.put_late(entry.number, entry.hash, entry.at)
        self._check_anchors(entry)
        return False

    def finish(self, *, first: int = 1, last: int = 0) -> list[Fault]:
        """What is wrong.

        Args:
            first: The oldest sequence that the stream has now; more than 1 where its oldest messages have gone by age.
            last: The newest that it had when the reading began; 0 where that is not known.
        """
        if last > self._sequence >= first:
            self._gaps.append((self._sequence + 1, last, self.last))
        floor = None if first <= 1 else self._floor
        faults = list(self._faults)
        for low, high, at in self._gaps:
            if high >= first:
                words = f"the stream has nothing of its sequences {max(low, first)} to {high}"
                faults.append(Fault("gap", "", max(low, first), high, at, words))
        for name, known in self._chains.items():
            faults += _missing(name, known.missing)
            if known.first > 1 and floor is None:
                words = f"its first {known.first - 1} entries are missing"
                faults.append(Fault("missing", name, 1, known.first - 1, known.at, words))
        faults += self._unfulfilled(floor)
        return faults

    def _check_anchors(self, entry: AuditEntry) -> None:
        for chain, head in entry.anchors.items():
            known = self._chains.get(chain)
            claim = _Claim(f"entry {entry.number} of {entry.chain}", chain, head)
            if known is None or head.number > known.last:
                self._claims.append(claim)
            else:
                self._check_claim(known, claim)

    def _check_claim(self, known: _Known, claim: _Claim) -> None:
        """An entry that should be there, and be this one. One that is missing in the middle is told anyway."""
        number = claim.head.number
        found = known.hash_of(number)
        if found is not None and found != claim.head.hash:
            words = f"{claim.by} knew another entry in its place"
            self._tell("altered", claim.chain, number, claim.head.at, words)

    def _unfulfilled(self, floor: datetime | None) -> list[Fault]:
        """What somebody vouches for, and is not there; or was not there yet."""
        found: dict[str, Fault] = {}
        self._faults, kept = [], self._faults
        early: list[Fault] = []
        for claim in self._claims:
            number, at = claim.head.number, claim.head.at
            known = self._chains.get(claim.chain)
            if known is not None and known.first <= number <= known.last:
                self._check_claim(known, claim)
                if claim.by.startswith("entry") and known.hash_of(number) is not None:
                    words = f"{claim.by} knew it already, and is stored before it"
                    early.append(Fault("reordered", claim.chain, number, number, at, words))
                continue
            if floor is not None and at <= floor + SKEW:
                continue  # its time was up
            if floor is None and known is not None and number < known.first:
                continue  # told with all that is missing before its first
            if known is None:
                fault = Fault("removed", claim.chain, 1, number, at, f"the whole chain is gone; {claim.by} knew it")
            elif number > known.last:
                words = f"the end of the chain is gone, entries {known.last + 1} to {number}; {claim.by} knew it"
                fault = Fault("cut", claim.chain, known.last + 1, number, at, words)
            else:
                words = f"the chain begins with {known.first}, and {claim.by} knew it"
                fault = Fault("missing", claim.chain, number, known.first - 1, at, words)
            before = found.get(claim.chain)
            if before is None or fault.last > before.last:
                found[claim.chain] = fault
        checked, self._faults = self._faults, kept
        return checked + early + list(found.values())

    def _tell(self, kind: FaultKind, chain: str, number: int, at: datetime | None, words: str) -> None:
        """Add a fault, unless the same was found already in another way."""
        told = any((each.kind, each.chain, each.number) == (kind, chain, number) for each in self._faults)
        if not told and len(self._faults) < _MOST_FAULTS:
            self._faults.append(Fault(kind, chain, number, number, at, words))


class Comparison:
    """Compares a copy of the stream, read in its order, with what was read of the stream itself.

    What the copy has behind the first entry that both have must be in the stream as well.

    Args:
        original: What was read of the stream.
    """

    def __init__(self, original: Verification) -> None:
        self._original = original
        self._met = False
        self._faults: list[Fault] = []
        self._missing: dict[str, dict[int, datetime]] = {}

    def take(self, line: bytes) -> None:
        """Take the next entry of the copy."""
        entry = read_line(line)
        if entry is None:
            return
        found = self._original.hash_of(entry.chain, entry.number)
        if found is None:
            if self._met:
                self._missing.setdefault(entry.chain, {})[entry.number] = entry.at
            return
        self._met = True
        if found != entry.hash and len(self._faults) < _MOST_FAULTS:
            words = "the copy in PostgreSQL has another entry in its place than NATS"
            self._faults.append(Fault("altered", entry.chain, entry.number, entry.number, entry.at, words))

    def finish(self, known: Sequence[Fault] = ()) -> list[Fault]:
        """What differs, without what is known to be wrong with the stream already."""
        told = [
            fault._replace(words=f"PostgreSQL has it, and NATS has not: {fault.words}")
            for chain, numbers in self._missing.items()
            for fault in _missing(chain, numbers)
        ]
        return self._faults + [
            fault
            for fault in told
            if not any(each.chain == fault.chain and each.number <= fault.number <= each.last for each in known)
        ]


def _missing(chain: str, numbers: Mapping[int, datetime]) -> list[Fault]:
    """The faults of numbers that were left out, those in a row as one."""
    faults: list[Fault] = []
    for number in sorted(numbers):
        at = numbers[number]
        first = faults.pop().number if faults and faults[-1].last == number - 1 else number
        words = "it is missing" if first == number else f"entries {first} to {number} are missing"
        faults.append(Fault("missing", chain, first, number, at, words))
    return faults
