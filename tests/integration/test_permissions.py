"""The permissions of each caller on a real NATS server: what the SDK and the command line need, and nothing beyond.

Nothing is proven to the hub here: these are users in a file of the server, each with what `permissions` gives him.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from nats.aio.client import Client

from hub.client import CentralHubClient
from hub.contract.permissions import block
from hub.core.permissions import Permissions, Sight, permissions
from hub.transport.direct import DirectClient
from hub.wire.roles import inbox_prefix, parse_caller
from tests.calls import call, connected
from tests.clients import eventually, known, service, until_known
from tests.commands import run
from tests.hubs import HubProcess
from tests.keys import fresh_key
from tests.servers import NatsServer
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("permissions")

ENGINE = parse_caller("service:engine/e1")
API = parse_caller("service:api")
LOOKING = parse_caller("service:narrow")
ADA = parse_caller("operator:ada")
READER = parse_caller("reader:screen")
PARTNER = parse_caller("external:partner")
BRIDGE = parse_caller("bridge:kafka")
SCRAPER = parse_caller("prometheus:main")
GRANTED: dict[str, Permissions] = {
    "engine": permissions(ENGINE),
    "api": permissions(API),
    "narrow": permissions(LOOKING, sight=Sight(discover=("engine",))),
    "ada": permissions(ADA, inboxes=("_INBOX",)),  # what a command has by default
    "screen": permissions(READER),
    "partner": permissions(PARTNER),
    "kafka": permissions(BRIDGE),
    "main": permissions(SCRAPER),
    "nothing": permissions(PARTNER, scopes=()),
}
PREFIXES = {
    caller.name: inbox_prefix(caller) for caller in (ENGINE, API, LOOKING, ADA, READER, PARTNER, BRIDGE, SCRAPER)
}
PREFIXES["nothing"] = PREFIXES["partner"]


class Config(Struct):
    password: str
    level: int = 1


def users() -> str:
    """The users of the server."""
    granted = "".join(
        f"{{ user: {name}, password: pw, permissions: {{\n{block('publish', each.publish)}"
        f"{block('subscribe', each.subscribe)}}} }}\n"
        for name, each in GRANTED.items()
    )
    return f"authorization {{ users: [ {{ user: hub, password: pw }}\n{granted} ] }}"


class Site:
    """A server that lets in by a file, and a hub on it."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server

    def url(self, user: str) -> str:
        return self._server.url.replace("//", f"//{user}:pw@")

    @asynccontextmanager
    async def user(self, name: str) -> AsyncIterator[User]:
        """A plain connection of that user, with the inbox that is its own."""
        user = User()
        inbox = PREFIXES[name].encode()
        async with connected(self.url(name), inbox_prefix=inbox, error_cb=user.told) as user.client:
            yield user


class User:
    """A connection, and what the server has refused it."""

    client: Client

    def __init__(self) -> None:
        self.errors: list[str] = []

    async def told(self, error: Exception) -> None:
        self.errors.append(str(error).lower())

    async def may_publish(self, subject: str) -> bool:
        """Whether the server takes it."""
        await self.client.publish(subject, b"{}", reply=self.client.new_inbox())
        return not await self._refused()

    async def may_hear(self, subject: str) -> bool:
        """Whether the server takes a subscription to it."""
        await self.client.subscribe(subject)
        return not await self._refused()

    async def _refused(self) -> list[str]:
        """What the server has refused since the last time, up to something that it certainly does."""
        await self.client.publish("barrier")
        await until(lambda: any('"barrier"' in error for error in self.errors), "the server refuses")
        errors, self.errors = self.errors, []
        return [error for error in errors if '"barrier"' not in error]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("permissions")
    with NatsServer(folder / "nats", config=users()) as server:
        site = Site(server)
        with HubProcess(folder / "hub", nats_url=site.url("hub"), variables={"HUB_SECRETS_KEY": fresh_key()}):
            yield site


@pytest.fixture
async def hub_user(site: Site) -> AsyncIterator[Client]:
    async with connected(site.url("hub")) as client:
        yield client


@pytest.fixture
def own_inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the SDK take its replies where it may."""
    connect = DirectClient.connect

    async def with_inbox(self: DirectClient, servers: Any, **options: Any) -> None:
        user = servers[0].partition("//")[2].partition(":")[0]
        await connect(self, servers, **{**options, "inbox_prefix": PREFIXES[user].encode()})

    monkeypatch.setattr(DirectClient, "connect", with_inbox)


async def test_a_service_does_all_that_the_sdk_does_with_what_it_may(
    site: Site, hub_user: Client, own_inbox: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hub.client")
    change = {"service": "api", "values": {"password": {"$secret": "api-password"}}}
    await call(hub_user, "hub.secret.put", {"name": "api-password", "value": "one", "readers": ["api"]})
    await call(hub_user, "hub.config.put", {"changes": [change, {"service": "_all", "values": {"level": 2}}]})
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a").write_text("shared")
    published = run("components", "publish", str(tmp_path / "shared"), nats=site.url("ada"))
    assert published.returncode == 0, published.stderr

    async with (
        service(site.url("engine"), "engine", "e1"),
        CentralHubClient("api", "test", port=8001, instance_id="a1", nats_url=site.url("api")) as api,
    ):
        assert await known(api, "engine") == ["e1"]
        assert [each.name for each in await api.services()] == ["api", "engine"]
        assert await api.config.load(Config) == Config(password="one", level=2)
        await call(hub_user, "hub.config.patch", {"changes": [{"service": "_all", "values": {"level": 3}}]})
        await until(lambda: api.config.current == Config(password="one", level=3))
        await call(hub_user, "hub.secret.put", {"name": "api-password", "value": "two"})
        await until(lambda: api.config.current == Config(password="two", level=3))
        await call(hub_user, "hub.admin.drain", {"name": "engine", "instance_id": "e1"})
        await until_known(api, "engine", [])
        await call(hub_user, "hub.admin.undrain", {"name": "engine", "instance_id": "e1"})
        await until_known(api, "engine", ["e1"])
        synced = await api.components.sync(tmp_path / "copy")
        assert (synced.path / "a").read_text() == "shared"
        await call(hub_user, "hub.deregister", {"name": "api", "instance_id": "a1"})  # it is asked to return, and does
        await until_known(api, "api", ["a1"])
    assert "permissions violation" not in caplog.text.lower()


@pytest.mark.parametrize(
    "subject",
    [
        "hub.heartbeat.ledger.e1",
        "hub.heartbeat.engine.e2",
        "hub.admin.drain",
        "hub.config.put",
        "hub.secret.put",
        "hub.events.service.registered",
        "hub.observed",
        "hub.replica.hub-1",
        "$KV.hub-registry.engine.e1",
        "$KV.hub-config.engine",
        "$JS.API.STREAM.DELETE.KV_hub-config",
        "$JS.API.STREAM.MSG.GET.KV_hub-config",
        "$JS.API.CONSUMER.CREATE.KV_hub-secrets",
        "$JS.API.DIRECT.GET.KV_hub-config",
        "$JS.API.DIRECT.GET.KV_hub-config.$KV.hub-config.ledger",
        "$JS.API.DIRECT.GET.KV_hub-secrets.$KV.hub-secrets.api-password",
        "$JS.API.DIRECT.GET.KV_hub-desired",
        "$O.hub-components.C.x",
        "_INBOX.service.ledger.x",
    ],
)
async def test_an_instance_may_not_publish(site: Site, subject: str) -> None:
    async with site.user("engine") as user:
        assert not await user.may_publish(subject)


@pytest.mark.parametrize(
    "subject",
    [
        ">",
        "_INBOX.>",
        "_INBOX.service.>",
        "_INBOX.service.ledger.>",
        "hub.>",
        "hub.register",
        "hub.heartbeat.>",
        "hub.reregister.engine.e2",
        "hub.reregister.>",
        "hub.delta.config.>",
        "hub.delta.config.ledger",
        "hub.config.remind.ledger.l1",
        "$KV.>",
        "$JS.>",
    ],
)
async def test_an_instance_may_not_listen_to(site: Site, subject: str) -> None:
    async with site.user("engine") as user:
        assert not await user.may_hear(subject)


async def test_who_may_see_one_service_hears_of_that_one_and_finds_it_by_asking(site: Site, own_inbox: None) -> None:
    async with site.user("narrow") as user:
        assert await user.may_hear("hub.delta.registry.engine.*")
        assert not await user.may_hear("hub.delta.registry.ledger.*")
        assert not await user.may_hear("hub.health.*")
        assert not await user.may_hear("hub.events.>")
        assert not await user.may_publish("$JS.API.DIRECT.GET.KV_hub-registry")
    async with (
        service(site.url("engine"), "engine", "e1"),
        CentralHubClient("narrow", nats_url=site.url("narrow")) as narrow,
    ):
        await until_known(narrow, "engine", ["e1"])


async def test_who_comes_from_outside_asks_and_hears_nothing(site: Site) -> None:
    async with site.user("partner") as user:
        assert (await call(user.client, "hub.discover", {"name": "engine"}))["name"] == "engine"
        for subject in ("hub.register", "hub.deregister", "hub.heartbeat.partner.p1", "hub.secret.resolve"):
            assert not await user.may_publish(subject)
        for subject in ("hub.delta.registry.>", "hub.health.*", "hub.events.>", "hub.delta.config.engine"):
            assert not await user.may_hear(subject)


async def test_a_reader_sees_and_changes_nothing(site: Site) -> None:
    async with site.user("screen") as user:
        assert "services" in await call(user.client, "hub.services")
        assert b"hub_" in (await user.client.request("hub.metrics", timeout=10)).data
        for subject in ("hub.health.*", "hub.delta.registry.>", "hub.events.>"):
            assert await user.may_hear(subject)
        for subject in ("hub.register", "hub.config.put", "hub.admin.drain", "hub.secret.resolve", "hub.secret.list"):
            assert not await user.may_publish(subject)


async def test_a_bridge_reads_the_events_from_the_first_on_and_nothing_else(site: Site, hub_user: Client) -> None:
    await call(hub_user, "hub.register", {"name": "seen", "host": "h", "port": 1, "instance_id": "s1"})
    async with site.user("kafka") as user:
        client = user.client
        inbox = client.new_inbox()
        events = await client.subscribe(inbox)
        wanted = b'{"next_by_subj":"hub.events.>","seq":1,"batch":100}'

        async def read() -> bool:
            await client.publish("$JS.API.DIRECT.GET.HUB_EVENTS", wanted, reply=inbox)
            found = []
            while "Status" not in ((message := await events.next_msg(timeout=10)).headers or {}):
                found.append(message.data)
            return any(b'"seen' in each for each in found)

        await eventually(read, "the event is read")  # the hub writes events behind the answer
        assert not await user.may_publish("hub.discover")
        assert not await user.may_publish("$JS.API.DIRECT.GET.KV_hub-registry")
        assert not await user.may_publish("$JS.API.CONSUMER.CREATE.HUB_EVENTS.x.hub.events.>")
        assert not await user.may_hear("hub.delta.registry.>")


async def test_who_scrapes_metrics_gets_those_alone(site: Site) -> None:
    async with site.user("main") as user:
        assert b"hub_" in (await user.client.request("hub.metrics", timeout=10)).data
        assert not await user.may_publish("hub.discover")
        assert not await user.may_hear("hub.health.*")


async def test_a_credential_that_is_good_for_nothing_may_do_nothing_rather_than_everything(site: Site) -> None:
    async with site.user("nothing") as user:
        assert not await user.may_publish("hub.discover")
        assert not await user.may_publish("anything")
        assert not await user.may_hear(">")


@pytest.mark.parametrize(
    "command",
    [
        ("services",),
        ("discover", "engine"),
        ("health",),
        ("graph",),
        ("desired",),
        ("config", "list"),
        ("secret", "list"),
        ("components", "history"),
    ],
    ids=" ".join,
)
def test_an_operator_has_what_the_command_line_needs(site: Site, command: tuple[str, ...]) -> None:
    done = run(*command, nats=site.url("ada"))
    assert done.returncode in (0, 3), done.stderr
