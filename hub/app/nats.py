"""The hub's own connections to NATS: made with errors that say what to do, and what becomes of them told in the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import nats.errors
import structlog
from msgspec import Struct
from nats.aio.client import Client

from hub.core.accounts import HUB_ACCOUNT
from hub.core.registry import Registry
from hub.embedded.binary import OLDEST
from hub.errors import StartupError, Unauthenticated, Unavailable, Untrusted
from hub.handlers.clock import Clock
from hub.handlers.connections import Connections
from hub.handlers.kicking import Kicking
from hub.settings import Settings
from hub.transport.connection import Credentials, Notices, close, connect, describe, without_password
from hub.transport.loops import Keep
from hub.transport.requests import Requester
from hub.transport.tls import Tls, explain

log = structlog.get_logger(__name__)

_WHO_AM_I: Final = "$SYS.REQ.USER.INFO"
_ANSWER_WITHIN: Final = 5.0


class Connection:
    """The connection that a hub works on.

    Args:
        urls: The NATS servers.
        name: What it is called there.
        credentials_file: The login, where the URLs have none.
        nkey_seed: The nkey to log in by, where identities are proven.
        tls: Whom to trust, and as whom to come.
        on_closed: Called when NATS has turned us away for good.
        on_dropped: Called when messages were dropped, the hub being too slow for them.
    """

    def __init__(
        self,
        urls: list[str],
        *,
        name: str,
        credentials_file: str | None,
        nkey_seed: str | None = None,
        tls: Tls,
        on_closed: Callable[[], None],
        on_dropped: Callable[[], None],
    ) -> None:
        self._urls = urls
        self._name = name
        self._credentials_file = credentials_file
        self._nkey_seed = nkey_seed
        self._tls = tls
        self._on_closed = on_closed
        self._on_dropped = on_dropped
        self._client: Client | None = None
        self._trouble = ""
        self._leaving = False

    async def open(self) -> Client:
        """Connect.

        Raises:
            StartupError: no server takes the connection, or the one that does is too old; the message says what to do.
        """
        notices = Notices(
            disconnected=self._told_disconnected,
            reconnected=self._told_reconnected,
            closed=self._told_closed,
            error=self._told_error,
        )
        try:
            client = await connect(
                self._urls, name=self._name, notices=notices, credentials=self._credentials(), tls=self._tls
            )
        except Untrusted as error:
            raise StartupError(
                f"{error.message}; the files are named by nats.tls_ca, nats.tls_cert and nats.tls_key "
                "(NATS_CA, NATS_CERT, NATS_KEY)"
            ) from None
        except Unauthenticated as error:
            raise StartupError(
                f"{error.message}; name its login with nats.credentials (HUB_NATS_CREDENTIALS), or put it into the URL "
                "(nats://user:password@host:4222)"
            ) from None
        except Unavailable as error:
            raise StartupError(
                f"{error.message}: start nats-server there, name another with --nats or NATS_URL (with its login: "
                "nats://user:password@host:4222), or let `hub up` run its own"
            ) from None
        self._client = client
        version = client.connected_server_version
        if (version.major, version.minor) < OLDEST:
            await self.aclose()
            wanted = ".".join(map(str, OLDEST))
            raise StartupError(
                f"NATS at {without_password(self._urls[0])} is {version.major}.{version.minor}.{version.patch}; "
                f"Central Hub needs {wanted} or newer: upgrade nats-server, or let `hub up` run its own"
            )
        return client

    def leave(self) -> None:
        """Its end is wanted from now on, and no news."""
        self._leaving = True

    async def aclose(self) -> None:
        """Close it."""
        self.leave()
        if self._client is not None:
            await close(self._client)

    def _credentials(self) -> Credentials:
        """The login from the settings. A file that is not there is told, even where NATS would not ask for it."""
        path = self._credentials_file
        if path is not None and not Path(path).is_file():
            raise StartupError(
                f"nats.credentials: expected a file, there is none at {path}: name another, or leave it out"
            )
        return Credentials(credentials_file=path, nkey_seed=None if path is not None else self._nkey_seed)

    async def _told_disconnected(self) -> None:
        if self._client is not None and not self._leaving:
            log.warning("NATS connection lost; reconnecting")

    async def _told_reconnected(self) -> None:
        self._trouble = ""
        log.info("NATS connection is back")

    async def _told_closed(self) -> None:
        if not self._leaving:
            self._on_closed()

    async def _told_error(self, error: Exception) -> None:
        if self._client is None:
            return  # `open` tells of it, once
        reason = explain(error) or describe(error)
        if self._client.is_connected or reason != self._trouble:  # each attempt to reconnect fails alike
            log.warning("NATS error", reason=reason)
        self._trouble = reason
        if isinstance(error, nats.errors.SlowConsumerError):
            self._on_dropped()


async def check_account(client: Client, url: str) -> None:
    """Make sure that the hub is alone in the account from which everybody else is kept.

    Raises:
        StartupError: it is in another, or NATS does not say: nothing there would prove who asks.
    """
    try:
        reply = await client.request(_WHO_AM_I, timeout=_ANSWER_WITHIN)
        account = msgspec.json.decode(reply.data, type=_User).data.account
    except (nats.errors.Error, OSError, msgspec.MsgspecError) as error:
        account = f"none that it tells ({describe(error)})"
    if account != HUB_ACCOUNT:
        raise StartupError(
            f"NATS at {without_password(url)}: identities are to be proven, for which the hub must be in the account "
            f"{HUB_ACCOUNT}, and is in {account}: include what `hub access conf` prints in the configuration of the "
            "servers, and give the hub the same keys (access.keys, HUB_ACCESS_KEYS)"
        )


class _Account(Struct):
    account: str = ""


class _User(Struct):
    data: _Account


@asynccontextmanager
async def instances_connections(
    url: str,
    *,
    name: str,
    seed: str | None,
    tls: Tls,
    registry: Registry,
    kicking: Kicking,
    clock: Clock,
    keep: Keep,
    proven: bool = False,
) -> AsyncIterator[None]:
    """Follow the connections of instances by what NATS tells in its system account, until the context ends.

    Args:
        url: Where to log in to that account.
        name: What the connection is called there.
        seed: The nkey seed for the login, where it takes one.
        tls: Whom to trust, and as whom to come.
        registry: Who is to know.
        kicking: What closes connections over it.
        clock: Where to read the time.
        keep: What runs the loops.
        proven: Whether each connection is of whom the hub has let in.

    Raises:
        StartupError: that account lets nobody in; the message names the setting.
    """

    async def reread() -> None:
        await connections.reread()
        kicking.changed()

    try:
        client = await connect(
            url, name=name, notices=Notices(reconnected=reread), credentials=Credentials(nkey_seed=seed), tls=tls
        )
    except (Unavailable, Unauthenticated) as error:
        raise StartupError(
            f"system account: {error.message}: mend nats.system_url (HUB_NATS_SYSTEM_URL), or do without it"
        ) from None
    try:
        async with Requester(client, keep=keep, name="system-requests-sweeper") as requester:
            connections = Connections(client, requester, registry, clock, proven=proven)
            await connections.start()
            await kicking.attach(client, requester, all_proven=proven)
            yield
    finally:
        await close(client)


def tls_of(settings: Settings) -> Tls:
    """Whom to trust, and as whom to come, when the hub connects to NATS."""
    nats = settings.nats
    return Tls(ca=nats.tls_ca, cert=nats.tls_cert, key=nats.tls_key)
