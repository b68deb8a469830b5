"""`subjects/permissions`: the NATS server takes what is rendered there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hub.contract.permissions import FOLDER
from hub.core.permissions import permissions
from hub.wire.roles import CALLER_ROLES, Caller, CallerRole
from tests.contract.golden import ROOT
from tests.servers import nats_server_binary


def filled(role: CallerRole) -> str:
    """The file of a role with a name and an instance in their places."""
    text = (ROOT / FOLDER / f"{role}.conf").read_text()
    return text.replace("<service>", "engine").replace("<instance>", "e1").replace("<name>", "ada")


def accepted(path: Path, config: str) -> subprocess.CompletedProcess[str]:
    path.write_text(config)
    return subprocess.run(
        [nats_server_binary(), "-t", "-c", str(path)], capture_output=True, text=True, timeout=60, check=False
    )


def test_there_is_a_file_for_each_role_and_no_other() -> None:
    assert {path.name for path in (ROOT / FOLDER).iterdir()} == {f"{role}.conf" for role in CALLER_ROLES}


@pytest.mark.parametrize("role", CALLER_ROLES)
def test_it_allows_what_the_caller_may_and_says_so_with_places_for_the_names(role: CallerRole) -> None:
    caller = Caller(role=role, name="engine", instance="e1") if role == "service" else Caller(role=role, name="ada")
    granted = permissions(caller)
    text = filled(role)
    listed = [line.strip().strip('"') for line in text.splitlines() if line.startswith('    "')]
    assert listed == [*granted.publish, *granted.subscribe]
    assert "<" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


def test_the_server_takes_all_of_them_as_they_are_included(tmp_path: Path) -> None:
    users = []
    for role in CALLER_ROLES:
        (tmp_path / f"{role}.conf").write_text(filled(role))
        users.append(f"{{ user: {role}, password: pw, permissions: {{ include ./{role}.conf }} }}")
    config = "authorization {\n  users: [\n    " + "\n    ".join(users) + "\n  ]\n}\n"
    done = accepted(tmp_path / "server.conf", config)
    assert done.returncode == 0, done.stderr
    (tmp_path / "reader.conf").write_text('publish: { allow: [ "a..b" ] }\n')
    assert accepted(tmp_path / "server.conf", config).returncode != 0, "it does look at what is included"
