"""The stream of the audit on a real NATS: a message is there once, behind the one before, whatever its writer knows."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from nats.aio.client import Client

from hub.core.auditchain import Chain
from hub.errors import Unavailable
from hub.store.auditlog import AuditLog, Foreign
from hub.store.streams import AUDIT, ensure
from hub.transport.connection import close, connect
from hub.transport.requests import Requester
from tests.servers import NatsServer

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class Opened(NamedTuple):
    """A connection, with requests on it."""

    client: Client
    requester: Requester


@pytest.fixture
async def store(shared_nats: NatsServer) -> AsyncIterator[Opened]:
    client = await connect(shared_nats.url, name="audit-log")
    async with Requester(client) as requester:
        await ensure(requester, AUDIT)
        yield Opened(client, requester)
    await close(client)


@pytest.fixture
def log(store: Opened) -> AuditLog:
    return AuditLog(store.client, store.requester, AUDIT)


def chain() -> Chain:
    """A chain that no other test writes to."""
    return Chain(f"hub-{uuid.uuid4().hex[:8]}-20260301T090000Z")


def sealed(chain: Chain, count: int = 2) -> list[bytes]:
    return [chain.seal(START, kind="request", target=f"t{number}") for number in range(count)]


async def test_a_message_that_is_written_again_is_there_once_even_after_its_id_is_forgotten(log: AuditLog) -> None:
    mine = chain()
    lines = sealed(mine)
    sequence = await log.append(mine.name, lines, f"{mine.name}:1", after=0)
    assert await log.append(mine.name, lines, f"{mine.name}:1", after=0) == sequence
    assert await log.append(mine.name, lines, f"{mine.name}:forgotten", after=0) == sequence
    more = sealed(mine)
    second = await log.append(mine.name, more, f"{mine.name}:3", after=sequence)
    found = (await log.read(after=0, most=10, size=2**20, chain=mine.name)).messages
    assert [(each.sequence, each.chain, each.lines) for each in found] == [
        (sequence, mine.name, lines),
        (second, mine.name, more),
    ]


async def test_what_somebody_else_has_written_to_a_chain_is_noticed(log: AuditLog) -> None:
    mine = chain()
    first = await log.append(mine.name, sealed(mine), f"{mine.name}:1", after=0)
    forged = await log.append(mine.name, [b"forged"], "forged", after=first)
    with pytest.raises(Foreign) as noticed:
        await log.append(mine.name, sealed(mine), f"{mine.name}:3", after=first)
    assert noticed.value.sequence == forged
    with pytest.raises(Foreign) as never:
        await log.append(chain().name, [b"x"], uuid.uuid4().hex, after=first)
    assert never.value.sequence == 0


async def test_the_heads_are_the_newest_entries_of_all_chains_but_ones_own(log: AuditLog) -> None:
    one, other = chain(), chain()
    first = await log.append(one.name, sealed(one), f"{one.name}:1", after=0)
    await log.append(other.name, sealed(other), f"{other.name}:1", after=0)
    broken = chain()
    await log.append(broken.name, [b"no entry"], f"{broken.name}:1", after=0)
    for _ in range(2):  # the second time from memory
        heads = await log.heads(but=other.name)
        assert (heads[one.name].number, heads[one.name].hash) == (2, one.head.hash if one.head else "")
        assert not {other.name, broken.name} & set(heads)
    await log.append(one.name, sealed(one, 1), f"{one.name}:3", after=first)
    assert (await log.heads())[one.name].number == 3


async def test_reading_begins_where_a_time_says(log: AuditLog) -> None:
    mine = chain()
    sequence = await log.append(mine.name, sealed(mine), f"{mine.name}:1", after=0)
    [message] = (await log.read(after=sequence - 1, most=1, size=2**20)).messages
    assert await log.since(message.stored) == sequence - 1
    assert await log.since(datetime.now(UTC) + timedelta(days=1)) >= sequence


async def test_a_stream_that_is_missing_is_made_again(store: Opened) -> None:
    spec = replace(AUDIT, stream="AUDIT_GONE", subjects=("gone.audit.*",))
    missing = AuditLog(store.client, store.requester, spec)
    with pytest.raises(Unavailable):
        await missing.read(after=0, most=1, size=1024)
    await missing.restore()
    assert (await missing.read(after=0, most=1, size=1024)).messages == []
    config = (await missing.info()).config
    assert (config["deny_delete"], config["deny_purge"]) == (True, True)
