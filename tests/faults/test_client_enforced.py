"""Services of the SDK where identities are proven: all that they do, thrown out, and with no hub to let them in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nats
import pytest
from msgspec import Struct

from hub.client import CentralHubClient, Forbidden, Unauthenticated
from hub.identity.nkey import Nkey
from tests.access import answer_to, declare, let_in, person
from tests.clients import eventually
from tests.commands import run
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import PATIENCE, end, until

ENGINE = person("service", "engine")
OTHER = person("service", "other")
GONE = person("operator", "gone")


class Site(NamedTuple):
    """A NATS server that asks a hub who may come in."""

    server: NatsServer
    hub: HubProcess
    keys: Path
    file: Path


class Conf(Struct):
    """What the engine runs with."""

    limit: int = 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    tmp_path = tmp_path_factory.mktemp("site")
    keys, conf = tmp_path / "keys", tmp_path / "accounts.conf"
    assert run("access", "init", "--dir", str(keys)).returncode == 0
    assert run("access", "conf", "--dir", str(keys), "--out", str(conf)).returncode == 0
    file = declare(tmp_path / "access.toml", ENGINE, OTHER, GONE)
    variables = {"HUB_ACCESS_MODE": "enforced", "HUB_ACCESS_KEYS": str(keys), "HUB_ACCESS_FILE": str(file)}
    with NatsServer(tmp_path / "nats", config=f"include {json.dumps(f'../{conf.name}')}") as server:
        variables["HUB_NATS_SYSTEM_URL"] = server.url
        with HubProcess(tmp_path / "hub", nats_url=server.url, variables=variables) as hub:
            yield Site(server, hub, keys, file)


def engine(site: Site, **given: Any) -> CentralHubClient:
    return CentralHubClient(
        "engine", port=8000, instance_id="e1", nats_url=site.server.url, nkey=ENGINE.key.seed, **given
    )


def other(site: Site, instance: str = "o1") -> CentralHubClient:
    return CentralHubClient("other", port=8001, instance_id=instance, nats_url=site.server.url, nkey=OTHER.key.seed)


async def test_nobody_can_have_what_is_stored_of_himself_told_to_others_as_of_somebody_else(site: Site) -> None:
    """A reply goes to whatever subject it is asked to, and what is read of the registry looks as what is told of it."""
    async with other(site, "victim"), engine(site) as client:
        assert [each.instance_id for each in await client.discover_all("other")] == ["victim"]
        walk = json.dumps({"next_by_subj": "$KV.hub-registry.engine.*", "seq": 1, "batch": 1}).encode()
        async with let_in(site.server.url, ENGINE) as attacker:
            heard = await attacker.client.subscribe("hub.delta.registry.other.*")
            for reply in ("hub.delta.registry.other.forged", "hub.delta.registry.other.victim"):
                await attacker.client.publish("$JS.API.DIRECT.GET.KV_hub-registry", walk, reply=reply)
                forged = await heard.next_msg(PATIENCE)
                assert (forged.headers or {})["Nats-Subject"] == "$KV.hub-registry.engine.e1"
                await heard.next_msg(PATIENCE)  # the end of the batch
        async with other(site, "o2"):
            ids = {each.instance_id: each.port for each in await discovered(client, "o2")}
            assert ids == {"victim": 8001, "o2": 8001}


async def discovered(client: CentralHubClient, instance: str) -> list[Any]:
    """All instances of `other`, as soon as that one is among them."""

    async def there() -> bool:
        return instance in [each.instance_id for each in await client.discover_all("other")]

    await eventually(there, f"{instance} is known")
    return list(await client.discover_all("other"))


async def test_a_service_needs_no_right_that_it_does_not_have(
    site: Site, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    operator = ("--nkey", str(site.keys / "operator.nk"))
    done = run("config", "set", "engine", "limit=7", *operator, nats=site.server.url)
    assert done.returncode == 0, done.stderr
    seen: set[str] = set()
    with caplog.at_level(logging.DEBUG, "hub.client"):
        async with other(site), engine(site, depends_on=["other"], config_schema=Conf, config_cache=tmp_path) as client:
            assert (await client.config.load(Conf)).limit == 7

            async def watch() -> None:
                async for change in client.watch("other"):
                    seen.add(f"{change.kind} {change.instance.instance_id}")

            watching = asyncio.create_task(watch())
            assert (await client.discover("other")).instance_id == "o1"
            assert (await client.discover("other", strategy="least_loaded")).instance_id == "o1"
            client.set_status("warning", "busy")
            async with other(site, "o2"):
                await until(lambda: "added o2" in seen, "the watch has seen it")
            changed: list[int] = []

            @client.config.on_change
            def on_change(after: Conf) -> None:
                changed.append(after.limit)

            done = run("config", "set", "engine", "limit=8", *operator, nats=site.server.url)
            assert done.returncode == 0, done.stderr
            await until(lambda: changed == [8], "it follows")
            await client.components.sync(tmp_path / "components")
            assert {each.name for each in await client.services()} >= {"engine", "other"}
            await end(watching)
    assert "does not permit" not in caplog.text
    assert "not read" not in caplog.text, "it reads from NATS itself, and does not have to ask the hub"


async def test_a_service_is_forbidden_to_be_another_one(site: Site) -> None:
    client = CentralHubClient("ledger", port=1, nats_url=site.server.url, nkey=ENGINE.key.seed, start_timeout=20)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Forbidden):
            await client.register()


async def test_a_service_thrown_out_while_no_hub_is_there_comes_back_with_the_first_one(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    system = await nats.connect(
        site.server.url, nkeys_seed_str=(site.keys / "system.nk").read_text().strip(), max_reconnect_attempts=-1
    )
    pong = await system.request("$SYS.REQ.SERVER.PING", timeout=PATIENCE)
    server_id = json.loads(pong.data)["server"]["id"]
    async with other(site), engine(site) as client:
        assert (await client.discover("other")).instance_id == "o1"
        assert client._session is not None
        connection = client._session.link._client
        assert connection is not None
        site.hub.kill()
        with caplog.at_level(logging.ERROR, "hub.client"):
            kick = json.dumps({"cid": connection.client_id}).encode()
            await system.request(f"$SYS.REQ.SERVER.{server_id}.KICK", kick, timeout=PATIENCE)
            await until(lambda: "is refused, or nobody is there to take it" in caplog.text, "it tells")
            assert not client.connected
            assert (await client.discover("other")).instance_id == "o1", "from the cache"
            late = engine(site, start_timeout=6.0)
            with pytest.raises(Unauthenticated, match="no hub is there to let anybody in"):
                await late.connect()
        site.hub.start()
        await until(lambda: client.connected and client.registered, "it is back, and registered")
        assert client._session.link._client is connection, "in place"
        assert not connection.is_closed

        async def answered() -> bool:
            return any(each.name == "engine" for each in await client.services())

        await eventually(answered, "the hub has it registered")
    await system.close()


def test_an_operator_asks_with_his_nkey_and_a_service_may_not_command(site: Site, tmp_path: Path) -> None:
    done = run("services", "--nkey", str(site.keys / "operator.nk"), nats=site.server.url)
    assert done.returncode == 0, done.stderr
    seed = tmp_path / "engine.nk"
    seed.touch(0o600)
    seed.write_text(ENGINE.key.seed)
    refused = run("drain", "other", "--timeout", "30", "--nkey", str(seed), nats=site.server.url)
    assert refused.returncode == 1
    assert f"(logged in with the nkey in {seed})" in refused.stderr
    assert Nkey(ENGINE.key.seed).seed not in refused.stderr


async def test_who_is_declared_no_more_when_the_hub_starts_again_is_thrown_out(site: Site) -> None:
    async with let_in(site.server.url, GONE) as gone, let_in(site.server.url, ENGINE) as engine:
        site.hub.kill()
        declare(site.file, ENGINE, OTHER)
        site.hub.start()
        await until(lambda: gone.client.is_closed, "it is closed")
        assert await answer_to(site.server.url, nkey=GONE.key.public, sign=GONE.key.sign) != "PONG"
        assert engine.client.is_connected
