"""Central Hub at work: a gateway and three engines as real processes, one of which is killed half-way.

python -m examples.demo [--seconds 10] [--rate 200]

The exit code is 1 where a request failed in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import signal
import sys
from collections.abc import Sequence

from examples.demo import story
from examples.demo.children import NotStarted
from examples.demo.screen import Screen
from hub.client import HubError


def main(arguments: Sequence[str]) -> int:
    """Show it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description="Central Hub at work, with real processes.")
    parser.add_argument("--seconds", type=_positive, default=10.0, help="how long to send requests (default: 10)")
    parser.add_argument("--rate", type=_positive, default=200.0, help="requests a second (default: 200)")
    options = parser.parse_args(arguments)
    try:
        return asyncio.run(_shown(options.seconds, options.rate))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT  # so early that there was nothing to clean up


async def _shown(seconds: float, rate: float) -> int:
    """Tell the story until it ends or a signal ends it; either way nothing is left running."""
    told: list[signal.Signals] = []
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()
    assert this is not None

    def stop(sig: signal.Signals) -> None:
        told.append(sig)
        this.cancel()

    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(sig, stop, sig)
    with Screen() as screen:
        try:
            return 0 if await story.tell(screen, seconds=seconds, rate=rate) else 1
        except (NotStarted, HubError) as error:
            screen.say(str(error), "bold red")
            return 1
        except asyncio.CancelledError:
            if not told:
                raise
            screen.say(f"{told[0].name}: everything has been stopped")
            return 128 + told[0]


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
