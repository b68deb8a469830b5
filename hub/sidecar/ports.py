"""What the sidecar asks of the hub, and nothing else of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from hub.core.catalog import Catalog
from hub.identity.proof import Presented, Proof

Authenticate = Callable[[Presented], Awaitable[Proof]]
"""Proves who presents something. Raises `Unauthenticated` where that is nothing, in words for the log alone; another
`HubError` where it cannot be told now."""


class Hub(Protocol):
    """A hub that runs in this process."""

    @property
    def alive(self) -> bool:
        """Whether the hub's own loops run."""

    @property
    def ready(self) -> bool:
        """Whether it can answer requests: connected, its catalog complete, not draining."""

    @property
    def registered_services(self) -> int:
        """How many services have instances."""

    @property
    def catalog(self) -> Catalog:
        """All that is registered, to be read and not changed."""

    @property
    def authenticate(self) -> Authenticate | None:
        """What proves who asks; None where nobody has to prove it."""

    def holds(self, proof: Proof) -> bool:
        """Whether a proof still proves anything: it has not expired, and nobody has revoked it."""

    def admit(self, subject: str, payload: bytes) -> None:
        """Let the current caller have what he could ask a subject for. Raises the `HubError` that refuses him."""

    def checks(self) -> dict[str, str]:
        """How each dependency is: `healthy`, `degraded`, `unhealthy` or `not_configured`."""

    def details(self) -> dict[str, Any]:
        """What an operator wants to know besides."""

    def scrape(self) -> tuple[bytes, str]:
        """The metrics as Prometheus reads them, and their content type."""

    def follow(self, notice: Callable[[str], None]) -> None:
        """Call `notice` with a service's name after each visible change to it."""

    async def ask(self, subject: str, payload: bytes) -> bytes:
        """What the hub answers to a request on a subject. Raises the `HubError` that it would be refused with."""

    def admit_address(self, address: str, subject: str) -> None:
        """Let a request for a subject through that came from an address, where nobody proves who he is.

        Raises:
            RateLimited: too many have come from there.
        """

    async def heartbeat(self, service: str, instance_id: str, payload: bytes) -> None:
        """Let an instance beat. Raises the `HubError` that it is refused with."""
