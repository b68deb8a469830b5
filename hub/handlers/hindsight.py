"""A hub that decides upon configuration must know what others have stored: what it waits for until it does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from hub.core.configs import Configs
from hub.core.drafts import Draft
from hub.errors import Unavailable
from hub.handlers.changes import ANY, Changes
from hub.store.ports import Ledger

_CATCH_UP: Final = 6.0
"""Seconds in which what others have stored must be known here: longer than a watch that has missed something needs."""
_MOMENT: Final = 0.25
"""Seconds in which a watch that has missed nothing knows what others have stored."""


class Hindsight:
    """Waits for what others have stored.

    Args:
        configs: What is known.
        ledger: Where it is stored.
        changes: Told of every revision that becomes known here.
    """

    def __init__(self, configs: Configs, ledger: Ledger, changes: Changes) -> None:
        self._configs = configs
        self._ledger = ledger
        self._changes = changes

    async def hear_of(self, drafts: Iterable[Draft]) -> None:
        """Return once the revisions that a change is made upon are known here; or one of them is none of its scope."""
        for draft in drafts:
            if draft.revision is None or draft.revision <= self._configs.revision:
                continue
            with suppress(Unavailable):
                await self.reach(draft.revision, within=_MOMENT)
                continue
            if await self._ledger.at(draft.scope, draft.revision) is None:
                return  # which is a conflict, and need not be waited for
            await self.reach(draft.revision)

    async def learn_more(self, drafts: Iterable[Draft]) -> bool:
        """Whether more is stored of what is to be changed than was known here; now it is known."""
        with suppress(Unavailable):
            for draft in drafts:
                if await self.catch_up(draft.scope):
                    return True
        return False

    async def catch_up(self, scope: str) -> bool:
        """Return once all that is stored of a scope is known here; and whether that was news.

        Raises:
            Unavailable: it does not come, or cannot be read.
        """
        known, stored = self._configs.own(scope), await self._ledger.get(scope)
        if stored is None or stored.revision <= (known.revision if known else 0):
            return False
        await self.reach(stored.revision)
        return True

    async def reach(self, revision: int, within: float = _CATCH_UP) -> None:
        """Return once all that was stored until this revision is known here, in so many seconds.

        Raises:
            Unavailable: it does not come.
        """
        if self._configs.revision >= revision:
            return
        try:
            async with asyncio.timeout(within):
                while self._configs.revision < revision and not self._changes.closed:
                    await self._changes.reached(ANY, revision)
        except TimeoutError:
            raise Unavailable(
                f"configuration: this hub knows it up to revision {self._configs.revision}, and not {revision} yet; "
                "try again"
            ) from None
