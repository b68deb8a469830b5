"""Following what is stored of a service's configuration: subscribed to its changes, read anew when one may be missed.

A change carries the whole record of its scope, so that nothing has to be fetched for it. It names the revision before
it: where that is not the one we know, others may have been missed as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec
from nats.aio.msg import Msg

from hub.client.configreading import delta, made_anew, read
from hub.client.layered import Layered
from hub.client.link import Hearing, Link
from hub.client.republished import is_republished
from hub.client.rereading import Rereading
from hub.client.tasks import Tasks
from hub.errors import HubError, Unavailable
from hub.wire import subjects
from hub.wire.config import EVERYBODY

log = logging.getLogger("hub.client")

DOUBT = 10.0
"""Seconds after which lower revisions are believed, where nobody can be asked whether the bucket was made anew."""
TOGETHER = 0.02
"""Seconds that one half of an atomic change waits for the other: nobody shall run with what nobody has put."""


class ConfigFeed:
    """Follows the configuration of one service.

    Args:
        link: The connection.
        service: Its name.
        key: The instance that the hub may remind; None for none.
        tasks: Owns the background task.
        known: What is known already, and not certain to be the newest.
        on_news: Called when what is known has changed, or was found to be the newest.
        on_reminded: Called when the hub takes us to be behind.
    """

    def __init__(
        self,
        link: Link,
        service: str,
        key: str | None,
        tasks: Tasks,
        known: Layered,
        on_news: Callable[[], None],
        on_reminded: Callable[[], None],
    ) -> None:
        self.known = known
        """The newest that is known."""
        self.apart = False
        """Whether it may be one half of an atomic change: wait for `TOGETHER` before it is used."""
        self._link = link
        self._service = service
        self._key = key
        self._on_news = on_news
        self._on_reminded = on_reminded
        self._hearings: dict[str, Hearing] = {}
        self._batch = ""
        self._doubted_since: float | None = None
        self._rereading = Rereading(f"{service}: the configuration", link, self._read, tasks, "config-follow")

    @property
    def is_read(self) -> bool:
        """Whether what is known was read from the bucket at least once."""
        return self._rereading.is_loaded

    @property
    def stale(self) -> bool:
        """Whether changes may be missing without our knowing."""
        return self._rereading.stale

    async def loaded(self, timeout: float) -> None:
        """Return once the bucket was read.

        Raises:
            Unavailable: it could not be in time.
        """
        await self._rereading.loaded(timeout)

    def resync(self) -> None:
        """Read anew, soon: something may have been missed."""
        self._rereading.resync()

    async def aclose(self) -> None:
        """Follow no more."""
        await self._rereading.aclose()
        for hearing in self._hearings.values():
            await self._link.unsubscribe(hearing)
        self._hearings.clear()

    async def _read(self) -> None:
        await self._subscribe()
        before = self.known
        found = await read(self._link, self._service)
        if not found.is_older_than(before):
            self.known = found.over(self.known)
        elif await self._is_made_anew(before):
            self.known = found  # what was heard meanwhile did not follow on what we knew, and has us read again
        else:
            raise Unavailable("a server that was asked lags behind the others")
        self._doubted_since = None
        self._on_news()

    async def _is_made_anew(self, known: Layered) -> bool:
        now = asyncio.get_running_loop().time()
        self._doubted_since = self._doubted_since or now
        try:
            return await made_anew(self._link, known)
        except HubError:
            if now - self._doubted_since < DOUBT:
                raise
            return True

    async def _subscribe(self) -> None:
        wanted = {
            subjects.config_delta(self._service): self._on_delta,
            subjects.config_delta(EVERYBODY): self._on_delta,
        }
        if self._key is not None:
            wanted[subjects.config_remind(self._key)] = self._on_remind
        for subject, on_message in wanted.items():
            if subject not in self._hearings:
                self._hearings[subject] = await self._link.subscribe(subject, on_message, direct=True)

    async def _on_delta(self, message: Msg) -> None:
        if not is_republished(message, subjects.CONFIG_DELTA_PREFIX):
            return
        try:
            change = delta(message)
        except ValueError as error:
            log.warning("%s", error)
            self.resync()
            return
        place = "shared" if change.scope == EVERYBODY else "own"
        known = self.known.shared if change.scope == EVERYBODY else self.known.own
        if change.stored.revision <= known.revision:
            if change.stored != known:
                self.resync()  # late, or the bucket was made anew: a reading will tell
            return
        if self.is_read and change.previous != known.revision:
            self.resync()
        self.apart = bool(change.batch) and change.batch != self._batch
        self._batch = change.batch
        self.known = msgspec.structs.replace(self.known, **{place: change.stored})
        if self.is_read:
            self._on_news()

    async def _on_remind(self, message: Msg) -> None:
        self.resync()
        self._on_reminded()
