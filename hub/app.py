"""The composition root: one hub, put together from its parts, started in order and drained in the reverse of it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import nats.errors
import structlog
from nats.aio.client import Client

from hub.core.answers import Answers
from hub.core.catalog import Catalog
from hub.core.graph_answers import GraphAnswers
from hub.core.observations import Observations
from hub.core.registry import Registry
from hub.embedded.binary import OLDEST
from hub.errors import StartupError, Unavailable
from hub.handlers.admin import Admin
from hub.handlers.adoption import Adoption
from hub.handlers.changes import Changes
from hub.handlers.checking import Checking
from hub.handlers.clock import Clock
from hub.handlers.connections import Connections
from hub.handlers.dependencies import dependencies
from hub.handlers.discovery import Discovery
from hub.handlers.endpoint import Endpoint, OnHeaders, Respond
from hub.handlers.following import Following
from hub.handlers.graph import Graphs
from hub.handlers.health import HealthAnswers, HealthReporter
from hub.handlers.hearing import Hearing
from hub.handlers.heartbeats import Heartbeats
from hub.handlers.inflight import InFlight
from hub.handlers.listeners import DesiredListener, RegistryListener
from hub.handlers.metrics import MetricsText
from hub.handlers.micro import Micro
from hub.handlers.nats import NatsCheck
from hub.handlers.observing import Observing
from hub.handlers.registration import Registration
from hub.handlers.supervisor import Supervisor
from hub.handlers.sweep import Sweep
from hub.handlers.wellbeing import Wellbeing
from hub.probes import Probes, unsupported
from hub.settings import Settings
from hub.store import streams
from hub.store.events import EventLog
from hub.store.jetstream import JetStreamBucket
from hub.store.lease import LeaderLease
from hub.telemetry.metrics import Metrics, Sources
from hub.telemetry.request import with_trace
from hub.transport.connection import Credentials, Notices, close, connect, describe, without_password
from hub.transport.loops import BOUND, Loop
from hub.transport.requests import Requester
from hub.wire import subjects

log = structlog.get_logger(__name__)

_LEASE_ALONE = 2.0
_LEASE_IN_CLUSTER = 10.0
"""A cluster may take seconds to elect a stream leader, in which no lease can be renewed."""
_ENVELOPE_BYTES = 1024
"""What NATS headers and protocol may add to a payload, taken off the server's `max_payload`."""


class Hub:
    """One hub replica. Entering its context returns when it answers requests; leaving it drains.

    Args:
        settings: How to run.
        urls: The NATS servers to work on.
        metrics: Where to count.
        system_url: Where to log in to the system account; None where there is no way in.
        system_seed: The nkey seed for that login, where it takes one.
    """

    def __init__(
        self,
        settings: Settings,
        urls: list[str],
        *,
        metrics: Metrics,
        system_url: str | None = None,
        system_seed: str | None = None,
    ) -> None:
        self.hub_id = f"hub-{secrets.token_hex(4)}"
        self.metrics = metrics
        self._settings = settings
        self._urls = urls
        self._system_url = system_url
        self._system_seed = system_seed
        self._clock = Clock()
        self._changes = Changes()
        self._in_flight = InFlight(settings.limits.in_flight)
        self._waiting = InFlight(settings.limits.in_flight)
        self._stack = contextlib.AsyncExitStack()
        self._supervisor = Supervisor()
        self._endpoints: list[Endpoint] = []
        self._answering: dict[str, Endpoint] = {}
        self._followers: list[Callable[[str], None]] = []
        self._connected = False
        self._trouble = ""
        self._started = False
        self._draining = False

    # --- what the sidecar and the CLI ask

    @property
    def alive(self) -> bool:
        """Whether the hub's own tasks run, or at least are not beyond what restarting them mends."""
        return self._supervisor.alive

    @property
    def ready(self) -> bool:
        """Whether it can answer requests."""
        return self._started and not self._draining and self._client.is_connected and self._watch.synced

    @property
    def registered_services(self) -> int:
        """How many services have instances."""
        return len(self.registry.catalog.names)

    def checks(self) -> dict[str, str]:
        """How each dependency is, in the words of `/health`."""
        return self._wellbeing.checks()

    def details(self) -> dict[str, Any]:
        """What an operator wants to know besides."""
        return {
            "hub_id": self.hub_id,
            "leading": self._lease.held,
            "ready": self.ready,
            "instances": len(self.registry.catalog.entries),
            "revision": self.registry.catalog.revision,
            "doubt": self._doubt(),
            "requests_in_flight": len(self._in_flight) + len(self._waiting),
            **self._wellbeing.details(),
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
        self._followers.append(notice)

    async def ask(self, subject: str, payload: bytes) -> bytes:
        """What this hub answers to a request, by the same rules as on NATS. Raises as the subject refuses."""
        return await self._answering[subject].ask(payload)

    async def heartbeat(self, service: str, instance_id: str, payload: bytes) -> None:
        """Let an instance beat. Raises as `Heartbeats.publish` does."""
        await self._heartbeats.publish(service, instance_id, payload)

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
            self._draining = True
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draining = True
        await self._drain()
        await self._stack.aclose()
        log.info("hub stopped", hub=self.hub_id)

    async def _start(self) -> None:
        settings = self._settings
        self._following = Following.of(settings, self.hub_id)
        self._stack.push_async_callback(self._following.aclose, settings.drain_timeout)
        keep = (await self._stack.enter_async_context(self._supervisor)).keep
        self._client = await self._connect()
        requester = await self._stack.enter_async_context(Requester(self._client, keep=keep))
        specs = await streams.ensure_all(requester, servers=len(self._client.servers), replicas=settings.nats.replicas)
        max_bytes = self._client.max_payload - _ENVELOPE_BYTES
        self.registry = Registry(
            self._clock.now(),
            observe=self._observe,
            default_ttl=settings.registry.default_ttl,
            default_deregister_after=settings.registry.default_deregister_after,
            removal_share=settings.registry.removal_share,
            protect_threshold=settings.registry.protect_threshold,
            cannot=unsupported,
        )
        self._checking = Checking(
            self._client,
            self.registry,
            self._clock,
            self.metrics,
            await self._stack.enter_async_context(Probes(settings.probes, self._client)),
            hub_id=self.hub_id,
            concurrency=settings.probes.concurrency,
        )
        self._answers = answers = Answers(self.registry.catalog, max_bytes=max_bytes, random=Random())
        observations = Observations()
        self._graph = GraphAnswers(self.registry.catalog, observations, max_bytes=max_bytes)
        discovery = Discovery(answers, self._changes)
        observing = Observing(self._client, self.registry, observations, self._clock, discovery.target)
        await observing.start()
        bucket = JetStreamBucket(self._client, requester, specs.registry, keep=keep)
        desired = JetStreamBucket(self._client, requester, specs.desired, keep=keep)
        leader = JetStreamBucket(self._client, requester, specs.leader, keep=keep)
        events = EventLog(self._client, requester, specs.events, stamp=with_trace, keep=keep)
        self._events = await self._stack.enter_async_context(events)
        self._lease = LeaderLease(leader, self.hub_id, self._lease_ttl(), on_gained=self._on_gained, keep=keep)
        self._sweep = Sweep(
            self._client,
            self.registry,
            answers,
            bucket,
            self._events,
            self._clock,
            self.metrics,
            self._lease,
            unbelieved=self._checking.doubted_services,
        )
        watch_desired = desired.watch(DesiredListener(self.registry, self._clock))
        self._watch = bucket.watch(RegistryListener(self.registry, self._clock))
        hearing = Hearing(self._client, self.registry.liveness, self._clock)
        watches = (self._watch, watch_desired)
        self._nats = NatsCheck(self._client, hearing, requester, specs, watches, self._clock, settings)
        platform = dependencies(settings, self._clock)
        self._wellbeing = Wellbeing(self._supervisor, self._nats, platform, self._doubt)
        self._health = HealthReporter(
            self._client,
            self.registry,
            self._clock,
            hub_id=self.hub_id,
            parts=self._wellbeing.parts(),
            leads=lambda: self._lease.held,
            interval=settings.registry.health_interval,
            max_bytes=max_bytes,
        )
        await self._stack.enter_async_context(watch_desired)
        self._heartbeats = Heartbeats(
            self._client,
            self.registry,
            self._clock,
            self.metrics,
            on_uses=observing.beaten,
            on_reports=self._checking.report,
        )
        await self._heartbeats.start()
        await self._stack.enter_async_context(self._watch)
        await self._follow_connections()
        await self._stack.enter_async_context(self._lease)
        self._keep("hearing", hearing.listen)
        self._keep("sweep-time", self._sweep.watch_time)
        self._keep("sweep-writes", self._sweep.write)
        self._keep("health-changes", self._health.tell_changes)
        self._keep("health-rounds", self._health.tell_rounds, bound=BOUND + self._health.longest_pause)
        await self._nats.look()
        for name, loop, bound in self._wellbeing.loops():
            self._keep(name, loop, bound=bound)
        self._keep("observed", observing.tell)
        await self._checking.start(self._keep)
        traced, wanted = self._following.traced(bucket, "registry"), self._following.traced(desired, "desired")
        registration = Registration(self.registry, answers, traced, self._events, self._clock, self.metrics)
        await self._answer(subjects.REGISTER, registration.register)
        await self._answer(subjects.DEREGISTER, registration.deregister)
        await self._answer(subjects.DISCOVER, discovery.discover, self._waiting, observing.asked)
        await self._answer(subjects.SERVICES, discovery.services)
        await self._answer(subjects.HEALTH, HealthAnswers(self.registry, budget=answers.budget).get)
        await self._answer(subjects.GRAPH, Graphs(self._graph, self._clock).graph)
        for subject, respond in Admin(
            self.registry, bucket, wanted, self._events, self._clock, max_bytes=answers.budget
        ).subjects.items():
            await self._answer(subject, respond)
        if settings.micro.adopt:
            adoption = Adoption(
                self._client,
                requester,
                self.registry,
                registration,
                self._clock,
                self.metrics,
                self._lease,
                nats_url=self._urls[0],
                interval=settings.micro.interval,
            )
            await adoption.start()
            self._keep("adoption-rounds", adoption.ask_rounds)
            self._keep("adoption-intake", adoption.take_in)
        self.metrics.sources = self._sources()
        await self._answer_for_itself(max_bytes)
        await self._client.flush()
        self._started = True
        log.info("hub started", hub=self.hub_id, instances=len(self.registry.catalog.entries))

    async def _drain(self) -> None:
        """Answer what has been asked, within the drain timeout; then stop listening."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.drain_timeout
        await self._checking.leave()
        with contextlib.suppress(TimeoutError, nats.errors.Error):
            async with asyncio.timeout_at(deadline):
                await asyncio.gather(*(endpoint.drain() for endpoint in self._endpoints))
        self._changes.close()
        left = max(0.1, deadline - loop.time())
        await asyncio.gather(self._in_flight.drain(left), self._waiting.drain(left))

    def _sources(self) -> Sources:
        """Where the metrics look at scrape time."""
        return Sources(
            instances=lambda: Counter(entry.instance.status for entry in self.registry.catalog.entries.values()),
            services=lambda: self.registered_services,
            graph_edges=lambda: self._graph.counts(self._clock.now()),
            adopted=lambda: sum(e.record.source == "micro" for e in self.registry.catalog.entries.values()),
            in_flight=lambda: len(self._in_flight) + len(self._waiting),
            leading=lambda: self._lease.held,
            resyncs=lambda: self._watch.rereads,
            events_dropped=lambda: self._events.dropped,
            doubting=lambda: self._doubt() is not None,
            probes_owned=lambda: self._checking.owned,
            replicas=lambda: self._checking.replicas,
            discoveries=lambda: {"hit": self._answers.hits, "miss": self._answers.misses},
            discover_waiters=lambda: len(self._changes),
            cached_answers=lambda: self._answers.kept,
            connections=lambda: self.registry.liveness.connected_names,
            labelled=self._wellbeing.labelled(),
            plain=self._wellbeing.plain(),
        )

    def _keep(self, name: str, loop: Loop, *, bound: float = BOUND) -> None:
        """Run a background task until the hub stops."""
        self._stack.push_async_callback(self._supervisor.keep(name, loop, bound=bound).aclose)

    # --- NATS

    async def _connect(self) -> Client:
        try:
            client = await connect(
                self._urls,
                name=self.hub_id,
                notices=Notices(
                    disconnected=self._on_disconnected,
                    reconnected=self._on_reconnected,
                    closed=self._on_closed,
                    error=self._on_error,
                ),
                credentials=self._credentials(),
            )
        except Unavailable as error:
            raise StartupError(
                f"{error.message}: start nats-server there, name another with --nats or NATS_URL (with its login: "
                "nats://user:password@host:4222), or let `hub up` run its own"
            ) from None
        self._connected = True
        self._stack.push_async_callback(close, client)
        version = client.connected_server_version
        if (version.major, version.minor) < OLDEST:
            wanted = ".".join(map(str, OLDEST))
            raise StartupError(
                f"NATS at {without_password(self._urls[0])} is {version.major}.{version.minor}.{version.patch}; "
                f"Central Hub needs {wanted} or newer: upgrade nats-server, or let `hub up` run its own"
            )
        return client

    def _credentials(self) -> Credentials:
        """The login from the settings. A file that is not there is told, even where NATS would not ask for it."""
        path = self._settings.nats.credentials
        if path is not None and not Path(path).is_file():
            raise StartupError(
                f"nats.credentials: expected a file, there is none at {path}: name another, or leave it out"
            )
        return Credentials(credentials_file=path)

    async def _follow_connections(self) -> None:
        if self._system_url is None:
            log.info("no system account; a lost connection is noticed by missing heartbeats alone")
            return

        async def reread() -> None:
            await connections.reread()

        try:
            client = await connect(
                self._system_url,
                name=f"{self.hub_id}-system",
                notices=Notices(reconnected=reread),
                credentials=Credentials(nkey_seed=self._system_seed),
            )
        except Unavailable as error:
            raise StartupError(
                f"system account: {error.message}: mend nats.system_url (HUB_NATS_SYSTEM_URL), or do without it"
            ) from None
        self._stack.push_async_callback(close, client)
        requester = Requester(client, keep=self._supervisor.keep, name="system-requests-sweeper")
        await self._stack.enter_async_context(requester)
        connections = Connections(client, requester, self.registry, self._clock)
        await connections.start()

    def _doubt(self) -> str | None:
        """Why the hub doubts what it hears or finds; None when it is well."""
        return self.registry.liveness.doubt or self._checking.doubt

    def _lease_ttl(self) -> float:
        if self._settings.leader.ttl:
            return self._settings.leader.ttl
        return _LEASE_IN_CLUSTER if len(self._client.servers) > 1 else _LEASE_ALONE

    async def _answer(
        self, subject: str, respond: Respond, in_flight: InFlight | None = None, on_headers: OnHeaders | None = None
    ) -> None:
        """Answer a subject. Those who wait for news are apart, lest they keep everybody else from being served."""
        endpoint = Endpoint(
            self._client,
            subject,
            respond,
            in_flight=self._in_flight if in_flight is None else in_flight,
            meter=self.metrics.requests(subject),
            on_headers=on_headers,
            following=self._following,
            patient=in_flight is self._waiting,
        )
        await endpoint.start()
        self._endpoints.append(endpoint)
        self._answering[subject] = endpoint

    async def _answer_for_itself(self, max_bytes: int) -> None:
        """Answer what each replica is asked about itself, as no other can."""
        text = MetricsText(self.metrics, hub_id=self.hub_id, max_bytes=max_bytes)
        micro = Micro(self.hub_id, self._clock.wall(), self.metrics)
        for endpoint in (
            text.endpoint(self._client, self._in_flight, self._following),
            *micro.endpoints(self._client, self._in_flight),
        ):
            await endpoint.start()
            self._endpoints.append(endpoint)

    # --- what happens

    def _observe(self, service: str) -> None:
        catalog = self.registry.catalog
        known = catalog.services.get(service)
        self._changes.notify(service, known.revision if known else catalog.revision, catalog.revision)
        self._health.notice(service)
        self._checking.notice(service)
        self._graph.notice(service)
        for notice in self._followers:
            notice(service)
        if self.registry.catalog.unwritten:
            self._sweep.hurry()

    def _on_gained(self) -> None:
        log.info("leading", hub=self.hub_id)
        self._sweep.hurry()

    async def _on_disconnected(self) -> None:
        if self._connected and not self._draining:
            log.warning("NATS connection lost; reconnecting")

    async def _on_reconnected(self) -> None:
        self._trouble = ""
        log.info("NATS connection is back")

    async def _on_closed(self) -> None:
        if not self._draining and self._started:
            self._supervisor.fail(StartupError("NATS closed the connection for good; see the log for its reason"))

    async def _on_error(self, error: Exception) -> None:
        if not self._connected:
            return  # `_connect` tells of it, once
        reason = describe(error)
        if self._client.is_connected or reason != self._trouble:  # each attempt to reconnect fails alike
            log.warning("NATS error", reason=reason)
        self._trouble = reason
        if isinstance(error, nats.errors.SlowConsumerError) and self._started:
            self._nats.dropped()
            self.registry.liveness.deafened(self._clock.now(), "messages were dropped, the hub was too slow")
