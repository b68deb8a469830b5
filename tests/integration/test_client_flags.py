"""The SDK's feature flags against a real NATS: evaluated from the configuration that the service runs with."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest
from msgspec import Struct

from hub.client import Evaluation, InvalidConfig
from tests.clients import consumer
from tests.integration.test_client_config import Store, opened
from tests.servers import NatsServer
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("client-flags")

NEW_CHECKOUT = {
    "variants": {"on": True, "off": False},
    "default": "off",
    "rules": [{"when": {"country": "DE"}, "variant": "on"}, {"split": {"on": 50, "off": 50}}],
}
FLAGS = {
    "new-checkout": NEW_CHECKOUT,
    "dark-mode": True,
    "greeting": "hello",
    "workers": {"variants": {"few": 2, "many": 8.0, "odd": 2.5}, "default": "many"},
    "ratio": 3,
    "limits": {"variants": {"low": {"max": [1, 2]}, "high": {"max": []}}, "default": "low"},
    "off": {**NEW_CHECKOUT, "enabled": False},
}


class Strict(Struct, forbid_unknown_fields=True):
    limit: int = 1


@pytest.fixture
async def store(nats_server: NatsServer) -> AsyncIterator[Store]:
    async with opened(nats_server.url) as opened_store:
        yield opened_store


async def test_flags_have_the_type_that_they_are_asked_for(nats_server: NatsServer, store: Store) -> None:
    await store.put("_all", {"flags": {"dark-mode": False, "shared": True}})
    revision = await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        flags = client.flags
        assert flags.boolean("new-checkout", False, {"country": "DE"}) is True
        assert flags.boolean("new-checkout", True, {"country": "FR"}) is False
        assert flags.boolean("dark-mode", False) is True
        assert flags.boolean("shared", False) is True
        assert flags.string("greeting", "") == "hello"
        assert repr(flags.integer("workers", 1)) == "8"
        assert repr(flags.number("ratio", 1)) == "3.0"
        assert flags.object("limits", {}) == {"max": [1, 2]}
        assert (flags.loaded, flags.revision) == (True, revision)


async def test_details_say_why_and_from_which_revision(nats_server: NatsServer, store: Store) -> None:
    revision = await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        found = client.flags.details("new-checkout", False, {"country": "DE"})
        assert found == Evaluation("new-checkout", True, "on", "TARGETING_MATCH", 0, None, "", revision)
        split = client.flags.details("new-checkout", False, {"targetingKey": "user-1"})
        assert (split.reason, split.rule, split.value) == ("SPLIT", 1, split.variant == "on")
        assert client.flags.details("new-checkout", True).reason == "DEFAULT"
        assert client.flags.details("dark-mode", False).reason == "STATIC"
        disabled = client.flags.details("off", True, {"country": "DE"})
        assert (disabled.value, disabled.reason, disabled.variant) == (True, "DISABLED", None)
        assert client.flags.details("limits", {}).value == {"max": [1, 2]}
        assert client.flags.details("workers", 1.0).value == 8.0
        assert client.flags.details("workers", 1.0, wanted="integer").value == 8


class Broken(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("out of order")

    def __iter__(self) -> Any:
        raise RuntimeError("out of order")

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("key", "default", "context", "code"),
    [
        ("missing", True, None, "FLAG_NOT_FOUND"),
        ("dark-mode", "yes", None, "TYPE_MISMATCH"),
        ("workers", "x", None, "TYPE_MISMATCH"),
        ("dark-mode", None, None, "TYPE_MISMATCH"),
        ("broken", False, None, "PARSE_ERROR"),
        ("new-checkout", True, "country=DE", "INVALID_CONTEXT"),
        ("new-checkout", True, Broken(), "GENERAL"),
        (["new-checkout"], True, None, "GENERAL"),
    ],
)
async def test_what_cannot_be_evaluated_is_the_default_and_the_details_say_why(
    nats_server: NatsServer, store: Store, key: Any, default: Any, context: Any, code: str
) -> None:
    await store.put("some-consumer", {"flags": {**FLAGS, "broken": {"variants": {"on": True}, "default": "of"}}})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        found = client.flags.details(key, default, context)
        assert (found.value, found.reason, found.error_code) == (default, "ERROR", code)
        assert found.error_message


async def test_before_anything_is_loaded_there_are_only_defaults(nats_server: NatsServer, store: Store) -> None:
    await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        found = client.flags.details("dark-mode", False)
        assert (found.value, found.error_code, found.revision) == (False, "PROVIDER_NOT_READY", 0)
        assert not client.flags.loaded


async def test_flags_follow_the_configuration_and_who_listens_is_told_which_have_changed(
    nats_server: NatsServer, store: Store
) -> None:
    await store.put("some-consumer", {"flags": {"a": True, "b": 1}})
    told: list[list[str]] = []
    async with consumer(nats_server.url) as client:

        @client.flags.on_change
        def fail(names: list[str]) -> None:
            raise RuntimeError("not our problem")

        client.flags.on_change(told.append)
        await client.config.load()
        assert told == [["a", "b"]]
        revision = await store.put("some-consumer", {"flags": {"a": False, "b": 1}, "other": 1})
        await until(lambda: client.flags.revision == revision, "the change is known")
        assert client.flags.boolean("a", True) is False
        revision = await store.put("some-consumer", {"flags": {"a": False, "b": 1}, "other": 2})
        await until(lambda: client.flags.revision == revision)
        assert told == [["a", "b"], ["a"]]
        client.flags.forget(told.append)
        await store.put("some-consumer", {"flags": {}})
        await until(lambda: client.flags.details("a", True).error_code == "FLAG_NOT_FOUND")
        assert len(told) == 2


async def test_a_type_with_no_room_for_flags_is_spared_them_and_a_change_of_flags_is_none_of_its_own(
    nats_server: NatsServer, store: Store
) -> None:
    @dataclass
    class AsData:
        limit: int

    class AsDict(TypedDict):
        limit: int
        flags: dict[str, Any]

    await store.put("some-consumer", {"limit": 2, "flags": {"a": True}})
    async with consumer(nats_server.url) as client:
        assert await client.config.load(Strict) == Strict(2)
        told: list[Strict] = []
        client.config.on_change(told.append)
        revision = await store.put("some-consumer", {"limit": 2, "flags": {"a": False}})
        await until(lambda: client.config.revision == revision, "the change of flags is taken")
        assert client.flags.boolean("a", True) is False
        assert told == []
        await store.put("some-consumer", {"limit": 3, "flags": {"a": True}})
        await until(lambda: told == [Strict(3)])
        await until(lambda: client.flags.boolean("a", False))
        assert await client.config.load(AsData) == AsData(3)
        assert (await client.config.load(AsDict))["flags"] == {"a": True}
        assert (await client.config.load())["flags"] == {"a": True}
        with pytest.raises(InvalidConfig, match="expected an integer"):
            await client.config.load(dict[str, int])


async def test_a_configuration_that_is_refused_changes_no_flag(nats_server: NatsServer, store: Store) -> None:
    await store.put("some-consumer", {"limit": 2, "flags": {"a": True}})
    async with consumer(nats_server.url) as client:
        await client.config.load(Strict)
        await store.put("some-consumer", {"limit": "none", "flags": {"a": False}})
        await until(lambda: client.config.refused is not None)
        assert client.flags.boolean("a", False) is True


async def test_a_broken_flag_is_logged_and_keeps_neither_the_others_nor_the_configuration_from_changing(
    nats_server: NatsServer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await store.put("some-consumer", {"flags": {"a": True, "bad": {"is": 1}}, "limit": 4})
    async with consumer(nats_server.url) as client:
        with caplog.at_level(logging.ERROR, "hub.client"):
            assert await client.config.load(Strict) == Strict(4)
        assert client.flags.boolean("a", False) is True
        assert "flag bad cannot be evaluated: /flags/bad/is: expected no property 'is'" in caplog.text


async def test_flags_are_evaluated_while_nats_is_away_and_started_with_from_disk(
    nats_server: NatsServer, store: Store, tmp_path: Path
) -> None:
    await store.put("some-consumer", {"flags": FLAGS})
    given: dict[str, Any] = {"config_cache": tmp_path, "start_timeout": 0.5}
    async with consumer(nats_server.url, **given) as client:
        await client.config.load()
        nats_server.kill()
        await until(lambda: not client.connected, "the loss is noticed")
        assert client.flags.boolean("new-checkout", False, {"country": "DE"}) is True
    async with consumer(nats_server.url, **given) as client:
        await client.config.load()
        assert client.config.from_disk
        assert client.flags.string("greeting", "") == "hello"


async def test_the_value_of_an_object_belongs_to_who_asked(nats_server: NatsServer, store: Store) -> None:
    await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        client.flags.object("limits", {})["max"].append(3)
        default: dict[str, Any] = {}
        client.flags.details("limits", default).value["max"].append(3)
        assert client.flags.object("limits", {}) == {"max": [1, 2]}


async def test_flags_may_be_asked_from_any_thread_while_they_change(nats_server: NatsServer, store: Store) -> None:
    await store.put("some-consumer", {"flags": {"a": 0, "b": 0}})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        seen: list[Evaluation[int]] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                seen.append(client.flags.details("a", -1))

        asking = threading.Thread(target=ask)
        asking.start()
        for number in range(1, 6):
            await store.put("some-consumer", {"flags": {"a": number, "b": number}})
        await until(lambda: client.flags.integer("a", -1) == 5)
        stop.set()
        await asyncio.to_thread(asking.join)
        assert {evaluation.error_code for evaluation in seen} == {None}
        values = [evaluation.value for evaluation in seen]
        assert values == sorted(values)


async def test_who_listens_for_staleness_is_told_when_nats_is_lost_comes_back_and_the_client_closes(
    nats_server: NatsServer, store: Store
) -> None:
    await store.put("some-consumer", {"flags": FLAGS})
    told: list[bool] = []
    async with consumer(nats_server.url) as client:
        await client.config.load()
        client.config.staleness.tell(told.append)
        nats_server.kill()
        await until(lambda: told == [True], "the loss is told")
        nats_server.start()
        await until(lambda: told == [True, False], "the return is told")
    assert told == [True, False, True]
    assert "config-stale" not in [task.get_name() for task in asyncio.all_tasks()]
