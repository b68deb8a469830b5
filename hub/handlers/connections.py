"""What NATS says of connections, over the system account: who has one, and who has just lost it.

An instance's connection is known by its client name, `<service>.<instance>`. The events come at most once and may be
missed, so they only ever make an instance suspect; and what is connected is asked for anew whenever we reconnect.
Where identities are proven, an instance's connection is known by its user, as anybody may call a connection anything.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import structlog
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.core.registry import Registry
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.transport.requests import Requester
from hub.wire.admitted import parse_user
from hub.wire.subjects import instance_key

log = structlog.get_logger(__name__)

MAX_CONNECTIONS = 200_000
_PAGE = 1024


class _Peer(Struct):
    name: str = ""
    user: str = ""
    authorized_user: str = ""


class _Change(Struct):
    client: _Peer


class _Listed(Struct):
    connections: list[_Peer] = []
    total: int = 0


class _ConnectionsReply(Struct):
    data: _Listed


class Connections:
    """Follows the connections of instances.

    Args:
        client: A connection to the system account.
        requester: For requests on it.
        registry: Told of what is connected and what no longer is.
        clock: Where to read the time.
        proven: Whether the hub has let connections in, each as who it is.
    """

    def __init__(
        self, client: Client, requester: Requester, registry: Registry, clock: Clock, *, proven: bool = False
    ) -> None:
        self._client = client
        self._requester = requester
        self._registry = registry
        self._clock = clock
        self._proven = proven
        self._decode_change = msgspec.json.Decoder(_Change).decode
        self._decode_reply = msgspec.json.Decoder(_ConnectionsReply).decode

    async def start(self) -> None:
        """Follow connections, beginning with those that exist."""
        await self._client.subscribe("$SYS.ACCOUNT.*.CONNECT", cb=self._on_connect)
        await self._client.subscribe("$SYS.ACCOUNT.*.DISCONNECT", cb=self._on_disconnect)
        await self.reread()

    async def reread(self) -> None:
        """Ask the servers who is connected, in place of what was known."""
        names: Counter[str] = Counter()
        try:
            for server in await self._servers():
                names.update(await self._connected_to(server))
        except HubError as error:
            log.warning("connections not read; suspicion waits for their next change", reason=error.message)
            return
        self._registry.liveness.connections(names)
        log.debug("connections read", named=len(names))

    async def _servers(self) -> list[str]:
        """The ids of the servers of this cluster: those that answer a ping in time."""
        found: list[str] = []
        inbox = self._client.new_inbox()

        async def on_reply(message: Msg) -> None:
            found.append(msgspec.json.decode(message.data)["server"]["id"])

        subscription = await self._client.subscribe(inbox, cb=on_reply)
        await self._client.publish("$SYS.REQ.SERVER.PING", reply=inbox)
        expected = 1 + len(self._client.discovered_servers)
        for _ in range(20):
            await asyncio.sleep(0.025)
            if len(found) >= expected:
                break
        await subscription.unsubscribe()
        return found

    async def _connected_to(self, server: str) -> list[str]:
        names: list[str] = []
        offset = 0
        while offset < MAX_CONNECTIONS:
            ask = msgspec.json.encode({"limit": _PAGE, "offset": offset, "auth": self._proven})
            reply = await self._requester.request(f"$SYS.REQ.SERVER.{server}.CONNZ", ask)
            listed = self._decode_reply(reply.data).data
            names += [name for peer in listed.connections if (name := self._of(peer)) is not None]
            offset += _PAGE
            if len(listed.connections) < _PAGE or offset >= listed.total:
                break
        return names

    async def _on_connect(self, message: Msg) -> None:
        if (name := self._name(message)) is not None:
            self._registry.liveness.connected(name, self._clock.now())

    async def _on_disconnect(self, message: Msg) -> None:
        if (name := self._name(message)) is not None:
            self._registry.disconnected(name, self._clock.now(), self._clock.wall)

    def _name(self, message: Msg) -> str | None:
        """The client name in an event, where it could be an instance's."""
        try:
            peer = self._decode_change(message.data).client
        except msgspec.MsgspecError:
            log.warning("connection event not understood", subject=message.subject)
            return None
        return self._of(peer)

    def _of(self, peer: _Peer) -> str | None:
        """The key of the instance that a connection could be of."""
        if not self._proven:
            return peer.name if "." in peer.name else None
        try:
            caller = parse_user(peer.user or peer.authorized_user).caller
        except ValueError:
            return None
        return None if caller.instance is None else instance_key(caller.name, caller.instance)
