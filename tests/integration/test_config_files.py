"""Configuration from files, with a real hub and real editors' ways of saving."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from tests.calls import call, connected
from tests.http import fetched
from tests.hubs import HubProcess
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("config-files"), pytest.mark.open_only("it is about files")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hot-reload")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[HubProcess]:
    """A hub that watches the folder."""
    (folder / "_all.toml").write_text('region = "eu"\n')
    variables = {"HUB_CONFIG_FOLDER": str(folder)}
    with HubProcess(tmp_path_factory.mktemp("hub"), variables=variables) as process:
        yield process


async def config(client: Client, service: str) -> Any:
    return await call(client, "hub.config.get", {"service": service})


async def becomes(client: Client, service: str, values: dict[str, Any]) -> Any:
    """The configuration, once it is that."""
    deadline = asyncio.get_running_loop().time() + 20
    while True:
        found = await config(client, service)
        if found["values"] == values:
            return found
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.05)


def health(hub: HubProcess) -> Any:
    return json.loads(fetched(hub, "/health"))


async def test_files_are_read_at_the_start_and_lie_beneath_what_is_put(client: Client, folder: Path) -> None:
    await becomes(client, "engine", {"region": "eu"})
    (folder / "engine.toml").write_text("[risk]\nleverage = 3\nlimits = [1, 2]\n")
    await becomes(client, "engine", {"region": "eu", "risk": {"leverage": 3, "limits": [1, 2]}})
    change = {"service": "engine", "values": {"risk": {"leverage": 5}}}
    await call(client, "hub.config.patch", {"changes": [change]})
    found = await becomes(client, "engine", {"region": "eu", "risk": {"leverage": 5, "limits": [1, 2]}})
    assert found["origins"] == {"/region": "all-file", "/risk/leverage": "service", "/risk/limits": "file"}
    history = await call(client, "hub.config.history", {"service": "engine"})
    assert [(each["kind"], each["author"]) for each in history["revisions"]] == [("patch", ""), ("file", "files")]


async def test_an_editor_that_saves_by_renaming_is_followed(client: Client, folder: Path) -> None:
    path = folder / "renamed.toml"
    path.write_text("n = 1\n")
    await becomes(client, "renamed", {"region": "eu", "n": 1})
    for number in (2, 3):
        new = folder / f".renamed.toml.{number}.swp"
        new.write_text(f"n = {number}\n")
        new.rename(path)
        await becomes(client, "renamed", {"region": "eu", "n": number})


async def test_a_broken_file_keeps_the_last_good_one_and_says_where_it_is_broken(
    hub: HubProcess, client: Client, folder: Path
) -> None:
    path = folder / "broken.toml"
    path.write_text("n = 1\n")
    await becomes(client, "broken", {"region": "eu", "n": 1})
    path.write_text("n = 1\nm = \n")
    await until(lambda: "broken.toml:2: " in hub.output(), within=20)
    await asyncio.to_thread(_wait_for_reason, hub, f"{path}:2: ")
    assert (await config(client, "broken"))["values"] == {"region": "eu", "n": 1}
    report = await _report(client)
    assert report["status"] == "warning"
    assert f"{path}:2: " in report["reason"]
    path.write_text("n = 1\nm = 2\n")
    await becomes(client, "broken", {"region": "eu", "n": 1, "m": 2})
    await until(lambda: health(hub)["status"] == "healthy", within=20)


async def test_a_half_written_file_is_applied_only_when_it_is_whole(client: Client, folder: Path) -> None:
    with (folder / "half.toml").open("w") as file:
        file.write('name = "un')
        file.flush()
        await asyncio.sleep(0.5)
        assert "name" not in (await config(client, "half"))["values"]
        file.write('finished"\n')
    await becomes(client, "half", {"region": "eu", "name": "unfinished"})


async def test_a_file_that_the_schema_refuses_holds_up_no_other(hub: HubProcess, client: Client, folder: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}}
    await call(client, "hub.config.schema.put", {"service": "strict", "schema": schema})
    (folder / "strict.toml").write_text("n = 4\n")
    (folder / "lenient.toml").write_text("n = 4\n")
    await becomes(client, "lenient", {"region": "eu", "n": 4})
    await asyncio.to_thread(_wait_for_reason, hub, "strict.toml: strict: /n: expected a number of at most 3, got 4")
    reloaded = await call(client, "hub.config.reload")
    outcomes = {each["service"]: each["outcome"] for each in reloaded["files"]}
    assert (outcomes["strict"], outcomes["lenient"]) == ("refused", "unchanged")
    (folder / "strict.toml").write_text("n = 3\n")
    await becomes(client, "strict", {"region": "eu", "n": 3})


async def test_a_file_that_is_taken_away_says_nothing_any_more(client: Client, folder: Path) -> None:
    path = folder / "passing-by.toml"
    path.write_text("n = 1\n")
    await becomes(client, "passing-by", {"region": "eu", "n": 1})
    path.unlink()
    await becomes(client, "passing-by", {"region": "eu"})


async def test_without_hot_reload_files_are_read_when_that_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "engine.toml").write_text("n = 1\n")
    variables = {"HUB_CONFIG_FOLDER": str(folder), "HOT_RELOAD_ENABLED": "false"}
    with HubProcess(tmp_path / "hub", variables=variables) as quiet:
        async with connected(quiet.nats_url) as client:
            await asyncio.sleep(1.5)
            assert (await config(client, "engine"))["values"] == {}
            reloaded = await call(client, "hub.config.reload")
            assert reloaded["files"] == [{"service": "engine", "outcome": "applied"}]
            assert (await config(client, "engine"))["values"] == {"n": 1}


def _wait_for_reason(hub: HubProcess, words: str) -> None:
    async def wait() -> None:
        await until(lambda: words in json.dumps(health(hub)), within=20)

    asyncio.run(wait())


async def _report(client: Client) -> Any:
    subscription = await client.subscribe("hub.health.hub")
    try:
        return json.loads((await subscription.next_msg(timeout=20)).data)
    finally:
        await subscription.unsubscribe()
