"""The certificates that a hub shows: exchanged when their files change, and told of before they expire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Final

import structlog

from hub.core.condition import Condition, warning
from hub.errors import StartupError
from hub.handlers.clock import Clock
from hub.transport.loops import Beat
from hub.transport.tls import Unusable

log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the files. They are compared by what is in them: neither links that are turned, as in a
volume of Kubernetes, nor file systems that tell of no changes get in the way."""


@dataclass(slots=True)
class Shown:
    """One certificate, and what is known of it.

    Attributes:
        use: What it is for: a label of metrics.
        cert: Its file.
        others: The files that belong to it: its key, and the CAs of those it is shown to.
        take: Takes what is in the files into use. Raises Unusable, and leaves what there was.
        expires: Until when the one in use is good; None where that cannot be told.
        trouble: Why what is in the files now is not in use; empty where it is.
    """

    use: str
    cert: str
    others: tuple[str, ...]
    take: Callable[[], None]
    expires: datetime | None = None
    trouble: str = ""
    seen: bytes = field(default=b"", repr=False)
    settled: bytes = field(default=b"", repr=False)


class Certificates:
    """Looks after them.

    Args:
        shown: The certificates.
        clock: Where to read the time.
        warn_within: Seconds before it expires at which one begins to be told of.
    """

    def __init__(self, shown: Iterable[Shown], clock: Clock, *, warn_within: float) -> None:
        self._shown = tuple(shown)
        self._clock = clock
        self._warn_within = timedelta(seconds=warn_within)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._shown)

    async def start(self) -> None:
        """Take what is in the files. Raises StartupError where one cannot be used."""
        for shown in self._shown:
            shown.seen = shown.settled = await asyncio.to_thread(_digest, shown)
            try:
                shown.expires = await asyncio.to_thread(_taken, shown)
            except Unusable as error:
                raise StartupError(f"certificate for {shown.use}: {error}") from None

    async def watch(self, beat: Beat) -> None:
        """Take what the files come to say, for ever."""
        while True:
            beat()
            await asyncio.sleep(LOOK_EVERY)
            for shown in self._shown:
                await self._look(shown)

    @property
    def condition(self) -> Condition:
        """Which cannot be used, have expired, or will soon."""
        return warning("; ".join(filter(None, map(self._trouble, self._shown))))

    def left(self) -> Mapping[str, float]:
        """Seconds until each of those in use expires, less than 0 where it has."""
        now = self._clock.wall()
        return {each.use: (each.expires - now).total_seconds() for each in self._shown if each.expires is not None}

    async def _look(self, shown: Shown) -> None:
        """Take what is in the files, once it has been the same for two looks: of two files, one is written first."""
        found = await asyncio.to_thread(_digest, shown)
        settled, shown.seen = found == shown.seen, found
        if not settled or found == shown.settled:
            return
        shown.settled = found
        try:
            shown.expires = await asyncio.to_thread(_taken, shown)
        except Unusable as error:
            shown.trouble = str(error)
            log.error("certificate refused; the one before stays in use", use=shown.use, reason=shown.trouble)
            return
        shown.trouble = ""
        log.info("certificate taken", use=shown.use, expires=shown.expires and shown.expires.isoformat())

    def _trouble(self, shown: Shown) -> str:
        parts = []
        if shown.trouble:
            parts.append(f"certificate for {shown.use}: {shown.trouble} (the one before stays in use)")
        left = None if shown.expires is None else shown.expires - self._clock.wall()
        if shown.expires is not None and left is not None and left < self._warn_within:
            what = "has expired" if left < timedelta() else f"expires in {_days(left)}"
            parts.append(f"certificate for {shown.use} ({shown.cert}) {what}, {shown.expires:%Y-%m-%d %H:%M} UTC")
        return "; ".join(parts)


def _taken(shown: Shown) -> datetime | None:
    """Take it; until when it is good."""
    from hub.certificates import expires  # only who has certificates pays for the library behind it

    shown.take()
    try:
        return expires(Path(shown.cert).read_bytes())
    except (OSError, ValueError):
        return None


def _digest(shown: Shown) -> bytes:
    """What is in the files, in short; of one that cannot be read, that it cannot."""
    digest = blake2b(digest_size=16)
    for path in (shown.cert, *shown.others):
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            content = repr(error.errno).encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.digest()


def _days(left: timedelta) -> str:
    """A time that is left, in whole days: it is told anew whenever it changes."""
    return "less than a day" if left.days < 1 else "a day" if left.days == 1 else f"{left.days} days"
