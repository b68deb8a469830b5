"""`hub graph`, against a real hub, in a pipe and on a terminal."""

from __future__ import annotations

import json

import pytest
from nats.aio.client import Client

from tests.calls import call, register
from tests.clients import eventually
from tests.commands import run, run_json, run_on_terminal
from tests.hubs import HubProcess

pytestmark = [
    pytest.mark.xdist_group("cli"),
    pytest.mark.open_only("about the processes of commands"),
]


async def becomes(client: Client, name: str, reason: str) -> None:
    """Wait until the hub has found out about everybody that the service needs."""

    async def told() -> bool:
        (report,) = (await call(client, "hub.health", {"name": name}))["services"]
        return bool(report["instances"][0]["reason"] == reason)

    await eventually(told, f"{name}: {reason}")


async def test_a_graph_is_shown_in_every_format(hub: HubProcess, client: Client) -> None:
    await register(client, "gate", depends_on=["engine", "ledger"])
    await register(client, "engine", depends_on=["ledger", "gate"])
    await client.request("hub.discover", b'{"name":"mail"}', timeout=10, headers={"Hub-Service": "gate"})
    nats = hub.nats_url
    await becomes(client, "gate", "upstream: ledger cannot be chosen")
    plain = run("graph", "gate", "--direction", "dependencies", nats=nats)
    assert (plain.returncode, plain.stderr) == (0, "hub: these depend on each other: engine, gate\n")
    assert plain.stdout.splitlines() == [
        "gate warning 0/1 gate-1: upstream: ledger cannot be chosen",
        "  engine warning 0/1 engine-1: upstream: ledger cannot be chosen",
        "    gate warning ↺",
        "    ledger critical 0/0 no instances",
        "  ledger critical 0/0 no instances",
        "  mail critical 0/0 no instances ┄ only observed",
    ]
    shown = run_on_terminal("graph", "gate", nats=nats)
    assert "└── " in shown
    assert "\x1b[33mwarning\x1b[0m" in shown
    assert "\x1b[1;31mcritical\x1b[0m" in shown
    found = run_json("graph", "gate", nats=nats)
    assert found["cycles"] == [["engine", "gate"]]
    assert json.loads(run("graph", "gate", "--format", "json", nats=nats).stdout) == found
    assert len(run_json("graph", "--declared-only", nats=nats)["edges"]) == 4
    assert [row["name"] for row in run_json("graph", "mail", "--depth", "1", nats=nats)["services"]] == ["gate", "mail"]
    dot = run("graph", "gate", "--format", "dot", nats=nats).stdout
    assert '    "gate" -> "mail" [style=dashed];\n' in dot
    mermaid = run("graph", "gate", "--format", "mermaid", nats=nats).stdout
    assert mermaid.startswith("graph LR\n")
    assert "    n1 -.-> n3\n" in mermaid


def test_nobody_of_a_name_ends_with_3_and_a_bad_name_with_1(hub: HubProcess) -> None:
    nats = hub.nats_url
    nobody = run("graph", "nobody", nats=nats)
    assert (nobody.returncode, nobody.stdout) == (3, "")
    assert nobody.stderr == "hub: 'nobody' is not registered, and nobody depends on it\n"
    for wish in (("--json",), ("--format", "json")):
        told = run("graph", "nobody", *wish, nats=nats)
        assert told.returncode == 3
        assert json.loads(told.stdout)["services"] == []
        assert json.loads(told.stderr)["error"]["code"] == "not_found"
    refused = run("graph", "Bad Name", nats=nats)
    assert refused.returncode == 1
    assert refused.stderr.startswith("hub: name: expected a DNS label")
    assert run("graph", "--json", "--format", "dot", nats=nats).returncode == 2


async def test_a_graph_of_many_pages_is_put_together(hub: HubProcess, client: Client) -> None:
    for number in range(1100):
        await register(client, f"page-{number:04}", f"p{number}", depends_on=["page-hub"])
    found = run_json("graph", "page-hub", "--direction", "dependants", nats=hub.nats_url)
    assert len(found["services"]) == 1101
    assert len(found["edges"]) == 1100
    assert found["next"] is None
