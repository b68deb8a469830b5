"""What becomes an entry of the audit, and that none is lost or moved while the stream fails on command."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.core.auditchain import Verification, read_line
from hub.errors import HubError, Unavailable
from hub.handlers.auditing import REFUSALS, Audit, target_of
from hub.handlers.auditwriting import AuditWriter
from hub.handlers.clock import Clock
from hub.handlers.gate import Asked, Unproven
from hub.store.auditlog import Foreign
from hub.telemetry.request import RequestContext, note_change
from hub.wire.audit import AuditEntry
from hub.wire.roles import Caller
from tests.waiting import until

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ADA = Caller(role="operator", name="ada", host="10.0.0.7")
MANY = json.dumps({"changes": [{"service": f"s{n}"} for n in range(20)]}).encode()
PUT = b'{"changes":[{"service":"engine","values":{"password":"hidden-word"}}]}'


@dataclass
class Stream:
    """The stream in memory.

    Attributes:
        lines: All entries, in the order in which they were stored.
        refuse: Asked before every message; what it returns is raised.
    """

    lines: list[bytes] = field(default_factory=list)
    chains: dict[str, int] = field(default_factory=dict)
    others: dict[str, AuditEntry] = field(default_factory=dict)
    refuse: Callable[[], HubError | None] = lambda: None
    messages: int = 0
    restored: int = 0

    async def append(self, chain: str, lines: list[bytes], name: str, *, after: int) -> int:
        await asyncio.sleep(0)
        if error := self.refuse():
            raise error
        assert after == self.chains.get(chain, 0)
        self.messages += 1
        self.lines += lines
        self.chains[chain] = self.messages
        return self.messages

    async def heads(self, but: str = "") -> dict[str, AuditEntry]:
        return dict(self.others)

    async def restore(self) -> None:
        self.restored += 1

    def told(self, *quiet: str) -> list[dict[str, Any]]:
        """The entries, but for those that only make the chain."""
        found = [json.loads(line) for line in self.lines]
        return [each for each in found if each["kind"] not in (quiet or ("begin", "checkpoint", "end"))]

    def faults(self) -> list[object]:
        verification = Verification()
        for line in self.lines:
            entry = read_line(line)
            assert entry is not None
            verification.take(START, entry.chain, line)
        return list(verification.finish())


@dataclass
class Time:
    """A clock that is set by hand."""

    seconds: float = 0.0

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, wall=lambda: START + timedelta(seconds=self.seconds))


@asynccontextmanager
async def auditing(stream: Stream, time: Time | None = None, **given: Any) -> AsyncIterator[Audit]:
    async with Audit(stream, "hub-1a2b3c4d", (time or Time()).clock, **given) as audit:
        yield audit


def writer(audit: Audit) -> AuditWriter:
    """What writes."""
    assert audit.writer is not None
    return audit.writer


async def test_a_change_is_told_with_who_what_and_the_hash_of_how_and_nothing_else_of_it() -> None:
    stream = Stream()
    async with auditing(stream) as audit:
        with RequestContext("the-request"):
            audit.saw(Asked(ADA, "hub.config.put", PUT), "ok")
    [entry] = stream.told()
    assert entry | {"number": 2, "previous": "", "hash": ""} == {
        "chain": writer(audit).chain,
        "number": 2,
        "at": "2026-03-01T09:00:00Z",
        "kind": "request",
        "caller": "operator:ada",
        "host": "10.0.0.7",
        "subject": "hub.config.put",
        "target": "engine",
        "outcome": "ok",
        "request_id": "the-request",
        "payload": hashlib.sha256(PUT).hexdigest(),
        "bytes": len(PUT),
        "previous": "",
        "hash": "",
    }
    assert b"hidden-word" not in b"".join(stream.lines)
    assert [json.loads(line)["kind"] for line in stream.lines] == ["begin", "request", "end"]
    assert stream.faults() == []


async def test_of_a_secret_not_even_the_hash_is_told() -> None:
    stream = Stream()
    async with auditing(stream) as audit:
        audit.saw(Asked(ADA, "hub.secret.put", b'{"name":"db-pin","value":"1234"}'), "ok")
    [entry] = stream.told()
    assert entry["target"] == "db-pin"
    assert not {"payload", "bytes"} & set(entry)


async def test_what_changes_nothing_is_not_told_and_what_is_refused_always_is() -> None:
    stream = Stream()
    async with auditing(stream) as audit:
        for outcome in ("ok", "not_found", "invalid_request"):
            audit.saw(Asked(ADA, "hub.discover", b"{}"), outcome)
        audit.saw(Asked(ADA, "hub.heartbeat.engine.a1", b""), "ok")
        for changes in (False, True):
            with RequestContext():
                note_change(changes)
                note_change(False)
                audit.saw(Asked(ADA, "hub.register", b'{"name":"a","instance_id":"a1"}'), "ok")
        for outcome in sorted(REFUSALS):
            audit.saw(Asked(ADA, "hub.discover", b"{}"), outcome)
        audit.saw(Unproven("hub.discover", b"{}"), "unauthenticated")
        with RequestContext() as request:
            note_change(False)
            audit.saw(Asked(ADA, "hub.config.put", b"{}"), "conflict")
            assert request.changes is False
        assert audit.wants("hub.register")
        assert audit.wants("hub.a.subject.of.tomorrow")
        assert not audit.wants("hub.discover")
    told = [(entry["kind"], entry["subject"], entry.get("caller"), entry["outcome"]) for entry in stream.told()]
    assert told == [
        ("request", "hub.register", "operator:ada", "ok"),
        ("refused", "hub.discover", "operator:ada", "forbidden"),
        ("refused", "hub.discover", "operator:ada", "rate_limited"),
        ("refused", "hub.discover", "operator:ada", "unauthenticated"),
        ("refused", "hub.discover", None, "unauthenticated"),
        ("request", "hub.config.put", "operator:ada", "conflict"),
    ]


async def test_a_flood_of_refusals_is_one_entry_and_a_number() -> None:
    stream, time = Stream(), Time()
    async with auditing(stream, time) as audit:
        for _ in range(5000):
            audit.saw(Asked(ADA, "hub.secret.put", b"{}"), "forbidden")
            audit.login(None, "10.0.0.66", "unauthenticated", "nkey: unknown")
        time.seconds = 12.0
        await until(lambda: len(stream.told()) == 4)
        audit.saw(Asked(ADA, "hub.secret.put", b"{}"), "forbidden")
    told = [(entry["kind"], entry.get("caller"), entry["outcome"], entry.get("count", 1)) for entry in stream.told()]
    assert told == [
        ("refused", "operator:ada", "forbidden", 1),
        ("login", None, "unauthenticated", 1),
        ("refused", "operator:ada", "forbidden", 4999),
        ("login", None, "unauthenticated", 4999),
        ("refused", "operator:ada", "forbidden", 1),
    ]
    assert stream.faults() == []


async def test_logins_are_told_with_what_proved_them() -> None:
    stream = Stream()
    async with auditing(stream) as audit:
        audit.login(ADA, ADA.host, "ok", "nkey:UABC")
        audit.login(None, "10.0.0.66", "unauthenticated", "x" * 1000)
    one, other = stream.told()
    assert (one["caller"], one["host"], one["outcome"], one["reason"]) == (
        "operator:ada",
        "10.0.0.7",
        "ok",
        "nkey:UABC",
    )
    assert ("caller" in other, other["host"], len(other["reason"])) == (False, "10.0.0.66", 256)


async def test_what_cannot_be_written_is_written_later_once_and_in_its_order() -> None:
    stream = Stream()
    fails = iter([Unavailable("NATS is away")] * 3 + [None] + [Unavailable("NATS is away")] * 2)
    stream.refuse = lambda: next(fails, None)
    async with auditing(stream) as audit:
        for number in range(1000):
            audit.saw(Asked(ADA, "hub.register", f'{{"name":"s{number}"}}'.encode()), "ok")
        await until(lambda: not writer(audit).waiting)
        assert (writer(audit).written, writer(audit).lost, stream.restored) == (1001, 0, 5)
    assert [entry["target"] for entry in stream.told()] == [f"s{number}" for number in range(1000)]
    assert stream.messages < 20
    assert stream.faults() == []


async def test_what_there_is_no_room_for_is_counted_in_its_place() -> None:
    stream = Stream(refuse=lambda: Unavailable("NATS is away"))
    async with auditing(stream, capacity=5) as audit:
        for number in range(8):
            audit.saw(Asked(ADA, "hub.register", f'{{"name":"s{number}"}}'.encode()), "ok")
        assert writer(audit).lost == 3
        assert "has lost entries: 3" in audit.condition.reason
        assert audit.plain()["hub_audit_lost_total"]() == 3
        stream.refuse = lambda: None
        await until(lambda: not writer(audit).waiting and len(stream.told()) >= 6)
        audit.saw(Asked(ADA, "hub.register", b'{"name":"later"}'), "ok")
    told = [entry.get("target") or (entry["kind"], entry["count"]) for entry in stream.told()]
    assert told == ["s0", "s1", "s2", "s3", "s4", ("lost", 3), "later"]
    assert stream.faults() == []


async def test_a_chain_that_somebody_else_has_written_to_goes_on_and_that_is_told() -> None:
    stream = Stream()
    foreign = iter([Foreign("something else was written", 0)])
    stream.refuse = lambda: next(foreign, None)
    async with auditing(stream) as audit:
        audit.saw(Asked(ADA, "hub.register", b'{"name":"a"}'), "ok")
        await until(lambda: not writer(audit).waiting)
        assert writer(audit).foreign == 1
    assert [entry["target"] for entry in stream.told()] == ["a"]


async def test_what_still_waits_at_the_end_and_cannot_be_written_is_lost_within_the_time_given() -> None:
    stream = Stream(refuse=lambda: Unavailable("NATS is away"))
    audit = Audit(stream, "hub-1a2b3c4d", Time().clock)
    await audit.__aenter__()
    audit.saw(Asked(ADA, "hub.register", b'{"name":"a"}'), "ok")
    await audit.aclose(0.2)
    assert writer(audit).lost >= 1
    assert stream.lines == []


async def test_chains_vouch_for_what_others_have_written_and_not_for_that_they_have_vouched() -> None:
    stream, time = Stream(), Time()

    def other(number: int, kind: Any) -> AuditEntry:
        name = "hub-2-20260301T080000Z"
        return AuditEntry(chain=name, number=number, at=START, kind=kind, previous="", hash=f"{number:064x}")

    stream.others["hub-2-20260301T080000Z"] = other(7, "request")
    async with auditing(stream, time, checkpoint=5.0) as audit:
        await until(lambda: writer(audit).written == 1)
        for number, kind in ((7, "request"), (8, "checkpoint"), (9, "login")):
            stream.others["hub-2-20260301T080000Z"] = other(number, kind)
            time.seconds += 6
            await until(lambda: writer(audit).due > time.seconds)
        await until(lambda: writer(audit).written == 2)
    kinds = [(each["kind"], [head["number"] for head in each.get("anchors", {}).values()]) for each in stream.told("-")]
    assert kinds == [("begin", [7]), ("checkpoint", [9]), ("end", [])]


async def test_where_nothing_is_audited_nothing_is_kept() -> None:
    async with Audit(None, "hub-1a2b3c4d", Time().clock) as audit:
        audit.saw(Asked(ADA, "hub.register", b"{}"), "ok")
        audit.login(ADA, "", "ok")
        assert not audit.wants("hub.register")
        assert (audit.writer, audit.plain()) == (None, {})
        assert audit.condition.well


@pytest.mark.parametrize(
    ("subject", "payload", "target"),
    [
        ("hub.register", b'{"name":"engine","instance_id":"a1","host":"h"}', "engine/a1"),
        ("hub.discover", b'{"name":"engine"}', "engine"),
        ("hub.config.get", b'{"service":"engine","target":12}', "engine"),
        ("hub.config.put", b'{"changes":[{"service":"a","values":{"x":1}},{"service":"_all"}]}', "a,_all"),
        ("hub.config.put", MANY, ",".join(f"s{n}" for n in range(16)) + " and 4 more"),
        ("hub.key.rotate", b'{"id":"k-17"}', "k-17"),
        ("hub.access.revoke", b'{"who":"external:partner","reason":"r"}', "external:partner"),
        ("hub.access.revoke", b'{"credential":"nkey:UABC"}', "nkey:UABC"),
        ("hub.discover", json.dumps({"name": "x" * 5000}).encode(), "x" * 256),
        ("hub.discover", b'{"name":7}', ""),
        ("hub.discover", b"", ""),
        ("hub.discover", b"\xff", ""),
        ("hub.discover", b"[" * 5000, ""),
        ("hub.metrics", b'{"name":"engine"}', ""),
        ("hub.unheard-of", b'{"name":"engine"}', ""),
        ("hub.secret.delete", b'{"name":"db","changes":[{"service":"decoy"}]}', "db"),
        ("hub.secret.delete", b'{"name":"db","service":5,"id":[],"changes":"no"}', "db"),
        ("hub.config.rollback", b'{"name":"decoy","service":"engine","instance_id":"a1"}', "engine"),
        ("hub.key.revoke", b'{"name":"decoy","id":"k-17"}', "k-17"),
        ("hub.access.revoke", b'{"id":"decoy","service":"decoy","who":"external:partner"}', "external:partner"),
    ],
)
def test_a_request_is_about_what_it_names_and_not_about_what_is_added_to_it(
    subject: str, payload: bytes, target: str
) -> None:
    assert target_of(subject, payload) == target


async def test_an_entry_that_cannot_be_written_at_all_is_counted_and_breaks_nothing() -> None:
    stream = Stream()
    async with auditing(stream) as audit:
        audit.login(None, "\ud800", "unauthenticated")
        audit.login(None, "10.0.0.7", "unauthenticated")
        await until(lambda: writer(audit).written == 2)
        assert writer(audit).lost == 1
    assert [entry["host"] for entry in stream.told()] == ["10.0.0.7"]
    assert stream.faults() == []
