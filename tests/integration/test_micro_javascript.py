"""The hub as `@nats-io/services` sees it: a client of the micro protocol that others wrote, in another language."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hub.version import __version__
from tests.calls import call, connected
from tests.hubs import HubProcess

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
            assert answer["type"] == f"io.nats.micro.v1.{verb}_response"
            assert (answer["name"], answer["id"], answer["version"]) == ("central-hub", hub_id, __version__)
        [services] = [each for each in answers["stats"][0]["endpoints"] if each["subject"] == "hub.services"]
        assert services["num_requests"] >= 3
        assert "hub.register" in [each["subject"] for each in answers["info"][0]["endpoints"]]
