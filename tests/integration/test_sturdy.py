"""What a connection survives that nats-py's own does not."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from hub.transport.connection import connect
from hub.transport.direct import subscribe_direct
from tests.calls import call, connected, discover, register
from tests.hubs import HubProcess
from tests.raw import published, send
from tests.servers import NatsServer
from tests.waiting import until

NO_TEXT = {
    "subject that is not UTF-8": published(b"sturdy.\xff\xfe.a"),
    "vertical tab in the subject": published(b"sturdy.a\x0bb.a"),
    "form feed in the subject": published(b"sturdy.a\x0cb.a", b"x" * 20_000),
    "reply that is not UTF-8": published(b"sturdy.a.b", reply=b"in\xff\xfebox"),
    "vertical tab in the reply": published(b"sturdy.a.b", reply=b"in\x0bbox"),
}
NO_HEADERS = {
    "status that is not UTF-8": b"NATS/1.0 \xff\xff\xff\r\n\r\n",
    "description that is not UTF-8": b"NATS/1.0 503 \xff\xff\xff\r\n\r\n",
    "key that is not UTF-8": b"NATS/1.0\r\n\xff\xfe: \xff\r\n\r\n",
    "one letter": b"N",
    "nothing but line ends": b"\r\n\r\n",
    "twenty thousand lines": b"NATS/1.0\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
}


async def test_a_flush_ends_when_all_that_was_sent_before_it_has_arrived(shared_nats: NatsServer) -> None:
    client = await connect(shared_nats.url, name="sturdy")
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    for n in range(100):
        await subscribe_direct(client, f"sturdy-flush.{n}", hear)
        await client.publish(f"sturdy-flush.{n}", b"%d" % n)
        await client.flush()
        assert heard == [b"%d" % m for m in range(n + 1)]
    await client.close()


@pytest.mark.parametrize("what", NO_TEXT)
async def test_a_message_that_is_no_text_is_dropped_and_the_next_is_heard(shared_nats: NatsServer, what: str) -> None:
    client = await connect(shared_nats.url, name="sturdy")
    heard: list[bytes] = []

    async def on_message(message: Msg) -> None:
        heard.append(message.data)

    await client.subscribe("sturdy.*.*", cb=on_message)
    await client.flush()
    await send(shared_nats.url, NO_TEXT[what], NO_TEXT[what], published(b"sturdy.a.b", b"next"))
    await until(lambda: heard == [b"next"], "the message after the bad ones")
    assert client.stats["reconnects"] == 0
    await client.close()


@pytest.mark.parametrize("what", NO_HEADERS)
async def test_broken_headers_do_not_keep_the_payload_from_being_heard(shared_nats: NatsServer, what: str) -> None:
    client = await connect(shared_nats.url, name="sturdy")
    heard: list[bytes] = []

    async def on_message(message: Msg) -> None:
        heard.append(message.data)

    await client.subscribe("sturdy-headers.>", cb=on_message)
    await client.flush()
    frame = published(b"sturdy-headers.a", b"with", headers=NO_HEADERS[what])
    await send(shared_nats.url, frame, published(b"sturdy-headers.a", b"next"))
    await until(lambda: heard == [b"with", b"next"], "both messages")
    assert client.stats["reconnects"] == 0
    await client.close()


async def test_a_hub_goes_on_hearing_after_messages_that_are_no_text(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        async with connected(hub.nats_url) as client:
            await register(client, "heard")
            for prefix in (b"hub.heartbeat.", b"hub.health.", b"hub.events."):
                await send(hub.nats_url, published(prefix + b"\xff.\xff"), published(prefix + b"a\x0b.a"))
            for subject in (b"hub.discover", b"hub.register", b"hub.services", b"hub.deregister"):
                await send(hub.nats_url, published(subject, b"{}", reply=b"\xff\xfe"))
                await send(hub.nats_url, published(subject, b"{}", reply=b"a.*.>", headers=b"NATS/1.0 \xff\r\n\r\n"))
            assert len((await discover(client, "heard"))["instances"]) == 1
            assert len((await call(client, "hub.services"))["services"]) == 1
        assert "Traceback" not in hub.output()
        assert "reconnecting" not in hub.output()


@pytest.mark.parametrize("delay", [0.0, 0.02])
async def test_a_hub_whose_nats_dies_while_it_ends_leaves_without_a_word_of_it(tmp_path: Path, delay: float) -> None:
    with NatsServer(tmp_path / "nats") as server, HubProcess(tmp_path / "hub", nats_url=server.url) as hub:
        async with connected(server.url, allow_reconnect=False) as client:
            burst = [asyncio.create_task(register(client, f"s{n}")) for n in range(50)]
            await asyncio.wait(burst, return_when=asyncio.FIRST_COMPLETED)
            server.kill()
            await asyncio.sleep(delay)  # so that the hub is met before and after it has noticed
            hub.interrupt(signal.SIGTERM)
            assert hub.wait() == 0
            for task in burst:
                task.cancel()
            await asyncio.gather(*burst, return_exceptions=True)
        assert "Traceback" not in hub.output()
