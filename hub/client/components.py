"""The files that services share, as a local copy that is always one whole version."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar, overload

from nats.aio.msg import Msg

from hub.client.attachment import Attachment
from hub.client.componentcopy import LocalCopy, Note
from hub.client.componentreading import Version, newest
from hub.client.componentsync import ComponentSync, Refused, Synced, writing
from hub.client.confighandlers import HANDLER_TIMEOUT, Handlers
from hub.client.link import Hearing, Link
from hub.client.rereading import Rereading
from hub.client.retry import persist
from hub.errors import Conflict, DeadlineExceeded, Forbidden, HubError, Unavailable
from hub.wire import subjects
from hub.wire.names import MAX_REASON

log = logging.getLogger("hub.client")

Handler = TypeVar("Handler", bound=Callable[[Any], object])

DOUBT: Final = 10.0
"""Seconds after which a lower revision is believed: until then, a server that was asked may lag behind the others."""
_LOST: Final = "nothing is stored any more; the copy stays as it is"


class ComponentsFailure(NamedTuple):
    """Why the newest version is not the one that counts here."""

    revision: int
    """Of the version; 0 where it is not known which is the newest."""
    reason: str
    at: datetime


class ClientComponents:
    """A local copy of the components, by default kept up to date for as long as the client is open.

        synced = await client.components.sync("shared")
        button = (synced.path / "ui" / "button.js").read_text()

        @client.components.on_change
        async def reload(synced: Synced) -> None: ...  # raising goes back to the version before

    `shared` is a link to the folder of one version. A newer version is made beside it: files that are here already are
    linked, the others are read from NATS, and every one is verified. Then the link is replaced in one step, so that
    nobody ever sees half a version, whatever is killed whenever. Who opens several files that belong together reads
    them below `synced.folder`, which no later version changes.

    Hubs are not needed for that. While NATS is away the copy stays, and says how old it is. A file that was tampered
    with is replaced. What others put in there is never removed: it is put aside, and the log says where. A path is for
    one client: a second one waits for the first, and is not told of what that has changed. It takes a system with
    symbolic links, and a path that is no mount point itself.

    Args:
        timeout: Seconds that it may take to learn which version is the newest.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._attachment: Attachment | None = None
        self._syncing: ComponentSync | None = None
        self._working = asyncio.Lock()
        self._handlers = Handlers("components", HANDLER_TIMEOUT)
        self._hearing: Hearing | None = None
        self._rereading: Rereading | None = None
        self._follows = False
        self._current: Synced | None = None
        self._confirmed: datetime | None = None
        self._failed: ComponentsFailure | None = None
        self._refused = 0
        self._doubted_since: float | None = None

    # --- for the service

    @property
    def current(self) -> Synced | None:
        """The copy as it is, with what was changed last; None until something was synced."""
        return self._current._replace(stale=self.stale, age=self.age) if self._current is not None else None

    @property
    def failed(self) -> ComponentsFailure | None:
        """Why the copy is not the newest version; None while it is, as far as is known."""
        return self._failed

    @property
    def stale(self) -> bool:
        """Whether there may be a newer version without our knowing; true where nothing is followed."""
        return self._failed is not None or self._rereading is None or self._rereading.stale

    @property
    def age(self) -> float:
        """Seconds since the copy was last known to be the newest version; infinite where it never was."""
        if self._confirmed is None:
            return float("inf")
        return max(0.0, (datetime.now(UTC) - self._confirmed).total_seconds())

    @overload
    def on_change(self, handler: Handler, *, timeout: float | None = None) -> Handler: ...

    @overload
    def on_change(self, *, timeout: float | None = None) -> Callable[[Handler], Handler]: ...

    def on_change(
        self, handler: Handler | None = None, *, timeout: float | None = None
    ) -> Handler | Callable[[Handler], Handler]:
        """Have `handler` called with a `Synced` whenever files have changed. Good as a decorator; it may be async.

        The link leads to the new version already. When one raises, or takes too long, it leads to the version before
        again, whoever was told before it is told of that, and `failed` has the reason until there is a newer version.

        Args:
            handler: What to call.
            timeout: Seconds that it may take, where it is async; then it is cancelled. 30 by default.

        Raises:
            InvalidRequest: the timeout is not more than 0.
        """
        if handler is None:
            return lambda given: self.on_change(given, timeout=timeout)
        self._handlers.add(handler, timeout)
        return handler

    async def sync(self, path: str | os.PathLike[str], *, follow: bool = True) -> Synced:
        """Bring the local copy to the newest version, and verify all of it.

        Args:
            path: Where it is to be: nothing, an empty folder, or an earlier copy. A link is put there, and beside it a
                hidden folder that it leads into.
            follow: Whether to keep it up to date from then on.

        Returns:
            What is there now, and what that has changed. While it cannot be found out what is newest, that is the copy
            as it is, marked `stale`.

        Raises:
            Conflict: there is something at `path` that is not ours; or another path is followed already.
            Unavailable, DeadlineExceeded: nothing can be read, and there is no copy; or what is stored is damaged.
            Refused: a handler does not take the version.
            HubError: the copy cannot be written. In every case, what was there before is in place.
        """
        attachment = self._attachment
        if attachment is None:
            raise Unavailable("the client is not open: use `async with`, or call `connect` or `register` first")
        if self._syncing is not None and self._syncing.is_telling_us:
            raise Conflict("sync: expected not to be called by who is told of a change")
        syncing = await self._claimed(path)
        self._follows = self._follows or follow
        try:
            async with self._working:
                return await self._sync(attachment.link, syncing)
        finally:
            if self._follows and self._attachment is attachment:
                self._follow(attachment, syncing)

    # --- for the client

    def attach(self, attachment: Attachment) -> None:
        """The client is open: follow again what was followed before."""
        self._attachment = attachment
        if self._follows and self._syncing is not None:
            self._follow(attachment, self._syncing)

    async def detach(self) -> None:
        """The client closes: follow nothing any more. A version that is being made comes to nothing."""
        attachment, self._attachment = self._attachment, None
        rereading, self._rereading = self._rereading, None
        if rereading is not None:
            await rereading.aclose()
        hearing, self._hearing = self._hearing, None
        if hearing is not None and attachment is not None:
            await attachment.link.unsubscribe(hearing)

    def missed(self) -> None:
        """Versions may have been missed."""
        if self._rereading is not None:
            self._rereading.resync()

    # --- inside

    async def _claimed(self, path: str | os.PathLike[str]) -> ComponentSync:
        copy = LocalCopy(path)
        known = self._syncing
        if known is not None and known.copy.path == copy.path:
            return known
        if known is not None and self._follows:
            raise Conflict(f"{copy.path}: expected one path for each client, {known.copy.path} is followed already")
        with writing(copy):
            await asyncio.to_thread(copy.claim)
            self._confirmed = await asyncio.to_thread(copy.confirmed)
        self._syncing = ComponentSync(copy, self._handlers, self._timeout)
        return self._syncing

    def _follow(self, attachment: Attachment, syncing: ComponentSync) -> None:
        if self._rereading is not None:
            return

        async def read() -> None:
            if self._hearing is None:
                self._hearing = await attachment.link.subscribe(subjects.COMPONENTS_DELTA, self._on_delta)
            async with self._working:
                version = await newest(attachment.link)
                if version is None or version.revision != self._refused:
                    await self._bring(attachment.link, syncing, version, follows=True)

        self._rereading = Rereading("components", attachment.link, read, attachment.tasks, "components-follow")

    async def _on_delta(self, message: Msg) -> None:
        self.missed()

    async def _sync(self, link: Link, syncing: ComponentSync) -> Synced:
        async def attempt(timeout: float) -> Version | None:
            return await newest(link)

        try:
            if not link.connected:
                raise Unavailable("NATS is away")
            version = await persist(attempt, within=self._timeout)
        except (Unavailable, DeadlineExceeded, Forbidden) as error:
            return await self._keep(syncing, error)
        return await self._bring(link, syncing, version, follows=False)

    async def _keep(self, syncing: ComponentSync, error: HubError) -> Synced:
        """The copy as it is, if it is whole, since nobody tells whether there is a newer one."""
        self._fail(0, error.message)
        kept = await syncing.whole()
        if kept is None:
            raise error
        self._current = kept
        log.warning(
            "components: kept revision %d, last known to be the newest %.0f s ago (%s)",
            kept.revision,
            self.age,
            error.message,
        )
        return kept._replace(stale=True, age=self.age)

    async def _bring(self, link: Link, syncing: ComponentSync, version: Version | None, *, follows: bool) -> Synced:
        revision = version.revision if version is not None else 0
        try:
            if version is None:
                return await self._have_nothing(syncing)
            synced = await syncing.bring(link, version, lambda note: self._check_order(version, note))
        except HubError as error:
            self._fail(revision, error.message)
            if isinstance(error, Refused):
                self._refused = revision
                if follows and self._current is not None:
                    return self._current
            raise
        self._confirmed, self._failed, self._refused = datetime.now(UTC), None, 0
        if self._current is None or synced.folder != self._current.folder:
            self._current = synced
        else:
            self._current = synced._replace(changed=self._current.changed)
        return synced

    async def _have_nothing(self, syncing: ComponentSync) -> Synced:
        """Nothing is stored. What is here is not taken away by a bucket that was lost."""
        here = await syncing.whole()
        if here is None:
            self._confirmed, self._failed = datetime.now(UTC), None
            self._current = syncing.nothing()
            return self._current
        if self._failed is None or self._failed.reason != _LOST:
            log.error("components: %s", _LOST)
        self._fail(0, _LOST)
        self._current = here
        return here._replace(stale=True, age=self.age)

    def _check_order(self, version: Version, note: Note) -> None:
        """Refuse for a while what is older than what is here: the bucket was made anew, or a server lags behind."""
        if version.revision >= note.revision or version.record.at > note.at:
            self._doubted_since = None
            return
        now = asyncio.get_running_loop().time()
        self._doubted_since = self._doubted_since or now
        if now - self._doubted_since < DOUBT:
            raise Unavailable(f"components: a server has revision {version.revision}, {note.revision} is here already")

    def _fail(self, revision: int, reason: str) -> None:
        shown = reason.encode(errors="replace").decode()[:MAX_REASON]
        self._failed = ComponentsFailure(revision, shown, datetime.now(UTC))
