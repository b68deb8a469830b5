"""NATS with three accounts, hubs on it, and who lets connections in: what auth callout does, as far as tests need."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nats
import nats.errors
import nkeys  # type: ignore[import-untyped]
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.app import Hub
from hub.errors import HubError
from hub.handlers.clock import Clock
from hub.handlers.inflight import InFlight
from hub.identity.proof import Presented, Proof
from hub.settings import load
from hub.telemetry.metrics import Metrics
from hub.wire.admitted import user_name
from hub.wire.roles import parse_caller
from tests.proxy import Proxy
from tests.servers import NatsServer


class Issuer:
    """The account key that signs for whoever is let in."""

    def __init__(self) -> None:
        self._key = nkeys.from_seed(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_ACCOUNT))
        self.public = self._key.public_key.decode()

    def signed(self, claims: dict[str, Any]) -> str:
        claims = {**claims, "iss": self.public, "iat": int(time.time())}
        claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(claims).encode()).digest()).decode().rstrip("=")
        text = ".".join(_encoded(each) for each in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims))
        return f"{text}.{_b64(self._key.sign(text.encode()))}"


def accounts(issuer: Issuer) -> str:
    """The configuration of a server with the accounts HUB, SERVICES and SYS."""
    return f"""
system_account: SYS
accounts {{
  HUB {{ jetstream: enabled, users: [{{ user: hub, password: pw }}] }}
  SERVICES {{ }}
  SYS {{ users: [{{ user: sys, password: pw }}] }}
}}
authorization {{
  timeout: 5
  auth_callout {{ issuer: {issuer.public}, account: HUB, auth_users: [ hub, sys ] }}
}}
"""


class Passports:
    """A verifier for tests: a token `<caller> <credential> [<expires>]` proves just that."""

    async def verify(self, presented: Presented, now: float) -> Proof | None:
        """See `Verifier`."""
        who, _, rest = (presented.token or "").partition(" ")
        credential, _, expires = rest.partition(" ")
        if not credential:
            return None
        return Proof(caller=parse_caller(who), credential=credential, expires=float(expires) if expires else None)


class Letting:
    """Hubs, and connections that they let in.

    Args:
        server: Where they are.
        operator: A connection in the hubs' account.
        issuer: What signs for whoever is let in.
        system: Host and port by which hubs reach the system account.

    Attributes:
        hubs: The hubs; each lets in whom it is asked for, in turn.
        refused: Why connections were not let in.
        proxy: What is between the hubs and the system account; None where nothing is.
    """

    def __init__(self, server: NatsServer, operator: Client, issuer: Issuer, system: str) -> None:
        self.server = server
        self.operator = operator
        self.hubs: list[Hub] = []
        self.refused: list[str] = []
        self.proxy: Proxy | None = None
        self._in_flight = InFlight(256)
        self._issuer = issuer
        self._system = system
        self._stacks: list[contextlib.AsyncExitStack] = []

    async def start(self) -> None:
        """Start one more hub, which lets in whom it is asked for."""
        url = self.server.url.replace("nats://", "nats://hub:pw@")
        settings = load(overrides={"nats.url": [url], "http.port": 0, "micro.adopt": False})
        hub = Hub(settings, [url], metrics=Metrics(), system_url=f"nats://sys:pw@{self._system}")
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(hub)
            hub._parts.admission.credentials.recognise([Passports()])
            subscription = await self.operator.subscribe(
                "$SYS.REQ.USER.AUTH", queue="hub", cb=partial(self._begin, hub)
            )
            stack.push_async_callback(subscription.unsubscribe)
            await self.operator.flush()
            self._stacks.append(stack.pop_all())
        self.hubs.append(hub)

    async def stop(self) -> None:
        """Stop all hubs."""
        self.hubs.clear()
        while self._stacks:
            await self._stacks.pop().aclose()
        await self._in_flight.drain(0.1)

    async def _begin(self, hub: Hub, message: Msg) -> None:
        """Let nobody wait for somebody else's refusal."""
        self._in_flight.begin(self._answer(hub, message))

    async def _answer(self, hub: Hub, message: Msg) -> None:
        """Let somebody in, or not, by what one of the hubs knows."""
        asked = _decoded(message.data)["nats"]
        response: dict[str, Any] = {"type": "authorization_response", "version": 2}
        presented = Presented(
            via="nats", token=asked["connect_opts"].get("auth_token"), host=asked["client_info"]["host"]
        )
        try:
            proof = await hub._parts.admission.credentials.authenticator.prove(presented)
        except HubError as error:
            self.refused.append(error.message)
            response["error"] = "refused"
        else:
            name = user_name(proof.caller, proof.credential, proof.expires)
            user = {"type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
            response["jwt"] = self._issuer.signed(
                {"sub": asked["user_nkey"], "aud": "SERVICES", "name": name, "nats": user}
            )
        claims = {"sub": asked["user_nkey"], "aud": asked["server_id"]["id"], "nats": response}
        with contextlib.suppress(nats.errors.Error):  # the test has ended meanwhile
            await message.respond(self._issuer.signed(claims).encode())


class Visitor:
    """A connection in the services' account, and what became of it."""

    def __init__(self) -> None:
        self.client: Client
        self.losses: list[float] = []
        self.returns = 0

    async def _lost(self) -> None:
        self.losses.append(time.monotonic())

    async def _back(self) -> None:
        self.returns += 1

    @property
    def there(self) -> bool:
        """Whether it is connected and always was."""
        return self.client.is_connected and not self.losses


@asynccontextmanager
async def letting(folder: Path, *, hubs: int = 1, proxied: bool = False) -> AsyncIterator[Letting]:
    """A server, so many hubs on it, and connections let in by them: by API keys, and by `Passports`.

    Where it is `proxied`, the hubs reach the system account through the `proxy` alone.
    """
    issuer = Issuer()
    with NatsServer(folder / "nats", config=accounts(issuer)) as server:
        async with contextlib.AsyncExitStack() as stack:
            operator = await nats.connect(server.url.replace("nats://", "nats://hub:pw@"))
            stack.push_async_callback(operator.close)
            system = server.url
            proxy = None
            if proxied:
                proxy = await stack.enter_async_context(Proxy(server.port))
                system = proxy.url
            found = Letting(server, operator, issuer, system.removeprefix("nats://"))
            found.proxy = proxy
            stack.push_async_callback(found.stop)
            for _ in range(hubs):
                await found.start()
            yield found


@asynccontextmanager
async def visiting(at: Letting, token: str) -> AsyncIterator[Visitor]:
    """A connection with that token, which comes back when it is lost."""
    visitor = Visitor()

    async def untold(error: Exception) -> None:
        return None

    visitor.client = await nats.connect(
        at.server.url,
        token=token,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.05,
        disconnected_cb=visitor._lost,
        reconnected_cb=visitor._back,
        error_cb=untold,
    )
    try:
        yield visitor
    finally:
        await visitor.client.close()


def wall_in(seconds: float) -> float:
    """The time of day in so many seconds, since the epoch."""
    return Clock().wall().timestamp() + seconds


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _encoded(value: Any) -> str:
    return _b64(json.dumps(value).encode())


def _decoded(token: bytes) -> Any:
    return json.loads(base64.urlsafe_b64decode(token.split(b".")[1] + b"=="))
