"""Everything that a hub writes or says while keys are made and used is searched for them."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nats.errors
import pytest
from nats.aio.msg import Msg

from hub.errors import Unauthenticated
from hub.identity.apikeys import mint, parse
from hub.identity.proof import Presented
from tests.calls import connected
from tests.commands import run
from tests.faults.test_secrets import found_in
from tests.hubs import HubProcess
from tests.letting import letting, visiting
from tests.waiting import until

pytestmark = [
    pytest.mark.xdist_group("kicking"),
    pytest.mark.filterwarnings(  # nats-py leaves the socket of who is turned away to the garbage collector
        "ignore:Exception ignored in. <(function StreamWriter|function _SelectorTransport|socket.socket)"
        ":pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Have what nats-py leaves of connections that were turned away collected here, where it is known."""
    yield
    gc.collect()


async def test_a_key_is_in_nothing_that_the_hub_writes(tmp_path: Path) -> None:
    said: list[bytes] = []
    planted: list[str] = []
    hub = HubProcess(
        tmp_path / "hub", arguments=("--log-level", "debug"), variables={"HUB_LOG_SLOW_REQUEST": "0.000001"}
    )
    with hub:
        async with connected(hub.nats_url) as client, httpx.AsyncClient(base_url=hub.http_url) as http:

            async def hear(message: Msg) -> None:
                said.append(message.data + json.dumps(dict(message.headers or {})).encode())

            for subject in ("hub.events.>", "hub.delta.>", "hub.health.>", "$JS.EVENT.>"):
                await client.subscribe(subject, cb=hear)
            await client.flush()

            async def ask(subject: str, message: Any) -> Any:
                reply = await client.request(subject, json.dumps(message).encode(), timeout=10)
                answer = json.loads(reply.data)
                if "key" in answer:
                    planted.append(answer["key"])
                else:
                    said.append(reply.data + json.dumps(dict(reply.headers or {})).encode())
                return answer

            issued = await ask("hub.key.create", {"name": "partner", "author": "ada", "reason": "first"})
            rotated = await ask("hub.key.rotate", {"id": issued["id"]})
            planted.append((await http.post("/keys", json={"name": "web"})).json()["key"])
            # somebody gives the whole key where its id belongs, or no place at all
            for subject in ("hub.key.rotate", "hub.key.revoke"):
                await ask(subject, {"id": issued["key"]})
            for field in ("who", "credential"):
                for text in (issued["key"], f"key:{issued['key']}", f"external:{issued['key']} x"):
                    await ask("hub.access.revoke", {field: text})
                    await ask("hub.access.restore", {field: text})
            said.append((await http.delete(f"/keys/{issued['key']}")).content)
            await ask("hub.key.revoke", {"id": rotated["id"], "reason": "leaked"})
            await ask("hub.key.list", {})
            await ask("hub.access.list", {})
            said.append((await client.request("hub.metrics", b"", timeout=10)).data)
            said.append((await client.request("$SRV.STATS.central-hub", b"", timeout=10)).data)
            said += [(await http.get(path)).content for path in ("/health", "/metrics", "/keys", "/access/revoked")]
            for argument in (f"key:{issued['key']}", issued["key"]):
                done = run("access", "revoke", "--credential", argument, nats=hub.nats_url)
                said.append((done.stdout + done.stderr).encode())
            done = run("backup", str(tmp_path / "kept.zip"), nats=hub.nats_url)
            assert done.returncode == 0, done.stderr
        assert hub.stop() == 0
    assert len(planted) == 3
    secrets = tuple(parts[1] for key in planted if (parts := parse(key)) is not None)
    assert len(secrets) == 3
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any("KV_hub-access" in str(file) for file in files)
    found = [each for file in files for each in found_in(str(file), file.read_bytes(), secrets)]
    found += [each for content in said for each in found_in("what was said", content, secrets)]
    assert found == []
    assert any(issued["id"].encode() in content for content in said), "the id may be shown"


async def test_a_key_that_lets_in_and_one_that_does_not_are_in_no_log_and_no_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with letting(tmp_path) as at:
        hub = at.hubs[0]
        authenticator = hub._parts.admission.credentials.authenticator
        issued = json.loads(await hub.ask("hub.key.create", b'{"name":"partner"}'))
        wrong = f"hk_{issued['id']}_{mint().text[14:]}"
        unknown = mint().text
        async with visiting(at, issued["key"]) as visitor:
            assert visitor.there
            for token in (wrong, unknown, unknown[:-3], f"{unknown}abc"):
                with contextlib.suppress(nats.errors.Error):
                    await nats.connect(at.server.url, token=token, allow_reconnect=False)
                with pytest.raises(Unauthenticated) as caught:
                    await authenticator.prove(Presented(via="http", token=token, host="10.0.0.7"))
                at.refused.append(repr(caught.value) + repr(Presented(via="http", token=token)))
            await until(lambda: len(at.refused) >= 8)
            await hub.ask("hub.key.revoke", json.dumps({"id": issued["id"]}).encode())
            await until(lambda: visitor.losses)
        kept = json.dumps(json.loads(await hub.ask("hub.key.list", b"{}")))
        told = kept + repr(hub.details()) + hub.scrape()[0].decode() + "".join(at.refused)
    told += "".join(capfd.readouterr()) + at.server.log.read_text()
    assert "login refused" in told
    for token in (issued["key"], wrong, unknown):
        assert token[14:] not in told


async def test_the_use_of_a_key_is_listed_by_every_replica(tmp_path: Path) -> None:
    async with letting(tmp_path, hubs=2) as at:
        issued = json.loads(await at.hubs[0].ask("hub.key.create", b'{"name":"partner"}'))
        for hub in at.hubs:
            keys = hub._parts.admission.credentials.keys
            await until(lambda keys=keys: keys.get(issued["id"]) is not None)  # type: ignore[misc]
        async with visiting(at, issued["key"]):
            for hub in at.hubs:
                keys = hub._parts.admission.credentials.keys
                await until(lambda keys=keys: keys.last_use(issued["id"]) is not None)  # type: ignore[misc]
                [told] = json.loads(await hub.ask("hub.key.list", b"{}"))["keys"]
                assert told["used"] is not None
