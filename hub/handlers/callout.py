"""`$SYS.REQ.USER.AUTH`: the NATS servers ask who a connection is of, before they let it in; one of the hubs answers.

While no hub runs, nobody new is let in, and whoever is in goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections import Counter
from typing import Final, Protocol

import nats.errors
import structlog
from msgspec import structs
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hub.core.accounts import SERVICES_ACCOUNT, across
from hub.core.permissions import Permissions
from hub.errors import HubError, Overloaded, Unauthenticated, Unavailable
from hub.handlers.authenticator import Authenticator
from hub.handlers.clock import Clock
from hub.handlers.inflight import InFlight
from hub.handlers.sparing import Sparing
from hub.identity import natsjwt
from hub.identity.natsjwt import AuthorizationRequest
from hub.identity.nkey import Nkey
from hub.identity.proof import Presented, Proof
from hub.transport.connection import describe
from hub.transport.direct import subscribe_direct
from hub.wire.admitted import user_name
from hub.wire.names import is_instance_id
from hub.wire.roles import Caller, inbox_prefix_for
from hub.wire.subjects import QUEUE_GROUP

log = structlog.get_logger(__name__)

SUBJECT: Final = "$SYS.REQ.USER.AUTH"
AT_ONCE: Final = 256
"""Connections that are looked at at the same time; the server refuses what is not answered, and clients come again."""
WITHIN: Final = 1.5
"""Seconds that one may take. The server waits for 2."""
REFUSED: Final = "refused"
"""All that a stranger is told."""
_SHOWN: Final = 128


class Permit(Protocol):
    """Says what somebody may use whose identity was proven."""

    def __call__(self, proof: Proof, caller: Caller, inboxes: tuple[str, ...]) -> Permissions:
        """The subjects.

        Args:
            proof: What was proven.
            caller: Who it is on this connection: of a service perhaps the one instance that the connection is of.
            inboxes: Prefixes of inboxes that are its own by what it presented.
        """


class Told(Protocol):
    """Is told of every login."""

    def __call__(self, caller: Caller | None, host: str, outcome: str, reason: str = "") -> None:
        """See `Audit.login`."""


def untold(caller: Caller | None, host: str, outcome: str, reason: str = "") -> None:
    """Nobody wants to know."""


class Callout:
    """Answers the servers.

    Args:
        client: The connection, in the account of the hubs.
        authenticator: Knows who presents what.
        issuer: The account key that answers are signed with.
        permit: Knows what each may use.
        clock: Where to read the time.
        outcomes: Where to count how each ended: `ok`, or the code of an error.
        told: Told of each, and by what it was proven, or why it was not.
    """

    def __init__(
        self,
        client: Client,
        authenticator: Authenticator,
        issuer: Nkey,
        permit: Permit,
        clock: Clock,
        *,
        outcomes: Counter[str],
        told: Told = untold,
    ) -> None:
        self._client = client
        self._authenticator = authenticator
        self._issuer = issuer
        self._permit = permit
        self._clock = clock
        self._outcomes = outcomes
        self._told = told
        self._in_flight = InFlight(AT_ONCE)
        self._sparing = Sparing()
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Begin to answer."""
        self._subscription = await subscribe_direct(self._client, SUBJECT, self._on_request, queue=QUEUE_GROUP)

    async def drain(self, within: float) -> None:
        """Take no more requests, and answer those received within so many seconds."""
        if self._subscription is not None and self._client.is_connected:
            await self._subscription.drain()  # type: ignore[no-untyped-call]
        self._subscription = None
        await self._in_flight.drain(within)

    async def _on_request(self, message: Msg) -> None:
        try:
            self._in_flight.begin(self._answer(message))
        except Overloaded as error:  # the server refuses by itself what nobody answers, and later
            self._outcomes[error.code] += 1
            self._tell(f"{AT_ONCE} are being looked at already", None)

    async def _answer(self, message: Msg) -> None:
        now = self._clock.wall().timestamp()
        try:
            request = natsjwt.read_request(message.data, issuer=self._issuer.public, now=now)
        except Unauthenticated as error:  # whoever says so is no server: it is told nothing
            self._outcomes[error.code] += 1
            self._tell(error.message, None)
            return
        try:
            user = await self._let_in(request, now)
        except HubError as error:
            self._outcomes[error.code] += 1
            self._tell(error.message, request)
            self._told(None, request.client_info.host, error.code, error.message)
            answer = natsjwt.response(request, self._issuer, now=now, refusal=REFUSED)
        except Exception as error:  # whatever somebody presents, the next one is looked at
            self._outcomes["internal"] += 1
            log.error("login failed by a fault of the hub", exc_info=error)
            answer = natsjwt.response(request, self._issuer, now=now, refusal=REFUSED)
        else:
            self._outcomes["ok"] += 1
            answer = natsjwt.response(request, self._issuer, now=now, user_jwt=user)
        try:
            await self._client.publish(message.reply, answer)
        except (nats.errors.Error, OSError) as error:
            self._tell(f"the answer could not be sent ({describe(error)})", request)

    async def _let_in(self, request: AuthorizationRequest, now: float) -> str:
        presented = _presented(request)
        try:
            async with asyncio.timeout(WITHIN):
                proof = await self._authenticator.prove(presented)
        except TimeoutError:
            raise Unavailable(f"it could not be told within {WITHIN:g} s who this is") from None
        caller = bound(proof.caller, presented.connection)
        granted = self._permit(proof, caller, inboxes(presented, proof))
        log.debug("let in", caller=str(caller), credential=proof.credential, host=presented.host)
        user = natsjwt.user(
            request,
            self._issuer,
            account=SERVICES_ACCOUNT,
            name=user_name(caller, proof.credential, proof.expires),
            publish=across(granted.publish),
            subscribe=granted.subscribe,
            now=now,
        )
        self._told(caller, presented.host, "ok", proof.credential)
        return user

    def _tell(self, reason: str, request: AuthorizationRequest | None) -> None:
        if (omitted := self._sparing.take()) is None:
            return
        info = {} if request is None else {"host": request.client_info.host, "connection": request.connect_opts.name}
        shown = {name: value[:_SHOWN] for name, value in info.items()}
        log.warning("login refused", reason=reason, **shown, omitted_before=omitted)


def bound(caller: Caller, connection: str) -> Caller:
    """Who it is on a connection of that name: an instance, where a service calls it `<its own name>.<instance>`."""
    service, _, instance = connection.partition(".")
    if caller.role != "service" or caller.instance is not None or service != caller.name:
        return caller
    return structs.replace(caller, instance=instance) if is_instance_id(instance) else caller


def _presented(request: AuthorizationRequest) -> Presented:
    """What came with the connection. Raises Unauthenticated where an nkey's signature is not right."""
    options, chains = request.connect_opts, request.client_tls.verified_chains
    return Presented(
        via="nats",
        token=options.auth_token or options.password or None,
        nkey=natsjwt.proven_nkey(request),
        certificate=chains[0][0] if chains and chains[0] else None,
        connection=request.connect_opts.name or request.client_info.name,
        host=request.client_info.host,
    )


def inboxes(presented: Presented, proof: Proof) -> tuple[str, ...]:
    """The prefixes of the inboxes that nobody else can have who presents something else.

    They are of what proved who it is, and of nothing that was presented beside it: an nkey and the digest of a
    certificate are no secrets, and anybody can present somebody else's in the place of a token.
    """
    kind = proof.credential.partition(":")[0]
    if kind == "nkey":
        credential = presented.nkey
    elif kind == "certificate" and presented.certificate is not None:
        credential = hashlib.sha256(ssl.PEM_cert_to_DER_cert(presented.certificate)).hexdigest()
    else:
        credential = presented.token
    return () if credential is None else (inbox_prefix_for(credential),)
