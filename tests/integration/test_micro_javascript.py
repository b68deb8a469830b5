"""`@nats-io/services`, the micro protocol as others wrote it in another language: it sees the hub, and is seen."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.version import __version__
from tests import commands
from tests.calls import call, connected, discover, ids
from tests.clients import eventually
from tests.hubs import HubProcess
from tests.micro_schemas import MICRO_V1

pytestmark = pytest.mark.system
_PROGRAM = Path(__file__).with_name("javascript")
_NPM = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with what it needs, in a folder of its own."""
    for command in ("node", "npm"):
        assert shutil.which(command), f"this test needs {command}: install Node.js"
    folder = tmp_path_factory.mktemp("javascript")
    shutil.copytree(_PROGRAM, folder, dirs_exist_ok=True)
    done = subprocess.run(_NPM, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def seen(program: Path, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    """What the client sees."""
    done = subprocess.run(
        ["node", "seen.mjs", *arguments], cwd=program, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return answers


async def test_the_javascript_client_sees_the_hub_and_what_it_has_done(program: Path, hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        for _ in range(3):
            await call(client, "hub.services")
        hub_id = (await call(client, "$SRV.PING"))["id"]
    for target in ((), ("central-hub",), ("central-hub", hub_id)):
        answers = seen(program, hub.nats_url, *target)
        assert {verb: len(found) for verb, found in answers.items()} == {"ping": 1, "info": 1, "stats": 1}
        for verb, [answer] in answers.items():
            MICRO_V1[verb.upper()].validate(answer)
            assert answer["type"] == f"io.nats.micro.v1.{verb}_response"
            assert (answer["name"], answer["id"], answer["version"]) == ("central-hub", hub_id, __version__)
        [services] = [each for each in answers["stats"][0]["endpoints"] if each["subject"] == "hub.services"]
        assert services["num_requests"] >= 3
        assert "hub.register" in [each["subject"] for each in answers["info"][0]["endpoints"]]


@contextmanager
def running(program: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The service as a process, and its id; killed in the end."""
    with subprocess.Popen(
        ["node", "service.mjs", *arguments], cwd=program, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            instance_id = process.stdout.readline().strip()
            assert instance_id, "the service did not start"
            yield process, instance_id
        finally:
            process.kill()


@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_a_javascript_service_is_in_discovery_while_it_lives_without_a_line_changed(
    program: Path, tmp_path: Path, end: str
) -> None:
    with HubProcess(tmp_path / "hub", variables={"HUB_MICRO_INTERVAL": "0.5"}) as hub:
        async with connected(hub.nats_url) as client:
            with running(program, hub.nats_url, "Adder_Service", "2.1.0") as (process, instance_id):

                async def complete() -> bool:
                    instances = (await discover(client, "adder-service"))["instances"]
                    return bool(instances and instances[0]["metadata"]["endpoints"])

                await eventually(complete, "it is found with its endpoints")
                [instance] = (await discover(client, "adder-service"))["instances"]
                assert (instance["instance_id"], instance["source"]) == (instance_id, "micro")
                assert (instance["version"], instance["url"]) == ("2.1.0", hub.nats_url)
                assert instance["metadata"]["micro"] == {"language": "javascript"}
                [endpoint] = instance["metadata"]["endpoints"]
                assert endpoint["subject"] == "math.sum"
                assert await call(client, endpoint["subject"], [1, 2, 39]) == 42
                listed = commands.run("services", nats=hub.nats_url)
                assert "adder-service" in listed.stdout
                if end == "stopped":
                    process.terminate()
                    assert process.wait(20) == 0
                else:
                    process.kill()

                async def gone() -> bool:
                    return await ids(client, "adder-service", status="any") == []

                await eventually(gone, f"it is gone, having been {end}")
