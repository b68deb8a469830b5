"""The SDK's secrets against a real hub: in their places, followed, and nowhere else."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client import CentralHubClient, InvalidConfig, InvalidRequest, Unavailable
from tests.calls import call, connected, insist
from tests.clients import service
from tests.hubs import HubProcess
from tests.keys import fresh_key
from tests.proxy import Proxy
from tests.servers import NatsServer
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("client-secrets")


class Db(Struct):
    password: str
    host: str = "localhost"


class Settings(Struct):
    db: Db
    keys: list[str] = []


REFERRING = {"db": {"password": {"$secret": "db"}}}


class Site:
    """A NATS server, a hub on it, and a plain connection."""

    def __init__(self, server: NatsServer, hub: HubProcess, client: Client) -> None:
        self.server = server
        self.hub = hub
        self.client = client
        self.beats: list[dict[str, Any]] = []

    async def put(self, name: str, value: str, *readers: str) -> int:
        message = {"name": name, "value": value, "readers": readers or None}
        return int((await call(self.client, "hub.secret.put", message))["revision"])

    async def configure(self, service_name: str, values: dict[str, Any]) -> int:
        change = {"service": service_name, "values": values}
        return int((await call(self.client, "hub.config.put", {"changes": [change]}))["revision"])

    async def hear(self, message: Msg) -> None:
        if message.data:
            self.beats.append(json.loads(message.data))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    with (
        NatsServer(tmp_path / "nats") as server,
        HubProcess(tmp_path / "hub", nats_url=server.url, variables={"HUB_SECRETS_KEY": fresh_key()}) as hub,
    ):
        async with connected(server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1) as client:
            found = Site(server, hub, client)
            await client.subscribe("hub.heartbeat.*.*", cb=found.hear)
            await client.flush()
            yield found


def engine(url: str, **given: Any) -> CentralHubClient:
    return service(url, "engine", "e1", host="127.0.0.1", start_timeout=5.0, **given)


async def test_a_secret_stands_where_the_configuration_refers_to_it(site: Site) -> None:
    await site.put("db", "correct horse", "eng*")
    await site.put("key", "k1", "*")
    await site.configure("_all", {"keys": ["plain", {"$secret": "key"}]})
    await site.configure("engine", REFERRING)
    async with engine(site.server.url) as client:
        assert await client.config.load(Settings) == Settings(db=Db("correct horse"), keys=["plain", "k1"])
        assert await client.config.load() == {"db": {"password": "correct horse"}, "keys": ["plain", "k1"]}
        assert client.config.origin("/db/password") == "service"
        assert client.config.origin("/keys/1") == "all"


async def test_who_listens_between_a_service_and_nats_sees_no_secret(site: Site) -> None:
    await site.put("db", "planted-one", "engine")
    await site.configure("engine", REFERRING)
    async with Proxy(site.server.port) as proxy, engine(proxy.url) as client:
        assert (await client.config.load(Settings)).db.password == "planted-one"
        await site.put("db", "planted-two")
        await until(lambda: client.config.current.db.password == "planted-two", "it is applied")
    assert b"hub.secret.resolve" in proxy.passed
    assert b"sealed" in proxy.passed
    for value in (b"planted-one", b"planted-two"):
        assert value not in proxy.passed


async def test_a_service_that_cannot_open_what_is_sealed_asks_for_it_in_the_clear(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ModuleNotFoundError(name="cryptography")

    monkeypatch.setattr("hub.vault.transit._fresh", missing)
    await site.put("db", "planted", "engine")
    await site.configure("engine", REFERRING)
    async with Proxy(site.server.port) as proxy, engine(proxy.url) as client:
        assert (await client.config.load(Settings)).db.password == "planted"
    assert b"planted" in proxy.passed  # so that the test above would have seen it


async def test_a_changed_secret_is_a_changed_configuration(site: Site) -> None:
    await site.put("db", "v0", "engine")
    await site.configure("engine", REFERRING)
    heard: list[Settings] = []
    async with engine(site.server.url) as client:
        await client.config.load(Settings)
        client.config.on_change(heard.append)
        watch = client.config.watch()
        assert (await anext(watch)).db.password == "v0"
        revision = client.config.revision
        for number in range(1, 4):
            await site.put("db", f"v{number}")
            await until(lambda: client.config.current.db.password == f"v{number}", "it is applied")  # noqa: B023
        assert [each.db.password for each in heard] == ["v1", "v2", "v3"]
        assert (await anext(watch)).db.password == "v3"
        assert client.config.revision == revision


async def test_a_handler_that_refuses_a_secret_keeps_the_old_one_and_nobody_is_told_the_new(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    await site.put("db", "old value", "engine")
    await site.configure("engine", REFERRING)
    with caplog.at_level(logging.DEBUG):
        async with engine(site.server.url) as client:
            await client.config.load(Settings)
            taken: list[str] = []

            @client.config.on_change
            def first(settings: Settings) -> None:
                taken.append(settings.db.password)
                if len(taken) == 2:
                    raise RuntimeError(f"cannot go back to {settings.db.password}")

            @client.config.on_change
            def second(settings: Settings) -> None:
                if settings.db.password != "good value":
                    raise ValueError(f"no: {settings!r}")

            await site.put("db", "bad value")
            await until(lambda: "a change of its secrets is refused" in caplog.text)
            assert taken == ["bad value", "old value"]
            assert client.config.current.db.password == "old value"
            assert client.config.refused is None
            await site.put("db", "good value")
            await until(lambda: client.config.current.db.password == "good value")
    assert "cannot go back to ***" in caplog.text
    for value in ("bad value", "old value", "good value"):
        assert value not in caplog.text
        assert value not in json.dumps(site.beats)


class StrictDb(Struct):
    password: int


class Strict(Struct):
    db: StrictDb


async def test_a_refusal_that_would_have_the_secret_in_it_is_masked_on_the_way_to_the_hub(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    long = "a secret that is so long that nobody would show it as a whole, but only its beginning, and then dots"
    await site.put("db", long, "engine")
    first = await site.configure("engine", {"db": {"password": 1}})
    async with engine(site.server.url) as client:
        await client.config.load(Strict)
        revision = await site.configure("engine", REFERRING)
        await until(lambda: client.config.refused is not None)
        assert client.config.refused is not None
        assert client.config.refused.reason == "engine: /db/password: expected an integer"
        await until(lambda: any(beat.get("config_refused") for beat in site.beats))
        status = await call(site.client, "hub.config.status", {"service": "engine"})
        assert status["instances"][0]["refused"]["revision"] == revision > first
    with pytest.raises(InvalidConfig) as refused:
        async with engine(site.server.url) as client:
            await client.config.load(Strict)
    assert refused.value.message == "engine: /db/password: expected an integer"
    assert refused.value.__context__ is None
    for told in (json.dumps(site.beats), json.dumps(status), caplog.text, str(refused.value)):
        assert "a secret that is" not in told


async def test_a_secret_that_may_not_be_read_refuses_the_configuration_until_it_may(site: Site) -> None:
    await site.put("db", "hidden", "gateway")
    await site.configure("engine", {"n": 1})
    async with engine(site.server.url) as client:
        await client.config.load()
        revision = await site.configure("_all", REFERRING)
        await until(lambda: client.config.refused is not None)
        assert client.config.refused is not None
        assert client.config.refused.reason == (
            "engine: /db/password: expected a secret that engine may read (secret db: engine is none of its readers)"
        )
        assert client.config.current == {"n": 1}
        await site.put("db", "shown", "*")
        await until(lambda: client.config.revision == revision)
        assert client.config.current == {"n": 1, "db": {"password": "shown"}}


async def test_a_secret_that_is_taken_away_leaves_the_value_that_is_in_use(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    await site.put("db", "in use", "engine")
    await site.put("key", "other", "engine")
    await site.configure("engine", {**REFERRING, "keys": [{"$secret": "key"}]})
    async with engine(site.server.url) as client:
        await client.config.load(Settings)
        await call(site.client, "hub.secret.delete", {"name": "db", "force": True})
        await until(lambda: "secret db: does not exist" in caplog.text)
        assert client.config.current.db.password == "in use"
        await site.put("db", "back", "engine")
        await until(lambda: client.config.current.db.password == "back")


async def test_what_changed_while_nats_was_away_is_known_when_it_is_back(site: Site) -> None:
    await site.put("db", "before", "engine")
    await site.configure("engine", REFERRING)
    async with engine(site.server.url) as client:
        await client.config.load(Settings)
        site.server.kill()
        await until(lambda: not client.connected)
        assert client.config.stale
        assert client.config.current.db.password == "before"
        site.server.start()
        await until(lambda: client.connected and site.client.is_connected)
        async with asyncio.timeout(30):
            assert "error" not in await insist(site.client, "hub.secret.put", {"name": "db", "value": "after"})
        await until(lambda: client.config.current.db.password == "after")
        await until(lambda: not client.config.stale)


async def test_a_service_without_secrets_listens_to_none_and_asks_for_none(site: Site) -> None:
    asked: list[Msg] = []

    async def hear(message: Msg) -> None:
        asked.append(message)

    await site.client.subscribe("hub.secret.>", cb=hear)
    await site.put("db", "x", "engine")
    await site.configure("engine", {"n": 1})
    async with engine(site.server.url) as client:
        await client.config.load()
        assert "secret-follow" not in {task.get_name() for task in asyncio.all_tasks()}
        await site.configure("engine", {"n": 2})
        await until(lambda: client.config.current == {"n": 2})
    assert [message.subject for message in asked] == ["hub.secret.put"]


async def test_secrets_that_are_used_no_more_are_heard_no_more(site: Site) -> None:
    await site.put("db", "x", "engine")
    await site.put("key", "y", "engine")
    await site.configure("engine", REFERRING)
    async with engine(site.server.url) as client:
        await client.config.load()
        assert set(client.config._secrets._hearings) == {"db"}
        await site.configure("engine", {"k": {"$secret": "key"}})
        await until(lambda: client.config.current == {"k": "y"})
        await until(lambda: set(client.config._secrets._hearings) == {"key"})
        await site.configure("engine", {})
        await until(lambda: client.config.current == {})
        await until(lambda: not client.config._secrets._hearings)


async def test_with_a_key_a_service_starts_with_its_secrets_while_hub_and_nats_are_down(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, key = tmp_path / "cache", fresh_key()
    await site.put("db", "kept value", "engine")
    await site.configure("engine", REFERRING)
    async with engine(site.server.url, config_cache=cache, config_cache_key=key) as client:
        await client.config.load(Settings)
        await until(lambda: (cache / "engine.secrets").exists())
        await site.put("db", "newer value")
        await until(lambda: client.config.current.db.password == "newer value")
    for file in cache.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for value in (b"kept value", b"newer value"):
            assert value not in file.read_bytes()
    site.hub.kill()
    alone = {"config_cache": cache, "timeout": 1.0}
    async with engine(site.server.url, **alone, config_cache_key=key) as client:
        assert (await client.config.load(Settings)).db.password == "newer value"
    site.server.kill()
    async with engine(site.server.url, **alone, config_cache_key=key) as client:
        assert (await client.config.load(Settings)).db.password == "newer value"
        assert client.config.from_disk
        site.server.start()
        site.hub.start()
        await until(lambda: site.client.is_connected)
        await site.put("db", "newest value")
        await until(lambda: client.config.current.db.password == "newest value")
    for shown in ("kept value", "newer value", "newest value"):
        assert shown not in caplog.text


async def test_without_a_key_such_a_start_fails_and_says_so(site: Site, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    await site.put("db", "kept value", "engine")
    await site.configure("engine", REFERRING)
    async with engine(site.server.url, config_cache=cache) as client:
        await client.config.load(Settings)
    assert [file.name for file in cache.iterdir()] == ["engine.json"]
    assert b"kept value" not in (cache / "engine.json").read_bytes()
    site.hub.kill()
    site.server.kill()
    for more, words in (
        ({}, "it is not kept on disk: config_cache and config_cache_key would have kept it"),
        ({"config_cache_key": fresh_key()}, f"it is not among what is kept in {cache / 'engine.secrets'}"),
    ):
        async with engine(site.server.url, config_cache=cache, timeout=0.5, **more) as client:
            with pytest.raises(Unavailable) as refused:
                await client.config.load(Settings)
        assert "engine: its configuration refers to the secret db, which no hub could be asked for" in str(
            refused.value
        )
        assert words in str(refused.value)


async def test_a_copy_of_secrets_with_another_key_or_spoilt_is_as_good_as_none(site: Site, tmp_path: Path) -> None:
    cache, key = tmp_path / "cache", fresh_key()
    await site.put("db", "kept value", "engine")
    await site.configure("engine", REFERRING)
    async with engine(site.server.url, config_cache=cache, config_cache_key=key) as client:
        await client.config.load(Settings)
    site.hub.kill()
    copy = cache / "engine.secrets"
    good = copy.read_bytes()
    spoilt = good[:-20] + bytes([good[-20] ^ 1]) + good[-19:]
    for content, tried in ((good, fresh_key()), (spoilt, key), (good[:50], key), (b"{}", key)):
        copy.write_bytes(content)
        async with engine(site.server.url, config_cache=cache, config_cache_key=tried, timeout=0.5) as client:
            with pytest.raises(Unavailable, match="not among what is kept"):
                await client.config.load(Settings)
    copy.write_bytes(good)
    async with engine(site.server.url, config_cache=cache, config_cache_key=key, timeout=0.5) as client:
        assert (await client.config.load(Settings)).db.password == "kept value"


@pytest.mark.parametrize("key", ["short", b"short", "", "ü" * 43, b"\xff" * 43])
def test_a_cache_key_that_is_none_is_refused_without_being_shown(tmp_path: Path, key: str | bytes) -> None:
    with pytest.raises(InvalidRequest, match="config_cache_key: expected 32 bytes") as refused:
        CentralHubClient("engine", config_cache=tmp_path, config_cache_key=key)
    assert refused.value.field == "config_cache_key"
    assert "short" not in str(refused.value)


def test_a_cache_key_needs_a_cache() -> None:
    with pytest.raises(InvalidRequest, match="expected a config_cache, too"):
        CentralHubClient("engine", config_cache_key=fresh_key())


def test_the_sdk_needs_no_cryptography_unless_secrets_are_kept(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["cryptography"] = None
from hub.client import CentralHubClient, Unsupported
CentralHubClient("engine", config_cache={str(tmp_path)!r})
try:
    CentralHubClient("engine", config_cache={str(tmp_path)!r}, config_cache_key={fresh_key()!r})
except Unsupported as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("config_cache_key: to encrypt needs the extra `secrets`")
    assert "pip install 'central-hub[secrets]'" in done.stdout
