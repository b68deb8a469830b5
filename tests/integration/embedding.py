"""A process that runs an embedded nats-server and tells of it: `python -m tests.integration.embedding DATA_DIR HOW`.

It prints one line of JSON, and waits to be killed.
"""

from __future__ import annotations

import asyncio
import json
import sys

from hub.embedded import EmbeddedServer
from hub.embedded.binary import find
from hub.embedded.config import Login, ServerConfig
from hub.embedded.datadir import DataDir
from hub.embedded.process import ServerProcess
from hub.settings import load
from hub.telemetry.logging import configure


async def whole(folder: str) -> None:
    async with EmbeddedServer(load(overrides={"data_dir": folder, "nats.port": 0})) as server:
        tell(server.url, server.pid)
        await server.wait_failed()


async def bare(folder: str, *, by_kernel: bool) -> None:
    """Only the process and its lock, guarded in the given way."""
    data = DataDir(folder)
    lock = await data.lock()
    config = ServerConfig(data.nats, "127.0.0.1", 0, Login.fresh(), Login.fresh())
    process = await ServerProcess.start(find(), config, lock=lock, by_kernel=by_kernel)
    tell(f"nats://127.0.0.1:{process.port}", process.pid)
    await asyncio.Event().wait()


def tell(url: str, pid: int | None) -> None:
    print(json.dumps({"url": url, "pid": pid}), flush=True)


if __name__ == "__main__":
    _, data_dir, how = sys.argv
    configure()
    asyncio.run(whole(data_dir) if how == "whole" else bare(data_dir, by_kernel=how == "kernel"))
