"""A process that wants the leader's lease, for tests that stop it: `python -m tests.store.holder URL BUCKET NAME TTL`.

It prints a line whenever what `held` says has changed, asked anew every few milliseconds, as fenced work would ask.
"""

from __future__ import annotations

import asyncio
import sys
import time

from hub.store.jetstream import JetStreamBucket
from hub.store.lease import LeaderLease
from hub.store.streams import BucketSpec
from hub.transport.connection import connect
from hub.transport.requests import Requester
from tests.store.stores import BRISK


async def _hold(url: str, bucket: str, name: str, ttl: float) -> None:
    client = await connect(url, name=name)
    async with Requester(client) as requester:
        store = JetStreamBucket(client, requester, BucketSpec(bucket), pace=BRISK)
        async with LeaderLease(store, name, ttl) as lease:
            said = False
            before = time.monotonic()
            while True:
                held, now = lease.held, time.monotonic()
                if now - before > ttl / 2:  # this process was stopped: what does it believe before anything else runs?
                    print("woke", "held" if held else "free", flush=True)
                if held != said:
                    print("held" if held else "free", lease.revision, flush=True)
                    said = held
                before = now
                await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(_hold(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
