"""What a hub is made of: each part made from those before, and started in the order in which they need each other."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import structlog
from nats.aio.client import Client

from hub.app.admission import Admission
from hub.app.archive import ConfigArchive
from hub.app.components import ComponentParts
from hub.app.credentials import Credentials
from hub.app.limits import LimitParts
from hub.app.nats import instances_connections, tls_of
from hub.app.verifiers import Verifiers
from hub.core.answers import Answers
from hub.core.condition import Condition, together
from hub.core.configs import Configs
from hub.core.graph_answers import GraphAnswers
from hub.core.observations import Observations
from hub.core.registry import Registry
from hub.core.secrets import Secrets
from hub.handlers.archiving import DEADLINE
from hub.handlers.auditing import Audit
from hub.handlers.canary import Canaries
from hub.handlers.certificates import Certificates
from hub.handlers.changes import Changes
from hub.handlers.checking import Checking
from hub.handlers.clock import Clock
from hub.handlers.config import Configuration
from hub.handlers.dependencies import dependencies
from hub.handlers.discovery import Discovery
from hub.handlers.health import HealthReporter
from hub.handlers.hearing import Hearing
from hub.handlers.heartbeats import Heartbeats
from hub.handlers.hotreload import HotReload
from hub.handlers.keyring import Keys
from hub.handlers.limitsfile import SECTION
from hub.handlers.listeners import ConfigListener, DesiredListener, RegistryListener, SecretsListener
from hub.handlers.nats import NatsCheck
from hub.handlers.observing import Observing
from hub.handlers.rollout import Rollout
from hub.handlers.secrets import SecretStore
from hub.handlers.staticfiles import StaticFiles
from hub.handlers.supervisor import Supervisor
from hub.handlers.sweep import Sweep
from hub.handlers.wellbeing import Wellbeing
from hub.probes import Probes, unsupported
from hub.settings import Settings
from hub.settings.model import DEFAULT_PATH
from hub.store import streams
from hub.store.auditlog import AuditLog
from hub.store.events import EventLog
from hub.store.jetstream import JetStreamBucket
from hub.store.lease import LeaderLease
from hub.store.ledger import JetStreamLedger
from hub.telemetry.metrics import Metrics, Sources
from hub.telemetry.request import with_trace
from hub.transport.loops import BOUND, Loop
from hub.transport.requests import Requester
from hub.validation import Schema
from hub.wire.configstatus import ConfigRefusal
from hub.wire.roles import RIGHTS

log = structlog.get_logger(__name__)

_LEASE_ALONE = 2.0
_LEASE_IN_CLUSTER = 10.0
"""A cluster may take seconds to elect a stream leader, in which no lease can be renewed."""
_ENVELOPE_BYTES = 1024
"""What NATS headers and protocol may add to a payload, taken off the server's `max_payload`."""


class Parts:
    """The parts of one hub, on an open connection. `make` makes them, `start` has them work.

    Args:
        hub_id: Which hub it is.
        settings: How to run.
        client: The connection.
        supervisor: What runs the background tasks.
        stack: Where whatever opens is entered, and so closed in the reverse order.
        metrics: Where to count.
        keys: What secrets are encrypted with.
        certificates: Those that it shows.
        verifiers: What verifies tokens and certificates.
        credentials: What is to know API keys and revocations.
        proven: Whether who asks must prove who it is.
    """

    def __init__(
        self,
        hub_id: str,
        settings: Settings,
        client: Client,
        *,
        supervisor: Supervisor,
        stack: contextlib.AsyncExitStack,
        metrics: Metrics,
        keys: Keys,
        certificates: Certificates,
        verifiers: Verifiers,
        credentials: Credentials,
        proven: bool = False,
    ) -> None:
        self.clock = Clock()
        self.changes = Changes()
        self.config_changes = Changes()
        self.secret_changes = Changes()
        self.max_bytes = client.max_payload - _ENVELOPE_BYTES
        self.followers: list[Callable[[str], None]] = []
        self._hub_id = hub_id
        self._settings = settings
        self._client = client
        self._supervisor = supervisor
        self._stack = stack
        self._metrics = metrics
        self._keys = keys
        self._certificates = certificates
        self._verifiers = verifiers
        self._credentials = credentials
        self._proven = proven

    async def make(self) -> None:
        """Make all of them. Nothing is heard or told yet."""
        await self._make_store()
        self._make_decisions()
        await self._make_checks()
        await self._make_writers()
        self._make_components()
        self._make_admission()
        self._make_hearers()
        self._make_reports()

    async def start(self, system_url: str | None, system_seed: str | None) -> None:
        """Read what is stored, hear what is said, and let what goes on by itself go on.

        Args:
            system_url: Where to log in to the system account; None where there is no way in.
            system_seed: The nkey seed for that login, where it takes one.

        Raises:
            StartupError: the system account lets nobody in.
        """
        self._stack.push_async_callback(self._verifiers.aclose)
        await self._verifiers.start()
        await self._learn(system_url, system_seed)
        await self._work()

    async def _make_store(self) -> None:
        keep, audit = self._supervisor.keep, self._settings.audit
        self.requester = await self._stack.enter_async_context(Requester(self._client, keep=keep))
        self._specs = specs = await streams.ensure_all(
            self.requester,
            servers=len(self._client.servers),
            replicas=self._settings.nats.replicas,
            audit=replace(streams.AUDIT, max_age=audit.max_age, max_bytes=audit.max_bytes),
        )
        self.bucket = JetStreamBucket(self._client, self.requester, specs.registry, keep=keep)
        self.desired = JetStreamBucket(self._client, self.requester, specs.desired, keep=keep)
        self.ledger = JetStreamLedger(self._client, self.requester, specs.config, keep=keep)
        self._secrets_bucket = JetStreamBucket(self._client, self.requester, specs.secrets, keep=keep)
        self._leader = JetStreamBucket(self._client, self.requester, specs.leader, keep=keep)
        self.audit_log = AuditLog(self._client, self.requester, specs.audit)
        self.audit = await self._stack.enter_async_context(
            Audit(
                self.audit_log if audit.enabled else None,
                self._hub_id,
                self.clock,
                keep=keep,
                checkpoint=audit.checkpoint,
            )
        )

    def _make_decisions(self) -> None:
        """What decides and answers from memory."""
        settings = self._settings.registry
        self.registry = Registry(
            self.clock.now(),
            observe=self._observe,
            default_ttl=settings.default_ttl,
            default_deregister_after=settings.default_deregister_after,
            probe_deregister_after=settings.probe_deregister_after,
            removal_share=settings.removal_share,
            protect_threshold=settings.protect_threshold,
            cannot=unsupported,
        )
        self._secrets = Secrets()
        self.configs = Configs(Schema.compile, self._secrets)
        catalog = self.registry.catalog
        observations = Observations()
        self.answers = Answers(catalog, max_bytes=self.max_bytes, random=Random())
        self.graph = GraphAnswers(catalog, observations, max_bytes=self.max_bytes)
        self.discovery = Discovery(self.answers, self.changes)
        self.observing = Observing(
            self._client, self.registry, observations, self.clock, self.discovery.target, hub_id=self._hub_id
        )

    async def _make_checks(self) -> None:
        """What looks at instances, and what hears them."""
        self.checking = Checking(
            self._client,
            self.registry,
            self.clock,
            self._metrics,
            await self._stack.enter_async_context(
                Probes(self._settings.probes, self._client, keep=self._supervisor.keep)
            ),
            hub_id=self._hub_id,
            concurrency=self._settings.probes.concurrency,
        )
        self._limits = LimitParts(
            self._settings,
            self.clock,
            self._metrics,
            stack=self._stack,
            proven=self._proven,
            registered=self.registry.catalog.entries.__contains__,
            replicas=lambda: self.checking.replicas,
        )
        self.limits = self._limits.limits

    async def _make_writers(self) -> None:
        """What writes, and who may."""
        keep = self._supervisor.keep
        events = EventLog(self._client, self.requester, self._specs.events, stamp=with_trace, keep=keep)
        self.events = await self._stack.enter_async_context(events)
        self.lease = LeaderLease(self._leader, self._hub_id, self._lease_ttl(), on_gained=self._on_gained, keep=keep)
        self._sweep = Sweep(
            self._client,
            self.registry,
            self.answers,
            self.bucket,
            self.events,
            self.clock,
            self._metrics,
            self.lease,
            unbelieved=self.checking.doubted_services,
        )
        self.archive = ConfigArchive(
            self._settings,
            self._client,
            self.requester,
            self._specs.config,
            self.ledger,
            self.audit_log,
            self.lease,
            self.clock,
            stack=self._stack,
        )

    def _make_hearers(self) -> None:
        """What hears instances."""
        self.rollout = Rollout(
            self._client,
            self.configs,
            self.registry,
            self.events,
            self.clock,
            self.lease,
            max_bytes=self.answers.budget,
        )
        self.secrets = SecretStore(
            self._secrets,
            self._keys,
            self._secrets_bucket,
            self.events,
            self.secret_changes,
            self.clock,
            self.configs.users,
            max_bytes=self.max_bytes,
            sealed_only=self._proven and not self._settings.secrets.plaintext and not self._is_encrypted(),
        )
        self.configuration = Configuration(
            self.configs,
            self.ledger,
            self.archive.history,
            self.registry,
            self.events,
            self.config_changes,
            self.clock,
            self._config_changed,
            self.secrets.look_up,
            max_bytes=self.answers.budget,
            admit=self.archive.admit,
        )
        self.canaries = Canaries(self.configs, self.configuration, self.rollout, self.registry, self.clock, self.lease)
        self.files = HotReload(
            Path(self._settings.config.folder),
            self.configs,
            self.configuration,
            self.lease,
            watch=self._settings.platform.hot_reload_enabled,
        )
        self.static_files = StaticFiles(
            Path(self._settings.config.static_folder),
            Path(self._settings.file or DEFAULT_PATH),
            self.clock,
            applied=SECTION if self._settings.platform.hot_reload_enabled else "",
        )
        self.heartbeats = Heartbeats(
            self._client,
            self.registry,
            self.clock,
            self._metrics,
            on_uses=self.observing.beaten,
            on_reports=self.checking.report,
            on_config=self._on_config,
            proven=self._proven,
            admits=self.limits.admits_beat,
        )
        self._hearing = Hearing(self._client, self.registry.liveness, self.clock)

    def _make_components(self) -> None:
        """What distributes the files that services share."""
        self.components = ComponentParts(
            self._client,
            self.requester,
            self._specs.manifests,
            self._settings,
            self.events,
            self.lease,
            self.clock,
            max_bytes=self.answers.budget,
            keep=self._supervisor.keep,
        )

    def _make_admission(self) -> None:
        """What knows who may come in."""
        self.admission = Admission(
            self._client,
            self.requester,
            self._specs.access,
            self._credentials,
            self.events,
            self.clock,
            rights=RIGHTS,
            max_bytes=self.max_bytes,
            keep=self._supervisor.keep,
        )

    def _make_reports(self) -> None:
        """What tells how services, the hub and what it depends on are."""
        listener = ConfigListener(
            self.configs,
            self.config_changes,
            found=self.rollout.found,
            changed=self._on_config_stored,
            lost=self.archive.lost,
            synced=self.archive.synced,
        )
        self._watch_config = self.ledger.watch(listener)
        self._watch_secrets = self._secrets_bucket.watch(SecretsListener(self._secrets, self.secret_changes))
        self._watch_desired = self.desired.watch(DesiredListener(self.registry, self.clock))
        self.watch = self.bucket.watch(RegistryListener(self.registry, self.clock))
        self.nats = NatsCheck(
            self._client,
            self._hearing,
            self.requester,
            self._specs,
            (
                self.watch,
                self._watch_desired,
                self._watch_config,
                self._watch_secrets,
                self.components.watch,
                self.admission.watch,
            ),
            self.clock,
            self._settings,
        )
        platform = dependencies(self._settings, self.clock, database=self.archive.condition)
        self.wellbeing = Wellbeing(
            self._supervisor,
            self.nats,
            platform,
            self.doubt,
            files=self._how_files_are,
            secrets=lambda: together((self.secrets.condition, self.admission.condition, self.audit.condition)),
            limits=lambda: self._limits.condition,
        )
        self._health = HealthReporter(
            self._client,
            self.registry,
            self.clock,
            hub_id=self._hub_id,
            parts=self.wellbeing.parts(),
            leads=lambda: self.lease.held,
            interval=self._settings.registry.health_interval,
            max_bytes=self.max_bytes,
        )

    def _how_files_are(self) -> Condition:
        return together(
            (
                self.files.condition,
                self.static_files.condition,
                self.components.condition,
                self._certificates.condition,
                self._verifiers.condition,
            )
        )

    async def _learn(self, system_url: str | None, system_seed: str | None) -> None:
        """Read all that is stored, hear all that is said. What operators want comes first, lest it come too late."""
        await self.static_files.start()
        await self.observing.start()
        await self._stack.enter_async_context(self._watch_desired)
        await self._stack.enter_async_context(self._watch_secrets)
        await self._stack.enter_async_context(self._watch_config)
        await self._stack.enter_async_context(self.admission.watch)
        await self._stack.enter_async_context(self.components.watch)
        await self.heartbeats.start()
        await self._stack.enter_async_context(self.watch)
        if system_url is None:
            log.info("no system account; a lost connection is noticed by missing heartbeats alone")
        else:
            connections = instances_connections(
                system_url,
                name=f"{self._hub_id}-system",
                seed=system_seed,
                tls=tls_of(self._settings),
                registry=self.registry,
                kicking=self.admission.kicking,
                clock=self.clock,
                keep=self._supervisor.keep,
                proven=self._proven,
            )
            await self._stack.enter_async_context(connections)
        await self._stack.enter_async_context(self.lease)

    async def _work(self) -> None:
        """What goes on by itself."""
        self.keep("hearing", self._hearing.listen)
        self.keep("sweep-time", self._sweep.watch_time)
        self.keep("sweep-writes", self._sweep.write)
        self.keep("health-changes", self._health.tell_changes)
        self.keep("health-rounds", self._health.tell_rounds, bound=BOUND + self._health.longest_pause)
        await self.nats.look()
        for name, loop, bound in self.wellbeing.loops():
            self.keep(name, loop, bound=bound)
        self.keep("observed", self.observing.tell)
        self.keep("config-reminders", self.rollout.remind_rounds)
        self.keep("canary-rounds", self.canaries.watch_rounds)
        self.keep("config-files", self.files.run)
        self.keep("static-files", self.static_files.run)
        for name, loop in self._limits.loops():
            self.keep(name, loop)
        if self._keys.path is not None:
            self.keep("secret-keys", self._keys.watch)
        self.keep("key-uses", self.admission.uses.run)
        self.keep("kicking", self.admission.kicking.run)
        self.keep("component-files", self.components.folder.run)
        self.keep("component-garbage", self.components.garbage.run)
        if self.archive.archiving is not None:
            await self.archive.archiving.begin()
            self.keep("config-archive", self.archive.archiving.run, bound=DEADLINE)
        if self.archive.auditing is not None:
            self.keep("audit-archive", self.archive.auditing.run, bound=DEADLINE)
        if self._certificates:
            self.keep("certificates", self._certificates.watch)
        for name, loop in self._verifiers.loops():
            self.keep(name, loop)
        await self.checking.start(self.keep)

    def _is_encrypted(self) -> bool:
        """Whether NATS is spoken to over TLS, as it is then by everybody who comes to the same port."""
        return bool(tls_of(self._settings)) or all(server.scheme == "tls" for server in self._client.servers)

    def doubt(self) -> str | None:
        """Why the hub doubts what it hears or finds; None when it is well."""
        return self.registry.liveness.doubt or self.checking.doubt

    def _config_changed(self, scope: str) -> None:
        self.rollout.changed(scope)
        known = self.configs.own(scope)
        if known is not None:
            self.archive.changed(scope, known.revision)

    def deafened(self, reason: str) -> None:
        """Messages may have gone unheard up to now, for a reason in words for operators."""
        self.registry.liveness.deafened(self.clock.now(), reason)

    def _observe(self, service: str) -> None:
        catalog = self.registry.catalog
        known = catalog.services.get(service)
        self.changes.notify(service, known.revision if known else catalog.revision, catalog.revision)
        self._health.notice(service)
        self.checking.notice(service)
        self.graph.notice(service)
        for notice in self.followers:
            notice(service)
        if catalog.unwritten:
            self._sweep.hurry()

    def _on_config(self, key: str, running: int | None, refused: ConfigRefusal | None) -> None:
        self.rollout.heard(key, running, refused)
        self.canaries.heard(key, running, refused)

    def _on_config_stored(self, scope: str) -> None:
        self._config_changed(scope)
        self.configuration.heard(scope)

    def _on_gained(self) -> None:
        log.info("leading", hub=self._hub_id)
        self._sweep.hurry()

    def _lease_ttl(self) -> float:
        if self._settings.leader.ttl:
            return self._settings.leader.ttl
        return _LEASE_IN_CLUSTER if len(self._client.servers) > 1 else _LEASE_ALONE

    def sources(self, in_flight: Callable[[], int]) -> Sources:
        """Where the metrics look at scrape time."""
        entries = self.registry.catalog.entries
        return Sources(
            instances=lambda: Counter(entry.instance.status for entry in entries.values()),
            services=lambda: len(self.registry.catalog.names),
            graph_edges=lambda: self.graph.counts(self.clock.now()),
            adopted=lambda: sum(entry.record.source == "micro" for entry in entries.values()),
            in_flight=in_flight,
            leading=lambda: self.lease.held,
            resyncs=lambda: self.watch.rereads,
            events_dropped=lambda: self.events.dropped,
            doubting=lambda: self.doubt() is not None,
            probes_owned=lambda: self.checking.owned,
            replicas=lambda: self.checking.replicas,
            discoveries=lambda: {"hit": self.answers.hits, "miss": self.answers.misses},
            discover_waiters=lambda: len(self.changes),
            cached_answers=lambda: self.answers.kept,
            connections=lambda: self.registry.liveness.connected_names,
            labelled={
                **self.wellbeing.labelled(),
                "hub_config_instances": self.rollout.counts,
                "hub_secrets": self.secrets.counts,
                **self.archive.labelled(),
                **self.admission.labelled(),
                "hub_tls_expires_seconds": self._certificates.left,
                "hub_issuer_keys_age_seconds": self._verifiers.ages,
            },
            plain={
                **self.wellbeing.plain(),
                "hub_config_revision": lambda: self.configs.revision,
                "hub_config_canaries": lambda: self.canaries.under_way,
                "hub_config_files_broken": lambda: self.files.broken,
                "hub_config_restart_needed": lambda: self.static_files.restart_needed,
                **self.components.plain(),
                "hub_rate_limits_shared": lambda: self.limits.shared,
                **self.admission.plain(),
                **self.audit.plain(),
            },
        )

    def keep(self, name: str, loop: Loop, *, bound: float = BOUND) -> None:
        """Run a background task until the hub stops."""
        self._stack.push_async_callback(self._supervisor.keep(name, loop, bound=bound).aclose)
