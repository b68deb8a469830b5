"""NATS checks: who answers, who does not, and what counts as an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.probes import Outcome, Probes
from hub.settings.model import Probes as ProbeSettings
from hub.wire.checks import NatsCheck
from tests.calls import connected
from tests.servers import NatsServer
from tests.waiting import until

SOON = 0.4


@pytest.fixture
async def responder(nats_server: NatsServer) -> AsyncIterator[Client]:
    """Answers on `good`, with an error on `bad`, and never on `silent`."""
    async with connected(nats_server.url, max_reconnect_attempts=0) as client:

        async def good(message: Msg) -> None:
            await message.respond(b"heard " + message.data)

        async def bad(message: Msg) -> None:
            headers = {"Nats-Service-Error-Code": "500", "Nats-Service-Error": "the disk\x1b[2J is full"}
            await client.publish(message.reply, b"", headers=headers)

        async def silent(message: Msg) -> None:
            pass

        for subject, answer in (("good", good), ("bad", bad), ("silent", silent)):
            await client.subscribe(subject, cb=answer)
        for _ in range(2):  # the first may be answered by the server's word to the connecting itself
            await client.flush()
        yield client


@pytest.fixture
async def hub_client(nats_server: NatsServer) -> AsyncIterator[Client]:
    async with connected(nats_server.url, max_reconnect_attempts=-1, reconnect_time_wait=1) as client:
        yield client


async def ask(client: Client, subject: str, *, timeout: float = 3.0) -> Outcome:
    async with Probes(ProbeSettings(), client) as probes:
        check = NatsCheck(subject=subject, timeout=timeout, payload="ping")
        return await probes.prober(check, host="127.0.0.1", port=1, protocol="nats")()


async def test_an_answer_passes(hub_client: Client, responder: Client) -> None:
    assert (await ask(hub_client, "good"))[:2] == (True, "answered")


async def test_an_error_of_the_micro_protocol_fails(hub_client: Client, responder: Client) -> None:
    assert (await ask(hub_client, "bad"))[:2] == (False, "500 the disk [2J is full")


async def test_a_subject_that_nobody_listens_on_fails_at_once(hub_client: Client) -> None:
    outcome = await ask(hub_client, "nobody.here", timeout=5)
    assert outcome[:2] == (False, "nobody listens on nobody.here")
    assert outcome.seconds < 5


async def test_a_service_that_does_not_answer_fails_in_time(hub_client: Client, responder: Client) -> None:
    assert (await ask(hub_client, "silent", timeout=SOON))[:2] == (False, f"no answer within {SOON} s")


async def test_a_payload_that_the_server_does_not_take_fails(nats_server: NatsServer) -> None:
    nats_server.stop()
    small = NatsServer(nats_server.folder / "small", port=nats_server.port, config="max_payload: 64")
    with small:
        async with connected(small.url) as client, Probes(ProbeSettings(), client) as probes:
            check = NatsCheck(subject="good", payload="x" * 100)
            outcome = await probes.prober(check, host="127.0.0.1", port=1, protocol="nats")()
    assert not outcome.ok
    assert "at most 64 bytes" in outcome.output


async def test_a_frozen_server_fails_in_time(hub_client: Client, responder: Client, nats_server: NatsServer) -> None:
    nats_server.pause()
    try:
        assert (await ask(hub_client, "good", timeout=SOON))[:2] == (False, f"no answer within {SOON} s")
    finally:
        nats_server.resume()


async def test_a_hub_that_has_lost_nats_says_so_of_itself(hub_client: Client, nats_server: NatsServer) -> None:
    async with Probes(ProbeSettings(), hub_client) as probes:
        prober = probes.prober(NatsCheck(subject="good"), host="127.0.0.1", port=1, protocol="nats")
        nats_server.kill()
        await until(lambda: not hub_client.is_connected)
        assert (await prober())[:2] == (False, "the hub itself is not connected to NATS")
        nats_server.start()
        await until(lambda: hub_client.is_connected)
        assert (await prober())[:2] == (False, "nobody listens on good")
