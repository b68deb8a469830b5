"""The verbs of `hub components`, against a real hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import enforcing
from tests.commands import Typing, run, run_json
from tests.hubs import HubProcess

pytestmark = [
    pytest.mark.xdist_group("cli-components"),
    pytest.mark.open_only("about the processes of commands"),
]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path / "hub") as process:
        yield process


def components(hub: HubProcess, *arguments: str) -> str:
    """What `hub components ...` prints; it must succeed."""
    done = run("components", *arguments, nats=hub.nats_url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def folder_with(path: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return str(path)


def test_a_folder_is_published_listed_and_gone_back_to(hub: HubProcess, tmp_path: Path) -> None:
    first = folder_with(tmp_path / "first", {"ui/button.js": "button", "logo.svg": "logo"})
    (tmp_path / "first" / "logo.svg").chmod(0o755)
    done = components(hub, "publish", first, "--author", "ada", "--reason", "a start")
    assert done == "published as revision 1: 2 files, 10 bytes; changed: logo.svg, ui/button.js\n"
    listed = components(hub, "list").splitlines()
    assert [line.split()[0] for line in listed] == ["PATH", "logo.svg", "ui/button.js"]
    assert listed[1].endswith("executable")
    assert components(hub, "get", "ui/button.js") == "button"
    second = folder_with(tmp_path / "second", {"ui/button.js": "a better button"})
    assert "changed: logo.svg, ui/button.js" in components(hub, "publish", second)
    assert components(hub, "publish", second).startswith("nothing had to be changed; revision 2")
    assert components(hub, "get", "logo.svg", "--revision", "1") == "logo"
    history = run_json("components", "history", nats=hub.nats_url)["versions"]
    told = [(each["revision"], each["kind"], each["files"]) for each in history]
    assert told == [(2, "publish", 1), (1, "publish", 2)]
    assert (history[1]["author"], history[1]["reason"]) == (enforcing.author("ada"), "a start")
    assert "published as revision 3" in components(hub, "rollback", "1", "--yes", "--reason", "it does not press")
    assert components(hub, "get", "ui/button.js") == "button"
    assert "rollback to 1" in components(hub, "history", "--limit", "1")


def test_a_file_is_saved_whole_with_its_mode(hub: HubProcess, tmp_path: Path) -> None:
    source = folder_with(tmp_path / "source", {"run.sh": "#!/bin/sh\n"})
    (tmp_path / "source" / "run.sh").chmod(0o755)
    components(hub, "publish", source)
    target = tmp_path / "saved.sh"
    target.write_text("older")
    components(hub, "get", "run.sh", "--output", str(target))
    assert target.read_text() == "#!/bin/sh\n"
    assert target.stat().st_mode & 0o111
    missing = run("components", "get", "../run.sh", nats=hub.nats_url)
    assert (missing.returncode, missing.stdout) == (3, "")


def test_what_cannot_be_published_is_named_and_nothing_is(hub: HubProcess, tmp_path: Path) -> None:
    source = folder_with(tmp_path / "source", {"fine": "text"})
    (tmp_path / "source" / "link").symlink_to("/etc/passwd")
    refused = run("components", "publish", source, nats=hub.nats_url)
    assert refused.returncode == 1
    assert "link: expected a file, it is a link" in refused.stderr
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    assert "expected files, there are none" in run("components", "publish", str(nothing), nats=hub.nats_url).stderr


def test_a_version_that_is_larger_than_the_hub_takes_is_refused(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "small", variables={"HUB_COMPONENTS_MAX_FILE_BYTES": "3"}) as hub:
        refused = run("components", "publish", folder_with(tmp_path / "source", {"a": "four"}), nats=hub.nats_url)
    assert refused.returncode == 1
    assert "a: expected at most 3 bytes, got 4" in refused.stderr


def test_who_is_late_is_told_and_changes_nothing(hub: HubProcess, tmp_path: Path) -> None:
    source = folder_with(tmp_path / "source", {"a": "one"})
    components(hub, "publish", source, "--revision", "0")
    (tmp_path / "source" / "a").write_text("two")
    late = run("components", "publish", source, "--revision", "0", "--json", nats=hub.nats_url)
    error: dict[str, Any] = json.loads(late.stderr)["error"]
    assert (late.returncode, error["code"], error["field"]) == (1, "conflict", "revision")
    assert components(hub, "get", "a") == "one"


def test_where_nothing_was_published_there_is_nothing_to_list(hub: HubProcess) -> None:
    for verb in ("list", "history"):
        nothing = run("components", verb, nats=hub.nats_url)
        assert nothing.returncode == 3
        assert "no components were ever published" in nothing.stderr
    assert run("components", "rollback", "7", "--yes", nats=hub.nats_url).returncode == 3


def test_going_back_shows_what_differs_and_asks(hub: HubProcess, tmp_path: Path) -> None:
    source = folder_with(tmp_path / "source", {"a": "one"})
    components(hub, "publish", source)
    (tmp_path / "source" / "a").write_text("two")
    components(hub, "publish", source)
    unasked = run("components", "rollback", "1", nats=hub.nats_url)
    assert unasked.returncode == 2
    assert "--yes" in unasked.stderr
    with Typing("components", "rollback", "1", nats=hub.nats_url) as typing:
        typing.wait_for("Go back to revision 1?")
        assert "differ in 1 files" in typing.shown
        typing.type("n")
        assert typing.wait() == 1
    assert components(hub, "get", "a") == "two"
    with Typing("components", "rollback", "1", nats=hub.nats_url) as typing:
        typing.wait_for("Go back to revision 1?")
        typing.type("y")
        assert typing.wait() == 0
    assert components(hub, "get", "a") == "one"
