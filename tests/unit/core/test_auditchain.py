"""The chains of the audit: whatever is done to one entry is found and named, and nothing else is."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.auditchain import Chain, Comparison, Fault, Verification, is_sealed, read_line
from hub.wire.audit import AuditEntry, Head

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class Stored(NamedTuple):
    """A line as it is stored."""

    at: datetime
    chain: str
    line: bytes


class World:
    """Several hubs that write, start, stop and are killed, on one stream."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.stream: list[Stored] = []
        self.chains: dict[str, Chain] = {}
        self.alive: list[str] = []
        self.now = START

    def write(self, name: str, kind: str, **told: Any) -> None:
        self.now += timedelta(seconds=self.chance.uniform(0.1, 30))
        line = self.chains[name].seal(self.now, kind=kind, **told)
        self.stream.append(Stored(self.now, name, line))

    def anchors(self, name: str) -> dict[str, Head]:
        return {other: chain.head for other, chain in self.chains.items() if other != name and chain.head is not None}

    def begin(self) -> None:
        name = f"hub-{len(self.chains):08x}-20260301T090000Z"
        self.chains[name] = Chain(name)
        self.alive.append(name)
        self.write(name, "begin", anchors=self.anchors(name))

    def step(self) -> None:
        what = self.chance.choice(("request",) * 6 + ("checkpoint", "begin", "end", "kill"))
        if what == "begin" or not self.alive:
            self.begin()
            return
        name = self.chance.choice(self.alive)
        if what in ("checkpoint", "end"):
            self.write(name, what, anchors=self.anchors(name))
        elif what == "request":
            self.write(name, "request", subject="hub.register", outcome="ok", caller="service:engine/a1")
        if what == "kill" and self.chance.random() < 0.5:  # what it has not stored yet is in no stream
            self.chains[name].seal(self.now, kind="request")
            self.chains.pop(name + "-dead", None)
            self.alive.remove(name)
            self._forget_unstored(name)
        elif what in ("end", "kill"):
            self.alive.remove(name)

    def _forget_unstored(self, name: str) -> None:
        """What others can know of a killed one is what is stored."""
        newest = next(entry for entry in map(_read, reversed(self.stream)) if entry.chain == name)
        self.chains[name].head = Head(number=newest.number, at=newest.at, hash=newest.hash)

    def everybody_vouches(self) -> None:
        """One more hub, which knows the newest entry of every chain."""
        self.begin()


def history(seed: int, steps: int) -> World:
    world = World(seed)
    world.begin()
    for _ in range(steps):
        world.step()
    world.everybody_vouches()
    return world


def verify(stream: list[Stored], heads: dict[str, Head] | None = None, *, first: int = 1) -> list[Fault]:
    """The faults of a stream that was made anew, so that its sequences tell nothing."""
    verification = Verification(heads)
    for sequence, each in enumerate(stream, 1):
        verification.take_message(sequence, each.at, each.chain, [each.line])
    return verification.finish(first=first)


def _read(stored: Stored) -> AuditEntry:
    entry = read_line(stored.line)
    assert entry is not None
    return entry


def hashed_anew(line: bytes, **changes: Any) -> bytes:
    """The entry with other fields, as somebody writes it who knows how a hash is made."""
    entry = read_line(line)
    assert entry is not None
    body = msgspec.json.encode(msgspec.structs.replace(entry, hash="", **changes))[:-1]
    return body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


histories = st.builds(history, st.integers(0, 2**32), st.integers(0, 60))
_thorough = settings(max_examples=60)


@_thorough
@given(histories)
def test_nothing_is_wrong_with_what_nobody_has_touched_though_hubs_were_killed(world: World) -> None:
    assert verify(world.stream) == []


@_thorough
@given(histories, st.data())
def test_nothing_is_wrong_with_a_stream_whose_oldest_entries_have_gone(world: World, data: st.DataObject) -> None:
    gone = data.draw(st.integers(1, len(world.stream) - 1))
    assert verify(world.stream[gone:], first=gone + 1) == []


@_thorough
@given(histories, st.data())
def test_an_altered_entry_is_named(world: World, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(world.stream) - 1))
    at, chain, line = world.stream[place]
    where = data.draw(st.integers(0, len(line) - 1))
    changed = line[:where] + bytes([line[where] ^ 1]) + line[where + 1 :]
    number = _read(world.stream[place]).number
    world.stream[place] = Stored(at, chain, changed)
    faults = verify(world.stream)
    assert faults, (line, changed)
    told = read_line(changed)
    if told is None:
        assert faults[0].kind == "unreadable"
    elif (told.chain, told.number) == (chain, number):
        assert (faults[0].kind, faults[0].chain, faults[0].number) == ("altered", chain, number)
        assert len(faults) == 1
    else:
        assert "altered" in [fault.kind for fault in faults]


@_thorough
@given(histories, st.data())
def test_an_entry_altered_and_hashed_anew_is_named_by_the_one_after_it_or_by_another_chain(
    world: World, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(world.stream) - 2))  # nobody knows of the very last one yet
    at, chain, line = world.stream[place]
    number = _read(world.stream[place]).number
    world.stream[place] = Stored(at, chain, hashed_anew(line, caller="operator:mallory"))
    faults = verify(world.stream)
    assert ("altered", chain, number) in [(fault.kind, fault.chain, fault.number) for fault in faults]
    assert {(fault.chain, fault.number) for fault in faults} == {(chain, number)}


@_thorough
@given(histories, st.data())
def test_an_entry_that_was_taken_out_is_named(world: World, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(world.stream) - 2))
    removed = world.stream.pop(place)
    number = _read(removed).number
    faults = verify(world.stream)
    assert [fault for fault in faults if fault.chain == removed.chain and fault.number <= number <= fault.last], faults
    assert {fault.kind for fault in faults} <= {"missing", "cut", "removed"}
    assert len(faults) == 1


@_thorough
@given(histories, st.data())
def test_a_chain_that_was_cut_or_taken_away_is_named(world: World, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted({each.chain for each in world.stream} - {world.stream[-1].chain})))
    numbers = [_read(each).number for each in world.stream if each.chain == name]
    keep = data.draw(st.integers(0, len(numbers) - 1))
    stream = [each for each in world.stream if each.chain != name or _read(each).number <= keep]
    [fault] = verify(stream)
    expected = ("cut" if keep else "removed", name, keep + 1, numbers[-1])
    assert (fault.kind, fault.chain, fault.number, fault.last) == expected


@_thorough
@given(histories, st.data())
def test_two_entries_of_a_chain_that_changed_places_are_named(world: World, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted({each.chain for each in world.stream})))
    places = [place for place, each in enumerate(world.stream) if each.chain == name]
    if len(places) < 2:
        return
    one = data.draw(st.integers(0, len(places) - 2))
    first, second = places[one], places[one + 1]
    world.stream[first], world.stream[second] = world.stream[second], world.stream[first]
    faults = verify(world.stream)
    number = _read(world.stream[second]).number
    assert ("reordered", name, number) in [(fault.kind, fault.chain, fault.number) for fault in faults]
    assert {fault.kind for fault in faults} == {"reordered"}


@_thorough
@given(histories, st.data())
def test_an_entry_that_was_put_in_is_named(world: World, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(world.stream) - 1))
    where = data.draw(st.integers(0, len(world.stream)))
    copy = world.stream[place]
    forged = data.draw(st.booleans())
    line = hashed_anew(copy.line, caller="operator:mallory") if forged else copy.line
    world.stream.insert(where, Stored(copy.at, copy.chain, line))
    faults = verify(world.stream)
    number = _read(copy).number
    assert [fault for fault in faults if fault.chain == copy.chain and fault.number in (number, number - 1)], faults


def test_what_goes_on_after_the_end_of_a_chain_was_put_in() -> None:
    chain = Chain("hub-1-20260301T090000Z")
    stream = [Stored(START, chain.name, chain.seal(START, kind=kind)) for kind in ("begin", "end", "request")]
    [fault] = verify(stream)
    assert (fault.kind, fault.number) == ("inserted", 3)


def test_a_head_that_was_kept_elsewhere_finds_what_no_other_chain_vouches_for() -> None:
    chain = Chain("hub-1-20260301T090000Z")
    stream = [Stored(START, chain.name, chain.seal(START, kind="request")) for _ in range(5)]
    assert chain.head is not None
    heads = {chain.name: chain.head}
    assert verify(stream, heads) == []
    assert verify(stream[:3]) == [], "nobody has vouched for the newest yet"
    [fault] = verify(stream[:3], heads)
    assert (fault.kind, fault.number, fault.last) == ("cut", 4, 5)
    [fault] = verify([], heads)
    assert (fault.kind, fault.chain) == ("removed", chain.name)
    other = Chain(chain.name)
    written_anew = [Stored(START, other.name, other.seal(START, kind="login")) for _ in range(5)]
    assert verify(written_anew) == [], "who writes everything anew is found by what is kept elsewhere alone"
    [fault] = verify(written_anew, heads)
    assert (fault.kind, fault.number) == ("altered", 5)


def test_a_copy_tells_what_is_cut_off_and_what_is_another_in_the_stream_and_not_what_is_too_old_for_it() -> None:
    chain = Chain("hub-1-20260301T090000Z")
    lines = [chain.seal(START, kind="request") for _ in range(6)]
    original = Verification()
    for line in (lines[2], hashed_anew(lines[3], caller="operator:mallory")):
        original.take(START, chain.name, line)
    comparison = Comparison(original)
    for line in [*lines, b"no entry"]:
        comparison.take(line)
    altered, missing = comparison.finish()
    assert (altered.kind, altered.number) == ("altered", 4)
    assert (missing.kind, missing.number, missing.last) == ("missing", 5, 6)
    assert comparison.finish([missing]) == [altered], "what is known already is not told twice"


def test_a_message_that_the_stream_itself_misses_is_told_unless_its_time_was_up() -> None:
    chain = Chain("hub-1-20260301T090000Z")
    lines = [chain.seal(START, kind="request") for _ in range(6)]
    for first, expected in ((1, [(3, 4), (7, 9)]), (5, [(7, 9)])):
        verification = Verification()
        for sequence in (1, 2, 5, 6):
            verification.take_message(sequence, START, chain.name, [lines[sequence - 1]])
        gaps = [fault for fault in verification.finish(first=first, last=9) if fault.kind == "gap"]
        assert [(gap.number, gap.last) for gap in gaps] == expected


def test_a_hash_is_that_of_the_bytes_before_it() -> None:
    chain = Chain("hub-1-20260301T090000Z")
    first, second = (chain.seal(START, kind="request", target="engine") for _ in range(2))
    for line in (first, second):
        body, _, tail = line.rpartition(b',"hash":"')
        assert tail == hashlib.sha256(body).hexdigest().encode() + b'"}'
    one, two = read_line(first), read_line(second)
    assert one is not None
    assert two is not None
    assert (one.previous, two.previous, one.number, two.number) == ("", one.hash, 1, 2)
    assert is_sealed(first, one)
    assert not is_sealed(first.replace(b"engine", b"engine2"), one)


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"\xff", b"[" * 5000])
def test_what_is_no_entry_is_told_and_harms_nothing(line: bytes) -> None:
    [fault] = verify([Stored(START, "hub-1-20260301T090000Z", line)])
    assert fault.kind == "unreadable"
