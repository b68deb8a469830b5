"""Reading the audit in tests, and doing to it what nobody should."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.js.api import StreamConfig

from tests.calls import call
from tests.commands import run

STREAM = "HUB_AUDIT"


class Stored(NamedTuple):
    """One message of the stream."""

    subject: str
    lines: list[bytes]


async def entries(client: Client, **query: Any) -> list[dict[str, Any]]:
    """All entries that a hub finds, page by page."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await call(client, "hub.audit.search", {**query, "after": after})
        found += page["entries"]
        if page["next"] is None:
            return found
        after = page["next"]


async def until_entries(client: Client, count: int, **query: Any) -> list[dict[str, Any]]:
    """The entries that a hub finds, once there are so many."""
    deadline = asyncio.get_running_loop().time() + 30
    while len(found := await entries(client, **query)) < count:
        assert asyncio.get_running_loop().time() < deadline, f"expected {count}, found {found}"
        await asyncio.sleep(0.05)
    return found


async def verdict(url: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """What `hub audit verify` says: its exit code, and the JSON."""
    done = await asyncio.to_thread(run, "audit", "verify", "--json", *arguments, nats=url)
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, told


async def stored(client: Client) -> list[Stored]:
    """Every message of the stream."""
    jetstream = client.jetstream()
    state = (await jetstream.stream_info(STREAM)).state
    found = []
    for sequence in range(state.first_seq, state.last_seq + 1):
        message = await jetstream.get_msg(STREAM, sequence, direct=True)
        found.append(Stored(message.subject or "", (message.data or b"").split(b"\n")))
    return found


async def made_anew(client: Client, change: Callable[[list[Stored]], list[Stored]]) -> None:
    """Put another stream in the place of the audit's, with what `change` makes of its messages.

    This is what is left to somebody with all rights to NATS: from the stream itself nothing can be taken.
    """
    jetstream = client.jetstream()
    config: StreamConfig = (await jetstream.stream_info(STREAM)).config
    messages = change(await stored(client))
    await jetstream.delete_stream(STREAM)
    await jetstream.add_stream(config)
    for subject, lines in messages:
        await jetstream.publish(subject, b"\n".join(lines))
