"""Changes that the log cannot follow are held back, lest the bucket lets go of what the log does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final, Protocol

import structlog

from hub.core.unlogged import Unlogged
from hub.errors import HubError, Unavailable

log = structlog.get_logger(__name__)

PATIENCE: Final = 2.0
"""Seconds that a change waits for the log."""
_AGAIN: Final = 0.02


class Log(Protocol):
    """What takes up every revision of the bucket; see `BucketLog`."""

    async def reached(self) -> int | None:
        """The newest revision that it has taken up; None where it has none that it could tell by."""


class Pacing:
    """Lets a scope be changed only while the bucket still has every revision of it that the log does not have.

    A bucket keeps 64 revisions of a scope. That takes nothing of a change but a look into memory; a scope that is
    changed again and again has one in 48 ask the log, which is a thousandth of a second behind. PostgreSQL has no part
    in it.

    Args:
        source: The log.
    """

    def __init__(self, source: Log) -> None:
        self._source = source
        self._unlogged = Unlogged()

    def changed(self, scope: str, revision: int) -> None:
        """A scope has a new revision, whoever made it."""
        self._unlogged.note(scope, revision)

    def lost(self) -> None:
        """Changes may go unheard."""
        self._unlogged.lose()

    def synced(self) -> None:
        """All that there is is known again."""
        self._unlogged.regain()

    async def admit(self, scopes: Collection[str], base: int) -> None:
        """Return once these scopes may be changed, upon the newest revision of the bucket.

        Where the log cannot be asked there is none to wait for.

        Raises:
            Unavailable: the log is behind; the change can be tried again.
        """
        if not self._unlogged.needs(scopes, base):
            return
        try:
            async with asyncio.timeout(PATIENCE):
                while needed := self._unlogged.needs(scopes, base):
                    reached = await self._source.reached()
                    if reached is None:
                        return
                    self._unlogged.confirm(reached, base)
                    if reached >= needed:
                        return
                    await asyncio.sleep(_AGAIN)
        except TimeoutError:
            raise Unavailable(
                "configuration: it was changed more often than the log of it, from which PostgreSQL is filled, has "
                "taken up by now; try again"
            ) from None
        except HubError as error:
            log.warning("changed without a look at the log", reason=error.message)
