"""API keys and revocations with a hub that lets in only who proves who it is, as users run it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from hub.wire.roles import inbox_prefix_for
from tests.access import answer_to, declare, let_in, person
from tests.calls import call, refusal
from tests.hubs import HubProcess
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings(  # nats-py leaves the socket of who is turned away to the garbage collector
    "ignore:Exception ignored in. <(function StreamWriter|function _SelectorTransport|socket.socket)"
    ":pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Have what nats-py leaves of connections that were turned away collected here, where it is known."""
    yield
    gc.collect()


ADA, BOB, ENGINE = person("operator", "ada"), person("operator", "bob"), person("service", "engine")
REFUSED = "-ERR 'Authorization Violation'"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("secure")
    allowed = '[[allow]]\nwho = ["external:*"]\ndiscover = ["*"]\n'
    file = declare(folder / "access.toml", ADA, BOB, ENGINE, more=allowed)
    with HubProcess(folder, arguments=("--secure",), variables={"HUB_ACCESS_FILE": str(file)}) as process:
        yield process


@asynccontextmanager
async def by_key(hub: HubProcess, key: str) -> AsyncIterator[Client]:
    client = await nats.connect(
        hub.nats_url, token=key, allow_reconnect=False, inbox_prefix=inbox_prefix_for(key).encode()
    )
    try:
        yield client
    finally:
        with contextlib.suppress(nats.errors.Error):
            await client.close()


async def created(client: Client, name: str, **more: Any) -> tuple[str, str]:
    issued = await call(client, "hub.key.create", {"name": name, **more})
    return issued["key"], issued["id"]


async def test_who_has_a_key_gets_in_to_what_it_is_good_for_until_it_is_revoked(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ADA) as ada:
        key, key_id = await created(ada.client, "partner", scopes=["discover"])
        other, _ = await created(ada.client, "partner")
        async with by_key(secure, key) as partner, by_key(secure, other) as kept:
            assert (await call(partner, "hub.services"))["services"] is not None
            assert (await call(kept, "hub.health"))["services"] is not None
            with pytest.raises((nats.errors.Error, TimeoutError)):
                await call(partner, "hub.health", timeout=0.3)
            await call(ada.client, "hub.key.revoke", {"id": key_id})
            await until(lambda: partner.is_closed)
            assert await answer_to(secure.nats_url, auth_token=key) == REFUSED
            assert (await call(kept, "hub.services"))["services"] is not None, "the other key of the same caller"
        keys = {each["id"]: each for each in (await call(ada.client, "hub.key.list"))["keys"]}
        assert (keys[key_id]["state"], keys[key_id]["used"] is not None) == ("revoked", True)


async def test_who_is_revoked_is_closed_refused_and_in_again_when_he_is_restored(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ADA) as ada:
        async with (
            let_in(secure.nats_url, ENGINE, "engine.a1") as first,
            let_in(secure.nats_url, ENGINE, "engine.a2") as second,
            let_in(secure.nats_url, BOB) as bob,
        ):
            await call(ada.client, "hub.access.revoke", {"who": "service:engine"})
            await until(lambda: first.client.is_closed and second.client.is_closed)
            with pytest.raises(nats.errors.Error):
                async with let_in(secure.nats_url, ENGINE):
                    pass
            assert bob.client.is_connected
        await call(ada.client, "hub.access.restore", {"who": "service:engine"})
        async with let_in(secure.nats_url, ENGINE, "engine.a1") as back:
            assert back.client.is_connected
            assert (await refusal(ada.client, "hub.access.restore", {"who": "service:engine"}))["code"] == "not_found"


async def test_a_key_with_an_end_lets_in_until_then_and_not_a_moment_longer(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ADA) as ada:
        key, _ = await created(ada.client, "short", ttl=2)
        async with by_key(secure, key) as short:
            await until(lambda: short.is_closed)
            assert await answer_to(secure.nats_url, auth_token=key) == REFUSED


async def test_nobody_but_operators_makes_keys(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ENGINE, "engine.a3") as engine:
        for subject in ("hub.key.create", "hub.key.list", "hub.access.revoke", "hub.access.list"):
            await engine.may_not_publish(subject)
        await engine.may_not_publish("$JS.API.DIRECT.GET.KV_hub-access.$KV.hub-access.key.x")


async def test_who_made_or_revoked_a_key_is_who_was_proven_to_whoever_he_says_he_is(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ADA) as ada:
        _, key_id = await created(ada.client, "signed", author="eve")
        await call(ada.client, "hub.access.revoke", {"who": "reader:nosy", "author": "eve"})
        keys = {each["id"]: each for each in (await call(ada.client, "hub.key.list"))["keys"]}
        revoked = {each["who"]: each for each in (await call(ada.client, "hub.access.list"))["revoked"]}
    assert (keys[key_id]["author"], revoked["reader:nosy"]["author"]) == ("operator:ada", "operator:ada")
