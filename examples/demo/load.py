"""A steady stream of requests to the gateway, and the count of what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from examples.tiny_http import get

IN_FLIGHT = 64
"""Requests that wait for their answers at most; more are only sent when one of these is answered."""

REMEMBERED = 5
"""Of so many failures is kept what they were."""


@dataclass(slots=True)
class Tally:
    """What became of the requests so far. Times are of the event loop's clock.

    Attributes:
        sent: Requests sent to the gateway.
        answered: Those that an engine answered, by engine.
        retries: Attempts of the gateway at an engine that did not answer; it then tried another.
        failed: Requests that were not answered in the end.
        failures: What the first of these were.
    """

    sent: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    _tried_in_vain: list[tuple[str, float]] = field(default_factory=list)

    def add(self, status: int, body: Any, now: float) -> None:
        """Count the answer to one request; status 0 stands for none."""
        tried = body.get("tried", [])
        self.retries += len(tried)
        self._tried_in_vain += [(engine, now) for engine in tried]
        if status == 200:
            self.answered[body["engine"]] += 1
            return
        self.failed += 1
        if len(self.failures) < REMEMBERED:
            self.failures.append(f"{status or 'no answer'}: {body.get('error', body)}")

    def attempts_at(self, engine: str, since: float) -> list[float]:
        """When the answers came in of those requests whose first choice was an engine that did not answer.

        Each is somewhat later than the attempt itself: the time that the gateway took to try another is in it.
        """
        return [at for tried, at in self._tried_in_vain if tried == engine and at >= since]


async def send(port: int, *, seconds: float, rate: float, tally: Tally) -> None:
    """Send `rate` requests a second to the gateway on this machine, for so many seconds, several in flight.

    Returns when the last one is answered or given up. A machine that cannot keep up sends fewer.
    """
    loop = asyncio.get_running_loop()
    slots = asyncio.Semaphore(IN_FLIGHT)
    began = loop.time()

    async def request() -> None:
        try:
            status, body = await get("127.0.0.1", port, "/orders")
        except (OSError, TimeoutError) as error:
            status, body = 0, {"error": str(error) or type(error).__name__}
        finally:
            slots.release()
        tally.add(status, body, loop.time())

    async with asyncio.TaskGroup() as requests:
        while loop.time() < began + seconds:
            await slots.acquire()
            tally.sent += 1
            requests.create_task(request())
            await asyncio.sleep(began + tally.sent / rate - loop.time())
