"""A service that finds others: for each request it discovers a trading engine and calls it, directly.

python -m examples.api_gateway --nats nats://127.0.0.1:4222 --port 8000
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from examples.tiny_http import get, serve, until_told_to_stop
from hub.client import CentralHubClient, HubError

ATTEMPTS = 3


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="An API gateway that finds trading engines through Central Hub.")
    parser.add_argument("--nats", metavar="URL", help="where NATS is (default: $NATS_URL, or this machine)")
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: any free port)")
    parser.add_argument("--name", default="api-gateway", help="the service to register as (default: %(default)s)")
    parser.add_argument("--instance-id", help="the id to register under (default: made from name, host and port)")
    parser.add_argument("--engine", default="trading-engine", help="the service to call (default: %(default)s)")
    return parser.parse_args()


async def main() -> None:
    """Listen, register, pass requests on until told to stop, deregister."""
    options = arguments()

    async def answer(path: str) -> tuple[int, Any]:
        if path == "/health":
            return 200, {"status": "ok"}
        tried: list[str] = []
        for _ in range(ATTEMPTS):
            try:
                engine = await hub.discover(options.engine, exclude=tried)
            except HubError as error:
                return 503, {"error": error.message, "tried": tried}
            try:
                status, body = await get(engine.host, engine.port, path)
                return status, {**body, "tried": tried}
            except (OSError, TimeoutError):
                tried.append(engine.instance_id)
        return 502, {"error": f"no {options.engine} answered", "tried": tried}

    server, port = await serve(answer, host="127.0.0.1", port=options.port)
    hub = CentralHubClient(
        options.name,
        "api-gateway",
        port=port,
        host="127.0.0.1",
        instance_id=options.instance_id,
        nats_url=options.nats,
        health_endpoint="/health",
        depends_on=[options.engine],
        version="1.0.0",
    )
    async with server, hub:  # deregisters before it stops to listen
        print(f"{hub.instance_id} listens on http://127.0.0.1:{port}", flush=True)
        await until_told_to_stop()


if __name__ == "__main__":
    asyncio.run(main())
