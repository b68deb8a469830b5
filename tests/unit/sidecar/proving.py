"""A hub that wants to know who asks, for tests of its HTTP face: what it is asked passes a real gate, and is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
from starlette.types import Receive, Scope, Send

from hub.core.catalog import Catalog
from hub.core.policy import Policy
from hub.errors import HubError, Unauthenticated
from hub.handlers.authenticator import Authenticator
from hub.handlers.clock import Clock
from hub.handlers.gate import Asked, Gate
from hub.handlers.policyguard import PolicyGuard
from hub.identity.proof import Presented, Proof
from hub.settings.access import AccessFile, Allow
from hub.settings.model import Http
from hub.sidecar.credentials import CERTIFICATE
from hub.sidecar.face import application
from hub.sidecar.feed import Feed
from hub.sidecar.login import Login
from hub.sidecar.origins import Origins
from hub.sidecar.ports import Hub
from hub.sidecar.row import Serving
from hub.sidecar.table import TABLE
from hub.telemetry.meter import ResponseMeter
from hub.telemetry.request import current_caller
from hub.wire.channel import Channel
from hub.wire.channels import CHANNELS
from hub.wire.roles import CALLER_ROLES, Caller, CallerRole
from hub.wire.subjects import HEARTBEAT_PREFIX, heartbeat, instance_key

CHECKS = {"nats": "healthy", "database": "healthy"}
DETAILS = {"hub_id": "hub-0123"}


class Known:
    """Knows some tokens and certificates, by what they are."""

    def __init__(self) -> None:
        self.proofs: dict[str, Proof] = {}
        self.asked: Counter[str] = Counter()
        self.presented: list[Presented] = []
        self.trouble: HubError | None = None

    async def verify(self, presented: Presented, now: float) -> Proof | None:
        self.presented.append(presented)
        if self.trouble is not None:
            raise self.trouble
        shown = presented.token or presented.certificate
        if shown is None:
            return None
        self.asked[shown] += 1
        proof = self.proofs.get(shown)
        if proof is None or (proof.expires is not None and now >= proof.expires):
            raise Unauthenticated(f"of {shown} we know too much to tell")
        return proof


class ProvingHub:
    """A hub whose answers are all the same.

    Args:
        allow: What callers from outside, and services, may see.

    Attributes:
        known: Who has which token or certificate: each role has one called as itself.
        revoked: The credentials that count no more.
        asked: Who asked what, of all that was let through.
    """

    alive = True
    ready = True
    registered_services = 3

    def __init__(self, *allow: Allow) -> None:
        self.known = Known()
        self.revoked: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.catalog = Catalog(lambda service: self.notice(service))
        self.notice: Callable[[str], None] = lambda service: None
        self.gate = Gate([PolicyGuard(Policy(AccessFile(allow=allow)))])
        authenticator = Authenticator([self.known], lambda proof: proof.credential in self.revoked, Clock())
        self.authenticate, self.holds = authenticator.prove, authenticator.holds
        for role in CALLER_ROLES:
            self.known.proofs[role] = proof(role)

    def checks(self) -> dict[str, str]:
        return CHECKS

    def details(self) -> dict[str, Any]:
        return DETAILS

    def scrape(self) -> tuple[bytes, str]:
        return b"hub_up 1\n", "text/plain"

    def follow(self, notice: Callable[[str], None]) -> None:
        self.notice = notice

    def admit(self, subject: str, payload: bytes) -> None:
        caller = current_caller()
        if caller is None:
            raise Unauthenticated("nobody asks")
        self.gate.admit(Asked(caller, subject, payload))
        self.asked.append((str(caller), subject))

    async def ask(self, subject: str, payload: bytes) -> bytes:
        self.admit(subject, payload)
        return b'{"revision":1}'

    async def heartbeat(self, service: str, instance_id: str, payload: bytes) -> None:
        self.admit(heartbeat(instance_key(service, instance_id)), payload)

    @asynccontextmanager
    async def browsing(
        self, host: str = "127.0.0.1", *, certificate: str | None = None, **http: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        """An HTTP client for it, that comes from this address and with this certificate. `http` are settings."""
        settings = Http(**http)
        login = Login(self.authenticate, self.holds, networks=settings.metrics_networks)
        serving = Serving(hub=cast(Hub, self), feed=Feed(self.catalog, limit=4), table=TABLE, login=login)
        face = application(serving, ResponseMeter(), Origins.of(settings))

        async def connected(scope: Scope, receive: Receive, send: Send) -> None:
            await face({**scope, "state": {CERTIFICATE: certificate}}, receive, send)

        transport = httpx.ASGITransport(connected, client=(host, 123))
        async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
            yield client


def proof(role: CallerRole, name: str = "some", **more: Any) -> Proof:
    """What proves that somebody has this role."""
    return Proof(caller=Caller(role=role, name=name), credential=f"key:{role}", **more)


def channel_of(subject: str) -> Channel:
    """The channel that a subject belongs to."""
    if subject.startswith(HEARTBEAT_PREFIX):
        return next(channel for channel in CHANNELS if channel.name == "heartbeat")
    return next(channel for channel in CHANNELS if channel.address == subject)


def bearer(token: str) -> dict[str, str]:
    """The header that has this token."""
    return {"authorization": f"Bearer {token}"}
