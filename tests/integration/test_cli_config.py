"""The verbs of `hub config`, against a real hub."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from tests import enforcing
from tests.calls import register
from tests.commands import Running, Typing, run, run_json, run_on_terminal
from tests.hubs import HubProcess

ADA = enforcing.author("ada")

pytestmark = [
    pytest.mark.xdist_group("cli"),
    pytest.mark.open_only("about the processes of commands"),
]

SCHEMA = {"type": "object", "properties": {"limit": {"type": "integer", "maximum": 10, "default": 2}}}


def config(hub: HubProcess, *arguments: str) -> str:
    """What `hub config ...` prints; it must succeed."""
    done = run("config", *arguments, nats=hub.nats_url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def config_json(hub: HubProcess, *arguments: str) -> Any:
    return run_json("config", *arguments, nats=hub.nats_url)


async def beat(client: Client, service: str, instance: str, **said: Any) -> None:
    """Beat as an instance that says what it runs with."""
    await client.publish(f"hub.heartbeat.{service}.{instance}", json.dumps(said).encode())


def written(path: Path, content: object) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_what_is_set_is_what_one_gets(hub: HubProcess, tmp_path: Path) -> None:
    value = written(tmp_path / "key", "not to be seen")
    stored = run("secret", "put", "key", "--reader", "paint", "--file", value, nats=hub.nats_url)
    assert stored.returncode == 0, stored.stderr
    done = run(
        *("config", "set", "paint", "risk.max=3", "name=fast", '/a.b={"$secret": "key"}'),
        *("--reason", "first", "--author", "ada"),
        nats=hub.nats_url,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["SERVICE", "PLACE", "CHANGE", "BEFORE", "AFTER"]
    assert ["paint", "/a.b", "added", "-", "secret", "key"] in lines
    assert "for nobody yet: no instance of paint is registered" in done.stdout
    assert json.loads(config(hub, "get", "paint")) == {"risk": {"max": 3}, "name": "fast", "a.b": {"$secret": "key"}}
    assert config(hub, "get", "paint", "risk.max") == config(hub, "get", "paint", "/risk/max") == "3\n"
    assert ["/a.b", "secret", "key", "service"] in [
        line.split() for line in config(hub, "get", "paint", "--origins").splitlines()
    ]
    told = config_json(hub, "get", "paint")
    assert (told["author"], told["reason"], told["own_revision"]) == (
        ADA,
        "first",
        told["revision"],
    )
    config(hub, "set", "paint", "--unset", "name", "risk.max=4")
    assert json.loads(config(hub, "get", "paint", "--put")) == {"risk": {"max": 4}, "a.b": {"$secret": "key"}}
    missing = run("config", "get", "paint", "risk.mix", nats=hub.nats_url)
    assert (missing.returncode, missing.stdout) == (3, "")
    assert missing.stderr == "hub: paint: /risk has no 'mix'; did you mean /risk/max?\n"


def test_an_element_of_a_list_is_not_set_alone(hub: HubProcess) -> None:
    config(hub, "set", "lists", "pairs=[1,2]")
    done = run("config", "set", "lists", "pairs.0=3", nats=hub.nats_url)
    assert done.returncode == 1
    assert done.stderr == "hub: /pairs/0 is within the list /pairs, which is only set as a whole\n"


def test_a_dry_run_shows_what_would_change_and_stores_nothing(hub: HubProcess) -> None:
    config(hub, "set", "dry", "a=1")
    shown = config(hub, "set", "dry", "a=2", "--dry-run")
    assert "dry      /a     changed  1       2" in shown
    assert "nothing is stored" in shown
    assert config(hub, "get", "dry", "a") == "1\n"


def test_a_lost_race_says_who_was_faster_and_what_to_do(hub: HubProcess) -> None:
    first = config_json(hub, "set", "race", "a=1")["revision"]
    second = config_json(hub, "set", "race", "a=2", "--author", "eve")["revision"]
    done = run("config", "set", "race", "a=3", "--revision", str(first), nats=hub.nats_url)
    assert done.returncode == 1
    assert f"expected revision {first}, its newest is {second}, by eve" in done.stderr
    assert f"`hub config diff race {first} {second}` shows what was changed" in done.stderr
    assert f"say --revision {second}" in done.stderr
    config(hub, "set", "race", "a=3", "--revision", str(second))


def test_history_diff_and_rollback_tell_and_undo(hub: HubProcess) -> None:
    first = config_json(hub, "set", "back", "a=1", "--author", "ada")["revision"]
    second = config_json(hub, "set", "back", "a=2", "b=true", "--author", "eve", "--reason", "why not")["revision"]
    lines = [line.split() for line in config(hub, "history", "back").splitlines()]
    assert lines[0] == ["REVISION", "KIND", "AT", "AUTHOR", "REASON", "CHANGED"]
    assert [line[0] for line in lines[1:]] == [str(second), str(first)]
    assert lines[1][4:] == ["eve", "why", "not", "/a,", "/b"]
    for arguments in ((), (str(first),), (str(first), str(second))):
        assert config_json(hub, "diff", "back", *arguments)["differences"] == [
            {"path": "/a", "change": "changed", "before": 1, "after": 2},
            {"path": "/b", "change": "added", "after": True},
        ]
    unasked = run("config", "rollback", "back", str(first), nats=hub.nats_url)
    assert unasked.returncode == 2
    assert "say --yes" in unasked.stderr
    assert "nothing is stored" in config(hub, "rollback", "back", str(first), "--dry-run")
    config(hub, "rollback", "back", str(first), "--yes")
    assert json.loads(config(hub, "get", "back")) == {"a": 1}
    config(hub, "delete", "back", "--yes")
    assert json.loads(config(hub, "get", "back")) == {}
    assert len(config_json(hub, "history", "back")["revisions"]) == 4
    absent = run("config", "rollback", "back", "999999", "--yes", nats=hub.nats_url)
    assert absent.returncode == 3


@pytest.mark.parametrize("verb", [("history",), ("diff",), ("delete", "--yes"), ("schema",), ("status",)])
def test_where_nothing_is_the_exit_code_is_3(hub: HubProcess, verb: tuple[str, ...]) -> None:
    done = run("config", verb[0], "nobody", *verb[1:], nats=hub.nats_url)
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert "nobody" in done.stderr


def test_what_is_not_valid_is_shown_place_by_place(hub: HubProcess, tmp_path: Path) -> None:
    config(hub, "schema", "valid", written(tmp_path / "schema.json", SCHEMA))
    assert json.loads(config(hub, "schema", "valid")) == SCHEMA
    assert config(hub, "get", "valid", "limit") == "2\n"
    assert "schema" in config(hub, "get", "valid", "--origins")
    good, bad = written(tmp_path / "good.toml", "limit = 3\n"), written(tmp_path / "bad.json", {"limit": 30})
    assert config(hub, "validate", "valid", good) == f"{good} is valid for valid\n"
    done = run("config", "validate", "valid", bad, nats=hub.nats_url)
    assert done.returncode == 1
    heading, row = (line.split() for line in done.stdout.splitlines())
    assert heading == ["PLACE", "EXPECTED", "GOT"]
    assert (row[0], row[-1]) == ("/limit", "30")
    assert done.stderr == f"hub: {bad}: 1 place would not be valid for valid\n"
    told = run("config", "validate", "valid", bad, "--json", nats=hub.nats_url)
    assert (told.returncode, json.loads(told.stdout)["violations"][0]["path"]) == (1, "/limit")
    assert json.loads(told.stderr)["error"]["code"] == "invalid_config"
    refused = run("config", "set", "valid", "limit=30", nats=hub.nats_url)
    assert refused.returncode == 1
    assert "valid: /limit: " in refused.stderr
    config(hub, "schema", "valid", "--remove")
    config(hub, "set", "valid", "limit=30")


def test_sections_of_values_are_not_taken_for_services_unless_that_is_said(hub: HubProcess, tmp_path: Path) -> None:
    file = written(tmp_path / "sections.toml", "[section-a]\nn = 1\n[section-b]\nn = 2\n")
    refused = run("config", "import", file, nats=hub.nats_url)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{file}: no such service is registered or configured: section-a, section-b" in refused.stderr
    config(hub, "import", "--service", "sectioned", file)
    assert json.loads(config(hub, "get", "sectioned")) == {"section-a": {"n": 1}, "section-b": {"n": 2}}
    config(hub, "import", "--new", file)
    assert json.loads(config(hub, "get", "section-a")) == {"n": 1}
    config(hub, "import", file)  # known by now


def test_what_is_configured_is_listed_registered_or_not(hub: HubProcess) -> None:
    config(hub, "set", "never-registered", "a=1", "--author", "ada", "--reason", "early")
    rows = [line.split() for line in config(hub, "list").splitlines()]
    assert rows[0] == ["SERVICE", "REVISION", "KIND", "AT", "SCHEMA", "AUTHOR", "REASON"]
    [row] = [row for row in rows if row[0] == "never-registered"]
    assert (row[2], row[5:]) == ("patch", ["no", ADA, "early"])
    told = config_json(hub, "list")
    assert {"never-registered"} <= {scope["service"] for scope in told["scopes"]}
    assert told["next"] is None


def test_what_is_exported_is_imported_again_all_of_it_or_nothing(hub: HubProcess, tmp_path: Path) -> None:
    nats = hub.nats_url
    assert run("register", "ship", "--host", "h", "--port", "1", nats=nats).returncode == 0
    config(hub, "set", "ship", "a=1")
    config(hub, "set", "dock", "b=2")
    found = json.loads(config(hub, "export"))
    assert (found["ship"], found["dock"]) == ({"a": 1}, {"b": 2}), "registered or not"
    saved = str(tmp_path / "saved.json")
    config(hub, "export", "ship", "dock", "--output", saved)
    assert json.loads(Path(saved).read_text()) == {"ship": {"a": 1}, "dock": {"b": 2}}
    for service in ("ship", "dock"):
        config(hub, "delete", service, "--yes")
    config(hub, "import", saved)
    assert json.loads(config(hub, "get", "dock", "--put")) == {"b": 2}
    config(hub, "schema", "dock", written(tmp_path / "schema.json", SCHEMA))
    both = written(tmp_path / "both.json", {"ship": {"a": 5}, "dock": {"limit": 99}})
    refused = run("config", "import", both, nats=nats)
    assert refused.returncode == 1
    assert "dock: /limit" in refused.stderr
    assert json.loads(config(hub, "get", "ship", "--put")) == {"a": 1}, (
        "one that is refused keeps all from being stored"
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    written(folder / "ship.toml", "a = 7\n")
    written(folder / "dock.json", {"limit": 7})
    config(hub, "import", str(folder))
    assert [json.loads(config(hub, "get", name, "--put")) for name in ("ship", "dock")] == [{"a": 7}, {"limit": 7}]
    config(hub, "import", "--service", "ship", written(tmp_path / "one.toml", "[deep]\na = 1\n"))
    assert json.loads(config(hub, "get", "ship", "--put")) == {"deep": {"a": 1}}


async def test_a_roll_out_is_waited_for_until_all_run_with_it(hub: HubProcess, client: Client) -> None:
    for number in (1, 2):
        await register(client, "roll", f"r{number}", port=8000 + number)
    revision = (await asyncio.to_thread(config_json, hub, "set", "roll", "a=1"))["revision"]
    await beat(client, "roll", "r1", config_revision=revision)
    arguments = ("config", "status", "roll", "--wait", "--revision", str(revision))
    late = await asyncio.to_thread(run, *arguments, "--timeout", "1", nats=hub.nats_url)
    assert late.returncode == 1
    assert f"revision {revision} was not applied within 1 s by r2 (unknown)" in late.stderr
    with Running(*arguments, "--timeout", "50", nats=hub.nats_url) as waiting:
        await asyncio.sleep(0.5)
        await beat(client, "roll", "r2", config_revision=revision)
        assert await asyncio.to_thread(waiting.wait) == 0, waiting.err
    assert waiting.out[0] == f"roll: revision {revision} is wanted, 2 applied\n"
    assert [line.split()[:3] for line in waiting.out[2:]] == [
        ["r1", "applied", str(revision)],
        ["r2", "applied", str(revision)],
    ]


async def test_a_roll_out_that_is_refused_ends_at_once_and_says_by_whom(hub: HubProcess, client: Client) -> None:
    await register(client, "refuse", "no1")
    revision = (await asyncio.to_thread(config_json, hub, "set", "refuse", "a=1"))["revision"]
    refused = {"revision": revision, "reason": "no such exchange"}
    await beat(client, "refuse", "no1", config_revision=0, config_refused=refused)
    done = await asyncio.to_thread(run, "config", "status", "refuse", "--wait", nats=hub.nats_url)
    assert done.returncode == 1
    assert f"refuse: revision {revision} was refused by no1 (no such exchange)" in done.stderr
    assert "hub config rollback refuse" in done.stderr
    told = await asyncio.to_thread(config_json, hub, "status", "refuse")
    assert told["counts"] == {"refused": 1}


async def test_a_watch_shows_it_again_when_it_has_changed(hub: HubProcess, client: Client) -> None:
    await register(client, "look", "l1")
    revision = (await asyncio.to_thread(config_json, hub, "set", "look", "a=1"))["revision"]
    with Running("config", "status", "look", "--watch", "--json", nats=hub.nats_url) as watching:
        await asyncio.to_thread(watching.wait_for, '"unknown":1', watching.out)
        await beat(client, "look", "l1", config_revision=revision)
        await asyncio.to_thread(watching.wait_for, '"applied":1', watching.out)
        watching.interrupt()
        assert await asyncio.to_thread(watching.wait) == 130


async def test_a_terminal_shows_a_roll_out_as_it_goes_on(hub: HubProcess, client: Client) -> None:
    await register(client, "live", "v1")
    revision = (await asyncio.to_thread(config_json, hub, "set", "live", "a=1"))["revision"]
    with (
        Typing("config", "status", "live", "--wait", nats=hub.nats_url) as bar,
        Typing("config", "status", "live", "--watch", nats=hub.nats_url) as table,
    ):
        await asyncio.to_thread(bar.wait_for, "1 unknown")
        await asyncio.to_thread(table.wait_for, "╭")
        await beat(client, "live", "v1", config_revision=revision)
        assert await asyncio.to_thread(bar.wait) == 0, bar.shown
        await asyncio.to_thread(table.wait_for, "1 applied")
        table.press_ctrl_c()
        assert await asyncio.to_thread(table.wait) == 130
    assert f"live revision {revision}" in bar.shown


def test_the_files_of_the_hub_are_read_when_it_is_told_to(hub: HubProcess) -> None:
    done = run("config", "reload", nats=hub.nats_url)
    assert done.returncode == 0, done.stderr


def test_a_terminal_gets_drawn_tables(hub: HubProcess) -> None:
    config(hub, "set", "drawn", "a=1")
    assert "╭" in run_on_terminal("config", "history", "drawn", nats=hub.nats_url)
    assert "╭" in run_on_terminal("config", "get", "drawn", "--origins", nats=hub.nats_url)


# --- in an editor


def editor(folder: Path, *texts: str) -> str:
    """A command that writes these texts into what it is to edit, one each time; and keeps what it saw and where."""
    for number, text in enumerate(texts):
        (folder / f"text-{number}").write_text(text)
    script = folder / "editor.py"
    script.write_text(
        "import os, pathlib, sys\n"
        f"folder, edited = pathlib.Path({str(folder)!r}), pathlib.Path(sys.argv[1])\n"
        "turn = len(list(folder.glob('saw-*')))\n"
        "(folder / f'saw-{turn}').write_text(edited.read_text())\n"
        "(folder / 'where').write_text(f'{edited} {edited.stat().st_mode:o}')\n"
        "edited.write_text((folder / f'text-{turn}').read_text())\n"
    )
    return f"{sys.executable} {script}"


def test_an_editor_needs_a_terminal(hub: HubProcess) -> None:
    done = run("config", "edit", "paint", nats=hub.nats_url)
    assert done.returncode == 2
    assert "An editor needs a terminal" in done.stderr


def test_what_is_edited_is_shown_asked_for_and_put(hub: HubProcess, tmp_path: Path) -> None:
    config(hub, "set", "edited", "a=1")
    command = editor(tmp_path, '{"a": 2}')
    with Typing("config", "edit", "edited", "--reason", "by hand", nats=hub.nats_url, VISUAL=command) as typing:
        typing.wait_for("Change edited?")
        typing.type("y")
        assert typing.wait() == 0, typing.shown
    assert "changed" in typing.shown
    assert json.loads((tmp_path / "saw-0").read_text()) == {"a": 1}
    where, mode = (tmp_path / "where").read_text().split()
    assert stat.S_IMODE(int(mode, 8)) == 0o600
    assert not os.path.exists(where)
    told = config_json(hub, "get", "edited")
    assert (told["put"], told["reason"]) == ({"a": 2}, "by hand")


def test_what_is_edited_and_not_valid_may_be_edited_again(hub: HubProcess, tmp_path: Path) -> None:
    config(hub, "schema", "again", written(tmp_path / "schema.json", SCHEMA))
    command = editor(tmp_path, '{"limit": ', '{"limit": 30}', '{"limit": 3}')
    with Typing("config", "edit", "again", nats=hub.nats_url, VISUAL=command) as typing:
        typing.wait_for("is not JSON")
        typing.wait_for("Edit it again?")
        typing.type("y")
        typing.wait_for("/limit")
        typing.wait_for("Edit it again?", 2)
        typing.type("y")
        typing.wait_for("Change again?")
        typing.type("y")
        assert typing.wait() == 0, typing.shown
    assert (tmp_path / "saw-1").read_text() == '{"limit": ', "what was written is not lost"
    assert json.loads(config(hub, "get", "again")) == {"limit": 3}


def test_an_edit_that_somebody_else_was_faster_with_is_kept_in_a_file(hub: HubProcess, tmp_path: Path) -> None:
    config(hub, "set", "slow", "a=1")
    command = editor(tmp_path, '{"a": 2}')
    with Typing("config", "edit", "slow", nats=hub.nats_url, VISUAL=command) as typing:
        typing.wait_for("Change slow?")
        config(hub, "set", "slow", "a=3", "--author", "eve")
        typing.type("y")
        assert typing.wait() == 1, typing.shown
    kept = Path((tmp_path / "where").read_text().split()[0])
    said = "".join(typing.shown.split())
    assert "byeve" in said
    assert str(kept) in said
    assert json.loads(kept.read_text()) == {"a": 2}
    kept.unlink()
    assert config(hub, "get", "slow", "a") == "3\n"


def test_an_edit_that_changes_nothing_puts_nothing(hub: HubProcess, tmp_path: Path) -> None:
    config(hub, "set", "same", "a=1")
    with Typing("config", "edit", "same", nats=hub.nats_url, VISUAL=editor(tmp_path, '{"a":1}')) as typing:
        assert typing.wait() == 0, typing.shown
    assert "nothing was changed" in typing.shown
    assert len(config_json(hub, "history", "same")["revisions"]) == 1
