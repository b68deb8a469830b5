"""What a real hub writes into the audit, and how operators are shown it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hub.errors import Forbidden
from hub.handlers.endpoint import Endpoint
from hub.handlers.gate import Asked, Gate, Unproven
from hub.handlers.inflight import InFlight
from hub.telemetry.meter import RequestMeter
from hub.transport.connection import close, connect
from tests.access import answer_to, declare, let_in, person
from tests.audit import entries, until_entries, verdict
from tests.calls import call, connected, refusal, register
from tests.commands import Running, run, run_json
from tests.hubs import HubProcess
from tests.keys import fresh_key

pytestmark = [pytest.mark.xdist_group("audit"), pytest.mark.open_only("of changes that nobody was proven to make")]

PIN = "a-pin-of-4-digits"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    variables = {"HUB_SECRETS_KEY": fresh_key(), "HUB_AUDIT_CHECKPOINT": "0.2"}
    with HubProcess(tmp_path_factory.mktemp("hub"), variables=variables) as process:
        yield process


async def test_every_change_is_found_by_what_and_of_what_with_its_outcome_whoever_made_it(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        await register(client, "engine", "e1")
        await register(client, "engine", "e1")  # which changes nothing
        values = {"changes": [{"service": "engine", "values": {"risk": {"limit": 3}}}]}
        await call(client, "hub.config.put", {**values, "dry_run": True})
        await call(client, "hub.config.put", values)
        await call(client, "hub.admin.drain", {"name": "engine", "instance_id": "e1"})
        await call(client, "hub.secret.put", {"name": "pin", "value": PIN, "readers": ["engine"]})
        refused = await refusal(client, "hub.deregister", {"name": "engine", "instance_id": "nobody"})
        assert refused["code"] == "not_found"
        async with httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http:
            put = await http.put("/config/http-made", json={"values": {"a": 1}}, headers={"X-Request-Id": "by-http"})
            assert put.status_code == 200
        found = await until_entries(client, 1, target="http-made")
        assert found[0]["request_id"] == "by-http"
        told = [(each["subject"], each["target"], each["outcome"]) for each in await entries(client, target="engine*")]
        assert told == [
            ("hub.register", "engine/e1", "ok"),
            ("hub.config.put", "engine", "ok"),
            ("hub.admin.drain", "engine/e1", "ok"),
            ("hub.deregister", "engine/nobody", "not_found"),
        ]
        [secret] = await entries(client, subject="hub.secret.*")
        assert (secret["target"], "payload" in secret) == ("pin", False)
        everything = json.dumps(await entries(client))
        assert PIN not in everything
        assert "limit" not in everything


async def test_what_only_asks_leaves_no_trace(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        await register(client, "quiet")
        for subject in ("hub.discover", "hub.services", "hub.health", "hub.graph", "hub.config.get", "hub.audit.head"):
            await client.request(subject, b'{"name":"quiet"}', timeout=10)
        await register(client, "quiet-too")
        await until_entries(client, 1, target="quiet-too/*")
        last = [each["subject"] for each in await entries(client) if each["kind"] == "request"][-2:]
        assert last == ["hub.register", "hub.register"]


async def test_pages_join_without_a_gap_or_a_double_at_any_size(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        await asyncio.gather(*(register(client, f"page-{number:02}") for number in range(40)))
        whole = await until_entries(client, 40, target="page-*")
        for limit in (1, 7, 39, 40, 41, 1000):
            assert await entries(client, target="page-*", limit=limit) == whole
        middle = whole[20]["at"]
        later = await entries(client, target="page-*", since=middle)
        earlier = await entries(client, target="page-*", until=middle)
        assert earlier + later == whole
        assert await entries(client, caller="-", target="page-*", host="") == whole
        refused = await refusal(client, "hub.audit.search", {"after": "nonsense"})
        assert (refused["code"], refused["field"]) == ("invalid_request", "after")


async def test_the_command_searches_shows_the_newest_and_verifies(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        await register(client, "shown", "s1")
        await until_entries(client, 1, target="shown/s1")
    url = hub.nats_url
    table = await asyncio.to_thread(run, "audit", "search", "--target", "shown/s1", "--since", "1h", nats=url)
    assert table.returncode == 0
    assert "hub.register" in table.stdout.splitlines()[1]
    found = await asyncio.to_thread(run_json, "audit", "search", "--target", "shown/s1", nats=url)
    assert [each["target"] for each in found["entries"]] == ["shown/s1"]
    nothing = await asyncio.to_thread(run, "audit", "search", "--caller", "operator:nobody", nats=url)
    assert (nothing.returncode, nothing.stdout) == (3, "")
    wrong = await asyncio.to_thread(run, "audit", "search", "--since", "yesterday", nats=url)
    assert wrong.returncode == 2
    tail = await asyncio.to_thread(run, "audit", "tail", "-n", "1", nats=url)
    assert tail.stdout.rstrip().endswith("hub.register shown/s1  ok")
    lines = (await asyncio.to_thread(run, "audit", "tail", "-n", "1000", "--json", nats=url)).stdout.splitlines()
    assert json.loads(lines[0])["kind"] == "begin"
    heads = await asyncio.to_thread(run, "audit", "head", nats=url)
    assert json.loads(lines[-1])["hash"] in heads.stdout
    code, told = await verdict(url)
    assert (code, told["faults"], told["chains"]) == (0, [], 1)
    shown = await asyncio.to_thread(run, "audit", "verify", nats=url)
    assert "nothing is wrong with them" in shown.stdout
    broken = hub.folder / "broken.json"
    broken.write_text("{}")
    refused = await asyncio.to_thread(run, "audit", "verify", "--head", str(broken), nats=url)
    assert refused.returncode == 1
    assert "expected what `hub audit head --json` says" in refused.stderr


async def test_who_follows_sees_a_change_as_it_comes(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        with Running("audit", "tail", "-n", "0", "--follow", "--json", nats=hub.nats_url) as tail:
            number = 0
            while not tail.out:
                number += 1
                await register(client, "followed", f"f{number}")
                await asyncio.sleep(0.2)
            tail.interrupt()
            assert await asyncio.to_thread(tail.wait) == 130
        assert json.loads(tail.out[0])["target"].startswith("followed/")


class _OnlyReaders:
    """A guard that lets nobody register but one."""

    def admit(self, asked: Asked) -> None:
        if asked.caller.name != "ada":
            raise Forbidden("not you")


class _Seen:
    """A witness that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def saw(self, asked: Asked | Unproven, outcome: str) -> None:
        host = "" if asked.caller is None else asked.caller.host
        self.seen.append((str(asked.caller), host, outcome))


async def test_a_gate_tells_its_witnesses_of_those_who_prove_nothing_too(hub: HubProcess) -> None:
    witness = _Seen()
    async with connected(hub.nats_url) as client:
        answering = await connect([hub.nats_url], name="gated")
        endpoint = Endpoint(
            answering,
            "test.gated",
            lambda payload: payload,
            in_flight=InFlight(4),
            meter=RequestMeter("test.gated", timed=False),
            gate=Gate((_OnlyReaders(),), (witness,)),
        )
        await endpoint.start()
        await answering.flush()

        async def ask(stamp: dict[str, Any] | None) -> bytes:
            headers = None if stamp is None else {"Nats-Request-Info": json.dumps(stamp)}
            return (await client.request("test.gated", b"{}", headers=headers, timeout=10)).data

        assert await ask({"acc": "SERVICES", "user": "operator:ada", "host": "10.0.0.7"}) == b"{}"
        assert b"forbidden" in await ask({"acc": "SERVICES", "user": "operator:bob", "host": "10.0.0.8"})
        assert b"unauthenticated" in await ask(None)
        assert b"unauthenticated" in await ask({"acc": "HUB", "user": "operator:ada"})
        await endpoint.drain()
        await close(answering)
    assert witness.seen == [
        ("operator:ada", "10.0.0.7", "ok"),
        ("operator:bob", "10.0.0.8", "forbidden"),
        ("None", "", "unauthenticated"),
        ("None", "", "unauthenticated"),
    ]


async def test_where_identities_are_proven_entries_say_who_from_where_and_who_was_let_in(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("proven")
    ada, engine, stranger = person("operator", "ada"), person("service", "engine"), person("operator", "nobody")
    file = declare(folder / "access.toml", ada, engine)
    with HubProcess(folder, arguments=("--secure",), variables={"HUB_ACCESS_FILE": str(file)}) as secure:
        url = secure.nats_url
        assert "Authorization" in await answer_to(url, nkey=stranger.key.public, sign=stranger.key.sign)
        async with let_in(url, ada, "laptop") as operator, let_in(url, engine, "engine.e1") as service:
            values = {"changes": [{"service": "engine", "values": {"a": 1}}]}
            assert "revision" in await call(operator.client, "hub.config.put", values)
            assert "revision" in await register(service.client, "engine", "e1")
            refused = await refusal(service.client, "hub.register", {"name": "other", "host": "h", "port": 1})
            assert refused["code"] == "forbidden"
            for subject in ("hub.audit.chain.hub-1a2b3c4d-20260301T090000Z", "hub.audit.search"):
                await service.may_not_publish(subject)
            async with httpx.AsyncClient(base_url=secure.http_url, timeout=10) as http:
                assert (await http.get("/audit", headers={"Authorization": "Bearer none"})).status_code == 401
                assert (await http.get("/audit")).status_code == 401
            await until_entries(operator.client, 1, outcome="forbidden")
            told = await entries(operator.client)
            seen = [(each["kind"], each.get("caller"), each.get("target", ""), each.get("outcome")) for each in told]
            for expected in (
                ("login", None, "", "unauthenticated"),
                ("login", "operator:ada", "", "ok"),
                ("login", "service:engine/e1", "", "ok"),
                ("request", "operator:ada", "engine", "ok"),
                ("request", "service:engine/e1", "engine/e1", "ok"),
                ("refused", "service:engine/e1", "other", "forbidden"),
            ):
                assert expected in seen
            assert {each["host"] for each in told if each["kind"] != "begin"} == {"127.0.0.1"}
            assert not [each for each in seen if each[0] == "request" and each[1] is None]
            over_http = await until_entries(operator.client, 2, outcome="unauthenticated")
            assert {each["kind"] for each in over_http} <= {"login", "refused"}


async def test_where_it_is_switched_off_nothing_is_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("silent")
    with HubProcess(folder, variables={"HUB_AUDIT_ENABLED": "false"}) as silent:
        async with connected(silent.nats_url) as client:
            await register(client, "engine")
            assert (await call(client, "hub.audit.search"))["entries"] == []
            assert (await client.jetstream().stream_info("HUB_AUDIT")).state.messages == 0
