"""What watchers are told: everything in the end, in bounded room, however they read."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from hub.core.catalog import Catalog
from hub.errors import Overloaded
from hub.sidecar import feed as module
from hub.sidecar.feed import MAX_PENDING, Feed, Watcher
from tests.unit.core.making import record
from tests.waiting import until


class World:
    """A catalog that changes, and the feed of its changes."""

    def __init__(self, limit: int = 10) -> None:
        self.catalog = Catalog(lambda service: self.feed.notice(service))
        self.feed = Feed(self.catalog, limit=limit)
        self.revision = 0

    def put(self, name: str, instance_id: str, **given: Any) -> None:
        self.revision += 1
        self.catalog.apply(record(name, instance_id, **given), self.revision)

    def remove(self, name: str, instance_id: str) -> None:
        self.revision += 1
        self.catalog.apply_removal(f"{name}.{instance_id}", self.revision)

    def shown(self, *names: str) -> dict[str, Any]:
        return {
            key: json.loads(entry.encoded())
            for key, entry in self.catalog.entries.items()
            if not names or entry.record.name in names
        }


class Reader:
    """One who reads what a watcher is sent, and knows what it was told."""

    def __init__(self, watcher: Watcher) -> None:
        self.known: dict[str, Any] = {}
        self.heard: list[tuple[str, Any]] = []
        self._frames = watcher.frames()

    async def read(self) -> None:
        """Read one piece."""
        for block in (await anext(self._frames)).decode().split("\n\n"):
            told = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith((":", "retry")))
            if told:
                self._hear(told["event"], json.loads(told["data"]))

    async def read_on(self) -> None:
        """Read for ever."""
        while True:
            await self.read()

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.heard]

    def _hear(self, kind: str, data: Any) -> None:
        self.heard.append((kind, data))
        if kind == "reset":
            self.known.clear()
        elif kind == "put":
            self.known[f"{data['name']}.{data['instance_id']}"] = data
        elif kind == "delete":
            self.known.pop(f"{data['name']}.{data['instance_id']}", None)


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(world.feed.tell()), asyncio.create_task(world.feed.greet())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def reading(world: World, *names: str) -> AsyncIterator[Reader]:
    """Somebody who reads all the time."""
    watcher = world.feed.open(names)
    reader = Reader(watcher)
    task = asyncio.create_task(reader.read_on())
    try:
        yield reader
    finally:
        world.feed.close(watcher)
        await asyncio.gather(task, return_exceptions=True)


async def test_a_watcher_is_told_what_is_there_and_then_what_changes() -> None:
    world = World()
    world.put("a", "1")
    async with running(world), reading(world) as reader:
        await until(lambda: "synced" in reader.kinds())
        assert reader.known == world.shown()
        world.put("b", "2", version="1.0")
        await until(lambda: reader.known == world.shown())
        world.remove("a", "1")
        await until(lambda: reader.known == world.shown())
    assert reader.kinds() == ["reset", "put", "synced", "put", "delete"]
    assert reader.heard[0][1] == {"reason": "snapshot"}


async def test_a_watcher_of_one_service_hears_of_no_other() -> None:
    world = World()
    for name in ("a", "b"):
        world.put(name, "1")
    async with running(world), reading(world, "a") as reader, reading(world) as other:
        await until(lambda: "synced" in reader.kinds() and "synced" in other.kinds())
        world.put("b", "2")
        world.put("a", "2")
        await until(lambda: reader.known == world.shown("a") and other.known == world.shown())
    assert {data["name"] for kind, data in reader.heard if kind == "put"} == {"a"}


@pytest.mark.parametrize(("services", "text"), [(1000, 100), (20, 20_000)])
async def test_a_snapshot_comes_in_pieces_of_one_size_however_many_services_there_are(services: int, text: int) -> None:
    world = World()
    for number in range(services):
        world.put(f"s{number}", "1", metadata={"text": "x" * text})
    watcher = world.feed.open(())
    pieces = []
    async for piece in watcher.frames():
        pieces.append(piece)
        if b"event: synced" in piece:
            break
    world.feed.close(watcher)
    whole = b"".join(pieces)
    assert whole.count(b"event: put") == services
    assert max(map(len, pieces)) < 2 * 32 * 1024
    assert len(pieces) < 4 + len(whole) / (32 * 1024)


async def test_others_get_their_turn_while_much_changes_that_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    rounds, compared = 0, Counter[int]()
    compare = world.feed._compare

    def counted(name: str) -> dict[str, bytes]:
        compared[rounds] += 1
        return compare(name)

    monkeypatch.setattr(world.feed, "_compare", counted)
    async with running(world), reading(world, "watched"):
        for number in range(1000):
            world.put(f"s{number}", "1")
        while compared.total() < 1000:
            await asyncio.sleep(0)
            rounds += 1
    assert max(compared.values()) < 100


async def test_ten_changes_of_one_instance_in_a_moment_are_told_as_one() -> None:
    world = World()
    async with running(world), reading(world) as reader:
        await until(lambda: "synced" in reader.kinds())
        for number in range(10):
            world.put("a", "1", version=str(number))
        await until(lambda: reader.known == world.shown())
    assert reader.kinds().count("put") == 1


async def test_what_is_told_anew_and_is_as_before_is_no_news() -> None:
    world = World()
    world.put("a", "1")
    async with running(world), reading(world) as reader:
        await until(lambda: "synced" in reader.kinds())
        world.put("a", "1")
        world.put("a", "2")
        await until(lambda: reader.known == world.shown())
    assert [data["instance_id"] for kind, data in reader.heard if kind == "put"] == ["1", "2"]


async def test_who_does_not_read_is_held_in_bounded_room_and_then_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GATHER", 0.0)
    world = World()
    watcher = world.feed.open(())
    slow = Reader(watcher)
    async with running(world), reading(world) as quick:
        while "synced" not in slow.kinds():
            await slow.read()
        for number in range(2000):
            world.put("a", str(number), metadata={"text": "x" * 200})
            if not number % 100:
                await until(lambda: len(quick.known) == len(world.catalog.entries))
                assert watcher._size <= MAX_PENDING
        await until(lambda: quick.known == world.shown())
        assert "put" not in slow.kinds()
        while slow.kinds().count("synced") < 2:
            await slow.read()
        assert slow.known == world.shown()
        assert ("reset", {"reason": "behind"}) in slow.heard
    world.feed.close(watcher)
    assert ("reset", {"reason": "behind"}) not in quick.heard


@pytest.mark.parametrize("seed", range(8))
async def test_however_it_changes_and_whoever_comes_all_know_the_same_in_the_end(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GATHER", 0.002)
    random, world = Random(seed), World()
    async with running(world):
        async with asyncio.TaskGroup() as group:
            group.create_task(_churn(world, random))
            readers = [group.create_task(_come_and_stay(world, random)) for _ in range(6)]
        for reader in [task.result() for task in readers]:
            await until(lambda reader=reader: reader.known == world.shown())  # type: ignore[misc]
        world.feed.close_all()


async def _churn(world: World, random: Random) -> None:
    for _ in range(400):
        name, instance_id = random.choice("abc"), str(random.randrange(8))
        if random.random() < 0.4:
            world.remove(name, instance_id)
        else:
            world.put(name, instance_id, version=random.choice(["1", "2"]))
        if random.random() < 0.5:
            await asyncio.sleep(random.choice([0, 0.001, 0.003]))


_READING: set[asyncio.Task[None]] = set()


async def _come_and_stay(world: World, random: Random) -> Reader:
    await asyncio.sleep(random.random() / 4)
    reader = Reader(world.feed.open(()))
    task = asyncio.create_task(_stay(reader))
    _READING.add(task)
    task.add_done_callback(_READING.discard)
    return reader


async def _stay(reader: Reader) -> None:
    try:
        await reader.read_on()
    except StopAsyncIteration:
        return


async def test_no_more_may_watch_than_are_let_in() -> None:
    world = World(limit=2)
    watchers = [world.feed.open(()) for _ in range(2)]
    with pytest.raises(Overloaded, match="watchers: 2 watch already"):
        world.feed.open(())
    world.feed.close(watchers[0])
    world.feed.close(watchers[0])
    assert len(world.feed) == 1
    world.feed.open(())


async def test_nothing_is_kept_where_nobody_watches() -> None:
    world = World()
    world.put("a", "1")
    async with running(world), reading(world) as reader:
        await until(lambda: "synced" in reader.kinds())
        assert world.feed._told
    world.put("a", "2")
    assert not world.feed._told
    assert not world.feed._changed


async def test_something_is_said_even_where_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.01)
    world = World()
    async with running(world):
        frames = world.feed.open(()).frames()
        assert [await anext(frames) for _ in range(5)][-2:] == [b": still here\n\n"] * 2
