"""Talking to a hub in tests as a service in any language would: plain nats-py, plain JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats.errors
from nats.aio.client import Client

from tests import enforcing


@asynccontextmanager
async def connected(url: str | list[str], **options: Any) -> AsyncIterator[Client]:
    """A connection that is closed in the end; at an enforced hub of an operator (see `tests.enforcing`)."""
    client = await enforcing.connect(url, **options)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def connected_as(caller: str, url: str) -> AsyncIterator[Client]:
    """The same, but at an enforced hub of that caller alone, `service:engine` or `enforcing.HUB`."""
    client = await enforcing.connect(url, caller)
    try:
        yield client
    finally:
        await client.close()


async def call(client: Client, subject: str, message: Any = None, *, timeout: float = 10.0) -> Any:
    """The decoded reply to a request, error replies too (see `refusal`). `message` is bytes, or anything for JSON."""
    payload = message if isinstance(message, bytes) else json.dumps(message if message is not None else {}).encode()
    reply = await client.request(subject, payload, timeout=timeout)
    return json.loads(reply.data)


async def insist(client: Client, subject: str, message: Any = None, *, timeout: float = 2.0) -> Any:
    """The decoded reply, however often it has to be asked for while hubs and servers come and go."""
    while True:
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            reply = await call(client, subject, message, timeout=timeout)
            if not reply.get("error", {}).get("retryable"):
                return reply
        await asyncio.sleep(0.05)


async def refusal(client: Client, subject: str, message: Any) -> dict[str, Any]:
    """The error of the error reply to a request, checked against its headers."""
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    reply = await client.request(subject, payload, timeout=10)
    error: dict[str, Any] = json.loads(reply.data)["error"]
    assert reply.headers is not None
    assert reply.headers["Nats-Service-Error"]
    assert int(reply.headers["Nats-Service-Error-Code"]) >= 400
    assert error["message"]
    return {**error, "status": int(reply.headers["Nats-Service-Error-Code"])}


async def register(
    client: Client, name: str, instance_id: str | None = None, *, timeout: float = 10.0, **given: Any
) -> Any:
    """Register an instance, and return once it can be discovered; by default one that nobody expects to beat.

    Without an `instance_id` it is called after its service.
    """
    message = {"name": name, "host": "127.0.0.1", "port": 8000, "liveness": "permanent", **given}
    message["instance_id"] = instance_id or f"{name}-1"
    return await call(client, "hub.register", message, timeout=timeout)


async def discover(client: Client, name: str, **given: Any) -> Any:
    """Discover a service."""
    return await call(client, "hub.discover", {"name": name, **given})


async def ids(client: Client, name: str, **given: Any) -> list[str]:
    """The ids of the instances that a discovery finds."""
    return [instance["instance_id"] for instance in (await discover(client, name, **given))["instances"]]


async def held_by(client: Client, stream: str, servers: int, seconds: float) -> str:
    """Wait until so many servers have all of a stream, since one that still reads can replace no other; its leader."""
    deadline = time.monotonic() + seconds
    while True:
        info = await client.jetstream().stream_info(stream)
        cluster = info.cluster
        others = (cluster and cluster.replicas) or []
        if cluster and cluster.leader and [peer.current for peer in others] == [True] * (servers - 1):
            assert info.config.num_replicas == servers
            return cluster.leader
        assert time.monotonic() < deadline, f"{stream}: {cluster}, expected {servers} servers that have it"
        await asyncio.sleep(0.1)
