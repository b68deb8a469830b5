"""Services that speak only the micro protocol of NATS: one by nats-py in a process of its own, one by hand.

Usage: python -m tests.microservice NATS_URL NAME VERSION [ENDPOINT=SUBJECT…]
It prints its id, answers its endpoints with what it is asked, and stops on SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nats
import nats.micro
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.micro.request import Request

_ROOT = Path(__file__).parent.parent


async def main(url: str, name: str, version: str, endpoints: list[str]) -> None:
    """Be the service until SIGTERM."""
    client = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=1, ping_interval=2)

    async def echo(request: Request) -> None:
        await request.respond(request.data)

    service = await nats.micro.add_service(client, name=name, version=version, description=f"The {name}.")
    for endpoint in endpoints:
        label, _, subject = endpoint.partition("=")
        await service.add_endpoint(name=label, subject=subject, handler=echo)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(service.id, flush=True)
    await stop.wait()
    await service.stop()
    await client.close()


class MicroProcess:
    """Such a process, for tests to stop, to kill and to freeze. Its context begins once it answers.

    Attributes:
        id: What it calls itself.
    """

    def __init__(self, url: str, name: str, version: str = "1.0.0", *endpoints: str) -> None:
        self._command = [sys.executable, "-m", "tests.microservice", url, name, version, *endpoints]
        self._process: subprocess.Popen[str] | None = None
        self.id = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.id = self._process.stdout.readline().strip()
        assert self.id, "the service did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def signal(self, sig: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        os.kill(self._process.pid, sig)

    def stop(self) -> int:
        """End it the orderly way; returns its exit code."""
        assert self._process is not None
        self.signal(signal.SIGTERM)
        return self._process.wait(20)

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


class ByHand:
    """A service of which a test says, message by message, what it answers.

    Attributes:
        ping, info: The answers; None for silence.
        asked: How often it was asked about itself.
    """

    def __init__(self, client: Client, name: str, instance_id: str, **said: Any) -> None:
        self._client = client
        self._name, self._id = name, instance_id
        self._subscriptions: list[Subscription] = []
        self.asked = 0
        self.ping: bytes | None = None
        self.info: bytes | None = None
        self.says(**said)

    def says(self, *, endpoints: tuple[dict[str, Any], ...] = (), **more: Any) -> None:
        """It answers so from now on, as the protocol has it."""
        who = {"name": self._name, "id": self._id, "version": "1.0.0", "metadata": {}, **more}
        self.ping = json.dumps({"type": "io.nats.micro.v1.ping_response", **who}).encode()
        told = {"type": "io.nats.micro.v1.info_response", "description": "", "endpoints": endpoints, **who}
        self.info = json.dumps(told).encode()

    async def __aenter__(self) -> Self:
        for verb, answer in (("PING", self._on_ping), ("INFO", self._on_info)):
            for rest in ("", f".{self._name}", f".{self._name}.{self._id}"):
                self._subscriptions.append(await self._client.subscribe(f"$SRV.{verb}{rest}", cb=answer))
        await self._client.flush()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        await self._client.flush()

    async def _on_ping(self, message: Msg) -> None:
        if self.ping is not None:
            await self._client.publish(message.reply, self.ping)

    async def _on_info(self, message: Msg) -> None:
        self.asked += 1
        if self.info is not None:
            await self._client.publish(message.reply, self.info)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
