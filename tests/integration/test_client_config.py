"""The SDK's configuration against a real NATS: read, followed, applied or refused, and acknowledged."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

import pytest
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client import CentralHubClient, ClientConfig, DeadlineExceeded, InvalidConfig, InvalidRequest, Unavailable
from hub.store.ledger import JetStreamLedger
from hub.store.streams import CONFIG, ensure
from hub.transport.connection import connect
from hub.transport.requests import Requester
from hub.wire.codec import encode
from hub.wire.config import ConfigRecord
from hub.wire.configstatus import ConfigRefusal
from tests.calls import call
from tests.clients import consumer, eventually, service
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("client-config")


class Risk(Struct):
    leverage: float = 1.0
    venues: list[str] = []


class Settings(Struct):
    risk: Risk
    name: str = ""


@dataclass
class Store:
    """The bucket, written as a hub writes it."""

    client: Client
    ledger: JetStreamLedger
    revision: int = 0
    beats: list[dict[str, Any]] = field(default_factory=list)

    async def put(self, scope: str, values: dict[str, Any], **layers: Any) -> int:
        """Write as often as it takes: NATS may be away for a while."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    self.revision = await self.ledger.put(scope, record(scope, values, **layers))
                except (Unavailable, DeadlineExceeded):
                    await asyncio.sleep(0.05)
                else:
                    return self.revision

    async def put_together(self, **values: dict[str, Any]) -> int:
        scopes = {scope: record(scope, each) for scope, each in values.items()}
        self.revision = await self.ledger.commit(scopes, expected=self.revision)
        return self.revision

    async def on_beat(self, message: Msg) -> None:
        if message.data:
            self.beats.append(json.loads(message.data))


def record(scope: str, values: dict[str, Any], **layers: Any) -> bytes:
    return encode(ConfigRecord(scope=scope, kind="put", at=datetime.now(UTC), values=values, **layers))


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    client = await connect(url, name="config-test")
    try:
        async with Requester(client) as requester:
            await ensure(requester, CONFIG)
            store = Store(client, JetStreamLedger(client, requester, CONFIG))
            await client.subscribe("hub.heartbeat.*.*", cb=store.on_beat)
            await client.flush()
            yield store
    finally:
        await client.close()


@pytest.fixture
async def store(nats_server: NatsServer) -> AsyncIterator[Store]:
    async with opened(nats_server.url) as opened_store:
        yield opened_store


def acknowledged(store: Store, revision: int) -> bool:
    return any(beat.get("config_revision") == revision for beat in store.beats)


async def test_what_is_stored_is_loaded_from_all_layers_with_every_hub_down(
    nats_server: NatsServer, store: Store
) -> None:
    await store.put("_all", {"risk": {"leverage": 2}, "region": "eu"}, file={"region": "us", "log": "info"})
    await store.put("some-consumer", {"risk": {"venues": ["cme"]}}, defaults={"risk": {"leverage": 9, "cap": 1}})
    async with consumer(nats_server.url) as client:
        config = await client.config.load()
        assert config == {"risk": {"leverage": 2, "venues": ["cme"], "cap": 1}, "region": "eu", "log": "info"}
        assert (client.config.current, client.config.revision) == (config, 2)
        assert not client.config.stale
        assert not client.config.from_disk
        origin = client.config.origin
        assert [origin(f"/{place}") for place in ("risk/leverage", "risk/cap", "region", "log")] == [
            "all",
            "schema",
            "all",
            "all-file",
        ]
        assert (origin("/risk/venues"), origin("/risk/venues/0")) == ("service", "service")
        assert [origin(place) for place in ("/risk", "/no", "/risk/venues/1", "/region/x", "")] == [None] * 5


async def test_where_nothing_is_stored_the_configuration_is_empty_at_revision_0(nats_server: NatsServer) -> None:
    async with consumer(nats_server.url) as client:
        assert await client.config.load() == {}
        assert client.config.revision == 0
        assert client.config.origin("/x") is None
        async with opened(nats_server.url) as store:
            revision = await store.put("some-consumer", {"x": 1})
            await until(lambda: client.config.revision == revision, "the first change is applied")
            assert client.config.current == {"x": 1}


async def test_a_configuration_comes_as_the_type_of_the_service(nats_server: NatsServer, store: Store) -> None:
    @dataclass
    class AsData:
        risk: dict[str, Any]

    class AsDict(TypedDict):
        risk: Risk

    await store.put("some-consumer", {"risk": {"leverage": 3}})
    async with consumer(nats_server.url) as client:
        assert await client.config.load(Settings) == Settings(risk=Risk(leverage=3.0))
        assert await client.config.load(AsData) == AsData(risk={"leverage": 3})
        typed = await client.config.load(AsDict)
        assert typed["risk"].leverage == 3.0
        assert (await client.config.load())["risk"] == {"leverage": 3}


async def test_a_configuration_of_another_type_is_refused_with_its_place(nats_server: NatsServer, store: Store) -> None:
    await store.put("some-consumer", {"risk": {"venues": ["cme", 7]}})
    async with consumer(nats_server.url) as client:
        with pytest.raises(InvalidConfig, match=r"/risk/venues/1: expected str(ing)?, got 7") as raised:
            await client.config.load(Settings)
        assert raised.value.field == "/risk/venues/1"
        assert client.config.current is None
        assert client.config.refused is not None
        await store.put("some-consumer", {"risk": {"venues": ["cme"]}})

        async def loads() -> bool:
            try:
                return await client.config.load(Settings) == Settings(risk=Risk(venues=["cme"]))
            except InvalidConfig:
                return False

        await eventually(loads, "what was mended is loaded")
        assert client.config.refused is None


async def test_a_closed_client_loads_nothing() -> None:
    with pytest.raises(Unavailable, match="not open"):
        await CentralHubClient("closed").config.load()


async def test_a_watch_begins_with_the_current_and_skips_to_the_newest(nats_server: NatsServer, store: Store) -> None:
    await store.put("some-consumer", {"n": 0})
    seen: list[int] = []
    async with consumer(nats_server.url) as client:
        watch = client.config.watch()
        assert await anext(watch) == {"n": 0}
        for number in range(1, 20):
            revision = await store.put("some-consumer", {"n": number})
        await until(lambda: client.config.revision == revision)
        assert await anext(watch) == {"n": 19}

        async def follow() -> None:
            async for config in watch:
                seen.append(config["n"])  # noqa: PERF401  # each as it comes

        following = asyncio.create_task(follow())
        await store.put("_all", {"m": 1})
        await store.put("some-consumer", {"n": 20})
        await until(lambda: seen[-1:] == [20], "the change is told")
        revision = await store.put("some-consumer", {"n": 20}, author="somebody else")
        await until(lambda: client.config.revision == revision)
    await following
    assert seen in ([19, 20], [20])


async def test_handlers_get_each_change_in_order_and_never_two_at_a_time(nats_server: NatsServer, store: Store) -> None:
    seen: list[int] = []
    running: list[int] = []
    release = asyncio.Event()
    await store.put("some-consumer", {"n": 0})
    async with consumer(nats_server.url) as client:

        @client.config.on_change
        async def slow(config: dict[str, Any]) -> None:
            running.append(config["n"])
            assert len(running) == 1
            seen.append(config["n"])
            assert client.config.current["n"] < config["n"]
            await release.wait()
            running.remove(config["n"])

        also: list[int] = []
        client.config.on_change(lambda config: also.append(config["n"]))
        await client.config.load()
        await store.put("some-consumer", {"n": 1})
        await until(lambda: seen == [1])
        for number in range(2, 10):
            revision = await store.put("some-consumer", {"n": number})
        release.set()
        await until(lambda: client.config.revision == revision)
        assert seen == also == sorted(set(seen))
        assert (seen[0], seen[-1]) == (1, 9)
        assert len(seen) < 9, "what comes while a handler runs is taken together"


async def test_both_halves_of_an_atomic_change_are_applied_at_once(nats_server: NatsServer, store: Store) -> None:
    seen: list[Any] = []
    async with consumer(nats_server.url) as client:
        client.config.on_change(seen.append)
        await client.config.load()
        for number in range(20):
            revision = await store.put_together(**{"_all": {"a": number}, "some-consumer": {"b": number}})
            await until(lambda wanted=revision: client.config.revision == wanted)  # type: ignore[misc]
        assert seen == [{"a": number, "b": number} for number in range(20)]


async def test_a_missed_change_is_found_by_the_next(
    nats_server: NatsServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for periodic in ("SETTLING", "PERIOD"):
        monkeypatch.setattr(f"hub.client.rereading.{periodic}", 3600.0)
    await store.put("some-consumer", {"n": 0})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        await until(lambda: not client.config.stale)
        where = {"Nats-Subject": "$KV.hub-config.some-consumer"}
        # A change that never was, said to follow on one that was never heard: a reading must undo both.
        await store.client.publish(
            "hub.delta.config.some-consumer",
            record("some-consumer", {"n": -1}),
            headers={**where, "Nats-Sequence": "900", "Nats-Last-Sequence": "899"},
        )
        await until(lambda: client.config.current == {"n": -1})
        await until(lambda: client.config.current == {"n": 0})
        assert client.config.revision == 1
        for payload, headers in (
            (b"not json", {**where, "Nats-Sequence": "900", "Nats-Last-Sequence": "1"}),
            (b"{}", {**where, "Nats-Sequence": "many", "Nats-Last-Sequence": "1"}),
            (b"not json", None),
            (record("some-consumer", {"n": -2}), {**where, "Nats-Sequence": "1", "Nats-Last-Sequence": "0"}),
            (record("some-consumer", {"n": -3}), {"Nats-Sequence": "901", "Nats-Last-Sequence": "1"}),
        ):
            await store.client.publish("hub.delta.config.some-consumer", payload, headers=headers)
        await store.put("_all", {"m": 1})
        await until(lambda: client.config.current == {"n": 0, "m": 1})


# --- with a hub


@asynccontextmanager
async def hub_and_store(folder: Path, server: NatsServer) -> AsyncIterator[Store]:
    with HubProcess(folder, nats_url=server.url):
        async with opened(server.url) as store:
            yield store


async def test_what_is_applied_and_what_is_refused_is_said_by_a_beat_at_once(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with (
        hub_and_store(tmp_path / "hub", nats_server) as store,
        service(nats_server.url, "acking", "a", ttl=600.0) as client,  # beats every 200 s, unless there is news
    ):
        assert not store.beats

        @client.config.on_change
        def check(config: dict[str, Any]) -> None:
            if config["n"] < 0:
                raise ValueError(f"n: expected at least 0, got {config['n']}")

        await client.config.load()
        await until(lambda: acknowledged(store, 0), "nothing is acknowledged as revision 0")
        revision = await store.put("acking", {"n": 1})
        await until(lambda: acknowledged(store, revision), "the change is acknowledged")
        refused = await store.put("acking", {"n": -1})
        reason = "n: expected at least 0, got -1"
        await until(
            lambda: (
                store.beats[-1].get("config_revision") == revision
                and store.beats[-1].get("config_refused") == {"revision": refused, "reason": reason}
            ),
            "the refusal is said",
        )
        assert (client.config.current, client.config.revision) == ({"n": 1}, revision)
        assert client.config.refused == ConfigRefusal(revision=refused, reason=reason)
        better = await store.put("acking", {"n": 2})
        await until(lambda: acknowledged(store, better), "what comes after is applied")
        assert not client.config.refused
        assert not store.beats[-1].get("config_refused")
        status = await call(store.client, "hub.config.status", {"service": "acking"})
        assert (status["wanted"], status["counts"]) == (better, {"applied": 1})


async def test_who_has_taken_a_change_that_another_refuses_is_given_the_previous_again(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    seen: list[Any] = []
    async with opened(nats_server.url) as store, consumer(nats_server.url) as client:
        await store.put("some-consumer", {"n": 0})
        await client.config.load(dict)
        client.config.on_change(seen.append)

        @client.config.on_change
        async def refuse(config: dict[str, Any]) -> None:
            await asyncio.sleep(0)
            raise asyncio.CancelledError

        revision = await store.put("some-consumer", {"n": 1})
        await until(lambda: client.config.refused is not None)
        assert client.config.refused is not None
        assert (client.config.refused.revision, client.config.refused.reason) == (
            revision,
            "what the handler has waited for was cancelled",
        )
        assert seen == [{"n": 1}, {"n": 0}]
        assert client.config.current == {"n": 0}


async def test_a_handler_that_takes_too_long_refuses_the_change_and_the_next_one_is_applied(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    seen: list[Any] = []
    cancelled: list[Any] = []
    async with (
        hub_and_store(tmp_path / "hub", nats_server) as store,
        service(nats_server.url, "hanging", "a", ttl=600.0, config_timeout=0.3) as client,
    ):
        client.config.on_change(seen.append)

        @client.config.on_change
        async def hang(config: dict[str, Any]) -> None:
            if config["n"] < 0:
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.append(config)

        good = await store.put("hanging", {"n": 0})
        await client.config.load()
        await until(lambda: acknowledged(store, good))
        refused = await store.put("hanging", {"n": -1})
        await until(lambda: client.config.refused is not None, "the change is refused")
        assert client.config.refused is not None
        assert client.config.refused.revision == refused
        assert "hang has not taken it within 0.3 s" in client.config.refused.reason
        assert (client.config.current, client.config.revision) == ({"n": 0}, good)
        assert (seen, cancelled) == ([{"n": -1}, {"n": 0}], [{"n": -1}])

        async def told() -> bool:
            status = await call(store.client, "hub.config.status", {"service": "hanging"})
            return bool(status["counts"] == {"refused": 1})

        await eventually(told, "the hub knows")
        better = await store.put("hanging", {"n": 2})
        await until(lambda: acknowledged(store, better), "what comes after is applied")


async def test_a_handler_has_the_time_that_it_was_given_and_one_that_never_ends_holds_nobody_up(
    nats_server: NatsServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.client.confighandlers.END_WITHIN", 0.2)
    release = asyncio.Event()
    await store.put("some-consumer", {"n": 0})
    async with consumer(nats_server.url, config_timeout=0.1) as client:

        @client.config.on_change(timeout=20.0)
        async def patient(config: dict[str, Any]) -> None:
            await asyncio.sleep(0.5)

        await client.config.load()
        await store.put("some-consumer", {"n": 1})
        await until(lambda: client.config.current == {"n": 1})

        @client.config.on_change
        async def stubborn(config: dict[str, Any]) -> None:
            while not release.is_set():
                with suppress(asyncio.CancelledError):
                    await release.wait()

        await store.put("some-consumer", {"n": 2})
        await until(lambda: client.config.refused is not None)
        assert client.config.current == {"n": 1}
        with pytest.raises(InvalidRequest, match="timeout: expected more than 0 seconds, got 0"):
            client.config.on_change(stubborn, timeout=0)
        await store.put("some-consumer", {"n": 3})
        await asyncio.sleep(0.7)
    release.set()
    await asyncio.sleep(0)
    with pytest.raises(InvalidRequest, match="timeout"):
        consumer(nats_server.url, config_timeout=-1.0)


async def test_a_change_that_is_of_another_type_is_refused_and_the_previous_stays(
    nats_server: NatsServer, store: Store
) -> None:
    await store.put("some-consumer", {"risk": {"leverage": 3}})
    async with consumer(nats_server.url) as client:
        before = await client.config.load(Settings)
        await store.put("some-consumer", {"risk": {"leverage": "much"}})
        await until(lambda: client.config.refused is not None)
        assert client.config.refused is not None
        assert client.config.refused.reason == 'some-consumer: /risk/leverage: expected a number, got "much"'
        assert client.config.current is before


async def test_what_operators_put_reaches_the_services_that_it_names_and_their_word_reaches_operators(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with (
        hub_and_store(tmp_path / "hub", nats_server) as store,
        service(nats_server.url, "named", "a") as first,
        service(nats_server.url, "named", "b") as second,
    ):
        schema = {"type": "object", "properties": {"cap": {"type": "integer", "default": 5}}}
        await call(store.client, "hub.config.schema.put", {"service": "named", "schema": schema})
        clients = first, second
        assert [await client.config.load() for client in clients] == [{"cap": 5}] * 2
        changes = [{"service": scope, "values": {scope.strip("_"): 1}} for scope in ("named", "_all", "another")]
        done = await call(store.client, "hub.config.put", {"changes": changes})
        await until(lambda: all(c.config.current == {"cap": 5, "named": 1, "all": 1} for c in clients))
        wanted = (await call(store.client, "hub.config.get", {"service": "named"}))["revision"]
        assert [client.config.revision for client in clients] == [wanted] * 2
        assert wanted <= done["revision"]

        async def all_have_said_so() -> bool:
            status = await call(store.client, "hub.config.status", {"service": "named"})
            return bool(status["counts"] == {"applied": 2})

        await eventually(all_have_said_so, "the hub has heard it of both")


async def test_whoever_is_reminded_reads_again_and_says_what_it_runs_with(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for periodic in ("SETTLING", "PERIOD"):
        monkeypatch.setattr(f"hub.client.rereading.{periodic}", 3600.0)
    async with (
        hub_and_store(tmp_path / "hub", nats_server) as store,
        service(nats_server.url, "reminded", "a", ttl=600.0) as client,
    ):
        await store.put("reminded", {"n": 1})
        await client.config.load()
        await until(lambda: acknowledged(store, 1) and not client.config.stale)
        told = len(store.beats)
        await store.client.publish("hub.config.remind.reminded.a")
        await until(lambda: len(store.beats) > told, "it says so again")
        assert store.beats[-1]["config_revision"] == 1


async def test_whoever_never_loads_a_configuration_says_nothing_of_it(nats_server: NatsServer, tmp_path: Path) -> None:
    async with hub_and_store(tmp_path / "hub", nats_server) as store:
        await store.put("silent", {"n": 1})
        async with service(nats_server.url, "silent", "a", ttl=0.5) as client:
            client.set_load(0.5)
            await until(lambda: len(store.beats) > 5)
        assert all(beat.get("config_revision") is None for beat in store.beats)


async def test_nothing_is_left_after_closing_and_a_reopened_client_follows_again(
    nats_server: NatsServer, store: Store
) -> None:
    tasks = asyncio.all_tasks()
    client = consumer(nats_server.url)
    async with client:
        await client.config.load()

        @client.config.on_change
        async def hang(config: dict[str, Any]) -> None:
            if config == {"n": 1}:
                await asyncio.Event().wait()

        await store.put("some-consumer", {"n": 1})
        await asyncio.sleep(0.1)
    await until(lambda: asyncio.all_tasks() == tasks, "all tasks have ended")
    assert client.config.stale
    await store.put("some-consumer", {"n": 2})
    async with client:
        await until(lambda: client.config.current == {"n": 2})
    await until(lambda: asyncio.all_tasks() == tasks, "all tasks have ended")


# --- the copy on disk


async def test_the_last_good_configuration_is_kept_for_its_owner_alone(
    nats_server: NatsServer, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "made" / "for-it"
    async with consumer(nats_server.url, config_cache=folder) as client:
        assert await client.config.load() == {}
        assert not folder.exists()
        client.config.on_change(lambda config: 1 / config["n"])
        await store.put("some-consumer", {"n": 1})
        await until(lambda: [file.name for file in folder.glob("*")] == ["some-consumer.json"])
        path = folder / "some-consumer.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        kept = path.read_bytes()
        await store.put("some-consumer", {"n": 0})
        await until(lambda: client.config.refused is not None)
        assert path.read_bytes() == kept
    assert isinstance(client.config, ClientConfig)
