"""Schemas that come with registrations: stored as those that are put, without holding anybody up who brings none."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from hub.core.configs import Configs
from hub.core.configschemas import is_same, why_held
from hub.core.drafts import Draft
from hub.core.registry import Registry
from hub.errors import HubError, InvalidConfig
from hub.handlers.config import Configuration
from hub.wire.record import Record
from hub.wire.registration import SchemaOutcome
from hub.wire.subjects import instance_key

_WITHIN: Final = 1.5
"""Seconds that a registration waits for its schema to be stored: less than the SDK gives one attempt to register."""
_MOST_WORDS: Final = 2048


class _Wish(NamedTuple):
    author: str
    reason: str = "registered"
    dry_run: bool = False


class RegisteredSchemas:
    """Takes the schemas. One that is known costs a comparison; the others are stored one after the other.

    Args:
        configs: What is known.
        configuration: What stores.
        registry: Who is registered, and in which version.
    """

    def __init__(self, configs: Configs, configuration: Configuration, registry: Registry) -> None:
        self._configs = configs
        self._configuration = configuration
        self._registry = registry
        self._storing = asyncio.Lock()

    async def take(self, schema: dict[str, Any], record: Record) -> SchemaOutcome:
        """Store the schema that an instance has registered with, where it is for this one to say. Never raises."""
        if is_same(self._configs.record(record.name), schema):
            return SchemaOutcome(accepted=True)
        if why := self._why_held(record):
            return SchemaOutcome(accepted=False, reason=why)
        try:
            async with asyncio.timeout(_WITHIN), self._storing:
                return await self._store(schema, record)
        except TimeoutError:
            reason = f"it could not be stored within {_WITHIN:g} s"
            return SchemaOutcome(accepted=False, reason=reason, retryable=True)
        except HubError as error:
            return SchemaOutcome(accepted=False, reason=error.message[:_MOST_WORDS], retryable=error.retryable)

    async def _store(self, schema: dict[str, Any], record: Record) -> SchemaOutcome:
        why = ""

        def drafts() -> list[Draft]:
            nonlocal why
            why = self._why_held(record)
            is_known = is_same(self._configs.record(record.name), schema)
            return [] if why or is_known else [Draft(record.name, schema=schema, version=record.version)]

        wish = _Wish(instance_key(record.name, record.instance_id))
        complaint = ""
        try:
            await self._configuration.change("schema", wish, drafts)
        except InvalidConfig as error:
            if not self._is_blank(record.name):
                raise
            complaint = error.message[:_MOST_WORDS]  # nothing was put for the service yet: this is what that must be
            await self._configuration.change("schema", wish, drafts, force=True)
        return SchemaOutcome(accepted=not why, reason=why or complaint)

    def _why_held(self, record: Record) -> str:
        service = self._registry.catalog.services.get(record.name)
        versions = (entry.record.version for entry in service.entries.values()) if service else ()
        return why_held(self._configs.record(record.name), record.version, versions)

    def _is_blank(self, service: str) -> bool:
        stored = self._configs.record(service)
        return stored is None or not (stored.values or stored.file or stored.canary)
