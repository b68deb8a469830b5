"""The SDK's copy of the components against a real NATS: brought up to date, verified, and never half of anything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.client import CentralHubClient, Conflict, HubError, Refused, Synced, Unavailable
from hub.transport import blobs
from hub.wire.components import ComponentFile
from tests.clients import consumer
from tests.hubs import HubProcess
from tests.publishing import Publisher, contents, publishing
from tests.servers import NatsServer
from tests.waiting import until


@pytest.fixture
async def publisher(nats_server: NatsServer) -> AsyncIterator[Publisher]:
    async with publishing(nats_server.url) as found:
        yield found


@pytest.fixture
async def client(nats_server: NatsServer, publisher: Publisher) -> AsyncIterator[CentralHubClient]:
    async with consumer(nats_server.url) as found:
        yield found


def folders(beside: Path) -> list[str]:
    """All that a copy has beside it."""
    return sorted(entry.name for entry in (beside / ".shared.hub").iterdir() if entry.is_dir())


async def test_a_copy_is_the_newest_version_file_by_file(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    large = os.urandom(700_000).hex()
    revision = await publisher.publish(
        {"ui/button.js": "button", "run.sh": "run", "large": large, "same": "button", "empty": ""},
        executable=("run.sh",),
    )
    path = tmp_path / "there" / "shared"
    synced = await client.components.sync(path, follow=False)
    assert (synced.revision, synced.path, synced.stale) == (revision, path, False)
    assert synced.changed == ("empty", "large", "run.sh", "same", "ui/button.js")
    assert contents(path) == {"ui/button.js": "button", "run.sh": "run", "large": large, "same": "button", "empty": ""}
    assert os.access(path / "run.sh", os.X_OK)
    assert not os.stat(path / "same").st_mode & 0o111
    again = await client.components.sync(path, follow=False)
    assert (again.revision, again.changed, again.folder) == (revision, (), synced.folder)
    assert client.components.current is not None
    assert client.components.current.changed == synced.changed
    assert client.components.failed is None


async def test_a_copy_follows_and_what_has_not_changed_is_not_read_again(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    await publisher.publish({"a": "one", "b": "stays", "folder/c": "goes", "folder/d": "moves"})
    heard: list[Synced] = []
    client.components.on_change(heard.append)
    first = await client.components.sync(tmp_path / "shared")
    inode = (tmp_path / "shared" / "b").stat().st_ino
    revision = await publisher.publish({"a": "two", "b": "stays", "elsewhere": "moves"})
    await until(lambda: len(heard) == 2)
    assert (heard[1].revision, heard[1].changed) == (revision, ("a", "elsewhere", "folder/c", "folder/d"))
    assert contents(tmp_path / "shared") == {"a": "two", "b": "stays", "elsewhere": "moves"}
    assert (tmp_path / "shared" / "b").stat().st_ino == inode
    assert contents(first.folder)["a"] == "one", "who still reads the version before reads it whole"
    await until(lambda: not client.components.stale)
    third = await publisher.publish({"a": "three"})
    await until(lambda: client.components.current is not None and client.components.current.revision == third)
    assert not first.folder.exists()
    assert len([entry for entry in (tmp_path / ".shared.hub").iterdir() if entry.is_dir()]) == 2


async def test_a_copy_that_was_tampered_with_is_mended(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"a": "one", "b": "two", "c": "three", "d": "four"}
    revision = await publisher.publish(files)
    path = tmp_path / "shared"
    await client.components.sync(path, follow=False)
    (path / "a").chmod(0o644)
    (path / "a").write_text("eno")
    (path / "b").unlink()
    (path / "c").chmod(0o777)
    (path / "d").unlink()
    (path / "d").symlink_to("/etc/passwd")
    synced = await client.components.sync(path, follow=False)
    assert (synced.revision, synced.changed) == (revision, ("a", "b", "c", "d"))
    assert contents(path) == files
    assert not (path / "d").is_symlink()
    assert not os.access(path / "c", os.X_OK) or os.geteuid() == 0
    assert "changed here, and replaced: a, b, c, d" in caplog.text


@pytest.mark.parametrize("what", ["files", "file", "link", "store"])
async def test_what_is_not_ours_is_refused_and_left_as_it_is(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path, what: str
) -> None:
    await publisher.publish({"a": "one"})
    home = tmp_path / "home"
    path, elsewhere = home / "shared", home / "elsewhere"
    elsewhere.mkdir(parents=True)
    (elsewhere / "mine").write_text("mine")
    match what:
        case "files":
            elsewhere.rename(path)
        case "file":
            path.write_text("mine")
        case "link":
            path.symlink_to("elsewhere")
        case "store":
            elsewhere.rename(home / ".shared.hub")
    before = contents(home)
    with pytest.raises(Conflict, match="shared"):
        await client.components.sync(path)
    assert contents(home) == before
    assert path.is_symlink() == (what == "link")


async def test_an_empty_folder_is_taken(publisher: Publisher, client: CentralHubClient, tmp_path: Path) -> None:
    await publisher.publish({"a": "one"})
    (tmp_path / "shared").mkdir()
    await client.components.sync(tmp_path / "shared", follow=False)
    assert contents(tmp_path / "shared") == {"a": "one"}


async def test_what_others_put_into_a_copy_is_put_aside_and_not_removed(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "shared"
    for number in range(4):
        await publisher.publish({"a": f"version {number}"})
        await client.components.sync(path, follow=False)
        assert contents(path) == {"a": f"version {number}"}
        if number == 0:
            (path / "notes.txt").write_text("mine")
    found = list((tmp_path / ".shared.hub").rglob("notes.txt"))
    assert [entry.read_text() for entry in found] == ["mine"]
    assert str(found[0].parent) in caplog.text


async def test_a_version_that_a_handler_refuses_is_taken_back(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    path = tmp_path / "shared"
    seen: list[tuple[int, str]] = []

    @client.components.on_change
    async def watch(synced: Synced) -> None:
        seen.append((synced.revision, (path / "a").read_text()))

    @client.components.on_change
    def judge(synced: Synced) -> None:
        if (synced.folder / "a").read_text() == "bad":
            raise ValueError("no such thing")

    good = await publisher.publish({"a": "good"})
    await client.components.sync(path)
    bad = await publisher.publish({"a": "bad"})
    await until(lambda: client.components.failed is not None)
    assert client.components.failed is not None
    assert (client.components.failed.revision, client.components.stale) == (bad, True)
    assert "no such thing" in client.components.failed.reason
    assert contents(path) == {"a": "good"}
    assert seen == [(good, "good"), (bad, "bad"), (good, "good")]
    await asyncio.sleep(3)
    assert len(seen) == 3, "it is not tried again by itself"
    with pytest.raises(Refused, match="no such thing"):
        await client.components.sync(path)
    assert contents(path) == {"a": "good"}
    better = await publisher.publish({"a": "better"})
    await until(lambda: client.components.failed is None)
    assert contents(path) == {"a": "better"}
    assert seen[-1] == (better, "better")


async def test_a_first_version_that_is_refused_leaves_nothing(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    @client.components.on_change
    def judge(synced: Synced) -> None:
        raise ValueError("never")

    await publisher.publish({"a": "one"})
    with pytest.raises(Refused):
        await client.components.sync(tmp_path / "shared", follow=False)
    assert not (tmp_path / "shared").exists()


async def test_versions_that_are_refused_do_not_pile_up(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    path = tmp_path / "shared"
    await publisher.publish({"a": "1"})
    await client.components.sync(path, follow=False)

    @client.components.on_change
    def refuse(synced: Synced) -> None:
        raise ValueError("not this one")

    await publisher.publish({"a": "2"})
    for _ in range(4):
        with pytest.raises(Refused):
            await client.components.sync(path, follow=False)
    assert len(folders(tmp_path)) <= 2


async def test_what_a_killed_process_has_left_is_cleared_though_nothing_is_new(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    path = tmp_path / "shared"
    for number in range(3):
        await publisher.publish({"a": str(number)})
        await client.components.sync(path, follow=False)
    previous, current = folders(tmp_path)
    store = tmp_path / ".shared.hub"
    for left in ("unfinished-0123456789abcdef", "1-00000000"):  # killed while it made one, or before it removed one
        (store / left).mkdir()
        (store / left / "a").write_bytes(b"0")
    (store / "1-00000000.json").write_bytes((store / f"{current}.json").read_bytes())
    await client.components.sync(path, follow=False)
    assert folders(tmp_path) == [previous, current], "who reads the one before still may"
    assert not (store / "1-00000000.json").exists()


async def test_contents_that_are_damaged_in_the_store_never_reach_the_copy(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    path = tmp_path / "shared"
    first = await publisher.publish({"a": "one"})
    await client.components.sync(path)
    inventory = await publisher.objects.inventory()
    name = await publisher.content("genuine")
    blob = (await publisher.objects.inventory()).blobs[name]
    await publisher.objects.drop_chunks(blob.info.nuid)
    await publisher.client.request(blobs.CHUNK_PREFIX + blob.info.nuid, b"falsely")
    assert name not in inventory.blobs
    second = await publisher.publish_tree(ComponentFile(path="a", sha256=name, size=7))
    await until(lambda: client.components.failed is not None)
    assert client.components.failed is not None
    assert client.components.failed.revision == second
    assert "other bytes under that name" in client.components.failed.reason
    assert contents(path) == {"a": "one"}
    assert client.components.current is not None
    assert client.components.current.revision == first
    with pytest.raises(Unavailable, match="other bytes"):
        await client.components.sync(path)
    third = await publisher.publish({"a": "three"})
    await until(lambda: client.components.failed is None)
    assert client.components.current.revision == third
    assert contents(path) == {"a": "three"}


@pytest.mark.parametrize("path", ["../outside", "/tmp/outside", "a/../../outside", "a\x00b", ".hidden", ""])
async def test_a_version_that_reaches_out_of_its_folder_is_refused_whole(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path, path: str
) -> None:
    name = await publisher.content("hostile")
    await publisher.publish_tree(
        ComponentFile(path=path, sha256=name, size=7), ComponentFile(path="fine", sha256=name, size=7)
    )
    with pytest.raises(HubError, match="expected"):
        await client.components.sync(tmp_path / "deep" / "shared", follow=False)
    assert not list(tmp_path.rglob("outside"))
    assert not (tmp_path / "deep" / "shared").exists()


async def test_a_record_that_lies_of_its_size_is_refused(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    name = await publisher.content("text")
    file = ComponentFile(path="a", sha256=name, size=3)
    await publisher.publish_tree(file)
    with pytest.raises(HubError, match="at most 3 bytes, got 4"):
        await client.components.sync(tmp_path / "shared", follow=False)
    assert not (tmp_path / "shared").exists()


async def test_without_nats_the_copy_stays_and_says_how_old_it_is(
    nats_server: NatsServer, publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    path = tmp_path / "shared"
    revision = await publisher.publish({"a": "one"})
    await client.components.sync(path)
    nats_server.kill()
    await until(lambda: not client.connected)
    await asyncio.sleep(1)
    kept = await client.components.sync(path)
    assert (kept.revision, kept.stale) == (revision, True)
    assert kept.age >= 1
    assert contents(path) == {"a": "one"}
    assert client.components.failed is not None
    (path / "a").chmod(0o644)
    (path / "a").write_text("two")
    with pytest.raises(Unavailable, match="changed here"):
        await client.components.sync(path)
    nats_server.start()
    await until(lambda: client.components.failed is None)
    assert contents(path) == {"a": "one"}


async def test_without_nats_and_without_a_copy_there_is_nothing_to_have(
    nats_server: NatsServer, client: CentralHubClient, tmp_path: Path
) -> None:
    nats_server.kill()
    await until(lambda: not client.connected)
    with pytest.raises(Unavailable, match="NATS is away"):
        await client.components.sync(tmp_path / "shared")


async def test_where_nothing_was_published_yet_the_first_version_is_waited_for(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    synced = await client.components.sync(tmp_path / "shared")
    assert (synced.revision, synced.changed) == (0, ())
    assert not (tmp_path / "shared").exists()
    await publisher.publish({"a": "one"})
    await until(lambda: (tmp_path / "shared" / "a").exists())


async def test_a_store_that_was_lost_takes_nothing_away(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    await publisher.publish({"a": "one"})
    await publisher.publish({"a": "two"})
    await client.components.sync(tmp_path / "shared")
    for stream in ("KV_hub-manifests", "OBJ_hub-components"):
        await publisher.client.jetstream().delete_stream(stream)
    await publisher.ensure()
    client.components.missed()
    await until(lambda: client.components.failed is not None)
    assert contents(tmp_path / "shared") == {"a": "two"}
    revision = await publisher.publish({"a": "anew"})
    assert revision == 1
    await until(lambda: client.components.failed is None)
    assert contents(tmp_path / "shared") == {"a": "anew"}


async def test_a_client_that_opens_again_goes_on_following(
    nats_server: NatsServer, publisher: Publisher, tmp_path: Path
) -> None:
    await publisher.publish({"a": "one"})
    client = consumer(nats_server.url)
    async with client:
        await client.components.sync(tmp_path / "shared")
    await publisher.publish({"a": "two"})
    await asyncio.sleep(0.5)
    assert contents(tmp_path / "shared") == {"a": "one"}
    async with client:
        await until(lambda: contents(tmp_path / "shared") == {"a": "two"})


async def test_a_handler_that_asks_for_a_sync_or_takes_too_long_refuses_the_version(
    publisher: Publisher, client: CentralHubClient, tmp_path: Path
) -> None:
    path = tmp_path / "shared"
    await publisher.publish({"a": "one"})
    await client.components.sync(path, follow=False)

    @client.components.on_change(timeout=0.2)
    async def judge(synced: Synced) -> None:
        if (path / "a").read_text() == "two":
            await client.components.sync(path)
        await asyncio.sleep(10)

    for text, why in (("two", "not to be called by who is told"), ("three", "within 0.2 s")):
        await publisher.publish({"a": text})
        with pytest.raises(Refused, match=why):
            await client.components.sync(path, follow=False)
        assert contents(path) == {"a": "one"}


async def test_one_client_keeps_one_path(publisher: Publisher, client: CentralHubClient, tmp_path: Path) -> None:
    await publisher.publish({"a": "one"})
    await client.components.sync(tmp_path / "shared")
    with pytest.raises(Conflict, match="is followed already"):
        await client.components.sync(tmp_path / "other")


async def test_with_every_hub_killed_a_new_client_gets_what_a_hub_has_published(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    folder = tmp_path / "components"
    folder.mkdir()
    (folder / "a").write_text("from the folder")
    variables = {"HUB_COMPONENTS_FOLDER": str(folder), "HUB_COMPONENTS_SETTLE": "0.1"}
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url, variables=variables) as hub:
        async with consumer(nats_server.url) as first:
            await first.components.sync(tmp_path / "first")
            await until(lambda: (tmp_path / "first" / "a").exists())
            await asyncio.to_thread(hub.kill)
            async with consumer(nats_server.url) as second:
                synced = await second.components.sync(tmp_path / "second")
    assert contents(synced.path) == {"a": "from the folder"}
