"""The client of Central Hub: a service's own registration, and its view of the others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from hub.client.address import credentials_given, local_address, tls_given, urls_given
from hub.client.components import ClientComponents
from hub.client.config import ClientConfig
from hub.client.configcopy import ConfigCopy
from hub.client.confighandlers import HANDLER_TIMEOUT, Handlers
from hub.client.configtype import schema_of
from hub.client.flags import ClientFlags
from hub.client.instances import Instances
from hub.client.registration import Registration
from hub.client.secretcopy import SecretCopy
from hub.client.session import Session, completed, finish
from hub.client.watch import Change
from hub.errors import HubError, InvalidRequest, Unavailable
from hub.transport.login import TokenSource
from hub.wire import subjects
from hub.wire.checks import Check
from hub.wire.codec import Decoder, encode
from hub.wire.discovery import Discover, Discovered, Instance, ServiceList, Services, ServiceSummary
from hub.wire.names import Liveness, ReportedStatus, Status, Strategy
from hub.wire.registration import Register, Registered

LOAD_TIMEOUT = 0.5
"""Seconds that a choice by load may wait for the hub, before it is made without."""

_check = Decoder(Register)


class CentralHubClient:
    """One service's connection to Central Hub.

    Entering its context connects, registers, and keeps registered; leaving it deregisters. Discovery is answered from a
    local cache that is kept up to date, and goes on being answered from it while the hub or NATS is away.

        async with CentralHubClient("my-service", "data-collector", port=8080) as client:
            engine = await client.discover("trading-engine")

    Without a `port` nothing is registered: the client only looks for others.

    `client.config` is what the service is to run with; the last good one is kept in the `config_cache`, where one is
    given. Once it is there, the context can be entered while hub and NATS are away: after `start_timeout` the client
    goes on connecting and registering in the background, and the service runs with what was kept. `connect` and
    `register` by themselves raise as ever. So does entering where the network is away and no `host` is given: nobody
    could tell under which address to register.

    Args:
        name: The service's name, a DNS label.
        service_type: What kind of service it is; registered as `metadata["type"]`.
        port: Where the service listens.
        host: Under which address others reach it; by default the local address from which it reaches NATS.
        instance_id: Tells this process from others of the service; by default made from name, host and port.
        nats_url: One NATS URL or several (a list, or separated by commas); by default `NATS_URL` from the environment,
            else `nats://127.0.0.1:4222`.
        tls_ca: The file of the CAs that NATS servers may have their certificate from, in place of those of the machine.
            Any of these three has TLS spoken, as does a URL that begins with `tls://`; the server's certificate and its
            name are always verified. Where none is given, `NATS_CA`, `NATS_CERT` and `NATS_KEY` name the files.
        tls_cert: The file of the certificate to show to NATS servers that ask for one.
        tls_key: The file of its key.
        nkey: How to log in, where NATS asks for that: the file of an nkey's seed, or the seed. Needs the extra `nkey`.
        token: Likewise, a token (JWT): itself, the `Path` of a file with it, or a function, async or not, that returns
            a fresh one within 10 seconds. File and function are asked anew for each connection, so that a token that
            has expired meanwhile is not used again. A function that is not async is called in a thread of its own.
        api_key: Likewise, an API key: itself, or the `Path` of a file with it.
        credentials: Likewise, the file (.creds) of a user JWT and its seed. Needs the extra `nkey`.
            At most one of these four and of a login in the URL. Where none is given, `HUB_NKEY`, `HUB_TOKEN_FILE`,
            `HUB_TOKEN`, `HUB_API_KEY` or `HUB_CREDS` says how.
        protocol: The scheme of the service's URL.
        health_endpoint: The path of its health check.
        metadata: Whatever else others should know; `metadata["capabilities"]` can be discovered by.
        version: Its version; can be discovered by range.
        zone: Where it runs. With the strategy `nearest`, instances of the same zone are preferred.
        tags: Labels to discover by.
        weight: Its share of the choices by the strategy `weighted`.
        depends_on: The services it needs. They are looked up at the start, so that their cache is warm.
        liveness: How it shows that it is alive; see the registration message.
        ttl: Seconds without a beat until it is taken for dead; the hub's default (6) where none is given.
        deregister_after: Seconds it is dead until it is removed; the hub's default (60; 1800 with `probe`) where none
            is given.
        checks: How the hub should look at it besides: the structs of `hub.wire.checks`, or mappings as in the contract.
            What those of type `ttl` say comes from `set_check`.
        protect_threshold: Share of well instances at which discovery answers with all of the service, 0 to 1.
        start_timeout: Seconds to find NATS and a hub in.
        timeout: Seconds that a call may take in all, when it cannot be answered from the cache.
        config_cache: The folder in which the last good configuration is kept; None keeps none. Secrets stay out of it.
        config_schema: What the service's configuration must be like: a JSON Schema (draft 2020-12), or the type that it
            is loaded as, for which one is made. It is registered with the service; where the hub does not take it, the
            service is registered all the same, and a warning says why. Of several versions, the newest one's holds.
        config_timeout: Seconds that each handler of `config.on_change` may take, where it does not say otherwise.
        config_cache_key: What the secrets that the configuration refers to are encrypted with, so that they are kept in
            the `config_cache` too: 32 bytes, or these in base64, as `hub secret keygen` prints them. Needs the extra
            `secrets`. None keeps no secrets: a service whose configuration refers to some then needs a hub to start.

    Attributes:
        config: The configuration of this service; see `ClientConfig`.
        flags: The feature flags in it; see `ClientFlags`.
        components: A local copy of the files that services share; see `ClientComponents`.

    Raises:
        InvalidRequest: an argument is not what a registration may say; `field` names it.
    """

    def __init__(
        self,
        name: str,
        service_type: str | None = None,
        *,
        port: int | None = None,
        host: str | None = None,
        instance_id: str | None = None,
        nats_url: str | Sequence[str] | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
        tls_cert: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
        nkey: str | os.PathLike[str] | None = None,
        token: str | os.PathLike[str] | TokenSource | None = None,
        api_key: str | os.PathLike[str] | None = None,
        credentials: str | os.PathLike[str] | None = None,
        protocol: str = "http",
        health_endpoint: str | None = None,
        metadata: dict[str, Any] | None = None,
        version: str = "",
        zone: str | None = None,
        tags: Iterable[str] = (),
        weight: int = 100,
        depends_on: Iterable[str] = (),
        liveness: Liveness = "heartbeat",
        ttl: float | None = None,
        deregister_after: float | None = None,
        checks: Iterable[Check | Mapping[str, Any]] = (),
        protect_threshold: float | None = None,
        start_timeout: float = 10.0,
        timeout: float = 5.0,
        config_cache: str | os.PathLike[str] | None = None,
        config_schema: dict[str, Any] | type[Any] | None = None,
        config_timeout: float = HANDLER_TIMEOUT,
        config_cache_key: str | bytes | None = None,
    ) -> None:
        kind = {"type": service_type} if service_type is not None else {}
        self._offer = _check(
            encode(
                {
                    "name": name,
                    "host": host or "not-known-yet",
                    "port": 1 if port is None else port,
                    "protocol": protocol,
                    "health_endpoint": health_endpoint,
                    "metadata": {**kind, **(metadata or {})},
                    "instance_id": instance_id,
                    "version": version,
                    "zone": zone,
                    "tags": tuple(tags),
                    "weight": weight,
                    "depends_on": tuple(depends_on),
                    "liveness": liveness,
                    "ttl": ttl,
                    "deregister_after": deregister_after,
                    "checks": tuple(checks),
                    "protect_threshold": protect_threshold,
                    "config_schema": schema_of(config_schema),
                }
            )
        )
        self._host = host
        self._registers = port is not None
        self._urls = urls_given(nats_url)
        self._tls = tls_given(tls_ca, tls_cert, tls_key)
        self._credentials = credentials_given(nats_url, nkey, token, api_key, credentials)
        self._start_timeout = start_timeout
        self._timeout = timeout
        self._zone = zone
        copy = ConfigCopy(config_cache, name) if config_cache is not None else None
        secrets = _secret_copy(config_cache, name, config_cache_key)
        self.config = ClientConfig(name, copy, timeout, Handlers(name, config_timeout), secrets)
        self.flags = ClientFlags(self.config)
        self.components = ClientComponents(timeout)
        self._opening = asyncio.Lock()
        self._session: Session | None = None
        self._ending: asyncio.Task[None] | None = None
        self._rings: dict[str, Iterator[Instance]] = {}

    # --- life

    async def __aenter__(self) -> Self:
        if await self._may_start_alone():
            await self._start_whoever_is_there()
        else:
            await (self.register() if self._registers else self.connect())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def connect(self) -> None:
        """Connect to NATS, without registering anything. Does nothing when connected.

        Raises:
            Untrusted: TLS: the server is not who it should be, or does not take us for who we are.
            Unauthenticated: NATS refused the login for all of `start_timeout`, or there was nothing to log in with.
            Unavailable: no NATS server took the connection within `start_timeout`.
        """
        await self._connect()

    async def _connect(self, *, or_later: bool = False) -> None:
        async with self._opening:
            if self._session is not None:
                return
            if self._registers:
                self._offer = await completed(self._offer, self._host, self._urls)
            offer = self._offer if self._registers else None
            session = Session(
                self._urls,
                self._offer.name,
                offer,
                self.config,
                self.components,
                tls=self._tls,
                credentials=self._credentials,
            )
            await session.open(within=self._start_timeout, or_later=or_later)
            session.warm(self._offer.depends_on, self._timeout)
            self._session, self._rings = session, session.cache.rings

    async def register(self) -> Registered:
        """Connect, register, and keep registered until `deregister` or `close`. Registering again updates.

        Returns:
            What the hub said: the revision, the ttl, and how often the client beats.

        Raises:
            InvalidRequest: the client has no `port`, or the hub refused a field; `field` names it.
            Conflict: the instance id belongs to another service.
            Unauthenticated: NATS refused the login for all of `start_timeout`. Nothing is left running.
            Forbidden: who is logged in may not register this.
            Unavailable: no NATS server or no hub answered within `start_timeout`. Nothing is left running.
        """
        if not self._registers:
            raise InvalidRequest("port: expected 1..65535 to register, got none", field="port")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._start_timeout
        opened_here = self._session is None
        try:
            await self.connect()
            return await self._open.register(within=max(0.1, deadline - loop.time()))
        except BaseException:
            if opened_here:
                await self.aclose()
            raise

    async def deregister(self, reason: str | None = None) -> None:
        """Stop beating and take the instance out of discovery. The client stays connected, and can register again."""
        if self._session is not None:
            await self._session.deregister(reason)

    async def aclose(self) -> None:
        """Deregister, as far as a hub answers within a second, and close. Safe to call twice, and when cancelled."""
        session, self._session = self._session, None
        self._rings = {}
        if session is not None:
            self._ending = asyncio.create_task(session.aclose(), name="close")
        if self._ending is not None:
            await finish(self._ending)

    close = aclose

    # --- this instance

    @property
    def name(self) -> str:
        """The service's name."""
        return self._offer.name

    @property
    def instance_id(self) -> str | None:
        """The id of this instance; None until it is known, which is at the latest when connected."""
        return self._offer.instance_id

    @property
    def connected(self) -> bool:
        """Whether NATS is there right now. If not, the client is reconnecting."""
        return self._session is not None and self._session.link.connected

    @property
    def registered(self) -> bool:
        """Whether the hub has this instance registered, as far as is known. If not, the client is registering again."""
        registration = self._session.registration if self._session is not None else None
        return registration is not None and registration.registered is not None

    def set_status(self, status: ReportedStatus, message: str = "") -> None:
        """Say how this instance is, until it is said otherwise: `warning` is chosen last, `critical` never.

        Raises:
            InvalidRequest: there is no such status.
            Unavailable: not registered.
        """
        self._registration().report(status=status, message=message)

    def set_load(self, load: float) -> None:
        """Say how busy this instance is, 0 for idle; it goes with the next beat, and counts for `least_loaded`.

        Raises:
            InvalidRequest: the load is negative.
            Unavailable: not registered.
        """
        self._registration().report(load=load)

    def set_check(self, name: str, status: ReportedStatus, message: str = "") -> None:
        """Say how one of this instance's `ttl` checks came out: now, and again within its ttl, or it fails.

        Raises:
            InvalidRequest: there is no such status, or no such check was registered.
            Unavailable: not registered.
        """
        self._registration().report_check(name, status, message)

    # --- the others

    async def discover(
        self,
        name: str,
        *,
        strategy: Strategy = "round_robin",
        tags: Collection[str] = (),
        capabilities: Collection[str] = (),
        version: str = "",
        zone: str | None = None,
        exclude: Collection[str] = (),
    ) -> Instance:
        """One good instance of a service, from the local cache.

        Only the first call for a service asks somebody; later ones do not wait, except with `least_loaded`, since only
        the hub knows the loads (without an answer from it the choice is made by chance).

        Args:
            name: The service.
            strategy: How to choose.
            tags: It must have all of them.
            capabilities: It must have all of them.
            version: A range such as `>=1.2,<2`.
            zone: It must be there; with `nearest`, it should, and this client's own zone is the default.
            exclude: Instance ids that shall not be chosen: those that a retry has tried already.

        Raises:
            NoInstance: nobody may be chosen.
            Unavailable: the service is not in the cache yet, and nobody could be asked.
            InvalidRequest: an argument is not what the contract says; `field` names it.
        """
        if strategy == "round_robin" and not (tags or capabilities or version or zone or exclude):
            ring = self._rings.get(name)
            return next(ring) if ring is not None else await self._open.cache.next(name, self._timeout)
        query = self._query(name, strategy, tags, capabilities, version, zone)
        if strategy == "least_loaded" and self.connected:
            found = await self._ask_by_load(query, exclude)
            if found is not None:
                return found
        return await self._open.cache.choose(query, exclude, self._timeout)

    async def discover_all(
        self,
        name: str,
        *,
        strategy: Strategy = "all",
        tags: Collection[str] = (),
        capabilities: Collection[str] = (),
        version: str = "",
        zone: str | None = None,
        exclude: Collection[str] = (),
        status: Status | Literal["any"] = "passing",
        limit: int = 0,
    ) -> Instances:
        """All instances of a service that match, from the local cache; none is an empty result, not an error.

        Args:
            name: The service.
            strategy: `all` for all by instance id; another orders them by preference and takes `limit` of them.
            tags: They must have all of them.
            capabilities: They must have all of them.
            version: A range such as `>=1.2,<2`.
            zone: They must be there.
            exclude: Instance ids to leave out.
            status: `passing` for the best there are; another is matched exactly; `any` matches all.
            limit: At most so many; 0 for all.

        Raises:
            Unavailable: the service is not in the cache yet, and nobody could be asked.
            InvalidRequest: an argument is not what the contract says; `field` names it.
        """
        query = self._query(name, strategy, tags, capabilities, version, zone, status=status, limit=limit)
        return await self._open.cache.all(query, exclude, self._timeout)

    async def services(self) -> tuple[ServiceSummary, ...]:
        """All services there are, by name. Asks the hub.

        Raises:
            Unavailable, DeadlineExceeded: no hub answered.
        """
        found: list[ServiceSummary] = []
        after = ""
        while True:
            page = await self._open.link.ask(
                subjects.SERVICES, Services(after=after), ServiceList, within=self._timeout
            )
            found += page.services
            if page.next is None:
                return tuple(found)
            after = page.next

    async def watch(self, name: str) -> AsyncIterator[Change]:
        """The instances of a service, and then every change to them, for as long as the client is open.

        Raises:
            Unavailable: the service is not in the cache yet, and nobody could be asked.
            InvalidRequest: the name is none.
        """
        follower = await self._open.cache.follow(name, self._timeout)
        async for change in follower.watch():
            yield change

    # --- inside

    async def _may_start_alone(self) -> bool:
        """Whether the service has all that it needs to run while hub and NATS are away."""
        if not await self.config.has_copy():
            return False
        return not self._registers or self._host is not None or await local_address(self._urls) is not None

    async def _start_whoever_is_there(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._start_timeout
        await self._connect(or_later=True)
        if not self._registers:
            return
        try:
            await self._open.register_or_later(within=max(0.1, deadline - loop.time()))
        except BaseException:
            await self.aclose()
            raise

    async def _ask_by_load(self, query: Discover, exclude: Collection[str]) -> Instance | None:
        wanted = msgspec.structs.replace(query, limit=1 + len(exclude))
        try:
            found = await self._open.link.ask_once(subjects.DISCOVER, wanted, Discovered, timeout=LOAD_TIMEOUT)
        except HubError as error:
            if not error.retryable:
                raise
            return None
        return next((i for i in found.instances if i.instance_id not in exclude), None)

    def _query(
        self,
        name: str,
        strategy: Strategy,
        tags: Collection[str],
        capabilities: Collection[str],
        version: str,
        zone: str | None,
        *,
        status: Status | Literal["any"] = "passing",
        limit: int = 0,
    ) -> Discover:
        return Discover(
            name=name,
            strategy=strategy,
            tags=tuple(tags),
            capabilities=tuple(capabilities),
            version=version,
            zone=self._zone if strategy == "nearest" and zone is None else zone,
            status=status,
            limit=limit,
        )

    @property
    def _open(self) -> Session:
        if self._session is None:
            raise Unavailable("the client is not open: use `async with`, or call `connect` or `register` first")
        return self._session

    def _registration(self) -> Registration:
        if self._session is None or self._session.registration is None:
            raise Unavailable(f"{self._offer.name}: not registered")
        return self._session.registration


def _secret_copy(folder: str | os.PathLike[str] | None, service: str, key: str | bytes | None) -> SecretCopy | None:
    if key is None:
        return None
    if folder is None:
        raise InvalidRequest("config_cache_key: expected a config_cache, too", field="config_cache_key")
    return SecretCopy(folder, service, key)
