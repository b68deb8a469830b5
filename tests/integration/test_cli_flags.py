"""The verbs of `hub flags`, against a real hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run, run_json, run_on_terminal
from tests.hubs import HubProcess

pytestmark = [
    pytest.mark.xdist_group("cli"),
    pytest.mark.open_only("about the processes of commands"),
]

SHOP = {
    "dark-mode": True,
    "new-checkout": {
        "description": "in one step",
        "variants": {"on": True, "off": False},
        "default": "off",
        "rules": [
            {"when": {"country": ["DE", "AT"], "plan": "pro"}, "variant": "on"},
            {"split": {"on": 10, "off": 90}},
        ],
    },
    "workers": {"enabled": False, "variants": {"few": 2, "many": 8}, "default": "few"},
}


@pytest.fixture(scope="module")
def shop(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> HubProcess:
    file = tmp_path_factory.mktemp("flags") / "shop.json"
    file.write_text(json.dumps({"flags": SHOP}))
    assert run("config", "import", "--service", "shop", str(file), nats=hub.nats_url).returncode == 0
    return hub


def evaluated(hub: HubProcess, *arguments: str) -> Any:
    return run_json("flags", "evaluate", *arguments, nats=hub.nats_url)


def test_the_flags_of_a_service_are_listed_with_what_is_served_where_no_rule_matches(shop: HubProcess) -> None:
    done = run("flags", "list", "shop", nats=shop.nats_url)
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["FLAG", "TYPE", "STATE", "VARIANTS", "RULES", "SERVED", "DESCRIPTION"],
        ["dark-mode", "boolean", "plain", "-", "0", "true", "-"],
        ["new-checkout", "boolean", "enabled", "on,", "off", "2", "off", "in", "one", "step"],
        ["workers", "number", "disabled", "few,", "many", "0", "the", "default", "of", "the", "service", "-"],
    ]
    told = run_json("flags", "list", "shop", nats=shop.nats_url)
    assert [(flag["name"], flag["state"], flag["type"]) for flag in told["flags"]] == [
        ("dark-mode", "plain", "boolean"),
        ("new-checkout", "enabled", "boolean"),
        ("workers", "disabled", "number"),
    ]
    assert told["flags"][1]["definition"]["rules"][1] == {"split": {"on": 10, "off": 90}}
    assert told["revision"]


def test_a_service_without_flags_has_none(shop: HubProcess) -> None:
    done = run("flags", "list", "flagless", nats=shop.nats_url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "hub: flagless has no flags\n")
    assert run_json("flags", "list", "flagless", nats=shop.nats_url)["flags"] == []


def test_an_evaluation_says_which_rule_matches_and_why(shop: HubProcess) -> None:
    arguments = ("shop", "new-checkout", "--attribute", "country=DE", "-a", "plan=pro")
    done = run("flags", "evaluate", *arguments, nats=shop.nats_url)
    assert done.stdout.splitlines() == [
        "RULE  OUTCOME        WHY",
        '   0  matches        country is "DE"; plan is "pro"',
        "   1  not looked at  a rule before it matches",
        "new-checkout is true, variant on (TARGETING_MATCH, rule 0)",
    ]
    told = evaluated(shop, *arguments)
    assert (told["value"], told["variant"], told["reason"], told["rule"]) == (True, "on", "TARGETING_MATCH", 0)
    assert [step["outcome"] for step in told["rules"]] == ["matches", "not looked at"]


def test_an_evaluation_says_what_is_missing(shop: HubProcess) -> None:
    done = run("flags", "evaluate", "shop", "new-checkout", "-a", "country=FR", nats=shop.nats_url)
    assert done.stdout.splitlines()[1:] == [
        '   0  does not match  country is "FR", and has to be ["DE","AT"]',
        "   1  does not match  targetingKey is not given, and is what it splits by",
        "new-checkout is false, variant off (DEFAULT)",
    ]


def test_a_targeting_key_is_a_text_and_other_attributes_are_json_where_they_can_be(shop: HubProcess) -> None:
    by_key = evaluated(shop, "shop", "new-checkout", "-t", "0042")
    assert by_key["reason"] == "SPLIT"
    assert by_key["rules"][1]["why"].startswith('targetingKey is "0042", at ')
    by_attribute = evaluated(shop, "shop", "new-checkout", "-a", "targetingKey=42", "-a", 'country=["DE"]')
    assert by_attribute["rules"][1]["why"].startswith("targetingKey is 42, at ")
    assert by_attribute["rules"][0]["why"].startswith('country is ["DE"]')


def test_a_plain_flag_and_a_disabled_one_say_so(shop: HubProcess) -> None:
    plain = run("flags", "evaluate", "shop", "dark-mode", nats=shop.nats_url)
    assert plain.stdout == "dark-mode is true (STATIC)\n"
    disabled = run("flags", "evaluate", "shop", "workers", nats=shop.nats_url)
    assert disabled.stdout == "workers is what the service gives as default (DISABLED)\n"
    assert "value" not in evaluated(shop, "shop", "workers")


def test_a_flag_that_is_not_there_is_not_found_and_the_nearest_is_named(shop: HubProcess) -> None:
    done = run("flags", "evaluate", "shop", "new-chekout", nats=shop.nats_url)
    assert done.returncode == 3
    assert done.stderr == "hub: shop has no flag 'new-chekout'; did you mean new-checkout?\n"


def test_an_attribute_that_is_no_pair_is_wrong_usage(shop: HubProcess) -> None:
    done = run("flags", "evaluate", "shop", "dark-mode", "-a", "country", nats=shop.nats_url)
    assert done.returncode == 2
    assert "expected KEY=VALUE, got 'country'" in done.stderr


def test_flags_that_an_older_hub_has_stored_are_listed_as_broken(hub: HubProcess, tmp_path: Path) -> None:
    schema = {"properties": {"flags": {"default": {"old": {"is": "something else"}}}}}
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    assert run("config", "schema", "older", str(file), "--force", nats=hub.nats_url).returncode == 0
    done = run("flags", "list", "older", nats=hub.nats_url)
    assert done.stdout.splitlines()[1].split()[:3] == ["old", "-", "broken"]
    refused = run("flags", "evaluate", "older", "old", nats=hub.nats_url)
    assert refused.returncode == 1
    assert "no property 'is'" in refused.stderr


def test_an_instance_that_tries_a_canary_has_the_flags_of_it(hub: HubProcess) -> None:
    for number in ("1", "2"):
        done = run(
            *("register", "tried", "--instance-id", f"tried-{number}", "--host", "127.0.0.1", "--port", f"900{number}"),
            nats=hub.nats_url,
        )
        assert done.returncode == 0, done.stderr
    assert run("config", "set", "tried", "flags.a=false", nats=hub.nats_url).returncode == 0
    done = run("config", "set", "tried", "flags.a=true", "--canary", "instance=tried-2", nats=hub.nats_url)
    assert done.returncode == 0, done.stderr
    assert evaluated(hub, "tried", "a")["value"] is False
    assert evaluated(hub, "tried", "a", "--instance", "tried-1")["value"] is False
    assert evaluated(hub, "tried", "a", "--instance", "tried-2")["value"] is True
    done = run("flags", "list", "tried", "--instance", "no*pe", nats=hub.nats_url)
    assert done.returncode == 2


def test_on_a_terminal_the_flags_are_a_table(shop: HubProcess) -> None:
    shown = run_on_terminal("flags", "list", "shop", nats=shop.nats_url)
    assert "new-checkout" in shown
    assert "│" in shown
