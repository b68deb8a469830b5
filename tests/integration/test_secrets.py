"""`hub.secret.*` against a real hub: stored encrypted, told to who may read it, and to nobody else."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client.secrets import AT_ONCE
from hub.vault.transit import Recipient, answer_to
from hub.wire.codec import encode
from hub.wire.secrets import MAX_VALUE_BYTES, ResolvedSecrets, ResolveSecrets, SealedAnswer
from tests import enforcing
from tests.calls import call, connected, refusal
from tests.hubs import HubProcess
from tests.keys import fresh_key, key_file
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("secrets")


async def put(client: Client, name: str, value: str, readers: list[str] | None = None, **more: Any) -> Any:
    return await call(client, "hub.secret.put", {"name": name, "value": value, "readers": readers, **more})


async def resolve(client: Client, service: str, *names: str, **more: Any) -> Any:
    return await call(client, "hub.secret.resolve", {"service": service, "names": names, **more})


async def listed(client: Client, name: str) -> Any:
    secrets = (await call(client, "hub.secret.list", {}))["secrets"]
    return next((secret for secret in secrets if secret["name"] == name), None)


async def test_a_secret_is_told_to_its_readers_and_to_nobody_else(client: Client) -> None:
    stored = await put(client, "told-a", "alpha", ["engine", "trading-*"])
    await put(client, "told-b", "beta", ["*"])
    told = (await resolve(client, "trading-x", "told-a", "told-b", instance_id="x1"))["secrets"]
    assert told["told-a"] == {"revision": stored["revision"], "value": "alpha"}
    assert told["told-b"]["value"] == "beta"
    error = await refusal(client, "hub.secret.resolve", {"service": "gateway", "names": ["told-b", "told-a"]})
    assert (error["code"], error["status"], error["field"], error["retryable"]) == ("forbidden", 403, "names[1]", False)
    assert error["message"] == "secret told-a: gateway is none of its readers"
    assert "alpha" not in json.dumps(error)
    assert "beta" not in json.dumps(error), "who may not read all is told none"
    error = await refusal(client, "hub.secret.resolve", {"service": "engine", "names": ["told-a", "told-no"]})
    assert (error["code"], error["status"], error["field"]) == ("not_found", 404, "names[1]")
    assert error["message"] == "secret told-no: does not exist"


async def test_an_answer_is_sealed_for_whoever_asks_for_that_and_says_the_same(client: Client) -> None:
    stored = await put(client, "sealed-a", "alpha", ["engine"])
    recipient = Recipient()
    question = ResolveSecrets(service="engine", names=("sealed-a",), instance_id="e1", seal_to=recipient.public)
    answer = await client.request("hub.secret.resolve", encode(question), timeout=20)
    assert b"alpha" not in answer.data
    told = msgspec.json.decode(answer.data, type=ResolvedSecrets)
    assert told.secrets == {}
    assert isinstance(told.sealed, SealedAnswer)
    plain = recipient.unseal(told.sealed.key, told.sealed.ciphertext, answer_to(question))
    assert json.loads(plain) == {"secrets": {"sealed-a": {"revision": stored["revision"], "value": "alpha"}}}
    again = await client.request("hub.secret.resolve", encode(question), timeout=20)
    assert again.data != answer.data


async def test_who_may_not_read_a_secret_is_not_told_it_sealed_either_and_a_bad_key_is_refused(client: Client) -> None:
    await put(client, "sealed-b", "beta", ["engine"])
    sealed = {"names": ["sealed-b"], "seal_to": base64.b64encode(Recipient().public).decode()}
    error = await refusal(client, "hub.secret.resolve", {"service": "gateway", **sealed})
    assert (error["code"], error["field"]) == ("forbidden", "names[0]")
    nothing = base64.b64encode(bytes(32)).decode()
    error = await refusal(client, "hub.secret.resolve", {"service": "engine", **sealed, "seal_to": nothing})
    assert (error["code"], error["field"]) == ("invalid_request", "seal_to")


async def test_the_largest_secrets_fit_sealed_into_one_answer_as_the_sdk_asks_for_them(client: Client) -> None:
    names = [f"large-{number}" for number in range(AT_ONCE)]
    for name in names:
        await put(client, name, "\u00e4" * (MAX_VALUE_BYTES // 2), ["*"])
    recipient = Recipient()
    question = ResolveSecrets(service="engine", names=tuple(names), seal_to=recipient.public)
    answer = await client.request("hub.secret.resolve", encode(question), timeout=20)
    told = msgspec.json.decode(answer.data, type=ResolvedSecrets)
    assert isinstance(told.sealed, SealedAnswer), answer.data[:200]
    plain = recipient.unseal(told.sealed.key, told.sealed.ciphertext, answer_to(question))
    assert sorted(json.loads(plain)["secrets"]) == sorted(names)


async def test_a_list_says_everything_but_the_values(client: Client) -> None:
    stored = await put(client, "listed-b", "hidden", ["b", "a", "b"], author="ada", reason="first")
    await put(client, "listed-a", "hidden", ["*"])
    found = await listed(client, "listed-b")
    assert found.pop("at").endswith("Z")
    key = (await call(client, "hub.secret.list", {}))["key_id"]
    assert found == {
        "name": "listed-b",
        "revision": stored["revision"],
        "author": enforcing.author("ada"),
        "reason": "first",
        "readers": ["a", "b"],
        "key_id": key,
    }
    page = await call(client, "hub.secret.list", {"limit": 1, "after": "listed"})
    assert ([s["name"] for s in page["secrets"]], page["next"]) == (["listed-a"], "listed-a")
    assert "hidden" not in json.dumps(page)


async def test_a_new_value_leaves_who_may_read_it_and_a_new_secret_needs_readers(client: Client) -> None:
    error = await refusal(client, "hub.secret.put", {"name": "kept", "value": "one"})
    assert (error["code"], error["field"]) == ("invalid_request", "readers")
    await put(client, "kept", "one", ["engine"])
    await put(client, "kept", "two")
    assert (await listed(client, "kept"))["readers"] == ["engine"]
    assert (await resolve(client, "engine", "kept"))["secrets"]["kept"]["value"] == "two"
    await put(client, "kept", "three", ["gateway"])
    assert (await resolve(client, "engine", "kept"))["error"]["code"] == "forbidden"


async def test_of_two_who_change_the_same_one_is_told(client: Client) -> None:
    first = await put(client, "fought", "one", ["*"], revision=0)
    second = await put(client, "fought", "two", revision=first["revision"])
    error = await refusal(client, "hub.secret.put", {"name": "fought", "value": "x", "revision": first["revision"]})
    assert (error["code"], error["field"]) == ("conflict", "revision")
    assert f"its newest is {second['revision']}" in error["message"]
    error = await refusal(client, "hub.secret.put", {"name": "fought", "value": "x", "readers": ["*"], "revision": 0})
    assert error["code"] == "conflict"
    error = await refusal(client, "hub.secret.delete", {"name": "fought", "revision": first["revision"]})
    assert error["code"] == "conflict"
    assert (await resolve(client, "any", "fought"))["secrets"]["fought"]["value"] == "two"


async def test_a_secret_that_is_used_is_only_deleted_by_force_and_can_be_stored_again(client: Client) -> None:
    await put(client, "used", "one", ["*"])
    for service in ("user-b", "user-a"):
        change = {"service": service, "values": {"db": [{"password": {"$secret": "used"}}]}}
        assert "revision" in await call(client, "hub.config.put", {"changes": [change]})
    error = await refusal(client, "hub.secret.delete", {"name": "used"})
    assert (error["code"], error["status"]) == ("conflict", 409)
    assert "the configuration of user-a, user-b refers to it" in error["message"]
    assert "revision" in await call(client, "hub.secret.delete", {"name": "used", "force": True, "author": "ada"})
    assert (await resolve(client, "user-a", "used"))["error"]["code"] == "not_found"
    assert (await refusal(client, "hub.secret.delete", {"name": "used"}))["code"] == "not_found"
    await put(client, "used", "two", ["*"], revision=0)
    assert (await resolve(client, "user-a", "used"))["secrets"]["used"]["value"] == "two"


async def test_a_configuration_that_refers_to_what_may_not_be_read_is_refused_with_the_place(client: Client) -> None:
    await put(client, "guarded", "one", ["reader-*"])
    bad = {"service": "stranger", "values": {"db": {"password": {"$secret": "guarded"}}}}
    for subject in ("hub.config.put", "hub.config.patch"):
        error = await refusal(client, subject, {"changes": [bad]})
        assert (error["code"], error["status"]) == ("invalid_config", 422)
        assert "stranger: /db/password: expected a secret that stranger may read" in error["message"]
    verdict = await call(client, "hub.config.validate", bad)
    assert [violation["path"] for violation in verdict["violations"]] == ["/db/password"]
    shared = {"service": "_all", "values": {"db": {"$secret": "guarded"}}}
    assert "error" not in await call(client, "hub.config.put", {"changes": [{**bad, "service": "reader-1"}, shared]})
    missing = {"service": "_all", "values": {"db": {"$secret": "guarded-no"}}}
    error = await refusal(client, "hub.config.put", {"changes": [missing]})
    assert "_all: /db: expected a secret that there is" in error["message"]
    assert "revision" in await call(client, "hub.config.delete", {"service": "_all"})


async def test_a_change_is_told_at_once_without_what_is_stored(client: Client) -> None:
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    await client.subscribe("hub.delta.secret.pushed", cb=hear)
    await client.flush()
    stored = await put(client, "pushed", "one", ["*"])
    await until(lambda: heard)
    assert heard[0].data == b""
    assert heard[0].headers is not None
    assert heard[0].headers["Nats-Sequence"] == str(stored["revision"])
    await call(client, "hub.secret.delete", {"name": "pushed"})
    await until(lambda: len(heard) == 2)
    assert heard[1].headers is not None
    assert heard[1].headers["KV-Operation"] == "PURGE"


async def test_changes_are_events_that_name_the_secret_and_who_changed_it(client: Client) -> None:
    heard: list[dict[str, Any]] = []

    async def hear(message: Msg) -> None:
        event = json.loads(message.data)
        if event["subject"] == "storied":  # those of other tests may come late
            heard.append(event)

    await client.subscribe("hub.events.secret.changed", cb=hear)
    await client.flush()
    stored = await put(client, "storied", "one", ["*"], author="ada", reason="why not")
    await call(client, "hub.secret.delete", {"name": "storied", "author": "bob"})
    await until(lambda: len(heard) == 2)
    assert heard[0]["data"] == {
        "secret": "storied",
        "change": "put",
        "reason": "why not",
        "author": enforcing.author("ada"),
        "revision": stored["revision"],
    }
    assert (heard[1]["data"]["change"], heard[1]["data"]["author"]) == ("delete", enforcing.author("bob"))


@pytest.mark.parametrize(
    "spoilt",
    [
        {"name": "spoilt", "value": 1234567},
        {"name": "spoilt", "value": ["s3cr3t-1234567"]},
        {"name": "spoilt", "value": "s3cr3t-1234567" * 2000, "readers": ["*"]},
        {"name": "spoilt", "value": "ä1234567" * 2000, "readers": ["*"]},
        {"name": "spoilt", "value": "s3cr3t-1234567", "readers": ["NOT-A-NAME"]},
        {"name": "spoilt.1", "value": "s3cr3t-1234567", "readers": ["*"]},
        {"name": {"value": "s3cr3t-1234567"}},
        ["s3cr3t-1234567"],
    ],
)
async def test_an_error_says_nothing_of_the_value(client: Client, spoilt: Any) -> None:
    error = await refusal(client, "hub.secret.put", spoilt)
    assert error["code"] in ("invalid_request", "payload_too_large")
    assert "1234567" not in json.dumps(error)


async def test_broken_json_says_nothing_of_the_value(client: Client) -> None:
    error = await refusal(client, "hub.secret.put", b'{"name":"spoilt","value":"s3cr3t-1234567" "}')
    assert "1234567" not in json.dumps(error)


async def test_the_key_is_read_again_when_its_file_changes_and_a_broken_file_leaves_it_in_force(tmp_path: Path) -> None:
    old, new = fresh_key(), fresh_key()
    keys = key_file(tmp_path / "keys", old)
    with HubProcess(tmp_path / "hub", variables={"HUB_SECRETS_KEY_FILE": str(keys)}) as hub:
        async with connected(hub.nats_url) as client:

            async def current() -> str:
                return str((await call(client, "hub.secret.list", {}))["key_id"])

            first = await current()
            await put(client, "db", "one", ["*"])
            keys.write_text("no key\n")
            await until(lambda: "keys of secrets refused" in hub.output())
            assert (await resolve(client, "any", "db"))["secrets"]["db"]["value"] == "one"
            assert await current() == first
            keys.write_text(f"{new}\n{old}\n")
            await until(lambda: "keys of secrets read again" in hub.output())
            assert await current() != first
            done = await call(client, "hub.secret.rekey", {})
            assert (done["rekeyed"], done["unreadable"], done["key_id"]) == (1, [], await current())
            assert (await call(client, "hub.secret.rekey", {}))["rekeyed"] == 0
            keys.write_text(f"{new}\n")
            await until(lambda: hub.output().count("keys of secrets read again") == 2)
            assert (await resolve(client, "any", "db"))["secrets"]["db"]["value"] == "one"
        assert old not in hub.output()
        assert new not in hub.output()


async def test_a_hub_without_a_key_does_all_else_and_says_what_to_do(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        async with connected(hub.nats_url) as client:
            error = await refusal(client, "hub.secret.put", {"name": "db", "value": "one", "readers": ["*"]})
            assert (error["code"], error["status"], error["retryable"]) == ("unsupported", 501, False)
            assert "hub secret keygen > FILE" in error["message"]
            assert "secrets.key_file (HUB_SECRETS_KEY_FILE)" in error["message"]
            assert (await refusal(client, "hub.secret.rekey", {}))["code"] == "unsupported"
            assert (await call(client, "hub.secret.list", {})) == {"secrets": [], "key_id": None, "next": None}
            change = {"service": "engine", "values": {"n": 1}}
            assert (await call(client, "hub.config.put", {"changes": [change]}))["revision"] == 1


@pytest.mark.parametrize(
    ("variables", "mode", "why"),
    [
        ({"HUB_SECRETS_KEY_FILE": "keys"}, 0o644, "keys: expected mode 0600 or 0400, got 0644"),
        ({"HUB_SECRETS_KEY_FILE": "short"}, 0o600, "short:2: expected 32 bytes in base64, got 3"),
        ({"HUB_SECRETS_KEY_FILE": "missing"}, 0o600, "missing: cannot be read (No such file or directory)"),
        ({"HUB_SECRETS_KEY": "c2hvcnQ="}, 0o600, "HUB_SECRETS_KEY:1: expected 32 bytes in base64, got 5"),
    ],
)
def test_a_key_that_cannot_be_used_ends_the_start_with_file_and_line(
    tmp_path: Path, variables: dict[str, str], mode: int, why: str
) -> None:
    key_file(tmp_path / "keys").chmod(mode)
    key_file(tmp_path / "short", "# two", "YWJj")
    hub = HubProcess(tmp_path, variables=variables)
    hub.start(wait=False)
    assert hub.wait() == 1
    assert why in hub.output()
    assert "Traceback" not in hub.output()


async def test_a_secret_whose_key_is_gone_is_told_of_by_its_id_on_health_and_metrics(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", variables={"HUB_SECRETS_KEY": fresh_key()}) as hub:
        async with connected(hub.nats_url) as client:
            await put(client, "db", "one", ["*"])
            lost = (await call(client, "hub.secret.list", {}))["key_id"]
        hub.stop()
        other = HubProcess(tmp_path / "hub", variables={"HUB_SECRETS_KEY": fresh_key()})
        with other:
            async with connected(other.nats_url) as client:
                reports: list[dict[str, Any]] = []

                async def hear(message: Msg) -> None:
                    reports.append(json.loads(message.data))

                await client.subscribe("hub.health.hub", cb=hear)
                error = await refusal(client, "hub.secret.resolve", {"service": "any", "names": ["db"]})
                assert (error["code"], error["retryable"]) == ("unavailable", True)
                assert f"with the key {lost}, which this hub does not have" in error["message"]
                done = await call(client, "hub.secret.rekey", {})
                assert (done["rekeyed"], done["unreadable"]) == (0, ["db"])
                await until(lambda: any(f"({lost})" in each["reason"] for each in reports))
                assert reports[-1]["status"] == "warning"
                metrics = await client.request("hub.metrics", b"", timeout=10)
                assert b'hub_secrets{key="unknown"} 1.0' in metrics.data
                await put(client, "db", "two")
                assert (await resolve(client, "any", "db"))["secrets"]["db"]["value"] == "two"
