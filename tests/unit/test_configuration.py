"""A hub that has not heard yet what another has stored."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import cast

import msgspec
import pytest

from hub.core.configs import Configs
from hub.core.registry import Registry
from hub.errors import DeadlineExceeded
from hub.handlers.changes import Changes
from hub.handlers.clock import Clock
from hub.handlers.config import Configuration
from hub.handlers.listeners import ConfigListener
from hub.store.events import EventLog
from hub.store.memory import MemoryLedger
from hub.validation import Schema
from hub.wire.canary import Canary
from hub.wire.codec import encode
from hub.wire.config import (
    ConfigChanged,
    ConfigDiff,
    ConfigRecord,
)
from hub.wire.event import CloudEvent
from tests.unit.core.making import WALL


class Told(list[CloudEvent]):
    """Takes events as the log does."""


def ignored(scope: str) -> None:
    """Whom nothing concerns."""


async def looked_up(names: Collection[str]) -> None:
    """There are no secrets."""


def configuration(
    configs: Configs, ledger: MemoryLedger, changes: Changes, events: EventLog, *, max_bytes: int
) -> Configuration:
    """That of a hub at which nobody is registered."""
    registry = Registry(0.0)
    return Configuration(
        configs, ledger, ledger, registry, events, changes, Clock(), ignored, looked_up, max_bytes=max_bytes
    )


async def test_what_is_stored_and_not_heard_of_yet_can_be_compared_and_deleted() -> None:
    ledger, configs, changes = MemoryLedger(), Configs(Schema.compile), Changes()
    await ledger.put("engine", encode(ConfigRecord(scope="engine", kind="put", at=WALL, values={"n": 1})))
    events = cast(EventLog, Told())
    hub = configuration(configs, ledger, changes, events, max_bytes=100_000)
    diff = msgspec.json.decode(await hub.diff(b'{"service":"engine"}'), type=ConfigDiff)
    assert (diff.base, diff.target, [each.path for each in diff.differences]) == (0, 1, ["/n"])
    deleting = asyncio.create_task(hub.delete(b'{"service":"engine"}'))
    await asyncio.sleep(0)
    async with ledger.watch(ConfigListener(configs, changes, found=ignored, changed=ignored)):
        deleted = msgspec.json.decode(await deleting, type=ConfigChanged)
    assert (deleted.revision, [each.path for each in deleted.scopes[0].differences]) == (2, ["/n"])


async def test_a_canary_that_another_hub_has_just_ended_holds_up_nothing() -> None:
    ledger, configs, changes = MemoryLedger(), Configs(Schema.compile), Changes()
    tried = ConfigRecord(
        scope="engine", kind="canary", at=WALL, canary=Canary(id="c1", since=WALL, author="ada", values={"n": 2})
    )
    await ledger.put("engine", encode(tried))
    configs.learn("engine", tried, 1)
    await ledger.put("engine", encode(ConfigRecord(scope="engine", kind="abort", at=WALL)))
    hub = configuration(configs, ledger, changes, cast(EventLog, Told()), max_bytes=100_000)
    putting = asyncio.create_task(hub.put(b'{"changes":[{"service":"engine","values":{"n":3}}]}'))
    await asyncio.sleep(0)
    async with ledger.watch(ConfigListener(configs, changes, found=ignored, changed=ignored)):
        put = msgspec.json.decode(await putting, type=ConfigChanged)
    assert put.revision == 3


class Unanswering(MemoryLedger):
    """Stores, and does not say so."""

    async def commit(self, values: Mapping[str, bytes], *, expected: int) -> int:
        await super().commit(values, expected=expected)
        raise DeadlineExceeded("no answer")


async def test_what_was_stored_although_the_store_did_not_answer_is_told_all_the_same() -> None:
    ledger, configs, changes, told = Unanswering(), Configs(Schema.compile), Changes(), Told()
    hub = configuration(configs, ledger, changes, cast(EventLog, told), max_bytes=9_000)
    with pytest.raises(DeadlineExceeded):
        await hub.put(b'{"changes":[{"service":"engine","values":{"n":1}}],"author":"ada"}')
    assert told == []
    async with ledger.watch(ConfigListener(configs, changes, found=hub.heard, changed=hub.heard)):
        hub.heard("engine")
    assert [(event.id, event.data["author"]) for event in told] == [("config-1", "ada")]


async def test_what_another_has_stored_in_its_place_is_not_told_by_this_hub() -> None:
    ledger, configs, changes, told = Unanswering(), Configs(Schema.compile), Changes(), Told()
    hub = configuration(configs, ledger, changes, cast(EventLog, told), max_bytes=9_000)
    with pytest.raises(DeadlineExceeded):
        await hub.put(b'{"changes":[{"service":"engine","values":{"n":1}}]}')
    await ledger.put("engine", encode(ConfigRecord(scope="engine", kind="put", at=WALL)))
    async with ledger.watch(ConfigListener(configs, changes, found=hub.heard, changed=hub.heard)):
        hub.heard("engine")
    assert told == []
