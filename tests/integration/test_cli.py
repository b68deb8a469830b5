"""The verbs that ask, register and deregister, against a real hub."""

from __future__ import annotations

import json
import re

import pytest

from tests.calls import connected, register
from tests.commands import run, run_json, run_on_terminal
from tests.hubs import HubProcess
from tests.instance import InstanceProcess

pytestmark = [
    pytest.mark.xdist_group("cli"),
    pytest.mark.open_only("about the processes of commands"),
]


def test_what_a_script_registers_it_finds_and_takes_out_again(hub: HubProcess) -> None:
    nats = hub.nats_url
    done = run("register", "paint", "--host", "10.0.0.7", "--port", "8080", "--instance-id", "p1", nats=nats)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("registered paint/p1 at revision ")
    revision = done.stdout.split()[-1]
    found = run("discover", "paint", "--first", "--min-revision", revision, "--wait", "20", nats=nats)
    assert (found.returncode, found.stdout) == (0, "http://10.0.0.7:8080\n")
    gone = run("deregister", "paint", "p1", "--reason", "sold", nats=nats)
    assert gone.returncode == 0
    assert gone.stdout.startswith("deregistered paint/p1 at revision ")
    again = run("deregister", "paint", "p1", nats=nats)
    assert again.returncode == 3
    assert again.stderr.startswith("hub: instance_id: ")


def test_everything_that_register_is_told_arrives(hub: HubProcess) -> None:
    nats = hub.nats_url
    assert run("register", "ladder", "--host", "h.example", "--port", "8", nats=nats).returncode == 0
    registered = run_json(
        *("register", "brush", "--host", "h.example", "--port", "9", "--protocol", "grpc", "--instance-id", "b1"),
        *("--version", "1.4.2", "--zone", "eu-1", "--tag", "blue", "--tag", "big", "--weight", "7"),
        *("--health-endpoint", "/health", "--depends-on", "ladder", "--capability", "stroke"),
        *("--metadata", "owner=ada", "--metadata", '{"max": 3, "owner2": "eve"}'),
        nats=nats,
    )
    assert (registered["name"], registered["instance_id"]) == ("brush", "b1")
    found = run_json("discover", "brush", "--min-revision", str(registered["revision"]), "--wait", "20", nats=nats)
    (instance,) = found["instances"]
    assert found["degraded"] is False
    assert instance["url"] == "grpc://h.example:9"
    assert (instance["version"], instance["zone"], instance["weight"]) == ("1.4.2", "eu-1", 7)
    assert sorted(instance["tags"]) == ["big", "blue"]
    assert instance["health_endpoint"] == "/health"
    assert instance["metadata"] == {"owner": "ada", "max": 3, "owner2": "eve", "capabilities": ["stroke"]}


def test_an_instance_that_is_to_beat_is_told_where(hub: HubProcess) -> None:
    done = run(
        *("register", "drum", "--host", "h", "--port", "1", "--instance-id", "d1"),
        *("--liveness", "heartbeat", "--ttl", "30", "--deregister-after", "40"),
        nats=hub.nats_url,
    )
    assert done.returncode == 0
    assert "beat on hub.heartbeat.drum.d1 every 10 s: after 30 s of silence it is critical" in done.stderr


def test_a_refused_request_names_the_field_and_ends_with_1(hub: HubProcess) -> None:
    nats = hub.nats_url
    done = run("register", "paint", "--host", "h", "--port", "0", nats=nats)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"hub: port: expected 1\.\.65535, got 0 \(request [0-9a-f]{32}\)\n", done.stderr)
    told = run("register", "Bad Name", "--host", "h", "--port", "1", "--json", nats=nats)
    error = json.loads(told.stderr)["error"]
    assert (told.returncode, error["code"], error["field"]) == (1, "invalid_request", "name")
    absurd = run("discover", "paint", "--version-range", "yesterday", nats=nats)
    assert absurd.returncode == 1
    assert "version" in absurd.stderr


async def test_discover_passes_every_filter_on(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        await register(client, "gate", "g1", version="1.0.0", zone="eu", tags=["a"], metadata={"capabilities": ["x"]})
        await register(client, "gate", "g2", version="2.1.0", zone="us", tags=["a", "b"], port=8001)
    nats = hub.nats_url

    def found(*arguments: str) -> list[str]:
        return [i["instance_id"] for i in run_json("discover", "gate", *arguments, nats=nats)["instances"]]

    assert found() == ["g1", "g2"]
    assert found("--tag", "a", "--tag", "b") == ["g2"]
    assert found("--capability", "x") == ["g1"]
    assert found("--version-range", ">=2,<3") == ["g2"]
    assert found("--zone", "eu") == ["g1"]
    assert found("--limit", "1") == ["g1"]
    assert found("--strategy", "nearest", "--zone", "us") == ["g2"]
    assert len(found("--strategy", "random")) == 1
    across = run_json("discover", "--capability", "x", nats=nats)
    assert [i["name"] for i in across["instances"]] == ["gate"]


def test_nobody_found_ends_with_3_and_says_so(hub: HubProcess) -> None:
    nats = hub.nats_url
    done = run("discover", "nobody", nats=nats)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "hub: no instance of 'nobody' may be chosen; `--status any` shows those in trouble too\n"
    told = run("discover", "nobody", "--json", nats=nats)
    assert told.returncode == 3
    assert json.loads(told.stdout)["instances"] == []
    assert json.loads(told.stderr)["error"]["code"] == "no_instance"


def test_an_answer_older_than_wanted_says_so(hub: HubProcess) -> None:
    nats = hub.nats_url
    assert run("register", "late", "--host", "h", "--port", "1", nats=nats).returncode == 0
    done = run("discover", "late", "--min-revision", "999999999", "--wait", "0.1", nats=nats)
    assert done.returncode == 0
    assert "999999999 was not reached within 0.1 s" in done.stderr


def test_the_last_choice_is_shown_and_said_to_be_degraded(hub: HubProcess) -> None:
    nats = hub.nats_url
    with InstanceProcess(nats, "lamp", "l1", ttl=60.0) as instance:
        run_json("discover", "lamp", nats=nats)
        instance.kill()
        suspect = run("discover", "lamp", "--status", "suspect", nats=nats)
        while suspect.returncode == 3:
            suspect = run("discover", "lamp", "--status", "suspect", nats=nats)
        done = run("discover", "lamp", nats=nats)
    assert done.returncode == 0
    assert "l1" in done.stdout
    assert "suspect" in done.stdout
    assert done.stderr == "hub: degraded: too few instances are known to be well; what follows is the last choice\n"


async def test_services_are_listed_with_how_they_are(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        await register(client, "oven", "o1", version="1.0")
        await register(client, "oven", "o2", version="1.1", port=8001)
    listed = run_json("services", nats=hub.nats_url)
    (oven,) = [service for service in listed["services"] if service["name"] == "oven"]
    assert oven == {
        "name": "oven",
        "instances": 2,
        "passing": 2,
        "warning": 0,
        "critical": 0,
        "versions": ["1.0", "1.1"],
    }
    lines = [line.split() for line in run("services", nats=hub.nats_url).stdout.splitlines()]
    assert lines[0] == ["SERVICE", "INSTANCES", "PASSING", "WARNING", "CRITICAL", "VERSIONS"]
    assert ["oven", "2", "2", "0", "0", "1.0,", "1.1"] in lines


async def test_more_than_one_page_is_put_together(hub: HubProcess) -> None:
    bulk = {"text": "x" * 60_000}
    async with connected(hub.nats_url) as client:
        for number in range(40):
            await register(client, "crowd", f"c{number:02}", port=1000 + number, metadata=bulk)
    found = run_json("discover", "crowd", nats=hub.nats_url)
    assert [i["instance_id"] for i in found["instances"]] == [f"c{number:02}" for number in range(40)]
    assert found["next"] is None
    some = run_json("discover", "crowd", "--limit", "30", nats=hub.nats_url)
    assert len(some["instances"]) == 30
    assert some["next"] == "c29"


def test_a_pipe_gets_plain_text(hub: HubProcess) -> None:
    nats = hub.nats_url
    registered = run_json("register", "plain", "--host", "h", "--port", "1", "--instance-id", "p", nats=nats)
    done = run("discover", "plain", "--min-revision", str(registered["revision"]), "--wait", "20", nats=nats)
    heading, row = (line.split() for line in done.stdout.splitlines())
    assert heading == ["SERVICE", "INSTANCE", "STATUS", "SINCE", "URL", "VERSION", "ZONE", "TAGS", "WEIGHT", "LOAD"]
    assert row[:3] + row[4:] == ["plain", "p", "passing", "http://h:1", "-", "-", "-", "100", "-"]
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout


def test_a_terminal_gets_a_drawn_and_coloured_table(hub: HubProcess) -> None:
    nats = hub.nats_url
    assert run("register", "drawn", "--host", "h", "--port", "1", nats=nats).returncode == 0
    shown = run_on_terminal("discover", "drawn", nats=nats)
    assert "╭" in shown
    assert "\x1b[32mpassing\x1b[0m" in shown
    assert "Zone" not in shown, "a column without any value only takes room"
    uncoloured = run_on_terminal("discover", "drawn", nats=nats, NO_COLOR="1")
    assert "╭" in uncoloured
    assert "\x1b[32m" not in uncoloured
    assert "╭" in run_on_terminal("services", nats=nats)


async def test_what_services_call_themselves_cannot_command_the_terminal(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        await register(client, "evil", version="1\x1b]0;owned\x07", tags=["\x1b[2J", "[bold]no markup[/bold]"])
    shown = run_on_terminal("discover", "evil", nats=hub.nats_url, columns=250)
    assert "\x1b[2J" not in shown
    assert "\x1b]0;" not in shown
    assert "\\x1b[2J" in shown
    assert "[bold]no markup[/bold]" in shown
