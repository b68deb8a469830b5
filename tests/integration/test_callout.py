"""Who is let in to NATS, as whom, and to what: asked of a real server by those who may, and by those who may not."""

from __future__ import annotations

import asyncio
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client

from hub.identity.nkey import Nkey
from hub.wire.roles import inbox_prefix_for
from tests.access import answer_to, declare, let_in, person
from tests.calls import call, ids, refusal, register
from tests.clients import eventually
from tests.commands import run
from tests.hubs import HubProcess
from tests.servers import NatsServer

ENGINE = person("service", "engine")
OTHER = person("service", "other")
BOUND = person("service", "bound", "b1")
READER = person("reader", "grafana")
ADA = person("operator", "ada.l")
STRANGER = person("operator", "nobody")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("secure")
    file = declare(folder / "access.toml", ENGINE, OTHER, BOUND, READER, ADA)
    with HubProcess(folder, arguments=("--secure",), variables={"HUB_ACCESS_FILE": str(file)}) as process:
        yield process


def first_operator(hub: HubProcess) -> Nkey:
    return Nkey((hub.data_dir / "access" / "operator.nk").read_text().strip())


async def heard_of(client: Client, subject: str, payload: bytes, reply: str) -> None:
    """Publish with that reply subject, and return when the server has dealt with it."""
    await client.publish(subject, payload, reply=reply)
    await client.flush()


# --- who gets in


async def test_who_signs_the_nonce_with_a_declared_nkey_gets_in(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ADA) as ada:
        assert (await call(ada.client, "hub.services"))["services"] is not None


async def test_the_first_operator_gets_in_by_the_key_that_the_first_start_has_made(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, first_operator(secure)) as first:
        assert (await call(first.client, "hub.admin.get"))["instances"] is not None


async def test_strangers_are_refused_and_told_nothing_but_that(secure: HubProcess) -> None:
    url = secure.nats_url
    told = [
        await answer_to(url),
        await answer_to(url, nkey=STRANGER.key.public, sign=STRANGER.key.sign),
        await answer_to(url, nkey=ENGINE.key.public, sign=STRANGER.key.sign),
        await answer_to(url, nkey=ENGINE.key.public),
        await answer_to(url, auth_token="no-token-that-anybody-knows"),
        await answer_to(url, user="engine", password="a-guess-of-a-password"),
        await answer_to(url, user="service:engine"),
        await answer_to(url, name="engine.a1"),
    ]
    assert set(told) == {"-ERR 'Authorization Violation'"}
    assert await answer_to(url, nkey=ENGINE.key.public, sign=ENGINE.key.sign) == "PONG", "this test signs as it should"
    output = secure.output()
    assert "login refused" in output
    assert "nobody is declared with it" in output
    assert "signature of the server's nonce" in output
    assert "no-token-that-anybody-knows" not in output
    assert "a-guess-of-a-password" not in output


async def test_a_flood_of_bad_logins_is_summed_up_in_the_log(secure: HubProcess) -> None:
    before = secure.output().count("login refused")
    await asyncio.gather(*(answer_to(secure.nats_url, auth_token=f"guess-{number}") for number in range(60)))

    async def summed_up() -> bool:
        await answer_to(secure.nats_url, auth_token="one more")
        return re.search(r"login refused .*omitted_before=[1-9]", secure.output()) is not None

    await eventually(summed_up, "the log says how many were left out")
    assert secure.output().count("login refused") - before < 60


# --- what a service may


async def test_a_service_registers_beats_finds_others_and_reads_its_configuration(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ENGINE, "engine.a1") as engine, let_in(secure.nats_url, ADA) as ada:
        given: dict[str, Any] = {"liveness": "heartbeat", "ttl": 0.5}
        registered = await register(engine.client, "engine", "a1", **given)
        assert registered["instance_id"] == "a1", registered
        for _ in range(8):
            await engine.client.publish("hub.heartbeat.engine.a1", b"")
            await asyncio.sleep(0.1)
        assert await ids(engine.client, "engine") == ["a1"], "beats across accounts keep it alive past its ttl"
        put = await call(ada.client, "hub.config.put", {"changes": [{"service": "engine", "values": {"n": 1}}]})
        assert "error" not in put, put
        read = await engine.client.request("$JS.API.DIRECT.GET.KV_hub-config.$KV.hub-config.engine", b"", timeout=5)
        assert json.loads(read.data)["values"] == {"n": 1}
        info = await engine.client.request("$JS.API.STREAM.INFO.KV_hub-config", b"", timeout=5)
        assert json.loads(info.data)["state"]["last_seq"] >= 1
        assert engine.errors == []


async def test_a_service_hears_what_the_hub_says_to_it(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ENGINE, "engine.told") as engine:
        asked = await engine.client.subscribe("hub.reregister.engine.told")
        stored = await engine.client.subscribe("hub.delta.registry.>")
        health = await engine.client.subscribe("hub.health.*")
        await engine.client.publish("hub.heartbeat.engine.told", b"")
        assert (await asked.next_msg(10)).subject == "hub.reregister.engine.told"
        await register(engine.client, "engine", "told")
        assert (await stored.next_msg(10)).subject.startswith("hub.delta.registry.")
        assert (await health.next_msg(30)).subject.startswith("hub.health.")


async def test_a_service_may_publish_nothing_that_is_of_others(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ENGINE, "engine.a2") as engine:
        for subject in (
            "hub.heartbeat.other.a1",
            "hub.heartbeat.engine.a1",
            "hub.admin.drain",
            "hub.config.put",
            "$KV.hub-registry.engine.a2",
            "$JS.API.STREAM.DELETE.KV_hub-registry",
            "$JS.API.CONSUMER.CREATE.KV_hub-config",
            "$JS.API.DIRECT.GET.KV_hub-config",
            "$JS.API.DIRECT.GET.KV_hub-config.$KV.hub-config.other",
            "$JS.API.DIRECT.GET.KV_hub-secrets.$KV.hub-secrets.s",
            "$SYS.REQ.USER.AUTH",
            "_INBOX.operator.ada",
            "hub.delta.registry.engine.a2",
            "hub.observed",
            "hub.replica.hub-1",
        ):
            await engine.may_not_publish(subject)


async def test_a_service_may_hear_nothing_that_is_of_others(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ENGINE, "engine.a2") as engine:
        for subject in (
            ">",
            "_INBOX.>",
            "_INBOX.service.other.>",
            "_INBOX.operator.>",
            "_INBOX.k.>",
            "hub.>",
            "hub.delta.config.*",
            "hub.delta.config.other",
            "hub.config.remind.other.*",
            "hub.register",
            "hub.heartbeat.*.*",
            "$SYS.>",
            "$KV.>",
        ):
            await engine.may_not_subscribe(subject)


async def test_what_is_presented_beside_a_proof_opens_nobodys_inbox(secure: HubProcess) -> None:
    """The nkeys of others are no secrets, and anything can be sent in the place of a token."""
    own = f"{inbox_prefix_for(ENGINE.key.public)}.>"
    for beside in ({"token": ENGINE.key.public}, {"user": "engine", "password": ENGINE.key.public}):
        async with let_in(secure.nats_url, OTHER, **beside) as other:
            await other.may_not_subscribe(own)
    async with let_in(secure.nats_url, ENGINE, token="of-nobody") as engine:
        await engine.client.subscribe(own)
        await engine.may_not_subscribe(f"{inbox_prefix_for('of-nobody')}.>")
        assert len(engine.errors) == 1


async def test_a_connection_called_after_an_instance_is_of_that_instance_alone(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ENGINE, "engine.a3") as one, let_in(secure.nats_url, ENGINE) as any_of_it:
        await one.may_not_publish("hub.heartbeat.engine.a4", b"")
        await any_of_it.client.publish("hub.heartbeat.engine.a4", b"")
        await any_of_it.client.flush()
        assert any_of_it.errors == []
    async with let_in(secure.nats_url, BOUND, "bound.b2") as bound:
        await bound.may_not_publish("hub.heartbeat.bound.b2", b"")
    async with let_in(secure.nats_url, OTHER, "engine.a1") as other:
        await other.may_not_publish("hub.heartbeat.engine.a1", b"")


async def test_a_lost_connection_that_others_call_after_an_instance_makes_nobody_suspect(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ADA) as ada, let_in(secure.nats_url, ENGINE, "engine.s1") as engine:
        given: dict[str, Any] = {"liveness": "heartbeat", "ttl": 600}
        assert "error" not in await register(engine.client, "engine", "s1", **given)
        async with let_in(secure.nats_url, OTHER, "other.s2") as other:
            assert "error" not in await register(other.client, "other", "s2", **given)
        async with let_in(secure.nats_url, OTHER, "engine.s1"):
            pass
        await suspect(ada.client, "other", "s2")  # what came later on the same way has arrived
        assert await status(ada.client, "engine", "s1") == "passing"


async def suspect(client: Client, service: str, instance_id: str) -> None:
    async def is_suspect() -> bool:
        return await status(client, service, instance_id) == "suspect"

    await eventually(is_suspect, f"{service}.{instance_id} is suspect")


async def status(client: Client, service: str, instance_id: str) -> str:
    found = await call(client, "hub.health", {"name": service})
    [instance] = [
        each for report in found["services"] for each in report["instances"] if each["instance_id"] == instance_id
    ]
    return str(instance["status"])


# --- who has asked


async def test_a_reader_sees_and_may_not_touch(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, READER) as reader:
        assert "services" in await call(reader.client, "hub.services")
        metrics = await reader.client.request("hub.metrics", b"", timeout=5)
        assert b"hub_logins_total" in metrics.data
        ping = await reader.client.request("$SRV.PING.central-hub", b"", timeout=5)
        assert json.loads(ping.data)["name"] == "central-hub"
        await reader.may_not_publish("hub.register")
        await reader.may_not_publish("hub.config.put")


async def test_every_replica_answers_for_its_metrics_across_the_accounts(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, ADA) as ada:
        outcome = {line for line in (await metrics_of(ada.client))[0].splitlines() if "hub_logins_total{" in line}
        assert any('outcome="ok"' in line for line in outcome), outcome


async def test_who_was_seen_to_discover_whom_is_who_was_let_in_and_not_who_he_says_he_is(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, OTHER, "other.g1") as other, let_in(secure.nats_url, ADA) as ada:
        headers = {"Hub-Service": "bound", "Nats-Request-Info": '{"acc":"SERVICES","user":"service:bound"}'}
        await register(other.client, "other", "g1")
        reply = await other.client.request("hub.discover", b'{"name":"engine"}', headers=headers, timeout=5)
        assert b"instances" in reply.data

        async def seen() -> bool:
            edges = (await call(ada.client, "hub.graph"))["edges"]
            sources = {edge["source"] for edge in edges if edge["target"] == "engine"}
            assert "bound" not in sources
            return "other" in sources

        await eventually(seen, "the edge is seen")


async def test_a_reply_that_points_at_a_subject_of_the_hub_or_of_jetstream_changes_nothing(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, OTHER, "other.d1") as other, let_in(secure.nats_url, ADA) as ada:
        await register(other.client, "other", "d1")
        before = await call(ada.client, "hub.services")
        question = json.dumps({"name": "other"}).encode()
        for reply in (
            "hub.register",
            "hub.deregister",
            "hub.heartbeat.engine.d1",
            "hub.admin.drain",
            "hub.observed",
            "$KV.hub-registry.engine.d1",
            "$JS.API.STREAM.DELETE.KV_hub-registry",
            "$JS.API.STREAM.PURGE.KV_hub-registry",
            "$SYS.REQ.USER.AUTH",
        ):
            await heard_of(other.client, "hub.discover", question, reply)
        assert "error" not in await call(other.client, "hub.discover", {"name": "other"}), "all before was answered"
        assert (await call(ada.client, "hub.services"))["services"] == before["services"]
        assert (await call(ada.client, "hub.admin.get"))["instances"] == []
        assert await ids(other.client, "other") == ["d1"]


async def test_what_was_not_asked_through_the_accounts_is_refused_by_the_hub_itself(secure: HubProcess) -> None:
    """Whoever has the hub's own key is in the hub's account, where no server says who asks."""
    key = Nkey((secure.data_dir / "access" / "hub.nk").read_text().strip())
    async with let_in(secure.nats_url, key) as inside:
        error = await refusal(inside.client, "hub.services", {})
        assert (error["code"], error["status"]) == ("unauthenticated", 401)
        await inside.client.publish("hub.heartbeat.engine.ghost", b"")
        asked = await inside.client.subscribe("hub.reregister.engine.ghost")
        await inside.client.publish("hub.heartbeat.engine.ghost", b"")
        with pytest.raises(nats.errors.TimeoutError):
            await asked.next_msg(0.5)


# --- keys


def test_keys_are_for_the_eyes_of_the_hubs_user_alone_and_are_printed_nowhere(secure: HubProcess) -> None:
    folder = secure.data_dir / "access"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    seeds = [path for path in folder.iterdir() if path.suffix == ".nk"]
    assert sorted(path.name for path in seeds) == ["hub.nk", "issuer.nk", "operator.nk", "system.nk"]
    told = [
        secure.output(),
        *(path.read_text(errors="replace") for path in (secure.data_dir / "nats").glob("server.*")),
    ]
    arguments = Path(f"/proc/{secure.pid}/cmdline").read_text() + Path(f"/proc/{secure.pid}/environ").read_text()
    for path in seeds:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert all(path.read_text().strip() not in text for text in (*told, arguments)), path
    assert f"hub services --nkey {folder / 'operator.nk'}" in secure.output()


def test_the_second_start_uses_the_keys_of_the_first_and_does_not_tell_of_the_operators_again(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path, arguments=("--secure",))
    with hub:
        made = {path.name: path.read_text() for path in (hub.data_dir / "access").iterdir()}
        assert hub.output().count("first operator") == 1
        hub.stop()
        (hub.data_dir / "access" / "operator.nk").unlink()
        hub.start()
        assert "first operator" not in hub.output()
        del made["operator.nk"]
        assert {path.name: path.read_text() for path in (hub.data_dir / "access").iterdir()} == made


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("up", "--host", "0.0.0.0"), "NATS listens on 0.0.0.0"),
        (("serve", "--nats", "nats://nats.example:4222"), "NATS is at nats.example"),
        (("serve", "--host", "0.0.0.0"), "HTTP listens on 0.0.0.0"),
    ],
)
def test_an_open_hub_refuses_to_start_where_others_can_reach_it(
    tmp_path: Path, arguments: tuple[str, ...], what: str
) -> None:
    done = run(*arguments, HUB_ACCESS_MODE="open", HUB_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    complaint = done.stderr.splitlines()[-1]
    assert what in complaint
    assert "access.mode" in complaint
    assert "enforced" in complaint


@pytest.mark.parametrize("arguments", [("up", "--host", "0.0.0.0"), ("serve", "--host", "0.0.0.0")])
def test_a_hub_that_others_can_reach_proves_identities_by_itself(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "access").write_text("no folder")
    done = run(*arguments, HUB_DATA_DIR=str(tmp_path), HUB_NATS_PORT="0", HUB_HTTP_PORT="0")
    assert done.returncode == 1
    assert str(tmp_path / "access") in done.stderr.splitlines()[-1], "it wants the keys"


def test_a_hub_does_not_start_on_a_nats_that_keeps_nobody_out_of_its_account(tmp_path: Path) -> None:
    keys = str(tmp_path / "keys")
    assert run("access", "init", "--dir", keys).returncode == 0
    with NatsServer(tmp_path / "nats") as server:
        done = run("serve", "--nats", server.url, HUB_ACCESS_MODE="enforced", HUB_ACCESS_KEYS=keys, HUB_HTTP_PORT="0")
    assert done.returncode == 1
    assert "the account HUB, and is in $G" in done.stderr
    assert "hub access conf" in done.stderr


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    assert run("access", "init", "--dir", str(tmp_path / "keys")).returncode == 0
    (tmp_path / "keys" / "issuer.nk").chmod(0o640)
    done = run("access", "conf", "--dir", str(tmp_path / "keys"))
    assert done.returncode == 1
    assert "issuer.nk" in done.stderr
    assert "chmod 600" in done.stderr


def test_keys_that_are_there_are_never_replaced(tmp_path: Path) -> None:
    folder = str(tmp_path / "keys")
    assert run("access", "init", "--dir", folder).returncode == 0
    before = {path.name: path.read_text() for path in Path(folder).iterdir()}
    done = run("access", "init", "--dir", folder)
    assert done.returncode == 1
    assert "nothing is replaced" in done.stderr
    assert {path.name: path.read_text() for path in Path(folder).iterdir()} == before


async def metrics_of(client: Client, replicas: int = 1) -> list[str]:
    """What each replica says."""
    inbox = client.new_inbox()
    replies = await client.subscribe(inbox)
    await client.publish("hub.metrics", b"", reply=inbox)
    found = [(await replies.next_msg(10)).data.decode() for _ in range(replicas)]
    await replies.unsubscribe()
    return found
