"""Hubs and clients of components that are killed at any moment: every version that anybody sees is whole."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from hub.client import Refused, Synced
from hub.core.components import UNBOUNDED, decoded_tree, encoded_tree
from hub.handlers.clock import Clock
from hub.handlers.componentgarbage import ComponentGarbage
from hub.handlers.components import Components
from hub.store.events import EventLog
from hub.store.jetstream import JetStreamBucket
from hub.store.lease import LeaderLease
from hub.store.streams import LEADER, ensure
from hub.transport import blobs
from hub.wire.components import (
    HISTORY,
    MAX_TREE,
    ComponentFile,
    ComponentsPublished,
    ComponentsRecord,
    PublishComponents,
)
from tests.calls import call, connected, held_by
from tests.clients import consumer
from tests.hubs import HubProcess
from tests.publishing import Publisher, contents, publishing, sha256
from tests.servers import NatsCluster, NatsServer
from tests.waiting import until

FILES = 60
STABLE = {f"stable/{number}": "the same " * 500 for number in range(6)}


def version(number: int) -> dict[str, str]:
    """The files of one version; each says which it is of, and there are as many as its number says."""
    changing = {str(place): f"version {number} of {place} " * 1_500 for place in range(FILES - number % 5)}
    return {**changing, **STABLE}


def whole(files: dict[str, str]) -> int:
    """The number of the version that these files are; fails where they are not all of one."""
    number = int(files["0"].split()[1])
    assert files == version(number), f"{len(files)} files, not version {number}"
    return number


@contextmanager
def syncing(url: str, path: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that keeps a copy, and is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.syncer", url, str(path), *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


@pytest.fixture
async def publisher(nats_server: NatsServer) -> AsyncIterator[Publisher]:
    async with publishing(nats_server.url) as found:
        yield found


def look(path: Path) -> int | None:
    """Which version is there; None where there is none yet. Reads by the folder that the link leads to right now."""
    for _ in range(20):
        folder = path.resolve()
        if not path.is_symlink():
            return None
        try:
            return whole(contents(folder))
        except FileNotFoundError:  # two versions later the folder is gone
            continue
    raise AssertionError("the versions come faster than they can be read")


async def test_a_client_killed_at_any_moment_leaves_one_whole_version(
    nats_server: NatsServer, publisher: Publisher, tmp_path: Path
) -> None:
    path, chance = tmp_path / "shared", random.Random(7)
    number, seen = 0, set[int]()
    await publisher.publish(version(number))
    for _ in range(16):
        with syncing(nats_server.url, path):
            began, patience = time.monotonic(), chance.uniform(0.3, 1.5)
            while time.monotonic() - began < patience:
                number += 1
                await publisher.publish(version(number))
                if (found := await asyncio.to_thread(look, path)) is not None:
                    seen.add(found)
                await asyncio.sleep(chance.uniform(0, 0.15))
        if (found := await asyncio.to_thread(look, path)) is not None:
            seen.add(found)
    assert len(seen) >= 5, "the copy has moved on"
    async with consumer(nats_server.url) as client:
        await client.components.sync(path, follow=False)
    assert look(path) == number
    folders = [entry for entry in (tmp_path / ".shared.hub").iterdir() if entry.is_dir()]
    assert len(folders) <= 2, "nothing is left of what was never finished"


async def test_a_client_killed_while_a_version_is_on_trial_goes_back_to_the_one_before(
    nats_server: NatsServer, publisher: Publisher, tmp_path: Path
) -> None:
    path = tmp_path / "shared"
    await publisher.publish(version(1))
    with syncing(nats_server.url, path, "version 2"):
        await until(lambda: look(path) == 1)
        await publisher.publish(version(2))
        await until(lambda: look(path) == 2)
    assert look(path) == 2, "whole, and on trial"
    async with consumer(nats_server.url) as client:
        tried: list[int | None] = []

        @client.components.on_change
        def refuse(synced: Synced) -> None:
            tried.append(look(path))
            raise ValueError("not this one")

        with pytest.raises(Refused, match="not this one"):
            await client.components.sync(path, follow=False)
        assert tried == [2], "it is tried again, and not taken for one that stood its trial"
        assert look(path) == 1


async def test_a_reader_of_a_copy_that_is_kept_sees_whole_versions_alone(
    nats_server: NatsServer, publisher: Publisher, tmp_path: Path
) -> None:
    path, seen = tmp_path / "shared", set[int]()
    await publisher.publish(version(0))
    async with consumer(nats_server.url) as client:
        await client.components.sync(path)

        async def read() -> None:
            while True:
                found = await asyncio.to_thread(look, path)
                assert found is not None
                seen.add(found)

        reading = asyncio.create_task(read())
        for number in range(1, 30):
            await publisher.publish(version(number))
            await asyncio.sleep(0.2)
        await until(lambda: 29 in seen or reading.done())
        reading.cancel()
        assert isinstance((await asyncio.gather(reading, return_exceptions=True))[0], asyncio.CancelledError)
    assert len(seen) >= 5


async def stored(publisher: Publisher) -> int | None:
    """Which version is stored; None where none is. All of it is read, and verified."""
    entry = await publisher.ledger.get("components")
    if entry is None or entry.value is None:
        return None
    record = msgspec.json.decode(entry.value, type=ComponentsRecord)
    files = decoded_tree(await blobs.read(publisher.requester, record.tree, largest=MAX_TREE))
    return whole(
        {file.path: (await blobs.read(publisher.requester, file.sha256, largest=file.size)).decode() for file in files}
    )


async def messages(publisher: Publisher) -> int:
    """How many messages the object store has ever taken."""
    return int((await publisher.client.jetstream().stream_info("OBJ_hub-components")).state.last_seq)


async def test_a_hub_killed_at_any_moment_leaves_one_whole_version(
    nats_server: NatsServer, publisher: Publisher, tmp_path: Path
) -> None:
    folder, chance, number, seen = tmp_path / "folder", random.Random(7), 0, list[int | None]()
    variables = {"HUB_COMPONENTS_FOLDER": str(folder), "HUB_COMPONENTS_SETTLE": "0.05"}
    hub = HubProcess(tmp_path / "hub", nats_url=nats_server.url, variables=variables)
    for _ in range(8):
        number += 1
        staging = tmp_path / f"staging-{number}"
        for path, text in version(number).items():
            target = staging / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        if folder.exists():
            folder.rename(tmp_path / f"old-{number}")
        staging.rename(folder)
        before = await messages(publisher)
        await asyncio.to_thread(hub.start)
        while await messages(publisher) == before:  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0.002)
        await asyncio.sleep(chance.uniform(0, 0.1))
        await asyncio.to_thread(hub.kill)
        seen.append(await stored(publisher))
    assert all(found is None or found <= place for place, found in enumerate(seen, start=1))
    await asyncio.to_thread(hub.start)
    try:
        deadline = time.monotonic() + 30
        while await stored(publisher) != number:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    finally:
        hub.kill()


class Looking:
    """The garbage of a store, looked through as the leader does, by a clock that stands where it is put."""

    def __init__(self, publisher: Publisher, lease: LeaderLease) -> None:
        self.now = 0.0
        requests = Components(
            publisher.ledger,
            publisher.objects,
            EventLog(publisher.client, publisher.requester),
            Clock(),
            bounds=UNBOUNDED,
            max_bytes=1_000_000,
        )
        self.requests = requests
        self.garbage = ComponentGarbage(requests, publisher.objects, lease, lambda: self.now)

    async def at(self, seconds: float) -> None:
        """Look through it at that time."""
        self.now = seconds
        await self.garbage.round()


@pytest.fixture
async def looking(publisher: Publisher) -> AsyncIterator[Looking]:
    await ensure(publisher.requester, LEADER)
    async with LeaderLease(JetStreamBucket(publisher.client, publisher.requester, LEADER), "test", 2) as lease:
        await until(lambda: lease.held)
        yield Looking(publisher, lease)


async def test_what_no_kept_version_needs_goes_after_an_hour_and_nothing_else(
    publisher: Publisher, looking: Looking
) -> None:
    lost = await publisher.content("of a version that was never made")
    for number in range(HISTORY + 2):
        await publisher.publish({"a": f"text {number}", "b": "the same in all"})
    await looking.at(0)
    await looking.at(3599)
    assert lost in (await publisher.objects.inventory()).blobs
    await looking.at(3601)
    inventory = await publisher.objects.inventory()
    assert not {lost, sha256("text 0"), sha256("text 1")} & inventory.blobs.keys()
    kept = {sha256(f"text {number}") for number in range(2, HISTORY + 2)} | {sha256("the same in all")}
    assert all(inventory.whole(name) for name in kept)
    assert len(inventory.blobs) == len(kept) + HISTORY, "and the lists of their files"
    assert not inventory.deleted
    assert not inventory.strays()
    state = (await publisher.client.jetstream().stream_info("OBJ_hub-components")).state
    assert state.messages == 2 * len(inventory.blobs), "nothing is left of what is gone"


async def test_an_upload_that_is_on_its_way_loses_nothing_and_one_given_up_goes(
    publisher: Publisher, looking: Looking
) -> None:
    chunks = blobs.CHUNK_PREFIX + "a" * 32
    await publisher.client.request(chunks, b"first")
    await looking.at(0)
    await publisher.client.request(chunks, b"second")
    await looking.at(3601)
    assert (await publisher.objects.inventory()).strays() == {"a" * 32: 2}
    await looking.at(7000)
    assert (await publisher.objects.inventory()).strays() == {"a" * 32: 2}
    await looking.at(7202)
    assert not (await publisher.objects.inventory()).strays()


async def test_what_is_published_again_just_before_it_would_go_stays(publisher: Publisher, looking: Looking) -> None:
    old = await publisher.content("used long ago")
    await looking.at(0)
    before = await publisher.objects.inventory()
    tree, name = encoded_tree([ComponentFile(path="a", sha256=old, size=13)])
    await publisher.objects.put_bytes(name, tree, before)
    done = msgspec.json.decode(await looking.requests._publish(PublishComponents(tree=name)), type=ComponentsPublished)
    assert done.revision
    assert not await publisher.objects.take_out(before.blobs[old]), "it was renewed meanwhile"
    await looking.at(4000)
    assert (await publisher.objects.inventory()).whole(old)


async def test_a_version_that_lost_its_contents_is_told_of_and_mended_from_the_folder(
    nats_server: NatsServer, publisher: Publisher, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("text")
    variables = {"HUB_COMPONENTS_FOLDER": str(folder), "HUB_COMPONENTS_SETTLE": "0.05"}
    with HubProcess(tmp_path / "hub", nats_url=nats_server.url, variables=variables) as hub:
        async with connected(nats_server.url) as client:
            deadline = time.monotonic() + 20
            while True:
                found = await call(client, "hub.components.get")
                if found["revision"]:
                    break
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            await asyncio.to_thread(hub.kill)
            await publisher.client.jetstream().purge_stream("OBJ_hub-components")
            await asyncio.to_thread(hub.start)
            deadline = time.monotonic() + 60
            while not (await publisher.objects.inventory()).whole(sha256("text")):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            again = await call(client, "hub.components.get")
    assert again["revision"] == found["revision"]


async def test_of_two_who_publish_upon_the_same_version_one_wins(publisher: Publisher, looking: Looking) -> None:
    trees = []
    for text in ("one", "two"):
        tree, name = encoded_tree([ComponentFile(path="a", sha256=await publisher.content(text), size=3)])
        await publisher.objects.put_bytes(name, tree, await publisher.objects.inventory())
        trees.append(name)
    done = await asyncio.gather(
        *(looking.requests._publish(PublishComponents(tree=tree, revision=0)) for tree in trees), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "bytes"]


@pytest.mark.timeout(300)  # elections, on a busy machine
async def test_on_a_cluster_a_copy_follows_while_servers_die_and_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    variables = {"HUB_COMPONENTS_FOLDER": str(folder), "HUB_COMPONENTS_SETTLE": "0.05"}
    with NatsCluster(tmp_path / "nats") as cluster:
        urls = ",".join(cluster.urls)
        with HubProcess(tmp_path / "hub", nats_url=urls, variables=variables):
            async with consumer(urls) as client, connected(cluster.urls, max_reconnect_attempts=-1) as watching:
                (folder / "0").write_text("version 0")
                path = tmp_path / "shared"
                await client.components.sync(path)
                for number in range(1, 4):
                    await held_by(watching, "KV_hub-manifests", servers=3, seconds=60)
                    (folder / "0").write_text(f"version {number}")
                    server = cluster.servers[number % 3]
                    if number % 2:
                        server.kill()
                    await until(
                        lambda number=number: path.exists() and (path / "0").read_text() == f"version {number}",  # type: ignore[misc]
                        f"version {number}",
                        within=60,
                    )
                    if number % 2:
                        await asyncio.to_thread(server.start)
