"""What a service is to run with: loaded once, then followed, each change applied or refused, and the hub told which."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, TypeVar, overload

from hub.client.attachment import Attachment
from hub.client.configcopy import ConfigCopy
from hub.client.configfeed import TOGETHER, ConfigFeed
from hub.client.confighandlers import Handlers
from hub.client.configstanding import Standing
from hub.client.configtype import converted, taken
from hub.client.layered import Layered
from hub.client.secretcopy import SecretCopy
from hub.client.secrets import ServiceSecrets
from hub.client.staleness import Staleness
from hub.client.tasks import end
from hub.core.backoff import backoff
from hub.core.canary import Traits
from hub.core.layers import origin_at, same
from hub.errors import InvalidConfig, Unavailable
from hub.wire.config import Layer, Pointer
from hub.wire.configstatus import ConfigRefusal
from hub.wire.names import MAX_REASON

log = logging.getLogger("hub.client")

T = TypeVar("T")
Handler = TypeVar("Handler", bound=Callable[[Any], object])


class _Applied(NamedTuple):
    """What the service runs with: as it is stored, and with secrets in the place of the references to them."""

    layered: Layered
    values: dict[str, Any]
    filled: dict[str, Any]
    kind: type[Any]
    value: Any

    def __repr__(self) -> str:
        return f"_Applied(revision={self.layered.revision})"


class ClientConfig:
    """The configuration of a client's own service.

    Nothing is read, followed or said to the hub until it is loaded. From then on every change is applied as soon as
    NATS has pushed it, in the order of revisions, and the hub is told at once by a beat.

        limits = await client.config.load(Limits)

        @client.config.on_change
        async def adopt(limits: Limits) -> None: ...  # raising refuses the change

    Without a hub it is read from NATS; without NATS, and with a copy on disk, from there. What a service runs with is
    only ever replaced by what it can run with, and not taken away by a bucket that was lost, since no change through
    the hub removes a record: where nothing is stored any more it runs on, at revision 0, and starts from its copy.

    Args:
        service: The service's name.
        copy: Where the last good configuration is kept; None keeps none.
        timeout: Seconds that a load may take.
        handlers: What the service does about changes.
        secrets: Where the secrets that it refers to are kept; None keeps none.

    Attributes:
        staleness: Tells when changes come to be missing, perhaps; see `stale`.
    """

    def __init__(
        self,
        service: str,
        copy: ConfigCopy | None,
        timeout: float,
        handlers: Handlers,
        secrets: SecretCopy | None = None,
    ) -> None:
        self._service = service
        self._copy = copy
        self._timeout = timeout
        self._secrets = ServiceSecrets(service, secrets, timeout)
        self._attachment: Attachment | None = None
        self._instance: Traits | None = None
        self._feed: ConfigFeed | None = None
        self._applying: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._loading = asyncio.Lock()
        self._handlers = handlers
        handlers.masked = self._secrets.masked
        self._wakes: set[asyncio.Event] = set()
        self._heeding: list[Callable[[], None]] = []
        self.staleness = Staleness(lambda: self.stale)
        self._applied: _Applied | None = None
        self._standing = Standing(service)

    # --- for the service

    @property
    def current(self) -> Any:
        """What the service runs with, of the type that it was loaded as; None until it is loaded."""
        return self._applied.value if self._applied is not None else None

    @property
    def revision(self) -> int:
        """The revision that the service runs with; 0 where nothing is stored, or nothing was loaded."""
        return self._standing.revision or 0

    @property
    def refused(self) -> ConfigRefusal | None:
        """The newer revision that the service could not run with, and why; None where there is none."""
        return self._standing.refused

    @property
    def is_canary(self) -> bool:
        """Whether this instance tries a change before the others; it may yet be promoted, or taken back."""
        return self._applied is not None and self._applied.layered.is_canary(self._instance)

    @property
    def from_disk(self) -> bool:
        """Whether the service runs with the copy on disk, which may be out of date."""
        return self._standing.from_disk

    @property
    def stale(self) -> bool:
        """Whether changes may be missing: NATS is away, or something may have been missed and is not read yet."""
        return self._standing.from_disk or self._feed is None or self._feed.stale or self._secrets.stale

    @overload
    async def load(self) -> dict[str, Any]: ...

    @overload
    async def load(self, kind: type[T]) -> T: ...

    async def load(self, kind: type[Any] = dict[str, Any]) -> Any:
        """What the service is to run with; from then on it is followed. Loading again returns the current one.

        What cannot be read within the client's `timeout` comes from the copy on disk, and at once where NATS is known
        to be away. So does what the service cannot run with, which counts as refused.

        Args:
            kind: What to make of it, and of its changes: a Struct of msgspec, a dataclass, a TypedDict, or what else
                msgspec takes.

        What refers to a secret is that secret; a change of it is a change of the configuration.

        Raises:
            InvalidConfig: it is not what the type wants, or refers to a secret that the service may not read; `field`
                names the place.
            Unavailable: it or a secret could not be read, and there is no copy; or the client is not open.
        """
        if self._applied is None:
            async with self._loading:
                if self._applied is None:
                    await self._load_first(kind)
                    return self.current
        return self._current_as(kind)

    async def watch(self) -> AsyncIterator[Any]:
        """The current configuration, and then each that is applied, for as long as the client is open.

        Who reads slowly is given the newest, not every one. Loads the configuration where that was not done yet.

        Raises:
            InvalidConfig, Unavailable: as `load`.
        """
        if self._applied is None:
            await self.load()
        told: Any = None
        wake = asyncio.Event()
        self._wakes.add(wake)
        try:
            while self._attachment is not None:
                wake.clear()
                if self.current is not told:
                    told = self.current
                    yield told
                else:
                    await wake.wait()
        finally:
            self._wakes.discard(wake)

    @overload
    def on_change(self, handler: Handler, *, timeout: float | None = None) -> Handler: ...

    @overload
    def on_change(self, *, timeout: float | None = None) -> Callable[[Handler], Handler]: ...

    def on_change(
        self, handler: Handler | None = None, *, timeout: float | None = None
    ) -> Handler | Callable[[Handler], Handler]:
        """Have `handler` called with each new configuration, before it is the current one. Good as a decorator.

        It may be async. Handlers run one after the other, and never twice at a time; what changes meanwhile comes next,
        the newest alone. One that raises, or takes too long, refuses the revision: the previous configuration stays the
        current one, the hub is told the exception's text, and the handlers that had taken it are called with the
        previous one again. A handler must not close the client. One that is not async and blocks holds up everything.

        Args:
            handler: What to call.
            timeout: Seconds that it may take, where it is async; then it is cancelled. By default the client's
                `config_timeout`.

        Raises:
            InvalidRequest: the timeout is not more than 0.
        """
        if handler is None:
            return lambda given: self.on_change(given, timeout=timeout)
        self._handlers.add(handler, timeout)
        return handler

    def origin(self, pointer: Pointer) -> Layer | None:
        """Which layer the current value at a place comes from; None for an object, or where there is no value.

        Args:
            pointer: The place, as JSON Pointer has it: `/risk/limits`. What is in a list comes with the list.
        """
        if self._applied is None:
            return None
        layered, values = self._applied.layered, self._applied.values
        return origin_at(pointer, layered.origins(self._instance), values)

    # --- for the client

    @property
    def values(self) -> dict[str, Any] | None:
        """What the service runs with, as JSON has it, and not to be changed; None until it is loaded."""
        return self._applied.values if self._applied is not None else None

    def heed(self, told: Callable[[], None]) -> None:
        """Have `told` called when the service runs with other values, or at another revision."""
        self._heeding.append(told)

    async def has_copy(self) -> bool:
        """Whether there is a copy on disk that can be started from."""
        return self._copy is not None and await self._copy.read() is not None

    def attach(self, attachment: Attachment) -> None:
        """The client is open: follow again what was loaded before."""
        self._attachment = attachment
        self._instance = attachment.instance
        self.staleness.attach(attachment.tasks)
        key = attachment.instance.key if attachment.instance is not None else None
        self._secrets.attach(attachment.link, attachment.tasks, key, self._news.set)
        if self._applied is not None:
            self._follow(attachment, self._applied.layered)

    async def detach(self) -> None:
        """The client closes: follow nothing any more, and end the watches. A handler that runs is cancelled."""
        self._attachment = None
        feed, self._feed = self._feed, None
        for wake in self._wakes:
            wake.set()
        if self._applying is not None:
            await end(self._applying)
            self._applying = None
        await self._secrets.aclose()
        if feed is not None:
            await feed.aclose()
        await self.staleness.detach()

    def missed(self) -> None:
        """Changes may have been missed."""
        if self._feed is not None:
            self._feed.resync()
        self._secrets.missed()

    def said(self) -> tuple[int | None, ConfigRefusal | None]:
        """What a beat is to say: the revision that the service runs with, and the one that it has refused."""
        return self._standing.revision, self._standing.refused

    # --- inside

    async def _load_first(self, kind: type[Any]) -> None:
        if self._attachment is None:
            raise Unavailable("the client is not open: use `async with`, or call `connect` or `register` first")
        link = self._attachment.link
        kept = await self._copy.read() if self._copy is not None else None
        feed = self._feed or self._follow(self._attachment, kept or Layered())
        try:
            await feed.loaded(self._timeout if link.connected or kept is None else 0.0)
        except Unavailable:
            if kept is None:
                raise
            await self._start_from_copy(kept, kind)
        else:
            if kept is not None and feed.known.is_empty:
                await self._start_from_copy(kept, kind)
                self._standing.lose(feed.known)
            else:
                await self._start(feed.known, kept, kind)
        self._news.set()  # what has come since
        self._beat()
        await self._keep()

    async def _start(self, layered: Layered, kept: Layered | None, kind: type[Any]) -> None:
        try:
            await self._accept(layered, kind)
        except InvalidConfig as error:
            self._refuse(layered, error)
            self._beat()
            if kept is None or kept == layered:
                raise
            try:
                await self._start_from_copy(kept, kind)
            except InvalidConfig:
                raise error from None
            self._refuse(layered, error)

    async def _start_from_copy(self, kept: Layered, kind: type[Any]) -> None:
        await self._accept(kept, kind)
        self._standing.from_disk = True
        log.warning("%s: started with the configuration kept on disk, revision %d", self._service, kept.revision)

    def _current_as(self, kind: type[Any]) -> Any:
        applied = self._applied
        if applied is not None and applied.kind is not kind and applied.kind != kind:
            self._applied = applied._replace(kind=kind, value=self._converted(applied.filled, kind))
        return self.current

    def _follow(self, attachment: Attachment, known: Layered) -> ConfigFeed:
        feed = self._feed = ConfigFeed(
            attachment.link,
            self._service,
            attachment.instance.key if attachment.instance is not None else None,
            attachment.tasks,
            known,
            on_news=self._news.set,
            on_reminded=attachment.beat,
        )
        self._applying = attachment.tasks.spawn(self._apply_news(feed), "config-apply")
        return feed

    async def _apply_news(self, feed: ConfigFeed) -> None:
        failures = 0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff(failures) if failures else None):
                    await self._news.wait()
            self._news.clear()
            if feed.apart:
                await asyncio.sleep(TOGETHER)
            if self._applied is not None and feed.is_read:
                failures = 0 if await self._take(feed.known, self._applied) else failures + 1

    async def _take(self, layered: Layered, applied: _Applied) -> bool:
        """Apply what is stored, or refuse it, and say which. Whether that is done: its secrets may not be there yet."""
        if layered == self._standing.answered and not self._secrets.changed:
            self._standing.from_disk = self._standing.from_disk and layered != applied.layered
            return True
        if layered.is_empty and not applied.layered.is_empty:
            self._standing.lose(layered)
        else:
            values = layered.values(self._instance)
            try:
                filled = await self._secrets.filled(values)
            except Unavailable:
                return False  # the log says it already
            except InvalidConfig as error:
                self._refuse(layered, error)
            else:
                await self._take_filled(layered, values, filled, applied)
        if self._attachment is not None:
            await self._attachment.say()
        await self._keep()
        return True

    async def _take_filled(
        self, layered: Layered, values: dict[str, Any], filled: dict[str, Any], applied: _Applied
    ) -> None:
        if not same(taken(applied.filled, applied.kind), taken(filled, applied.kind)):
            await self._try(layered, values, filled, applied)
        elif layered != self._standing.answered:
            self._run_with(applied._replace(layered=layered, values=values, filled=filled))

    async def _try(self, layered: Layered, values: dict[str, Any], filled: dict[str, Any], applied: _Applied) -> None:
        try:
            value = self._converted(filled, applied.kind)
            await self._handlers.tell(value, applied.value)
            kind = self._applied.kind if self._applied is not None else applied.kind
            if kind is not applied.kind:  # loaded as something else meanwhile
                value = self._converted(filled, kind)
        except Exception as error:  # noqa: BLE001  # whatever it is, the service does not run with this
            self._refuse(layered, error)
        else:
            self._run_with(_Applied(layered, values, filled, kind, value))
            for wake in self._wakes:
                wake.set()

    async def _accept(self, layered: Layered, kind: type[Any]) -> None:
        values = layered.values(self._instance)
        filled = await self._secrets.filled(values)
        self._run_with(_Applied(layered, values, filled, kind, self._converted(filled, kind)))

    def _converted(self, filled: dict[str, Any], kind: type[T]) -> T:
        try:
            return converted(self._service, filled, kind)
        except InvalidConfig as error:
            refused = self._secrets.quiet(error)
        raise refused

    def _run_with(self, applied: _Applied) -> None:
        self._applied = applied
        self._standing.run(applied.layered)
        for told in self._heeding:
            told()

    def _refuse(self, layered: Layered, error: Exception) -> None:
        reason = self._secrets.masked(str(error) or type(error).__name__)
        running = self._applied.layered if self._applied is not None else None
        self._standing.refuse(layered, reason.encode(errors="replace").decode()[:MAX_REASON], running)

    async def _keep(self) -> None:
        if self._applied is None:
            return
        if self._copy is not None and not self._applied.layered.is_empty:
            await self._copy.keep(self._applied.layered)
        if self._secrets.in_use:
            answered = self._standing.answered
            awaited = answered.values(self._instance) if answered is not None else {}
            await self._secrets.settled(self._applied.values, awaited)

    def _beat(self) -> None:
        if self._attachment is not None:
            self._attachment.beat()
