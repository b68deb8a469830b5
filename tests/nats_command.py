"""The `nats` command where it is not installed: those of its forms that the README uses, said through nats-py.

python -m tests.nats_command request SUBJECT BODY | publish SUBJECT BODY | subscribe SUBJECT

NATS_URL says where. A form that it does not know is an error, so that nothing passes without having been said.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.calls import connected


async def main(arguments: Sequence[str]) -> int:
    """Say it; returns the exit code."""
    async with connected(os.environ["NATS_URL"]) as client:
        match arguments:
            case ["request", subject, body] if not subject.startswith("-"):
                _show(await client.request(subject, body.encode(), timeout=5))
            case ["publish", subject, body] if not subject.startswith("-"):
                await client.publish(subject, body.encode())
                await client.flush()
                print(f'Published {len(body.encode())} bytes to "{subject}"')
            case ["subscribe" | "sub", subject] if not subject.startswith("-"):
                await _subscribe(client, subject)
            case _:
                print(f"no form of the nats command known here: {' '.join(arguments)}", file=sys.stderr)
                return 2
    return 0


async def _subscribe(client: Client, subject: str) -> None:
    """Show what comes, until the process is ended."""
    subscription = await client.subscribe(subject)
    await client.flush()
    number = 0
    async for message in subscription.messages:
        number += 1
        print(f'[#{number}] Received on "{message.subject}"')
        _show(message)


def _show(message: Msg) -> None:
    for name, value in (message.headers or {}).items():
        print(f"{name}: {value}")
    print(f"{message.data.decode()}\n", flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
