"""The secrets that a service's configuration refers to: resolved by the hub, followed, and put in their places.

Values are in memory alone, and in no log, error or origin. NATS tells that a secret has changed, never to what: the
hub is asked for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import UnsetType
from nats.aio.msg import Msg

from hub.client.link import Hearing, Link
from hub.client.republished import is_republished
from hub.client.rereading import Rereading
from hub.client.secretcopy import SecretCopy
from hub.client.spellings import spellings
from hub.client.tasks import Tasks
from hub.core.references import filled, references
from hub.errors import HubError, InvalidConfig, Unavailable
from hub.masking import MASK
from hub.vault import sealing, transit
from hub.wire import subjects
from hub.wire.secrets import ResolvedSecrets, ResolveSecrets, is_secret_name

log = logging.getLogger("hub.client")

TIMEOUT: Final = 2.0
"""Seconds that one request may take."""
AT_ONCE: Final = 16
"""Secrets in one request."""
_REMEMBERED: Final = 4
"""Values of each secret, the newest, that are masked wherever they turn up."""


class ServiceSecrets:
    """The secrets of one service. Whose configuration refers to none pays for a look at it, and nothing else.

    Args:
        service: Its name.
        copy: Where the values are kept, encrypted, to start with when nobody can be asked; None keeps none.
        timeout: Seconds in which values must be there that were never asked for before.

    Attributes:
        changed: Whether values are no longer those that were filled in last.
    """

    def __init__(self, service: str, copy: SecretCopy | None, timeout: float) -> None:
        self.changed = False
        self._service = service
        self._copy = copy
        self._timeout = timeout
        self._link: Link | None = None
        self._tasks: Tasks | None = None
        self._instance: str | None = None
        self._on_news: Callable[[], None] = _ignore
        self._wanted: set[str] = set()
        self._known: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._seen: dict[str, deque[str]] = {}
        self._hearings: dict[str, Hearing] = {}
        self._heard = 0
        self._failure = ""
        self._answered = asyncio.Event()
        self._rereading: Rereading | None = None

    @property
    def stale(self) -> bool:
        """Whether changes may be missing without our knowing."""
        return self._rereading is not None and self._rereading.stale

    @property
    def in_use(self) -> bool:
        """Whether the configuration refers to any, or did when it was last looked at."""
        return bool(self._wanted)

    # --- for the configuration

    def attach(self, link: Link, tasks: Tasks, key: str | None, on_news: Callable[[], None]) -> None:
        """The client is open: ask over its connection, and follow again what was followed before.

        Args:
            link: The connection.
            tasks: Owns the background task.
            key: The instance that is registered; None for none.
            on_news: Called when a value has changed.
        """
        self._link, self._tasks, self._on_news = link, tasks, on_news
        self._instance = key.partition(".")[2] if key is not None else None
        if self._wanted:
            self._follow(link, tasks)

    async def aclose(self) -> None:
        """The client closes: follow nothing any more. What is known stays known."""
        link, self._link, self._tasks = self._link, None, None
        if self._rereading is not None:
            await self._rereading.aclose()
            self._rereading = None
        if link is not None:
            for hearing in self._hearings.values():
                await link.unsubscribe(hearing)
        self._hearings.clear()

    def missed(self) -> None:
        """Changes may have been missed."""
        if self._rereading is not None:
            self._rereading.resync()

    async def filled(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values with secrets in the place of the references to them; the values themselves where there are none.

        Raises:
            InvalidConfig: the service may not read a secret, or there is none; `field` names the place.
            Unavailable: nobody could be asked in time, and a value is not kept on disk either.
        """
        places = tuple(references(values))
        if not places:
            self.changed = False
            return values
        await self._have({name for _, name in places})
        self.changed = False
        for path, name in places:
            if name in self._refused:
                raise InvalidConfig(
                    f"{self._service}: {path}: expected a secret that {self._service} may read ({self._refused[name]})",
                    field=path,
                )
        whole: dict[str, Any] = filled(values, self._known.__getitem__)
        return whole

    async def settled(self, values: dict[str, Any], awaited: dict[str, Any]) -> None:
        """The service runs with these values: the secrets that they refer to are kept on disk.

        Args:
            values: What it runs with.
            awaited: What it is to run with. Secrets that neither refers to are forgotten.
        """
        names = {name for _, name in references(values)}
        for name in self._wanted - names - {name for _, name in references(awaited)}:
            await self._forget(name)
        if self._copy is not None and names and names <= self._known.keys():
            await self._copy.keep({name: self._known[name] for name in names})

    def masked(self, text: str) -> str:
        """The text without the values of secrets, however they are spelled in it."""
        known = {spelling for values in self._seen.values() for value in values for spelling in spellings(value)}
        for spelling in sorted(known, key=len, reverse=True):
            text = text.replace(spelling, MASK)
        return text

    def quiet(self, error: InvalidConfig) -> InvalidConfig:
        """The error without what was found in the place of what was expected: it may be part of a secret."""
        if not self._seen:
            return error
        return InvalidConfig(self.masked(error.message.partition(", got ")[0]), field=error.field)

    # --- inside

    async def _have(self, names: set[str]) -> None:
        """Return when it is known of all what they are, or why that is not told."""
        new = names - self._wanted
        self._wanted |= names
        if new and self._link is not None and self._tasks is not None:
            if self._rereading is None:
                self._follow(self._link, self._tasks)
            else:
                self._rereading.resync()
        try:
            async with asyncio.timeout(self._timeout if self._link is not None and self._link.connected else 0.0):
                while self._missing(names):
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            await self._take_kept(names)

    def _missing(self, names: set[str]) -> set[str]:
        return names - self._known.keys() - self._refused.keys()

    async def _take_kept(self, names: set[str]) -> None:
        """Take from the disk what nobody could be asked for.

        Raises:
            Unavailable: it is not there; says what would have helped.
        """
        kept = await self._copy.read() if self._copy is not None else {}
        for name in self._missing(names) & kept.keys():
            self._know(name, kept[name])
        if missing := self._missing(names):
            why = self._failure or "NATS is away"
            cure = (
                "it is not kept on disk: config_cache and config_cache_key would have kept it"
                if self._copy is None
                else f"it is not among what is kept in {self._copy.path}"
            )
            raise Unavailable(
                f"{self._service}: its configuration refers to the secret {', '.join(sorted(missing))}, which no hub "
                f"could be asked for ({why}), and {cure}"
            )

    def _follow(self, link: Link, tasks: Tasks) -> None:
        what = f"{self._service}: the secrets of its configuration"
        self._rereading = Rereading(what, link, self._read, tasks, "secret-follow")

    async def _read(self) -> None:
        try:
            await self._resolve_all()
        except HubError as error:
            self._failure = error.message
            raise
        self._failure = ""

    async def _resolve_all(self) -> None:
        link, names = self._link, sorted(self._wanted)
        if link is None:
            return
        await self._subscribe(link, names)
        revision, self._heard = self._heard, 0  # of a bucket that is made anew no such revision will come
        found: dict[str, str] = {}
        refused = {name: "no secret goes by such a name" for name in names if not is_secret_name(name)}
        for some in _batches([name for name in names if name not in refused]):
            await self._resolve(link, some, revision, found, refused)
        for name in names:
            if name in self._wanted:
                self._learn(name, found.get(name), refused.get(name, ""))
        self._answered.set()
        if self.changed:
            self._on_news()

    async def _resolve(
        self, link: Link, names: list[str], revision: int, found: dict[str, str], refused: dict[str, str]
    ) -> None:
        """Ask for some. Where one of them is refused, each is asked for alone.

        Raises:
            HubError: they cannot be had now, and perhaps later.
        """
        recipient = _recipient()
        question = ResolveSecrets(
            service=self._service,
            names=tuple(names),
            instance_id=self._instance,
            min_revision=revision,
            seal_to=None if recipient is None else recipient.public,
        )
        try:
            answer = await link.ask_once(subjects.SECRET_RESOLVE, question, ResolvedSecrets, timeout=TIMEOUT)
            if recipient is not None:
                answer = _opened(answer, recipient, question)
        except HubError as error:
            if error.retryable or not names:
                raise
            if len(names) == 1:
                refused[names[0]] = error.message
                return
            for name in names:
                await self._resolve(link, [name], revision, found, refused)
        else:
            found.update((name, secret.value) for name, secret in answer.secrets.items())

    def _learn(self, name: str, value: str | None, refusal: str) -> None:
        if value is not None:
            self.changed |= self._known.get(name, value) != value or name in self._refused
            self._know(name, value)
        else:
            self.changed |= name in self._known
            self._known.pop(name, None)
            self._refused[name] = refusal

    def _know(self, name: str, value: str) -> None:
        self._known[name] = value
        self._refused.pop(name, None)
        seen = self._seen.setdefault(name, deque(maxlen=_REMEMBERED))
        if value not in seen:
            seen.append(value)

    async def _forget(self, name: str) -> None:
        self._wanted.discard(name)
        self._known.pop(name, None)
        self._refused.pop(name, None)
        hearing = self._hearings.pop(name, None)
        if hearing is not None and self._link is not None:
            await self._link.unsubscribe(hearing)

    async def _subscribe(self, link: Link, names: list[str]) -> None:
        for name in names:
            if name not in self._hearings and is_secret_name(name):
                subject = subjects.secret_delta(name)
                self._hearings[name] = await link.subscribe(subject, self._on_delta, direct=True)

    async def _on_delta(self, message: Msg) -> None:
        if not is_republished(message, subjects.SECRET_DELTA_PREFIX):
            return
        revision = (message.headers or {}).get("Nats-Sequence", "")
        self._heard = int(revision) if revision.isdecimal() else 0
        self.missed()


def _recipient() -> transit.Recipient | None:
    """For whom an answer is to be sealed, fresh each time; None where the extra `secrets` is not installed."""
    try:
        return transit.Recipient()
    except ModuleNotFoundError:
        return None


def _opened(answer: ResolvedSecrets, recipient: transit.Recipient, question: ResolveSecrets) -> ResolvedSecrets:
    """The answer as it was before it was sealed. A hub of an older version seals none.

    Raises:
        Unavailable: it does not open.
    """
    if isinstance(answer.sealed, UnsetType):
        return answer
    try:
        plain = recipient.unseal(answer.sealed.key, answer.sealed.ciphertext, transit.answer_to(question))
        return msgspec.json.decode(plain, type=ResolvedSecrets)
    except (sealing.Broken, msgspec.MsgspecError):
        raise Unavailable("secrets: the answer was sealed for another, or was changed on its way") from None


def _batches(names: list[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while some := list(islice(rest, AT_ONCE)):
        yield some


def _ignore() -> None:
    return None
