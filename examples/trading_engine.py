"""A service that others find: it listens, registers, and answers `GET /orders` with its own name.

python -m examples.trading_engine --nats nats://127.0.0.1:4222 --port 0
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from examples.tiny_http import serve, until_told_to_stop
from hub.client import CentralHubClient


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="A trading engine that registers with Central Hub.")
    parser.add_argument("--nats", metavar="URL", help="where NATS is (default: $NATS_URL, or this machine)")
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: any free port)")
    parser.add_argument("--name", default="trading-engine", help="the service to register as (default: %(default)s)")
    parser.add_argument("--instance-id", help="the id to register under (default: made from name, host and port)")
    return parser.parse_args()


async def main() -> None:
    """Listen, register, work until told to stop, deregister."""
    options = arguments()
    orders = [{"id": 1, "symbol": "EURUSD", "side": "buy", "quantity": 1000}]

    async def answer(path: str) -> tuple[int, Any]:
        if path == "/health":
            return 200, {"status": "ok"}
        if path == "/orders":
            return 200, {"engine": hub.instance_id, "orders": orders}
        return 404, {"error": f"there is nothing at {path}"}

    server, port = await serve(answer, host="127.0.0.1", port=options.port)
    hub = CentralHubClient(
        options.name,
        "trading-engine",
        port=port,
        host="127.0.0.1",
        instance_id=options.instance_id,
        nats_url=options.nats,
        health_endpoint="/health",
        metadata={"capabilities": ["orders"]},
        version="1.0.0",
    )
    async with server, hub:  # deregisters before it stops to listen
        print(f"{hub.instance_id} listens on http://127.0.0.1:{port}", flush=True)
        await until_told_to_stop()


if __name__ == "__main__":
    asyncio.run(main())
