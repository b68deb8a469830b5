"""What a running hub really says on each of its subjects is what the contract says that it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.contract import asyncapi
from hub.wire.channel import HUB, Channel
from hub.wire.channels import CHANNELS
from hub.wire.messages import MESSAGES, message_name
from hub.wire.schemas import schema
from tests.calls import connected
from tests.contract.golden import EXAMPLES
from tests.hubs import HubProcess
from tests.keys import fresh_key
from tests.waiting import until

_BY_NAME = {channel.name: channel for channel in CHANNELS}
_TOLD = [channel for channel in CHANNELS if channel.publishers == (HUB,) and HUB not in channel.subscribers]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), variables={"HUB_SECRETS_KEY": fresh_key()}) as process:
        yield process


async def test_the_life_of_an_instance_is_told_as_the_contract_says(hub: HubProcess) -> None:
    heard: dict[str, list[Msg]] = {channel.name: [] for channel in _TOLD}
    async with connected(hub.nats_url) as client:
        for channel in _TOLD:
            await client.subscribe(channel.pattern(), cb=_into(heard[channel.name]))
        await _ask(client, "register", _golden("register.full"))
        await _ask(client, "register", {**_golden("register.boot"), "include": ["dependencies"]})
        await _ask(client, "discover", _golden("discover.minimal"))
        await _ask(client, "discover", {"name": "api-gateway"})
        await _ask(client, "services", {})
        await _ask(client, "graph", {})
        await _ask(client, "deregister", _golden("deregister.reason"))
        await client.publish("hub.heartbeat.stranger.s1", b"")
        await _configure(client)
        await _keep_secrets(client)
        await _distribute(client, hub)
        await _look_back(client)
        await until(lambda: all(heard.values()), f"every subject of the hub is heard, not {list(heard)}")
        await until(lambda: len(heard["registry-delta"]) >= 3 and len(heard["events"]) >= 3, "the deregistration")
    for name, messages in heard.items():
        for message in messages:
            _check(_BY_NAME[name], message)
    told = {json.loads(message.data)["type"] for message in heard["events"]}
    assert told >= {
        "service.registered",
        "service.deregistered",
        "config.changed",
        "config.refused",
        "secret.changed",
        "components.published",
    }
    assert {message.subject for message in heard["config-remind"]} == {"hub.config.remind.trading-engine.te-1"}
    removals = [message for message in heard["registry-delta"] if not message.data]
    assert [removal.subject for removal in removals] == ["hub.delta.registry.api-gateway.a1"]
    assert [message.subject for message in heard["reregister"]] == ["hub.reregister.stranger.s1"]


async def test_the_metrics_come_with_the_headers_of_the_contract(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        reply = await _request(client, "metrics", None)
    assert reply.data.startswith(b"# HELP hub_requests_total ")
    _validate_headers("metrics-text", reply)


async def test_a_refusal_has_the_headers_and_the_body_of_the_contract(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        for golden in ("register.port-zero", "deregister.instance-id-missing", "discover.wait-too-long"):
            refused = _golden(f"invalid/{golden}")
            reply = await _request(client, golden.partition(".")[0], refused["message"])
            assert json.loads(reply.data) == {"error": refused["error"]}
            _validate("error", reply.data)
            _validate_headers("error", reply)


async def _configure(client: Client) -> None:
    """Change what an instance is to run with, that refuses the first and says nothing of the second."""
    engine = {"name": "trading-engine", "instance_id": "te-1", "host": "10.0.0.7", "port": 8001}
    await _ask(client, "register", {**engine, "liveness": "permanent"})
    await _ask(client, "put-config", {**_golden("put-config.minimal"), "author": "ada"})
    first = json.loads((await _request(client, "get-config", _golden("get-config.service"))).data)["revision"]
    refusing = {"config_refused": {"revision": first, "reason": "risk: no limit of positions"}}
    await client.publish("hub.heartbeat.trading-engine.te-1", json.dumps(refusing).encode())
    for name, golden in (
        ("put-config", "put-config.minimal"),
        ("patch-config", "patch-config.everybody"),
        ("get-config", "get-config.service"),
        ("get-config", "get-config.everybody"),
        ("put-config-schema", "put-config-schema.none"),
        ("get-config-schema", "get-config-schema"),
        ("validate-config", "validate-config"),
        ("config-history", "config-history-query.minimal"),
        ("config-diff", "config-diff-query.minimal"),
        ("config-status", "config-status-query.minimal"),
        ("delete-config", "delete-config.minimal"),
    ):
        await _ask(client, name, _golden(golden))
    await _ask(client, "rollback-config", {"service": "trading-engine", "target": first})


async def _keep_secrets(client: Client) -> None:
    for name, golden in (
        ("put-secret", {**_golden("put-secret.full"), "revision": 0}),
        ("put-secret", "put-secret.minimal"),
        ("list-secrets", "list-secrets.all"),
        ("resolve-secrets", "resolve-secrets.minimal"),
        ("rekey-secrets", "rekey-secrets"),
        ("delete-secret", "delete-secret.minimal"),
        ("list-secrets", "list-secrets.page"),
    ):
        await _ask(client, name, _golden(golden) if isinstance(golden, str) else golden)


async def _distribute(client: Client, hub: HubProcess) -> None:
    """Publish a version of the components from the hub's folder, publish it again, and go back to it."""
    folder = hub.folder / "config" / "components"
    folder.mkdir(parents=True)
    (folder / "button.js").write_text("a button")
    deadline = asyncio.get_running_loop().time() + 20
    while True:
        newest = json.loads((await _request(client, "get-components", {})).data)
        if newest["revision"]:
            break
        assert asyncio.get_running_loop().time() < deadline, "nothing is published"
        await asyncio.sleep(0.05)
    await _ask(client, "get-components", {"revision": newest["revision"], "limit": 1})
    await _ask(client, "components-history", _golden("components-history-query.minimal"))
    await _ask(client, "publish-components", {"tree": newest["tree"], "revision": newest["revision"]})
    await _ask(client, "rollback-components", {"target": newest["revision"]})


async def _look_back(client: Client) -> None:
    for name, golden in (
        ("search-audit", "search-audit.all"),
        ("read-audit", "read-audit.all"),
        ("read-archived-audit", "read-archived-audit.all"),
        ("audit-head", "audit-head"),
    ):
        await _ask(client, name, _golden(golden))


async def _ask(client: Client, name: str, payload: Any) -> None:
    """Make the request of a channel, and check its reply."""
    reply = await _request(client, name, payload)
    expected = _BY_NAME[name].reply
    assert expected
    assert not reply.headers, json.loads(reply.data)
    _validate(message_name(expected), reply.data)


async def _request(client: Client, name: str, payload: Any) -> Msg:
    return await client.request(_BY_NAME[name].address, json.dumps(payload).encode(), timeout=10)


def _check(channel: Channel, message: Msg) -> None:
    if channel.name == "config-delta":
        _validate_headers("config-record", message)
    if channel.name == "components-delta":
        _validate_headers("components-record", message)
    if channel.name == "registry-delta":
        _validate_headers("record" if message.data else "record-removed", message)
    if message.data:
        assert channel.payload
        _validate(message_name(channel.payload), message.data)
    else:
        assert channel.payload is None or "KV-Operation" in (message.headers or {})


def _into(messages: list[Msg]) -> Any:
    async def on_message(message: Msg) -> None:
        messages.append(message)

    return on_message


def _golden(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def _validate(message: str, payload: bytes) -> None:
    """What the hub says is valid, and has no field that the contract does not know."""
    told = schema(message, MESSAGES[message])
    content = json.loads(payload)
    jsonschema_rs.Draft202012Validator(told, validate_formats=True).validate(content)
    assert set(content) <= set(told["properties"])


def _validate_headers(message: str, reply: Msg) -> None:
    headers = asyncapi.document()["components"]["messages"][message]["headers"]["schema"]
    jsonschema_rs.Draft202012Validator(headers).validate(dict(reply.headers or {}))
