"""The copy of the audit in a real PostgreSQL: each entry once, and found by the same words as in NATS."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.core.auditchain import Chain, read_line
from hub.core.auditquery import matches
from hub.errors import Unavailable
from hub.store.ports import AuditMessage
from hub.store.postgres import Database, PostgresAudit
from hub.wire.audit import AuditEntry, SearchAudit
from tests.postgres_server import PostgresServer

NOW, LATER = "20260301T090000000000000Z", "20260302T090000000000000Z"
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
QUERIES: tuple[dict[str, Any], ...] = (
    {},
    {"caller": "operator:ada"},
    {"caller": "service:eng*"},
    {"caller": "-"},
    {"caller": "%"},
    {"host": "10.0.0.7"},
    {"subject": "hub.config.*"},
    {"subject": "hub.config_put"},
    {"target": "engine/a1"},
    {"target": "engine*"},
    {"target": "a%*"},
    {"target": "*"},
    {"outcome": "ok"},
    {"outcome": "refused"},
    {"outcome": "forbidden", "caller": "operator:ada"},
    {"since": START + timedelta(seconds=40)},
    {"until": START + timedelta(seconds=40), "subject": "hub.register"},
    {"since": START + timedelta(seconds=20), "until": START + timedelta(seconds=60), "outcome": "refused"},
    {"target": "'; DROP TABLE audit; --"},
    {"target": "a\0b"},
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
async def audit(postgres: PostgresServer) -> AsyncIterator[PostgresAudit]:
    database = Database(postgres.url)
    found = PostgresAudit(database, "HUB_AUDIT", f"test_{uuid.uuid4().hex[:12]}")
    await found.open()
    yield found
    await database.aclose()


def messages(count: int, *, seed: int = 0, first: int = 1) -> list[AuditMessage]:
    """Messages of two chains with entries of all kinds."""
    chance = random.Random(seed)
    chains = [Chain(f"hub-{seed:04}{number}-20260301T090000Z") for number in range(2)]
    found = []
    for number in range(count):
        at = START + timedelta(seconds=number)
        chain = chance.choice(chains)
        lines = [
            chain.seal(
                at,
                kind="request",
                caller=chance.choice([None, "operator:ada", "service:engine/a1", "%"]),
                host=chance.choice(["", "10.0.0.7"]),
                subject=chance.choice(["hub.register", "hub.config.put", "hub.configXput"]),
                target=chance.choice(["", "engine", "engine/a1", "a%b", "axb", "a\0b"]),
                outcome=chance.choice(["ok", "forbidden", "conflict", ""]),
            )
            for _ in range(chance.randint(1, 3))
        ]
        found.append(AuditMessage(first + number, at, chain.name, lines))
    return found


def entry(line: bytes | str) -> AuditEntry:
    found = read_line(line if isinstance(line, bytes) else line.encode())
    assert found is not None
    return found


async def test_a_search_in_sql_finds_what_the_same_search_in_nats_finds(audit: PostgresAudit) -> None:
    stored = messages(100)
    await audit.append(NOW, stored)
    whole = [entry(line) for message in stored for line in message.lines]
    for given in QUERIES:
        query = SearchAudit(**given)
        rows = await audit.search(query, after=0, limit=1000, incarnation=NOW, first=1000)
        found = [entry(row.line) for row in rows]
        assert found == [each for each in whole if matches(each, query)] or "\0" in query.target, given


async def test_entries_come_back_byte_for_byte_in_the_order_of_the_stream_and_each_once(audit: PostgresAudit) -> None:
    stored = messages(60)
    lines = [line.decode() for message in stored for line in message.lines]
    await asyncio.gather(*(audit.append(NOW, stored[begin : begin + 30]) for begin in (0, 0)))
    await asyncio.gather(audit.append(NOW, stored[30:]), audit.append(NOW, stored[20:]))
    assert await audit.mark(NOW) == 60
    assert await audit.mark(LATER) == 0
    found: list[str] = []
    after = 0
    while rows := await audit.rows(after=after, limit=7):
        found += [row.line for row in rows]
        after = rows[-1].row
    assert found == lines


async def test_what_the_stream_still_has_is_left_to_it_and_what_an_earlier_one_had_is_not(audit: PostgresAudit) -> None:
    await audit.append(NOW, messages(10, seed=1))
    await audit.append(LATER, messages(10, seed=2))
    rows = await audit.search(SearchAudit(), after=0, limit=1000, incarnation=LATER, first=6)
    assert [row.sequence for row in rows if "hub-0001" in row.chain][-1] == 10
    assert max(row.sequence for row in rows if "hub-0002" in row.chain) == 5


async def test_what_is_no_entry_is_passed_over_and_holds_nothing_up(audit: PostgresAudit) -> None:
    [good] = messages(1)
    bad = AuditMessage(2, START, "hub-1-20260301T090000Z", [b"", b"\xff\0", b"{}", good.lines[0]])
    huge = Chain(good.chain).seal(START, kind="request").replace(b'"number":1', b'"number":99999999999999999999')
    assert await audit.append(NOW, [good, bad, AuditMessage(3, START, good.chain, [huge])]) == len(good.lines)
    assert await audit.mark(NOW) == 3


async def test_before_it_was_reached_nothing_is_waited_for(postgres: PostgresServer) -> None:
    away = PostgresAudit(Database(postgres.url), "HUB_AUDIT", "central_hub")
    with pytest.raises(Unavailable):
        await away.rows(after=0, limit=1)
