"""Schemas that come with registrations, with a real hub: taken, held off or refused; who brings one comes up anyway."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct
from nats.aio.client import Client

from hub.client import CentralHubClient, InvalidRequest
from tests.calls import call, ids, refusal, register
from tests.clients import sdk
from tests.http import browsing
from tests.hubs import HubProcess

pytestmark = pytest.mark.xdist_group("config")

_AT_MOST = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3, "default": 1}}}
_WIDER = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 30, "default": 2}}}


async def schema(client: Client, service: str) -> Any:
    return (await call(client, "hub.config.schema.get", {"service": service}))["schema"]


async def put(client: Client, service: str, values: dict[str, Any]) -> Any:
    return await call(client, "hub.config.put", {"changes": [{"service": service, "values": values}]})


async def newest(client: Client, service: str) -> Any:
    return (await call(client, "hub.config.history", {"service": service, "limit": 1}))["revisions"][0]


async def test_a_schema_that_comes_with_a_registration_is_stored_and_holds(client: Client) -> None:
    done = await register(client, "brings-one", "b-1", config_schema=_AT_MOST, include=["config"])
    assert done["config_schema"] == {"accepted": True, "reason": "", "retryable": False}
    assert done["config"] == {"n": 1}, "its defaults are there at once"
    assert await schema(client, "brings-one") == _AT_MOST
    change = await newest(client, "brings-one")
    assert (change["kind"], change["author"], change["reason"]) == ("schema", "brings-one.b-1", "registered")
    wrong = {"changes": [{"service": "brings-one", "values": {"n": 4}}]}
    assert (await refusal(client, "hub.config.put", wrong))["code"] == "invalid_config"
    await register(client, "brings-one", "b-1", config_schema=_AT_MOST, weight=50)
    await register(client, "brings-one", "b-2", config_schema=_AT_MOST)
    assert (await newest(client, "brings-one"))["revision"] == change["revision"], "the same one is no change"
    assert (await register(client, "brings-one", "b-3"))["config_schema"] is None


async def test_who_registers_by_http_brings_one_too(hub: HubProcess, client: Client) -> None:
    message = {"name": "by-http", "host": "h", "port": 1, "liveness": "permanent", "config_schema": _AT_MOST}
    async with browsing(hub) as http:
        answer = await http.post("/discovery/register", json=message)
    assert answer.json()["config_schema"]["accepted"] is True
    assert await schema(client, "by-http") == _AT_MOST


async def test_what_is_no_schema_keeps_nobody_from_registering(client: Client) -> None:
    done = await register(client, "no-schema", config_schema={"type": "nonsense"})
    assert done["config_schema"]["accepted"] is False
    assert "schema/type" in done["config_schema"]["reason"]
    assert (await ids(client, "no-schema"), await schema(client, "no-schema")) == (["no-schema-1"], None)
    backtracking = {"properties": {"a": {"pattern": "(?=a)b"}}}
    assert (await register(client, "no-schema", config_schema=backtracking))["config_schema"]["accepted"] is False


async def test_a_schema_by_which_what_is_put_is_not_valid_is_not_taken(client: Client) -> None:
    await put(client, "put-first", {"n": 7})
    done = await register(client, "put-first", config_schema=_AT_MOST)
    assert done["config_schema"] == {
        "accepted": False,
        "reason": "put-first: /n: expected a number of at most 3, got 7",
        "retryable": False,
    }
    assert (await ids(client, "put-first"), await schema(client, "put-first")) == (["put-first-1"], None)
    await put(client, "put-first", {"n": 3})
    assert (await register(client, "put-first", config_schema=_AT_MOST))["config_schema"]["accepted"] is True


async def test_where_nothing_is_put_yet_a_schema_may_ask_for_more_and_says_so(client: Client) -> None:
    wants = {"type": "object", "required": ["url"], "properties": {"url": {"type": "string"}}}
    done = await register(client, "wants-more", config_schema=wants)
    assert done["config_schema"]["accepted"] is True
    assert "url" in done["config_schema"]["reason"]
    assert await schema(client, "wants-more") == wants
    await put(client, "wants-more", {"url": "u"})


async def test_an_older_version_does_not_take_back_what_a_newer_one_has_registered(client: Client) -> None:
    for version, given, accepted in (
        ("1.9.0", _AT_MOST, True),
        ("1.10.0", _WIDER, True),
        ("1.9.0", _AT_MOST, False),
        ("1.10.0", _WIDER, True),
    ):
        done = await register(client, "rolling", f"r-{version[2:4].rstrip('.')}", version=version, config_schema=given)
        assert done["config_schema"]["accepted"] is accepted, done
    assert await schema(client, "rolling") == _WIDER
    revision = (await newest(client, "rolling"))["revision"]
    again = await register(client, "rolling", "r-9", version="1.9.0", config_schema=_AT_MOST)
    assert "the schema of version 1.10.0 holds" in again["config_schema"]["reason"]
    assert (await newest(client, "rolling"))["revision"] == revision
    await call(client, "hub.deregister", {"name": "rolling", "instance_id": "r-10"})
    back = await register(client, "rolling", "r-9", version="1.9.0", config_schema=_AT_MOST)
    assert back["config_schema"]["accepted"] is True, "who is gone for good decides nothing any more"
    assert await schema(client, "rolling") == _AT_MOST


async def test_a_schema_that_was_put_holds_until_a_newer_version_registers_one(client: Client) -> None:
    await register(client, "by-hand", version="1.0", config_schema=_AT_MOST)
    await call(client, "hub.config.schema.put", {"service": "by-hand", "schema": _WIDER, "author": "ada"})
    again = await register(client, "by-hand", version="1.0", config_schema=_AT_MOST)
    assert (again["config_schema"]["accepted"], await schema(client, "by-hand")) == (False, _WIDER)
    newer = await register(client, "by-hand", version="1.1", config_schema=_AT_MOST)
    assert (newer["config_schema"]["accepted"], await schema(client, "by-hand")) == (True, _AT_MOST)


class Limits(Struct):
    most: Annotated[int, Meta(ge=1)] = 5


@dataclass
class Engine:
    limits: Limits
    name: str = "engine"
    venues: tuple[str, ...] = ()


async def test_the_sdk_registers_the_type_of_a_configuration(hub: HubProcess, client: Client) -> None:
    async with sdk(hub.nats_url, "typed", port=8000, instance_id="t-1", config_schema=Engine) as service:
        await put(client, "typed", {"limits": {"most": 7}})
        assert await service.config.load(Engine) == Engine(Limits(7), "engine", ())
        error = await refusal(
            client, "hub.config.put", {"changes": [{"service": "typed", "values": {"limits": {"most": 0}}}]}
        )
        assert "/limits/most" in error["message"]
    stored = await schema(client, "typed")
    assert json.dumps(stored).count("minimum") == 1


async def test_the_sdk_comes_up_and_warns_where_its_schema_is_not_taken(
    hub: HubProcess, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await put(client, "warned", {"n": "text"})
    with caplog.at_level(logging.WARNING, "hub.client"):
        async with sdk(hub.nats_url, "warned", port=8000, config_schema=_AT_MOST) as service:
            assert service.registered
    assert "the schema of its configuration is not accepted (warned: /n: expected an integer" in caplog.text
    with pytest.raises(InvalidRequest) as caught:
        CentralHubClient("warned", port=8000, config_schema=object)
    assert caught.value.field == "config_schema"
