"""Feature flags in configurations, against a real hub: only what can be evaluated is stored, whatever way it comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from nats.aio.client import Client

from tests import enforcing
from tests.calls import call, connected, refusal
from tests.clients import eventually
from tests.hubs import HubProcess

pytestmark = pytest.mark.xdist_group("config")

FLAG = {
    "variants": {"on": True, "off": False},
    "default": "off",
    "rules": [{"when": {"country": ["DE", "AT"]}, "variant": "on"}, {"split": {"on": 10, "off": 90}}],
}
WRONG = {"flags": {"a": {**FLAG, "default": "of"}, "b": {**FLAG, "rules": [{"split": {"on": 10}}]}}}
TOLD = (
    '{0}: /flags/a/default: expected one of the variants on, off, got "of"; '
    "{0}: /flags/b/rules/0/split: expected percentages that are 100 together, got 10"
)


def change(service: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"changes": [{"service": service, "values": values}]}


@pytest.mark.parametrize("scope", ["flagged", "_all"])
@pytest.mark.parametrize("verb", ["put", "patch"])
async def test_what_cannot_be_evaluated_is_refused_with_every_place(client: Client, verb: str, scope: str) -> None:
    before = await call(client, "hub.config.get", {"service": scope})
    error = await refusal(client, f"hub.config.{verb}", change(scope, WRONG))
    assert (error["code"], error["field"]) == ("invalid_config", "values")
    assert error["message"] == TOLD.format(scope)
    assert await call(client, "hub.config.get", {"service": scope}) == before
    verdict = await call(client, "hub.config.validate", {"service": scope, "values": WRONG})
    assert not verdict["valid"]
    assert [each["path"] for each in verdict["violations"]] == ["/flags/a/default", "/flags/b/rules/0/split"]
    assert set(verdict["violations"][0]) == {"path", "expected", "got"}


async def test_a_service_has_flags_that_its_schema_knows_nothing_of(client: Client) -> None:
    schema = {"properties": {"limit": {"type": "integer"}}, "additionalProperties": False}
    await call(client, "hub.config.schema.put", {"service": "strict", "schema": schema})
    done = await call(client, "hub.config.put", change("strict", {"limit": 1, "flags": {"a": FLAG, "dark": True}}))
    assert done["revision"]
    found = await call(client, "hub.config.get", {"service": "strict"})
    assert found["values"]["flags"]["dark"] is True
    assert found["origins"]["/flags/a/rules"] == "service"
    error = await refusal(client, "hub.config.put", change("strict", {"limit": "x", "more": 1, "flags": {"a": {}}}))
    for said in ("/flags/a/default", "/limit: expected an integer", "/more"):
        assert said in error["message"]


async def test_a_schema_that_describes_flags_is_held_against_them_as_well(client: Client) -> None:
    schema: Any = {"properties": {"flags": {"required": ["dark"], "default": {"light": True}}}}
    refused = await refusal(client, "hub.config.schema.put", {"service": "describing", "schema": schema})
    assert "/flags" in refused["message"]
    schema = {"properties": {"flags": {"maxProperties": 1, "default": {"light": True}}}}
    await call(client, "hub.config.schema.put", {"service": "describing", "schema": schema})
    found = await call(client, "hub.config.get", {"service": "describing"})
    assert found["values"] == {"flags": {"light": True}}
    error = await refusal(client, "hub.config.put", change("describing", {"flags": {"dark": True}}))
    assert "describing: /flags: expected" in error["message"]
    await call(client, "hub.config.schema.put", {"service": "describing", "schema": None})


async def test_a_rollback_to_flags_that_are_wrong_by_now_is_refused(client: Client) -> None:
    await call(client, "hub.config.put", change("_all", {"flags": {"shared": FLAG}}))
    first = await call(client, "hub.config.put", change("rolled", {"flags": {"shared": {"enabled": False}}}))
    await call(client, "hub.config.put", change("rolled", {}))
    await call(client, "hub.config.delete", {"service": "_all"})
    error = await refusal(client, "hub.config.rollback", {"service": "rolled", "target": first["revision"]})
    assert error["code"] == "invalid_config"
    assert "rolled: /flags/shared/variants: expected a value, got nothing" in error["message"]


async def test_what_a_service_says_of_a_shared_flag_keeps_it_from_being_taken_away(client: Client) -> None:
    await call(client, "hub.config.put", change("_all", {"flags": {"kept": FLAG}}))
    await call(client, "hub.config.put", change("keeping", {"flags": {"kept": {"enabled": False}}}))
    error = await refusal(client, "hub.config.delete", {"service": "_all"})
    assert error["message"].startswith("keeping: /flags/kept/variants")
    await call(client, "hub.config.put", change("keeping", {}))
    assert (await call(client, "hub.config.delete", {"service": "_all"}))["revision"]


def test_over_http_it_is_a_problem_that_names_every_place(hub: HubProcess) -> None:
    headers = {"Content-Type": "application/json", **enforcing.headers(hub.http_url)}
    body = json.dumps({"values": WRONG}).encode()
    request = Request(f"{hub.http_url}/config/over-http", method="PUT", data=body, headers=headers)
    with pytest.raises(HTTPError) as refused:
        urlopen(request, timeout=10)
    told = json.loads(refused.value.read())
    refused.value.close()
    assert refused.value.code == 422
    assert TOLD.format("over-http") in json.dumps(told, ensure_ascii=False).replace('\\"', '"')


async def test_a_file_with_flags_by_hand_is_stored_and_one_that_is_wrong_keeps_in_force_what_it_said(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "hot-reload"
    folder.mkdir()
    file = folder / "by-hand.toml"
    file.write_text(
        """
        [flags]
        dark-mode = true
        [flags.new-checkout]
        description = "in one step"
        variants = { on = true, off = false }
        default = "off"
        [[flags.new-checkout.rules]]
        when = { country = ["DE", "AT"], "app.version" = { sem_ver = ">=1.2,<2" } }
        variant = "on"
        [[flags.new-checkout.rules]]
        split = { on = 12.5, off = 87.5 }
        """
    )
    with HubProcess(tmp_path / "hub", variables={"HUB_CONFIG_FOLDER": str(folder)}) as hub:
        async with connected(hub.nats_url) as client:

            async def is_stored() -> bool:
                return bool((await call(client, "hub.config.get", {"service": "by-hand"}))["revision"])

            await eventually(is_stored, "the file is stored")
            found = await call(client, "hub.config.get", {"service": "by-hand"})
            assert found["values"]["flags"]["new-checkout"]["rules"][1] == {"split": {"on": 12.5, "off": 87.5}}
            file.write_text(file.read_text().replace("12.5", "13"))
            [outcome] = (await call(client, "hub.config.reload", {}))["files"]
            assert outcome["outcome"] == "refused"
            assert outcome["reason"].endswith(
                "by-hand: /flags/new-checkout/rules/1/split: expected percentages that are 100 together, got 100.5"
            )
            assert (await call(client, "hub.config.get", {"service": "by-hand"}))["values"] == found["values"]
