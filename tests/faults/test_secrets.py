"""Secrets while hubs are killed, records are tampered with, and everything that the hub writes is searched for them."""

from __future__ import annotations

import base64
import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client import CentralHubClient
from tests.calls import call, connected, insist, register
from tests.commands import run
from tests.hubs import HubProcess
from tests.keys import fresh_key, key_file
from tests.servers import NatsServer
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("secret-faults")

PLANTED = 'pl4nted-"s3cret"\\w1th/ever\u00fdthing\n'
_PATIENT = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.1}


def spellings(text: str) -> list[bytes]:
    """The text as it is, in base64 (wherever it begins), escaped as JSON has it, and in a URL."""
    data = text.encode()
    shifted = [base64.b64encode(b"x" * shift + data)[4 if shift else 0 : -4] for shift in range(3)]
    told = [json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1], quote(text)]
    return [data, data.rstrip(), *shifted, *(each.encode() for each in told)]


def found_in(what: str, content: bytes, values: tuple[str, ...]) -> list[str]:
    return [f"{value[:8]} in {what}" for value in values for each in spellings(value) if each in content]


async def resolved(client: Client, service: str, *names: str) -> dict[str, str]:
    reply = await insist(client, "hub.secret.resolve", {"service": service, "names": names})
    return {name: each["value"] for name, each in reply["secrets"].items()}


class Db(Struct):
    password: str


class Settings(Struct):
    db: Db


async def test_a_secret_is_in_nothing_that_the_hub_writes(tmp_path: Path) -> None:
    rotated = PLANTED.replace("pl4nted", "r0tated")
    values = (PLANTED, rotated)
    said: list[bytes] = []
    keys = key_file(tmp_path / "keys")
    hub = HubProcess(
        tmp_path / "hub",
        arguments=("--log-level", "debug"),
        variables={"HUB_SECRETS_KEY_FILE": str(keys), "HUB_LOG_SLOW_REQUEST": "0.000001"},
    )
    with hub:
        async with connected(hub.nats_url) as client, httpx.AsyncClient(base_url=hub.http_url) as http:

            async def hear(message: Msg) -> None:
                said.append(message.data + json.dumps(dict(message.headers or {})).encode())

            for subject in ("hub.events.>", "hub.delta.>", "hub.health.>", "hub.heartbeat.>", "hub.config.remind.>"):
                await client.subscribe(subject, cb=hear)
            await client.flush()

            async def ask(subject: str, message: Any) -> Any:
                reply = await client.request(subject, json.dumps(message).encode(), timeout=10)
                if subject != "hub.secret.resolve":
                    said.append(reply.data + json.dumps(dict(reply.headers or {})).encode())
                return json.loads(reply.data)

            put = {"name": "db", "value": PLANTED, "readers": ["engine"], "author": "ada", "reason": "first"}
            await ask("hub.secret.put", put)
            await ask("hub.secret.put", {**put, "revision": 99})
            await ask("hub.secret.put", {**put, "readers": "no list"})
            await ask("hub.secret.put", {**put, "name": "no.name"})
            await ask("hub.secret.put", {**put, "value": [PLANTED]})
            await ask("hub.secret.put", {**put, "value": PLANTED * 1000})
            await client.publish("hub.secret.put", json.dumps({**put, "readers": 7}).encode())
            await client.publish("hub.secret.put", json.dumps(put)[:-5].encode())
            values_of = {"db": {"password": {"$secret": "db"}}}
            await ask("hub.config.put", {"changes": [{"service": "engine", "values": values_of}]})
            async with CentralHubClient("engine", port=1, nats_url=hub.nats_url) as sdk:
                assert (await sdk.config.load(Settings)).db.password == PLANTED

                @sdk.config.on_change
                def refuse(settings: Settings) -> None:
                    raise ValueError(f"cannot use {settings!r}, {settings.db.password}")

                await ask("hub.secret.put", {**put, "value": rotated, "readers": None})
                await ask("hub.config.put", {"changes": [{"service": "engine", "values": {**values_of, "n": 1}}]})
                await until(lambda: sdk.config.refused is not None)
                await until(lambda: any(b"config.refused" in each for each in said))
                for subject, message in (
                    ("hub.config.get", {"service": "engine"}),
                    ("hub.config.history", {"service": "engine"}),
                    ("hub.config.diff", {"service": "engine"}),
                    ("hub.config.status", {"service": "engine"}),
                    ("hub.secret.list", {}),
                    ("hub.secret.resolve", {"service": "gateway", "names": ["db"]}),
                    ("hub.secret.resolve", {"service": "engine", "names": ["db"]}),
                    ("hub.metrics", {}),
                    ("$SRV.STATS.central-hub", {}),
                    ("hub.secret.delete", {"name": "db"}),
                ):
                    reply = await client.request(subject, json.dumps(message).encode(), timeout=10)
                    if message != {"service": "engine", "names": ["db"]}:
                        said.append(reply.data + json.dumps(dict(reply.headers or {})).encode())
            paths = ("/health", "/metrics", "/config/engine", "/config/engine/history", "/config/engine/diff")
            said += [(await http.get(path)).content for path in paths]
            stored = await client.jetstream().get_last_msg("KV_hub-secrets", "$KV.hub-secrets.db")
            assert stored.data
            said.append(stored.data)
            keys.write_text(f"{fresh_key()}\n{keys.read_text()}")
            assert (await ask("hub.secret.rekey", {}))["rekeyed"] == 1
            exported = run("config", "export", nats=hub.nats_url)
            assert exported.returncode == 0, exported.stderr
            said.append(exported.stdout.encode())
            backup = tmp_path / "hub.backup"
            assert run("backup", str(backup), nats=hub.nats_url).returncode == 0
            shutil.unpack_archive(backup, tmp_path / "unpacked", "zip")
        hub.stop()
        said.append(hub.output().encode())
    assert b'"type":"secret.changed"' in b"".join(said)
    assert "secret changed" in hub.output()
    assert "slow request" in hub.output()
    found = found_in("what is said", b"\n".join(said), values)
    files = [file for folder in (hub.data_dir, tmp_path / "unpacked") for file in folder.rglob("*") if file.is_file()]
    assert any("KV_hub-secrets" in str(file) for file in files)
    assert any(file.name == "hub-secrets.jsonl" for file in files)
    for file in files:
        found += found_in(str(file), file.read_bytes(), values)
    assert found == []


async def test_a_search_like_that_would_find_what_is_written_in_the_clear(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        async with connected(hub.nats_url) as client:
            change = {"service": "engine", "values": {"password": PLANTED}}
            await call(client, "hub.config.put", {"changes": [change]})
        hub.stop()
        files = [file for file in hub.data_dir.rglob("*") if file.is_file()]
        assert [name for file in files for name in found_in(str(file), file.read_bytes(), (PLANTED,))]
    for value in (PLANTED, f"x{PLANTED}", f"xy{PLANTED}"):
        assert found_in("base64", base64.b64encode(value.encode() + b"rest"), (PLANTED,))


async def test_a_rotation_that_is_killed_again_and_again_comes_to_its_end_and_loses_nothing(tmp_path: Path) -> None:
    old, new = fresh_key(), fresh_key()
    keys = key_file(tmp_path / "keys", old)
    variables = {"HUB_SECRETS_KEY_FILE": str(keys)}
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [
            stack.enter_context(HubProcess(tmp_path / f"hub{n}", nats_url=server.url, variables=variables))
            for n in range(2)
        ]
        async with connected(server.url, **_PATIENT) as client:
            expected = {f"s{number}": f"value {number}" for number in range(400)}
            for name, value in expected.items():
                await insist(client, "hub.secret.put", {"name": name, "value": value, "readers": ["*"]})
            keys.write_text(f"{new}\n{old}\n")
            for hub in hubs:
                await until(lambda hub=hub: "keys of secrets read again" in hub.output())  # type: ignore[misc]
            anew, seen = 0, list[int]()

            async def count(_: Msg) -> None:
                nonlocal anew
                anew += 1

            await client.subscribe("$KV.hub-secrets.>", cb=count)
            while len(seen) < 6:
                for _ in range(2):
                    await client.publish("hub.secret.rekey", b"{}")
                await until(lambda: anew >= min(400, 20 * (len(seen) + 1)))
                victim = hubs[len(seen) % 2]
                victim.kill()
                seen.append(anew)
                victim.start()
            done = await insist(client, "hub.secret.rekey", {})
            assert done["unreadable"] == []
            assert (await insist(client, "hub.secret.rekey", {}))["rekeyed"] == 0
            assert 0 < seen[0] < 400, f"killed amid it: {seen}"
            keys.write_text(f"{new}\n")
            for hub in hubs:
                hub.stop()
                hub.start()
            names = list(expected)
            for start in range(0, len(names), 50):
                some = names[start : start + 50]
                assert await resolved(client, "any", *some) == {name: expected[name] for name in some}


async def test_what_was_tampered_with_in_the_bucket_is_told_to_nobody(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", variables={"HUB_SECRETS_KEY": fresh_key()}) as hub:
        async with connected(hub.nats_url) as client:
            for name, readers in (("low", ["*"]), ("high", ["vault"])):
                put = {"name": name, "value": f"value of {name}", "readers": readers}
                assert "revision" in await call(client, "hub.secret.put", put)
            bucket = await client.jetstream().key_value("hub-secrets")
            records = {name: json.loads((await bucket.get(name)).value or b"") for name in ("low", "high")}
            stolen = {
                "the other's envelope": {**records["low"], "sealed": records["high"]["sealed"]},
                "the other's record": {**records["high"], "name": "low"},
                "more readers": {**records["high"], "name": "high", "readers": ["*"]},
                "another version": {**records["low"], "version": "0" * 32},
                "another ciphertext": {
                    **records["low"],
                    "sealed": {**records["low"]["sealed"], "ciphertext": records["high"]["sealed"]["ciphertext"]},
                },
            }
            for what, record in stolen.items():
                name = "high" if what == "more readers" else "low"
                revision = await bucket.put(name, json.dumps(record).encode())
                service = "stranger" if what == "more readers" else "vault"
                ask = {"service": service, "names": [name], "min_revision": revision}
                reply = await call(client, "hub.secret.resolve", ask)
                assert reply["error"]["code"] == "internal", what
                assert "was not encrypted for it, or was changed since" in reply["error"]["message"]
                assert "value of" not in json.dumps(reply)
                await bucket.put("high", json.dumps(records["high"]).encode())
            await bucket.put("renamed", json.dumps(records["high"]).encode())
            await until(lambda: "secret stored under another name" in hub.output())
            revision = await bucket.put("low", json.dumps(records["low"]).encode())
            ask = {"service": "stranger", "names": ["low"], "min_revision": revision}
            assert (await call(client, "hub.secret.resolve", ask))["secrets"]["low"]["value"] == "value of low"
            reply = await call(client, "hub.secret.resolve", {"service": "vault", "names": ["renamed"]})
            assert "what is stored is that of another" in reply["error"]["message"]
            assert "value of" not in hub.output()


async def test_whatever_hub_is_asked_knows_what_another_has_just_stored(tmp_path: Path) -> None:
    variables = {"HUB_SECRETS_KEY": fresh_key()}
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        for number in range(3):
            stack.enter_context(HubProcess(tmp_path / f"hub{number}", nats_url=server.url, variables=variables))
        async with connected(server.url) as client:
            for number in range(60):
                name, service = f"s{number}", f"engine-{number}"
                put = {"name": name, "value": str(number), "readers": [service]}
                stored = await call(client, "hub.secret.put", put)
                values = {"db": {"$secret": name}}
                change = {"service": service, "values": values}
                assert "revision" in await call(client, "hub.config.put", {"changes": [change]}), number
                assert await resolved(client, service, name) == {name: str(number)}
                newer = await call(client, "hub.secret.put", {**put, "value": "newer", "revision": stored["revision"]})
                ask = {"service": service, "names": [name], "min_revision": newer["revision"]}
                assert (await call(client, "hub.secret.resolve", ask))["secrets"][name]["value"] == "newer"


async def test_secrets_come_back_from_a_backup_and_need_the_key(tmp_path: Path) -> None:
    key, file, folder = fresh_key(), str(tmp_path / "hub.backup"), tmp_path / "hub"
    with HubProcess(folder, variables={"HUB_SECRETS_KEY": key}) as hub:
        async with connected(hub.nats_url) as client:
            put = {"name": "db", "value": "back again", "readers": ["engine"]}
            before = await call(client, "hub.secret.put", put)
            change = {"service": "engine", "values": {"db": {"$secret": "db"}}}
            await call(client, "hub.config.put", {"changes": [change]})
        assert run("backup", file, nats=hub.nats_url).returncode == 0
    shutil.rmtree(folder)
    with HubProcess(folder, variables={"HUB_SECRETS_KEY": key}) as hub:
        done = run("restore", file, nats=hub.nats_url)
        assert done.returncode == 0, done.stderr
        async with connected(hub.nats_url) as client:
            reply = await insist(client, "hub.secret.resolve", {"service": "engine", "names": ["db"]})
            assert reply["secrets"]["db"]["value"] == "back again"
            assert reply["secrets"]["db"]["revision"] > before["revision"]
    with HubProcess(folder, variables={"HUB_SECRETS_KEY": fresh_key()}) as hub:
        async with connected(hub.nats_url) as client:
            reply = await call(client, "hub.secret.resolve", {"service": "engine", "names": ["db"]})
            assert "which this hub does not have" in reply["error"]["message"]


async def test_secrets_are_stored_again_after_their_bucket_was_lost(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", variables={"HUB_SECRETS_KEY": fresh_key()}) as hub:
        async with connected(hub.nats_url) as client:
            put = {"name": "db", "value": "one", "readers": ["engine"]}
            for _ in range(5):
                await call(client, "hub.secret.put", put)
            change = {"service": "engine", "values": {"db": {"password": {"$secret": "db"}}}}
            await call(client, "hub.config.put", {"changes": [change]})
            async with CentralHubClient("engine", port=1, nats_url=hub.nats_url) as sdk:
                await sdk.config.load(Settings)
                await client.jetstream().delete_stream("KV_hub-secrets")
                await register(client, "another")
                stored = await insist(client, "hub.secret.put", {**put, "value": "two"})
                assert "revision" in stored
                await until(lambda: sdk.config.current.db.password == "two", within=60)
            assert await resolved(client, "engine", "db") == {"db": "two"}


async def test_the_key_in_the_environment_is_handed_to_no_process_that_the_hub_starts(tmp_path: Path) -> None:
    key = fresh_key()
    with HubProcess(tmp_path / "hub", variables={"HUB_SECRETS_KEY": key}) as hub:
        children = Path(f"/proc/{hub.pid}/task/{hub.pid}/children").read_text().split()
        assert children
        for child in children:
            assert key.encode() not in Path(f"/proc/{child}/environ").read_bytes()
        assert key not in hub.output()
