"""All that looks at instances, put together: who there is to do it, what is to be done, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nats.aio.client import Client

from hub.core.registry import Registry
from hub.handlers.clock import Clock
from hub.handlers.declared import DeclaredChecks
from hub.handlers.findings import Findings
from hub.handlers.probing import Probing
from hub.handlers.replicas import Replicas
from hub.handlers.share import Probers, Share
from hub.handlers.ttlreports import TtlReports
from hub.telemetry.metrics import Metrics
from hub.transport.loops import Loop
from hub.wire.checks import CheckReport


class Checking:
    """The checks of all instances, as far as they are this hub's to make.

    Args:
        client: Where the replicas talk to each other.
        registry: What is registered, and where what was found goes.
        clock: Where to read the time.
        metrics: Where to count.
        probers: Makes what looks.
        hub_id: This hub.
        concurrency: How many looks there may be at once.
    """

    def __init__(
        self,
        client: Client,
        registry: Registry,
        clock: Clock,
        metrics: Metrics,
        probers: Probers,
        *,
        hub_id: str,
        concurrency: int,
    ) -> None:
        self._findings = Findings(client, registry, clock, hub_id=hub_id)
        self._share = Share(registry, probers, clock, hub_id=hub_id)
        self._probing = Probing(self._share, registry, self._findings, clock, metrics, concurrency=concurrency)
        self._reports = TtlReports(registry, clock)
        self._declared = DeclaredChecks(registry.catalog, (self._share, self._reports))
        self._replicas = Replicas(
            client,
            registry.liveness,
            clock,
            hub_id=hub_id,
            checks=lambda: self.owned,
            changed=self._share.among,
        )

    @property
    def replicas(self) -> int:
        """How many replicas of the hub there are, this one included."""
        return self._replicas.known

    @property
    def owned(self) -> int:
        """How many probes this hub makes."""
        return len(self._share.looks)

    @property
    def doubt(self) -> str | None:
        """Why this hub does not believe what it finds; None where it does."""
        return self._share.outage.doubt

    def doubted_services(self) -> frozenset[str]:
        """The services whose instances are only kept on trust."""
        return self._share.outage.held_services()

    def notice(self, service: str) -> None:
        """Something of this service has changed."""
        self._declared.notice(service)

    def report(self, key: str, reports: Mapping[str, CheckReport]) -> None:
        """An instance reports on its `ttl` checks."""
        self._declared.look_at(key)  # it may have registered a moment ago
        self._reports.report(key, reports)

    async def start(self, keep: Callable[[str, Loop], None]) -> None:
        """Begin; `keep` runs what runs until the hub stops."""
        await self._findings.start(self._share.adopt)
        await self._replicas.start()
        keep("replicas", self._replicas.announce)
        keep("declared-checks", self._declared.follow)
        keep("ttl-checks", self._reports.watch_time)
        keep("probes", self._probing.look)
        keep("findings-rounds", self._probing.retell)

    async def leave(self) -> None:
        """Look no more and say farewell, so that the others take over at once."""
        await self._replicas.leave()
