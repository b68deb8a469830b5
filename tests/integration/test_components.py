"""Components, with a real hub that watches a real folder: what becomes a version, and what never does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.calls import call, connected
from tests.http import browsing, fetched
from tests.hubs import HubProcess
from tests.waiting import until


class Platform:
    """A hub with a folder of components, and somebody connected to its NATS."""

    def __init__(self, hub: HubProcess, folder: Path, client: Client) -> None:
        self.hub = hub
        self.folder = folder
        self.client = client

    def write(self, path: str, text: str) -> Path:
        """Put a file into the folder."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    async def newest(self, **asked: Any) -> dict[str, Any]:
        found: dict[str, Any] = await call(self.client, "hub.components.get", asked)
        return found

    async def becomes(self, paths: dict[str, str]) -> dict[str, Any]:
        """The newest version, once it has these files with that text, and no others."""
        wanted = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in paths.items()}
        deadline = asyncio.get_running_loop().time() + 20
        while True:
            found = await self.newest()
            if {file["path"]: file["sha256"] for file in found["files"]} == wanted:
                return found
            assert asyncio.get_running_loop().time() < deadline, found
            await asyncio.sleep(0.05)

    async def stays(self, revision: int, seconds: float = 1.5) -> None:
        """Fail if there comes to be another version."""
        await asyncio.sleep(seconds)
        assert (await self.newest())["revision"] == revision

    def reason(self) -> str:
        """What `/health` says is wrong."""
        return str(json.loads(fetched(self.hub, "/health"))["details"]["reason"])

    async def complains(self, words: str) -> None:
        """Return once `/health` says so."""
        deadline = asyncio.get_running_loop().time() + 20
        while words not in (said := await asyncio.to_thread(self.reason)):
            assert asyncio.get_running_loop().time() < deadline, f"{words!r} is not in {said!r}"
            await asyncio.sleep(0.05)

    async def content(self, sha256: str) -> bytes:
        """What others read from the object store, with the library's own code for it."""
        store = await self.client.jetstream().object_store("hub-components")
        found = await store.get(sha256)
        assert found.data is not None
        return bytes(found.data)


SETTLE = {"HUB_COMPONENTS_SETTLE": "0.1"}


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    folder = tmp_path / "shared"
    folder.mkdir()
    variables = {**SETTLE, "HUB_COMPONENTS_FOLDER": str(folder)}
    with HubProcess(tmp_path / "hub", variables=variables) as hub:
        async with connected(hub.nats_url) as client:
            yield Platform(hub, folder, client)


async def test_a_folder_is_published_and_each_change_to_it_is_another_version(platform: Platform) -> None:
    assert (await platform.newest())["revision"] == 0
    told: list[Msg] = []

    async def hear(message: Msg) -> None:
        told.append(message)

    await platform.client.subscribe("hub.delta.components", cb=hear)
    await platform.client.flush()
    platform.write("ui/button.js", "button")
    platform.write("logo.svg", "logo").chmod(0o755)
    first = await platform.becomes({"ui/button.js": "button", "logo.svg": "logo"})
    assert [file["path"] for file in first["files"]] == ["logo.svg", "ui/button.js"]
    assert [file.get("executable", False) for file in first["files"]] == [True, False]
    assert (first["count"], first["bytes"], first["author"]) == (2, 10, "files")
    platform.write("ui/button.js", "a better button")
    (platform.folder / "logo.svg").unlink()
    second = await platform.becomes({"ui/button.js": "a better button"})
    assert second["revision"] > first["revision"]
    assert second["changed"] == ["logo.svg", "ui/button.js"]
    assert await platform.content(second["files"][0]["sha256"]) == b"a better button"
    await until(lambda: [m.headers["Nats-Sequence"] for m in told if m.headers][-1:] == [str(second["revision"])])
    assert json.loads(told[-1].data)["tree"] == second["tree"]
    history = await call(platform.client, "hub.components.history")
    assert [version["revision"] for version in history["versions"]][:2] == [second["revision"], first["revision"]]
    earlier = await platform.newest(revision=first["revision"])
    assert earlier["files"] == first["files"]


async def test_an_object_of_the_store_is_as_the_object_tool_expects_it(platform: Platform) -> None:
    large = "0123456789abcdef" * 40_000
    platform.write("large.bin", large)
    found = await platform.becomes({"large.bin": large})
    store = await platform.client.jetstream().object_store("hub-components")
    info = await store.get_info(found["files"][0]["sha256"])
    assert (info.size, info.chunks, info.bucket) == (640_000, 5, "hub-components")
    assert await platform.content(info.name) == large.encode()
    assert {each.name for each in await store.list()} == {info.name, found["tree"]}
    tree = json.loads(await platform.content(found["tree"]))
    assert tree == {"files": [{"path": "large.bin", "sha256": info.name, "size": 640_000}]}


async def test_going_back_lasts_until_the_folder_changes_and_through_a_restart(platform: Platform) -> None:
    platform.write("a", "one")
    first = await platform.becomes({"a": "one"})
    platform.write("a", "two")
    await platform.becomes({"a": "two"})
    back = await call(
        platform.client, "hub.components.rollback", {"target": first["revision"], "author": "ada", "reason": "broken"}
    )
    found = await platform.becomes({"a": "one"})
    assert (found["revision"], found["kind"], found["author"], found["reason"]) == (
        back["revision"],
        "rollback",
        "ada",
        "broken",
    )
    os.utime(platform.folder / "a")
    await platform.stays(back["revision"])
    await asyncio.to_thread(platform.hub.kill)
    await asyncio.to_thread(platform.hub.start)
    await until(lambda: platform.client.is_connected)
    await platform.stays(back["revision"], 4)
    platform.write("a", "three")
    assert (await platform.becomes({"a": "three"}))["kind"] == "folder"


async def test_who_goes_back_to_what_is_not_kept_or_to_what_is_is_told(platform: Platform) -> None:
    refused = await call(platform.client, "hub.components.rollback", {"target": 7})
    assert (refused["error"]["code"], refused["error"]["field"]) == ("not_found", "target")
    platform.write("a", "one")
    first = await platform.becomes({"a": "one"})
    same = await call(platform.client, "hub.components.rollback", {"target": first["revision"]})
    assert (same["revision"], same["changed"]) == (first["revision"], [])
    late = await call(platform.client, "hub.components.rollback", {"target": first["revision"], "revision": 0})
    assert late["error"]["code"] == "conflict"


async def test_a_link_out_of_the_folder_is_refused_with_its_path_and_keeps_the_last_version(platform: Platform) -> None:
    platform.write("a", "one")
    first = await platform.becomes({"a": "one"})
    (platform.folder / "secret").symlink_to("/etc/passwd")
    platform.write("a", "two")
    await platform.complains("secret: expected a file, it is a link")
    await platform.stays(first["revision"])
    assert "secret" in platform.hub.output()
    metrics = await asyncio.to_thread(fetched, platform.hub, "/metrics")
    assert "hub_components_refused 1.0" in metrics
    (platform.folder / "secret").unlink()
    await platform.becomes({"a": "two"})


@pytest.mark.parametrize("kind", ["pipe", "linked-folder", "backslash"])
async def test_what_is_no_file_or_has_no_name_is_refused(platform: Platform, kind: str) -> None:
    platform.write("a", "one")
    first = await platform.becomes({"a": "one"})
    match kind:
        case "pipe":
            os.mkfifo(platform.folder / "pipe")
        case "linked-folder":
            (platform.folder / "linked-folder").symlink_to("/etc")
        case "backslash":
            platform.write("back\\slash", "x")
    await platform.complains(kind[:4])
    await platform.stays(first["revision"], 0.5)


async def test_hidden_files_and_leftovers_of_editors_are_no_components(platform: Platform) -> None:
    platform.write("a", "one")
    for name in (".hidden", ".git/config", "a~", "a.swp", ".a.swp", "#a#", "b.tmp", "c.part", "4913"):
        platform.write(name, "x")
    await platform.becomes({"a": "one"})


async def test_a_folder_that_is_emptied_publishes_nothing(platform: Platform) -> None:
    platform.write("a", "one")
    first = await platform.becomes({"a": "one"})
    (platform.folder / "a").unlink()
    await platform.complains("is empty, which is not published")
    await platform.stays(first["revision"], 0.5)


async def test_an_editor_that_saves_by_renaming_never_publishes_anything_else(platform: Platform) -> None:
    path = platform.write("a", "text 0")
    await platform.becomes({"a": "text 0"})
    for number in range(1, 4):
        new = platform.folder / f"a.{number}.tmp"
        path.unlink()
        new.write_text(f"text {number}")
        new.rename(path)
        await platform.becomes({"a": f"text {number}"})
    history = await call(platform.client, "hub.components.history")
    assert {(version["files"], version["bytes"]) for version in history["versions"]} == {(1, 6)}


async def test_a_file_that_is_being_written_is_published_whole(platform: Platform) -> None:
    platform.write("a", "one")
    first = await platform.becomes({"a": "one"})
    with (platform.folder / "growing").open("w") as file:
        for _ in range(30):
            file.write("x" * 100_000)
            file.flush()
            await asyncio.sleep(0.05)
        assert (await platform.newest())["revision"] == first["revision"]
    found = await platform.becomes({"a": "one", "growing": "x" * 3_000_000})
    history = await call(platform.client, "hub.components.history")
    assert [version["revision"] for version in history["versions"]] == [found["revision"], first["revision"]]


async def test_a_version_is_told_of_by_an_event(platform: Platform) -> None:
    subscription = await platform.client.jetstream().subscribe("hub.events.components.*", ordered_consumer=True)
    platform.write("a", "one")
    first = await platform.becomes({"a": "one"})
    platform.write("a", "two")
    await platform.becomes({"a": "two"})
    back = await call(platform.client, "hub.components.rollback", {"target": first["revision"], "author": "ada"})
    events = [json.loads((await subscription.next_msg(timeout=10)).data) for _ in range(3)]
    assert [event["type"] for event in events] == [
        "components.published",
        "components.published",
        "components.rolledback",
    ]
    assert events[-1]["data"] == {
        "revision": back["revision"],
        "kind": "rollback",
        "tree": first["tree"],
        "files": 1,
        "bytes": 3,
        "changed": ["a"],
        "reason": "",
        "author": "ada",
        "target": first["revision"],
    }


async def test_a_list_that_is_too_long_for_a_reply_comes_in_pages(platform: Platform) -> None:
    names = [f"folder/{'long-name-' * 12}{number:05}" for number in range(5_000)]
    for name in names:
        platform.write(name, name[-3:])
    paths: list[str] = []
    deadline = asyncio.get_running_loop().time() + 60
    while (page := await platform.newest())["count"] != len(names):
        assert asyncio.get_running_loop().time() < deadline, page["count"]
        await asyncio.sleep(0.2)
    while True:
        paths += [file["path"] for file in page["files"]]
        if page["next"] is None:
            break
        page = await platform.newest(after=page["next"])
    assert paths == names
    async with browsing(platform.hub) as http:
        response = await http.get("/components?limit=2")
    assert [file["path"] for file in response.json()["files"]] == names[:2]
    assert f"after={names[1].replace('/', '%2F')}" in response.headers["link"]


async def test_a_link_to_all_of_the_machine_holds_up_nothing(platform: Platform) -> None:
    platform.write("a", "one")
    first = await platform.becomes({"a": "one"})
    (platform.folder / "everything").symlink_to("/")
    await platform.complains("everything: expected a file, it is a link")
    await asyncio.to_thread(platform.hub.kill)
    await asyncio.to_thread(platform.hub.start)
    await until(lambda: platform.client.is_connected)
    await platform.complains("everything: expected a file, it is a link")
    for _ in range(20):
        began = asyncio.get_running_loop().time()
        assert (await platform.newest())["revision"] == first["revision"]
        assert asyncio.get_running_loop().time() - began < 2
        await asyncio.sleep(0.1)
    (platform.folder / "everything").unlink()
    platform.write("deep/er/b", "two")
    await platform.becomes({"a": "one", "deep/er/b": "two"})
    platform.write("deep/er/b", "three")
    await platform.becomes({"a": "one", "deep/er/b": "three"})
