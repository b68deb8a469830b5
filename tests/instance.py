"""A service instance as another language would write it: plain NATS and JSON, in a process of its own.

Usage: python -m tests.instance NATS_URL[,NATS_URL…] SERVICE INSTANCE_ID [REGISTER_FIELDS_AS_JSON]
It registers, prints "registered", beats, and registers again when asked to. SIGTERM deregisters it.
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
from nats.aio.msg import Msg

_ROOT = Path(__file__).parent.parent


async def main(url: str, service: str, instance_id: str, fields: dict[str, Any]) -> None:
    """Be the instance until SIGTERM."""
    client = await nats.connect(
        url.split(","),
        name=f"{service}.{instance_id}",
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        ping_interval=2,
    )
    message = {"name": service, "instance_id": instance_id, "host": "127.0.0.1", "port": 1, **fields}

    async def register() -> Any:
        reply = await client.request("hub.register", json.dumps(message).encode(), timeout=10)
        return json.loads(reply.data)

    async def on_ask(asked: Msg) -> None:
        await register()

    registered = await register()
    await client.subscribe(f"hub.reregister.{service}.{instance_id}", cb=on_ask)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("registered", flush=True)
    while not stop.is_set():
        await client.publish(registered["heartbeat_subject"])
        try:
            await asyncio.wait_for(stop.wait(), registered["heartbeat_interval"])
        except TimeoutError:
            continue
    await client.request(
        "hub.deregister", json.dumps({"name": service, "instance_id": instance_id}).encode(), timeout=5
    )
    await client.close()


class InstanceProcess:
    """Such an instance, for tests to kill and to freeze. Its context begins once it is registered."""

    def __init__(self, url: str, service: str, instance_id: str, **fields: Any) -> None:
        self._command = [sys.executable, "-m", "tests.instance", url, service, instance_id, json.dumps(fields)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line == "registered\n", f"the instance did not register: {line!r}"
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


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}))
