"""Instances as services register them, and many of them registered at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from nats.aio.client import Client

from hub.transport.connection import connect
from hub.transport.requests import Requester
from hub.wire import fault
from tests.benchmarks.wire import PATIENCE

T = TypeVar("T")

IN_FLIGHT = 64
PER_SERVICE = 20
_TTL = 3600.0
"""Nobody beats here, and nobody is to expire while something else is measured."""


def registration(service: str, number: int) -> bytes:
    """What a service of the platform sends to register its instance of that number."""
    message: dict[str, Any] = {
        "name": service,
        "instance_id": f"{service}-{number}",
        "host": "10.0.0.1",
        "port": 1024 + number % 60_000,
        "protocol": "http",
        "health_endpoint": "/health",
        "metadata": {"type": "engine", "capabilities": ["http", "trading"], "max_connections": 1000},
        "version": "1.4.2",
        "zone": "eu-1",
        "ttl": _TTL,
    }
    return json.dumps(message).encode()


def registrations(prefix: str, count: int) -> list[bytes]:
    """So many of them, spread over services of twenty instances each."""
    return [registration(f"{prefix}-{number // PER_SERVICE}", number) for number in range(count)]


@asynccontextmanager
async def requesting(url: str) -> AsyncIterator[tuple[Client, Requester]]:
    """A connection for requests."""
    client = await connect(url, name="bench")
    async with Requester(client) as requester:
        yield client, requester
    await client.close()


async def ask(requester: Requester, subject: str, payload: bytes) -> bytes:
    """One request, which must not be refused."""
    reply = await requester.request(subject, payload, timeout=PATIENCE)
    fault.raise_for(reply.data, reply.headers)
    return reply.data


async def all_in_flight(work: Callable[[T], Awaitable[object]], items: Iterable[T]) -> None:
    """Do it with each item, so many at a time as are to be in flight."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker())


async def register_all(requester: Requester, messages: Iterable[bytes]) -> None:
    """Register them all."""
    await all_in_flight(partial(ask, requester, "hub.register"), messages)
