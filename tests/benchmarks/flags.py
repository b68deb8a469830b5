"""Evaluating a feature flag in the SDK beside looking up a key in a dict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from hub.client import CentralHubClient
from hub.transport.requests import Requester
from tests.benchmarks.fleet import ask, requesting
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import Pace, Say, in_turn
from tests.hubs import HubProcess

_CALLS_BETWEEN_LOOKS = 1000
_CONTEXT: Final[dict[str, Any]] = {"targetingKey": "user-1234", "country": "DE", "plan": "pro"}
_FLAGS: Final = b"""{"author":"bench","changes":[{"service":"bench","values":{"flags":{
  "plain": true,
  "targeted": {"variants":{"on":true,"off":false},"default":"off",
    "rules":[{"when":{"country":["DE","AT"],"plan":"pro"},"variant":"on"}]},
  "split": {"variants":{"on":true,"off":false},"default":"off","rules":[{"split":{"on":10,"off":90}}]}
}}}]}"""
_BARS: Final = {"plain": Bar(">=", 0.05), "targeted": Bar(">=", 0.03), "split": Bar(">=", 0.01)}


async def measure(folder: Path, pace: Pace, say: Say) -> list[Row]:
    """Calls per second, one after the other."""
    with HubProcess(folder / "hub") as hub:
        async with requesting(hub.nats_url) as (_, requester):
            await _put(requester)
        async with CentralHubClient("bench", nats_url=hub.nats_url) as client:
            await client.config.load()
            flags = client.flags

            async def looked_up() -> float:
                return _calls(lambda: _CONTEXT.get("plan"), pace.seconds)

            def evaluated(name: str) -> Callable[[], bool]:
                return lambda: flags.boolean(name, False, _CONTEXT)

            async def plain() -> float:
                return _calls(evaluated("plain"), pace.seconds)

            async def targeted() -> float:
                return _calls(evaluated("targeted"), pace.seconds)

            async def split() -> float:
                return _calls(evaluated("split"), pace.seconds)

            works = {"look-ups": looked_up, "plain": plain, "targeted": targeted, "split": split}
            figures = await in_turn("client.flags", pace, works, say)
    return [
        Row.compared(f"client.flags, {name} / dict look-up", "/s", figures[name], figures["look-ups"], bar)
        for name, bar in _BARS.items()
    ]


async def _put(requester: Requester) -> None:
    await ask(requester, "hub.config.put", _FLAGS)


def _calls(call: Callable[[], object], seconds: float) -> float:
    calls = 0
    began = perf_counter()
    while (took := perf_counter() - began) < seconds:
        for _ in range(_CALLS_BETWEEN_LOOKS):
            call()
        calls += _CALLS_BETWEEN_LOOKS
    return calls / took
