from __future__ import annotations

import asyncio

import pytest

from hub.client.watch import Watch
from hub.wire.discovery import Instance
from tests.unit.client.making import instance


async def test_a_watch_begins_with_what_there_is_and_goes_on_with_what_changes() -> None:
    state: dict[str, Instance] = {"a": instance("a")}
    watch = Watch(state.get, state)
    first = await anext(watch)
    assert (first.kind, first.instance.instance_id) == ("added", "a")
    state["a"] = instance("a", status="warning")
    watch.notify(["a"])
    second = await anext(watch)
    assert (second.kind, second.instance.status) == ("changed", "warning")
    del state["a"]
    watch.notify(["a"])
    third = await anext(watch)
    assert (third.kind, third.instance.status) == ("removed", "warning")


async def test_a_slow_reader_is_told_the_end_of_the_story_once() -> None:
    state: dict[str, Instance] = {}
    watch = Watch(state.get, ())
    for port in range(1, 1000):
        state["a"] = instance("a", port=port)
        watch.notify(["a"])
    only = await anext(watch)
    assert (only.kind, only.instance.port) == ("added", 999)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    assert not waiting.done()
    watch.end()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_what_came_and_went_unseen_is_not_told() -> None:
    state: dict[str, Instance] = {}
    watch = Watch(state.get, ())
    watch.notify(["a"])
    state["b"] = instance("b")
    watch.notify(["b"])
    assert (await anext(watch)).instance.instance_id == "b"
