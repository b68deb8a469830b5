"""Closes the connections of whom the hub lets in no more: what was revoked, and proofs whose time is up.

A user JWT holds for as long as the connection lives, so each replica closes what is to be closed, over the system
account. Whom a connection is of stands in the name of its user (see `hub.wire.admitted`): the servers are asked for all
connections of the services when something was revoked and from time to time besides, and tell of every new one. Whoever
is closed comes back at once, and is let in if he has something that is still good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import structlog
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.core.accounts import SERVICES_ACCOUNT
from hub.core.expiries import SECOND_LOOK, Expiries, Looks, Place
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.transport.loops import IDLE, Beat, beating
from hub.transport.requests import Requester
from hub.wire.admitted import Admitted, parse_user

log = structlog.get_logger(__name__)

_PAGE: Final = 512
"""Connections in one answer, which must be no larger than a message may be."""
_MAX_CONNECTIONS: Final = 200_000
_ANSWER: Final = 0.5
"""Seconds in which every server answers."""
_AT_ONCE: Final = 64
"""Connections that are being closed."""

Ended = Callable[[Admitted, float], str]
"""Why somebody is let in no more, at a time in seconds since the epoch; empty where he is."""


class _Server(Struct):
    id: str = ""


class _Peer(Struct):
    cid: int = 0
    authorized_user: str = ""


class _Listed(Struct):
    connections: list[_Peer] = []
    total: int = 0


class _Page(Struct):
    server: _Server
    data: _Listed | None = None


class _EventClient(Struct):
    id: int = 0
    user: str = ""


class _Event(Struct):
    server: _Server
    client: _EventClient


class _Error(Struct):
    code: int = 0
    description: str = ""


class _Reply(Struct):
    error: _Error | None = None


class Kicking:
    """Closes connections. It can do nothing until it is attached to the system account.

    Args:
        ended: Who is let in no more.
        clock: Where to read the time.

    Attributes:
        closed: Connections closed so far by this replica.
    """

    def __init__(self, ended: Ended, clock: Clock) -> None:
        self._ended = ended
        self._clock = clock
        self._client: Client | None = None
        self._requester: Requester | None = None
        self._all_proven = False
        self._expiries = Expiries()
        self._looks = Looks(clock.now())
        self._woken = asyncio.Event()
        self._decode_page = msgspec.json.Decoder(_Page).decode
        self._decode_event = msgspec.json.Decoder(_Event).decode
        self._decode_reply = msgspec.json.Decoder(_Reply).decode
        self.closed = 0

    async def attach(self, client: Client, requester: Requester, *, all_proven: bool) -> None:
        """Have a connection to the system account, and requests on it, from now on.

        Args:
            client: The connection.
            requester: An open requester on it.
            all_proven: Whether hubs have let in everybody, so that who bears no name of theirs is to be put out.
        """
        self._client, self._requester, self._all_proven = client, requester, all_proven
        await client.subscribe(f"$SYS.ACCOUNT.{SERVICES_ACCOUNT}.CONNECT", cb=self._on_connect)
        await client.subscribe(f"$SYS.ACCOUNT.{SERVICES_ACCOUNT}.DISCONNECT", cb=self._on_disconnect)
        self.changed()

    def changed(self) -> None:
        """Something was revoked, or the servers may have told what was not heard: look at all connections now."""
        self._looks.changed(self._clock.now())
        self._woken.set()

    def expect(self, at: float) -> None:
        """Something ends then, in seconds since the epoch, that may be any connection's."""
        self._looks.want(self._clock.now() + max(0.0, at - self._wall()))
        self._woken.set()

    async def run(self, beat: Beat) -> None:
        """Close what is to be closed, for ever."""
        while True:
            beat()
            await self._pause()
            if self._client is None or not self._client.is_connected:
                await asyncio.sleep(SECOND_LOOK)
                continue
            if self._looks.due(self._clock.now()):
                await beating(self._look(), beat)
            due = self._expiries.due(self._wall())
            await beating(self._close_all([(place, "expired") for place in due]), beat)

    # --- inside

    async def _pause(self) -> None:
        """Wait until there is something to do, or it is time for a sign of life."""
        wait = min(IDLE, self._looks.next() - self._clock.now())
        if (end := self._expiries.next()) is not None:
            wait = min(wait, end - self._wall())
        if wait > 0:
            try:
                async with asyncio.timeout(wait):
                    await self._woken.wait()
            except TimeoutError:
                pass  # its time has come
        self._woken.clear()

    async def _look(self) -> None:
        """Look at every connection of the services."""
        before = self._expiries.known()
        seen: set[Place] = set()
        ended: list[tuple[Place, str]] = []
        try:
            answered = await self._first_pages()
            for page in answered:
                for peer in await self._all_of(page):
                    place = Place(page.server.id, peer.cid)
                    seen.add(place)
                    if reason := self._judge(place, peer.authorized_user):
                        ended.append((place, reason))
        except (HubError, msgspec.MsgspecError) as error:
            log.warning("connections not looked at; trying again", reason=str(error))
            self._looks.want(self._clock.now() + SECOND_LOOK)
        else:
            servers = {page.server.id for page in answered}
            for place in before - seen:
                if place.server in servers:
                    self._expiries.gone(place)
        await self._close_all(ended)

    def _judge(self, place: Place, user: str) -> str:
        """Why a connection is to be closed; empty where it is not, and then it is remembered when it is to be."""
        try:
            admitted = parse_user(user)
        except ValueError:
            return "nobody that this hub let in" if self._all_proven else ""
        if admitted.expires is not None and admitted.expires <= self._wall():
            return "expired"
        if reason := self._ended(admitted, self._wall()):
            return reason
        if admitted.expires is not None:
            self._expiries.expect(place, float(admitted.expires))
        return ""

    async def _first_pages(self) -> list[_Page]:
        """The first page of each server that answers in time."""
        assert self._client is not None
        client, pages, all_there = self._client, list[_Page](), asyncio.Event()
        expected = max(1, len(client.servers))

        async def on_reply(message: Msg) -> None:
            pages.append(self._decode_page(message.data))
            if len(pages) >= expected:
                all_there.set()

        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=on_reply)
        try:
            await client.publish("$SYS.REQ.SERVER.PING.CONNZ", _asked(0), reply=inbox)
            async with asyncio.timeout(_ANSWER):
                await all_there.wait()
        except TimeoutError:
            if not pages:
                self._looks.want(self._clock.now() + SECOND_LOOK)
        finally:
            await subscription.unsubscribe()
        return pages

    async def _all_of(self, first: _Page) -> list[_Peer]:
        """The connections of one server, of whose answer this is the first page."""
        assert self._requester is not None
        if first.data is None:
            return []
        found, page = list(first.data.connections), first.data
        while len(page.connections) >= _PAGE and len(found) < min(page.total, _MAX_CONNECTIONS):
            reply = await self._requester.request(f"$SYS.REQ.SERVER.{first.server.id}.CONNZ", _asked(len(found)))
            page = self._decode_page(reply.data).data or _Listed()
            found += page.connections
        return found

    async def _close_all(self, ended: Iterable[tuple[Place, str]]) -> None:
        rest = list(ended)
        while rest:
            now, rest = rest[:_AT_ONCE], rest[_AT_ONCE:]
            await asyncio.gather(*(self._close(place, reason) for place, reason in now))

    async def _close(self, place: Place, reason: str) -> None:
        """Close one connection. That it is gone already is well."""
        assert self._requester is not None
        subject = f"$SYS.REQ.SERVER.{place.server}.KICK"
        try:
            reply = await self._requester.request(subject, msgspec.json.encode({"cid": place.cid}))
            refused = self._decode_reply(reply.data).error
        except (HubError, msgspec.MsgspecError) as error:
            log.warning("connection not closed; trying again", server=place.server, cid=place.cid, reason=str(error))
            self._looks.want(self._clock.now() + SECOND_LOOK)
            return
        if refused is None:
            self.closed += 1
            log.info("connection closed", server=place.server, cid=place.cid, reason=reason)

    async def _on_connect(self, message: Msg) -> None:
        event = self._event(message)
        if event is None:
            return
        place = Place(event.server.id, event.client.id)
        if reason := self._judge(place, event.client.user):
            log.info("connection came in that is to be closed", server=place.server, cid=place.cid, reason=reason)
            self.changed()
        self._woken.set()

    async def _on_disconnect(self, message: Msg) -> None:
        if (event := self._event(message)) is not None:
            self._expiries.gone(Place(event.server.id, event.client.id))

    def _event(self, message: Msg) -> _Event | None:
        try:
            return self._decode_event(message.data)
        except msgspec.MsgspecError:
            log.warning("connection event not understood", subject=message.subject)
            return None

    def _wall(self) -> float:
        return self._clock.wall().timestamp()


def _asked(offset: int) -> bytes:
    return msgspec.json.encode({"auth": True, "acc": SERVICES_ACCOUNT, "limit": _PAGE, "offset": offset})
