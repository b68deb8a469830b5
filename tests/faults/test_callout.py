"""Hubs on a NATS of somebody's own, whose servers ask them who may come in: two of them, and none."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from nats.aio.client import Client

from hub.identity.nkey import Nkey
from tests.access import answer_to, declare, let_in, person
from tests.calls import insist, register
from tests.clients import eventually
from tests.commands import run
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import until

ADA = person("operator", "ada")
ENGINE = person("service", "engine")


class Site(NamedTuple):
    """A NATS server, and two hubs on it."""

    server: NatsServer
    hubs: tuple[HubProcess, HubProcess]
    keys: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    tmp_path = tmp_path_factory.mktemp("site")
    keys, conf = tmp_path / "keys", tmp_path / "accounts.conf"
    assert run("access", "init", "--dir", str(keys)).returncode == 0
    assert run("access", "conf", "--dir", str(keys), "--out", str(conf)).returncode == 0
    file = declare(tmp_path / "access.toml", ADA, ENGINE)
    variables = {"HUB_ACCESS_MODE": "enforced", "HUB_ACCESS_KEYS": str(keys), "HUB_ACCESS_FILE": str(file)}
    with NatsServer(tmp_path / "nats", config=f"include {json.dumps(f'../{conf.name}')}") as server:
        system = {**variables, "HUB_NATS_SYSTEM_URL": server.url}
        one, other = (HubProcess(tmp_path / name, nats_url=server.url, variables=system) for name in ("one", "other"))
        with one, other:
            yield Site(server, (one, other), keys)


async def logins(client: Client, replicas: int) -> list[int]:
    """How many each replica has let in."""
    inbox = client.new_inbox()
    replies = await client.subscribe(inbox)
    await client.publish("hub.metrics", b"", reply=inbox)
    texts = [(await replies.next_msg(10)).data.decode() for _ in range(replicas)]
    await replies.unsubscribe()
    found = (re.search(r'^hub_logins_total\{outcome="ok"\} (\d+)', text, re.MULTILINE) for text in texts)
    return [int(each[1]) if each else 0 for each in found]


async def test_hubs_share_the_logins_and_one_goes_on_when_the_other_is_killed(site: Site) -> None:
    async with let_in(site.server.url, ADA) as ada:
        for _ in range(30):
            assert await knock(site) == "PONG"
        shares = await logins(ada.client, 2)
        assert sum(shares) >= 31
        assert min(shares) > 0, shares
        site.hubs[0].kill()
        try:

            async def let_in_again() -> bool:
                return await knock(site) == "PONG"

            await eventually(let_in_again, "the other hub lets in")
            assert [await knock(site) for _ in range(10)] == ["PONG"] * 10
        finally:
            site.hubs[0].start()


async def knock(site: Site) -> str:
    """What is answered to somebody who may come in."""
    return await answer_to(site.server.url, nkey=ENGINE.key.public, sign=ENGINE.key.sign)


async def test_while_no_hub_is_there_who_is_in_goes_on_and_who_comes_gets_in_when_one_is_back(site: Site) -> None:
    first = Nkey((site.keys / "operator.nk").read_text().strip())
    async with let_in(site.server.url, ENGINE, "engine.a1") as engine, let_in(site.server.url, first) as operator:
        assert "error" not in await register(engine.client, "engine", "a1")
        for hub in site.hubs:
            hub.kill()
        patient: dict[str, Any] = {"allow_reconnect": True, "max_reconnect_attempts": -1, "connect_timeout": 10}
        async with AsyncExitStack() as stack:
            late = let_in(site.server.url, ADA, **patient)
            coming = asyncio.create_task(stack.enter_async_context(late))
            body = json.dumps({"last_by_subj": "$KV.hub-registry.engine.a1"}).encode()
            stored = await engine.client.request("$JS.API.DIRECT.GET.KV_hub-registry", body, timeout=5)
            assert json.loads(stored.data)["name"] == "engine", "what is stored is read with no hub"
            refused = site.server.log.read_text().count("authentication error")
            assert await knock(site) == "-ERR 'Authorization Violation'"
            await until(
                lambda: site.server.log.read_text().count("authentication error") > refused + 1, "it is refused"
            )
            assert not coming.done()
            for hub in site.hubs:
                hub.start()
            found = await insist((await coming).client, "hub.services")
            assert found["services"][0]["name"] == "engine"
        assert (await insist(operator.client, "hub.services"))["services"][0]["name"] == "engine"
        assert engine.errors == operator.errors == []
