"""`hub access explain`: yes or no, and by which rule; from the file alone, with no hub there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import run

FILE = """
[[allow]]
who = ["service:api-*", "external:partner"]
discover = ["trading-*", "ledger"]
config = ["ledger"]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "access.toml"
    path.write_text(FILE)
    return str(path)


def test_what_is_allowed_is_explained_by_its_rule_and_ends_with_0(file: str) -> None:
    ledger = '{"name":"ledger"}'
    done = run("access", "explain", "service:api-gw", "hub.discover", "--payload", ledger, "--file", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].split() == ["WHO", "SUBJECT", "ALLOWED", "RULE", "REASON"]
    shown = done.stdout.splitlines()[1]
    assert shown.split()[:3] == ["service:api-gw", "hub.discover", "yes"]
    assert f"{file}: [[allow]] 1, discover 'ledger'" in shown


def test_what_is_not_ends_with_1(file: str) -> None:
    done = run("access", "explain", "external:partner", "hub.services", HUB_ACCESS_FILE=file)
    assert (done.returncode, done.stderr) == (1, "")
    assert "no " in done.stdout
    assert "it tells of all services, and external:partner may not discover all of them" in done.stdout


def test_machines_get_json(file: str) -> None:
    done = run("access", "explain", "service:api/a1", "hub.heartbeat.api.a2", "--file", file, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "allowed": False,
        "rule": "its own",
        "reason": "instance: expected 'a1', the one instance that the login is of, got 'a2'",
        "field": "instance",
    }


def test_a_file_that_is_not_there_declares_nothing(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.toml")
    done = run("access", "explain", "service:api", "hub.services", "--file", missing)
    assert done.returncode == 0
    assert f"{missing} has no [[allow]]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("boss:ada", "hub.services"), "expected <role>:<name> with a role of service, reader"),
        (("service:Api", "hub.services"), "expected the name of a service: a DNS label; got 'Api'"),
        (("service:api", "hub.discover", "--payload", "{"), "--payload: message: expected JSON"),
        (("service:api", "hub.discover", "--payload", '{"name":3}'), "--payload: name: expected a string, got 3"),
    ],
)
def test_what_cannot_be_asked_is_wrong_usage(arguments: tuple[str, ...], expected: str) -> None:
    done = run("access", "explain", *arguments)
    assert done.returncode == 2
    assert expected in " ".join(done.stderr.split())


def test_a_file_with_mistakes_is_refused_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    path.write_text('[[allow]]\nwho = ["services:*"]\ndiscover = ["*"]\n')
    done = run("access", "explain", "service:api", "hub.services", "--file", str(path))
    assert done.returncode == 1
    assert f"{path}: line 1, [[allow]]: who: expected callers" in done.stderr
