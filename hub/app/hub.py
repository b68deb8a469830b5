"""One hub: its parts made, started in order, and drained in the reverse of it."""

from __future__ import annotations

import contextlib
import secrets
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import structlog

from hub.app.access import Access
from hub.app.certificates import certificates, http_chain
from hub.app.credentials import Credentials
from hub.app.desk import Desk
from hub.app.nats import Connection, check_account, tls_of
from hub.app.parts import Parts
from hub.app.verifiers import Verifiers
from hub.core.catalog import Catalog
from hub.core.registry import Registry
from hub.errors import StartupError
from hub.handlers.admin import Admin
from hub.handlers.adoption import Adoption
from hub.handlers.auditanswers import AuditAnswers
from hub.handlers.callout import Callout
from hub.handlers.clock import Clock
from hub.handlers.configrecords import StoredConfigs
from hub.handlers.configschemas import RegisteredSchemas
from hub.handlers.following import Following
from hub.handlers.graph import Graphs
from hub.handlers.health import HealthAnswers
from hub.handlers.httplogins import HttpLogins
from hub.handlers.keyring import Keys
from hub.handlers.metrics import MetricsText
from hub.handlers.micro import Micro
from hub.handlers.registration import Registration
from hub.handlers.supervisor import Supervisor
from hub.identity.proof import Presented, Proof
from hub.settings import Settings
from hub.settings.access import AccessFile
from hub.telemetry.metrics import Metrics
from hub.transport.connection import without_password
from hub.wire import subjects

log = structlog.get_logger(__name__)


class Hub:
    """One hub replica. Entering its context returns when it answers requests; leaving it drains.

    Args:
        settings: How to run.
        urls: The NATS servers to work on.
        metrics: Where to count.
        system_url: Where to log in to the system account; None where there is no way in.
        system_seed: The nkey seed for that login, where it takes one.
        reload_nats: Has the nats-server that is the hub's own read its certificate again; None where there is none.
        access: What proves who asks; None where whoever reaches the hub may do everything.
        verifiers: What verifies tokens and certificates; None for those of `access`.

    Raises:
        StartupError: the certificate of the HTTP face cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        urls: list[str],
        *,
        metrics: Metrics,
        system_url: str | None = None,
        system_seed: str | None = None,
        reload_nats: Callable[[], None] | None = None,
        access: Access | None = None,
        verifiers: Verifiers | None = None,
    ) -> None:
        self.hub_id = f"hub-{secrets.token_hex(4)}"
        self.metrics = metrics
        self._settings = settings
        self._verifiers = verifiers or (access.verifiers if access else Verifiers(AccessFile(), Clock()))
        self._urls = urls
        self._system_url = system_url
        self._system_seed = system_seed
        self._access = access
        self._logins = None if access is None else HttpLogins(access.authenticator, metrics.logins)
        self._callout: Callout | None = None
        self._stack = contextlib.AsyncExitStack()
        self._supervisor = Supervisor()
        self._connection = Connection(
            urls,
            name=self.hub_id,
            credentials_file=settings.nats.credentials,
            nkey_seed=None if access is None else access.keys.hub.seed,
            tls=tls_of(settings),
            on_closed=self._on_closed,
            on_dropped=self._on_dropped,
        )
        self._chain = http_chain(settings.http)
        self._certificates = certificates(settings, self._chain, reload_nats)
        self._started = False
        self._draining = False

    # --- what the sidecar and the CLI ask

    @property
    def registry(self) -> Registry:
        """Its decisions, and all that they are made from."""
        return self._parts.registry

    @property
    def alive(self) -> bool:
        """Whether the hub's own tasks run, or at least are not beyond what restarting them mends."""
        return self._supervisor.alive

    @property
    def ready(self) -> bool:
        """Whether it can answer requests."""
        return self._started and not self._draining and self._client.is_connected and self._parts.watch.synced

    @property
    def registered_services(self) -> int:
        """How many services have instances."""
        return len(self.registry.catalog.names)

    def checks(self) -> dict[str, str]:
        """How each dependency is, in the words of `/health`."""
        return self._parts.wellbeing.checks()

    def details(self) -> dict[str, Any]:
        """What an operator wants to know besides."""
        return {
            "hub_id": self.hub_id,
            "leading": self._parts.lease.held,
            "ready": self.ready,
            "instances": len(self.registry.catalog.entries),
            "revision": self.registry.catalog.revision,
            "doubt": self._parts.doubt(),
            "requests_in_flight": len(self._desk),
            **self._parts.wellbeing.details(),
        }

    def scrape(self) -> tuple[bytes, str]:
        """The metrics as Prometheus reads them, and their content type."""
        return self.metrics.render(), self.metrics.content_type

    @property
    def catalog(self) -> Catalog:
        """All that is registered."""
        return self.registry.catalog

    def follow(self, notice: Callable[[str], None]) -> None:
        """Call `notice` with a service's name after each visible change to it."""
        self._parts.followers.append(notice)

    @property
    def http_tls(self) -> Callable[[], ssl.SSLContext] | None:
        """How the HTTP face is to speak TLS at any one time; None where it is to speak none."""
        chain = self._chain
        return None if chain is None else lambda: chain.context

    async def ask(self, subject: str, payload: bytes) -> bytes:
        """What this hub answers to a request, by the same rules as on NATS. Raises as the subject refuses."""
        return await self._desk.ask(subject, payload)

    def admit_address(self, address: str, subject: str) -> None:
        """Let somebody over HTTP ask, as far as nobody proves who he is. Raises RateLimited."""
        self._parts.limits.admit_address(address, subject)

    @property
    def authenticate(self) -> Callable[[Presented], Awaitable[Proof]] | None:
        """What proves who asks over HTTP; None where nobody has to prove it."""
        return None if self._logins is None else self._logins.prove

    def holds(self, proof: Proof) -> bool:
        """Whether what was proven still is."""
        return self._logins is not None and self._logins.holds(proof)

    def admit(self, subject: str, payload: bytes) -> None:
        """Let the current caller have what he could ask a subject for. Raises as that refuses."""
        self._desk.admit(subject, payload)

    async def heartbeat(self, service: str, instance_id: str, payload: bytes) -> None:
        """Let an instance beat. Raises as `Heartbeats.publish` does, and as the subject refuses the current caller."""
        self._desk.admit(subjects.heartbeat(subjects.instance_key(service, instance_id)), payload)
        await self._parts.heartbeats.publish(service, instance_id, payload)

    @property
    def shown_url(self) -> str:
        """The NATS it works on, without passwords."""
        return ",".join(without_password(url) for url in self._urls)

    async def wait_failed(self) -> None:
        """Return never, unless the hub cannot go on; then raise why.

        Raises:
            StartupError: NATS turned us away for good.
            Exception: whatever ended the supervisor of the hub's tasks.
        """
        await self._supervisor.wait_failed()

    # --- life

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            self._leave()
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        if self._callout is not None:
            await self._callout.drain(self._settings.drain_timeout)
        await self._parts.checking.leave()
        self._parts.config_changes.close()
        self._parts.secret_changes.close()
        await self._desk.drain(self._parts.changes, self._settings.drain_timeout)
        await self._stack.aclose()
        log.info("hub stopped", hub=self.hub_id)

    def _leave(self) -> None:
        self._draining = True
        self._connection.leave()

    async def _start(self) -> None:
        settings = self._settings
        keys = Keys.of(settings.secrets)
        following = Following.of(settings, self.hub_id)
        self._stack.push_async_callback(following.aclose, settings.drain_timeout)
        await self._stack.enter_async_context(self._supervisor)
        await self._certificates.start()
        self._client = client = await self._connection.open()
        self._stack.push_async_callback(self._connection.aclose)
        if self._access is not None:
            await check_account(client, self._urls[0])
        self._parts = parts = Parts(
            self.hub_id,
            settings,
            client,
            supervisor=self._supervisor,
            stack=self._stack,
            metrics=self.metrics,
            keys=keys,
            certificates=self._certificates,
            verifiers=self._verifiers,
            credentials=Credentials(Clock()) if self._access is None else self._access.credentials,
            proven=self._access is not None,
        )
        await parts.make()
        gate = None if self._access is None else self._access.gate.after(parts.limits)
        self._desk = Desk(client, self.metrics, following, settings.limits.in_flight, gate)
        self._desk.audit = parts.audit
        if gate is not None:
            gate.tell(parts.audit)
        if self._logins is not None:
            self._logins.told = parts.audit.login
        await parts.start(self._system_url, self._system_seed)
        await self._answer(parts, following)
        await self._let_in(parts)
        self.metrics.sources = parts.sources(in_flight=lambda: len(self._desk))
        await client.flush()
        self._started = True
        log.info("hub started", hub=self.hub_id, instances=len(self.catalog.entries))

    async def _answer(self, parts: Parts, following: Following) -> None:
        """Every subject; last, since who is answered expects all the rest to be there."""
        desk, registry, clock, budget = self._desk, parts.registry, parts.clock, parts.answers.budget
        bucket, desired = following.traced(parts.bucket, "registry"), following.traced(parts.desired, "desired")
        registration = Registration(
            registry,
            parts.answers,
            bucket,
            parts.events,
            clock,
            self.metrics,
            config=parts.configs.values,
            schemas=RegisteredSchemas(parts.configs, parts.configuration, registry),
        )
        admin = Admin(registry, parts.bucket, desired, parts.events, clock, max_bytes=budget)
        await desk.answer(subjects.REGISTER, registration.register)
        await desk.answer(subjects.DEREGISTER, registration.deregister)
        discover, asked = parts.discovery.discover, parts.observing.asked
        await desk.answer(subjects.DISCOVER, discover, may_wait=True, on_headers=asked)
        await desk.answer(subjects.SERVICES, parts.discovery.services)
        await desk.answer(subjects.HEALTH, HealthAnswers(registry, budget=budget).get)
        await desk.answer(subjects.GRAPH, Graphs(parts.graph, clock).graph)
        audit = AuditAnswers(parts.audit_log, parts.archive.audit, clock, max_bytes=budget)
        stored = StoredConfigs(parts.configs, max_bytes=budget)
        for family in (
            admin,
            parts.configuration,
            parts.canaries,
            stored,
            parts.secrets,
            parts.components.requests,
            parts.admission,
            audit,
        ):
            for subject, respond in family.subjects.items():
                await desk.answer(subject, respond)
        await desk.answer(subjects.CONFIG_RELOAD, parts.files.reload)
        await desk.answer(subjects.CONFIG_STATUS, parts.rollout.status)
        text = MetricsText(self.metrics, hub_id=self.hub_id, max_bytes=parts.max_bytes)
        await desk.open((text.endpoint(self._client, desk.in_flight, following, desk.gate),))
        micro = Micro(self.hub_id, clock.wall(), self.metrics)
        await desk.open(micro.endpoints(self._client, desk.in_flight, desk.gate))
        if self._settings.micro.adopt and self._access is None:
            await self._adopt(parts, registration)

    async def _let_in(self, parts: Parts) -> None:
        """Say to the NATS servers who may come in, where that is to be proven; last, since who is in begins to ask."""
        access = self._access
        if access is None:
            return
        if self._settings.micro.adopt:
            log.info("services that speak the micro protocol alone are not looked for: nothing would prove who answers")
        self._callout = Callout(
            self._client,
            access.authenticator,
            access.keys.issuer,
            access.permit,
            parts.clock,
            outcomes=self.metrics.logins,
            told=parts.audit.login,
        )
        await self._callout.start()

    async def _adopt(self, parts: Parts, registration: Registration) -> None:
        """Find services that speak the micro protocol alone."""
        adoption = Adoption(
            self._client,
            parts.requester,
            parts.registry,
            registration,
            parts.clock,
            self.metrics,
            parts.lease,
            nats_url=self._urls[0],
            interval=self._settings.micro.interval,
        )
        await adoption.start()
        parts.keep("adoption-rounds", adoption.ask_rounds)
        parts.keep("adoption-intake", adoption.take_in)

    # --- what happens

    def _on_closed(self) -> None:
        if self._started:
            self._supervisor.fail(StartupError("NATS closed the connection for good; see the log for its reason"))

    def _on_dropped(self) -> None:
        if self._started:
            self._parts.nats.dropped()
            self._parts.deafened("messages were dropped, the hub was too slow")
