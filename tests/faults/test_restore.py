"""A restore that is ended half way, beside a hub that runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.store import backup
from hub.store.ledger import JetStreamLedger
from hub.store.streams import CONFIG, ensure
from hub.transport.connection import connect
from hub.transport.requests import Requester
from hub.wire.codec import encode
from hub.wire.config import ConfigRecord
from tests.calls import call, connected
from tests.clients import eventually
from tests.commands import Running, run
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.store.test_backup import CREATED
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("restore-faults")

_SCOPES = 150
_CHANGES = 40


async def written(folder: Path) -> Path:
    """A backup that takes seconds to restore: many scopes, each with a history."""
    file = folder / "large.backup"
    with NatsServer(folder / "origin") as server:
        client = await connect(server.url, name="writer")
        async with Requester(client) as requester:
            for spec in backup.BUCKETS:
                await ensure(requester, spec)
            ledger = JetStreamLedger(client, requester, CONFIG)
            last = 0
            for number in range(_CHANGES):
                values = {f"s{scope}": record(f"s{scope}", number) for scope in range(_SCOPES)}
                last = await ledger.commit(values, expected=last)
            await backup.write(client, file, hub="3.0.0", created=CREATED)
        await client.close()
    return file


def record(scope: str, number: int) -> bytes:
    return encode(ConfigRecord(scope=scope, kind="put", at=CREATED, values={"n": number}))


async def is_sent_on(client: Client) -> bool:
    """Whether the stream of the configuration sends its changes on."""
    return (await stream(client))["config"].get("republish") is not None


async def is_half_way(client: Client) -> bool:
    """Whether some of the history is written."""
    return not await is_sent_on(client) and (await stream(client))["state"]["messages"] >= 200


async def stream(client: Client) -> Any:
    return json.loads((await client.request("$JS.API.STREAM.INFO.KV_hub-config", b"", timeout=10)).data)


async def test_a_restore_that_is_killed_leaves_a_stream_that_the_hub_mends_and_a_second_one_completes(
    tmp_path: Path,
) -> None:
    file = await written(tmp_path)
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "hub", nats_url=server.url, variables={"HUB_HEALTH_DEPENDENCY_INTERVAL": "0.5"}) as hub,
    ):
        async with connected(server.url) as client:
            told: list[Any] = []

            async def hear(message: Msg) -> None:
                told.append(json.loads(message.data))

            await client.subscribe("hub.health.nats", cb=hear)
            with Running("restore", str(file), nats=server.url):
                await eventually(lambda: is_half_way(client), "it is at work")
            stopped = (await stream(client))["state"]["last_seq"]
            assert not await is_sent_on(client), "it was killed before it was done"
            await until(lambda: any("does not send its changes on" in each["reason"] for each in told), within=20)
            await eventually(lambda: is_sent_on(client), "the hub mends it", within=60)
            assert (await stream(client))["state"]["last_seq"] == stopped
            await until(lambda: "restore again with --force" in hub.output(), within=20)
            await until(lambda: told[-1]["status"] == "passing", within=20)
            again = await asyncio.to_thread(run, "restore", str(file), "--force", nats=server.url)
            assert again.returncode == 0, again.stderr
            assert await is_sent_on(client)
            assert hub.output().count("sends its changes on again") == 1, "one that is at work is left alone"
            found = await call(client, "hub.config.get", {"service": "s7"})
            assert found["values"] == {"n": _CHANGES - 1}
