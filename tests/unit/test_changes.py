"""Waiting for a revision: woken when it is there, not before, and leaving nothing behind."""

from __future__ import annotations

import asyncio

from hub.handlers.changes import ANY, Changes


async def waiting(changes: Changes, service: str, revision: int) -> asyncio.Task[None]:
    """One who waits already."""
    task = asyncio.create_task(changes.reached(service, revision))
    before = len(changes)
    await asyncio.sleep(0)
    assert len(changes) == before + 1
    return task


async def settled() -> None:
    """Let whoever was woken run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_only_those_whose_revision_is_reached_are_woken() -> None:
    changes = Changes()
    tasks = {revision: await waiting(changes, "a", revision) for revision in (7, 5, 9)}
    other = await waiting(changes, "b", 1)
    changes.notify("a", 4, 100)
    await settled()
    assert not any(task.done() for task in tasks.values())
    changes.notify("a", 7, 101)
    await settled()
    assert [tasks[revision].done() for revision in (5, 7, 9)] == [True, True, False]
    changes.notify("a", 12, 102)
    await settled()
    assert tasks[9].done()
    assert not other.done()
    other.cancel()


async def test_one_who_comes_later_and_waits_for_less_is_woken_first() -> None:
    changes = Changes()
    far = await waiting(changes, "a", 1000)
    for revision in range(1, 50):
        near = await waiting(changes, "a", revision)
        changes.notify("a", revision, revision)
        await settled()
        assert near.done()
        assert not far.done()
    far.cancel()


async def test_whoever_waits_for_anything_is_woken_by_the_registrys_revision() -> None:
    changes = Changes()
    task = await waiting(changes, ANY, 10)
    changes.notify("a", 3, 9)
    await settled()
    assert not task.done()
    changes.notify("a", 4, 10)
    await settled()
    assert task.done()


async def test_those_who_give_up_leave_nothing_behind() -> None:
    changes = Changes()
    for number in range(100):
        task = await waiting(changes, f"nobody-{number}", 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(changes) == 0
    assert changes._waiting == {}


async def test_closing_wakes_everybody_and_lets_nobody_wait_any_more() -> None:
    changes = Changes()
    tasks = [await waiting(changes, "a", 10), await waiting(changes, ANY, 10)]
    changes.close()
    await settled()
    assert all(task.done() for task in tasks)
    await changes.reached("a", 10)
