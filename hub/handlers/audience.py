"""Who is registered that a change of configuration concerns, and who of them tries a canary."""

from __future__ import annotations

from collections.abc import Iterator

from hub.core.canary import traits, tries
from hub.core.configs import Plan
from hub.core.entry import Entry
from hub.core.registry import Registry
from hub.errors import InvalidRequest
from hub.wire.canary import CanaryState
from hub.wire.config import EVERYBODY

_SHOWN = 3
"""Scopes that an error names."""


class Audience:
    """Those whom configurations concern.

    Args:
        registry: Who there is.
    """

    def __init__(self, registry: Registry) -> None:
        self._catalog = registry.catalog

    def of(self, scope: str) -> Iterator[Entry]:
        """The instances that a scope concerns."""
        if scope == EVERYBODY:
            return iter(list(self._catalog.entries.values()))
        service = self._catalog.services.get(scope)
        return iter(list(service.entries.values()) if service else ())

    def trying(self, scope: str, canary: CanaryState) -> Iterator[Entry]:
        """Those of them who try a canary."""
        return (entry for entry in self.of(scope) if tries(canary.target, traits(entry.record)))

    def count(self, scope: str, canary: CanaryState) -> int:
        """How many try it."""
        return sum(1 for _ in self.trying(scope, canary))

    def expect(self, plan: Plan) -> None:
        """Raises InvalidRequest where nobody would try the canary of a change: it would show nothing."""
        canary = next((effect.canary for effect in plan.effects if effect.canary), None)
        scopes = [effect.scope for effect in plan.effects]
        if canary is None or any(self.count(scope, canary) for scope in scopes):
            return
        registered = sum(1 for scope in scopes for _ in self.of(scope))
        raise InvalidRequest(
            f"canary: expected a target that matches somebody, got one that matches none of the {registered} "
            f"registered instances of {', '.join(scopes[:_SHOWN])}",
            field="canary.target",
        )
