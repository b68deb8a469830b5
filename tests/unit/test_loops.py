"""The hub's loops: one that ends before the hub does is never missed."""

from __future__ import annotations

import asyncio

import pytest

from hub.handlers.loops import Loops


async def fails() -> None:
    await asyncio.sleep(0)
    raise RuntimeError("broken")


async def ends() -> None:
    await asyncio.sleep(0)


async def lasts() -> None:
    await asyncio.Event().wait()


async def test_a_loop_that_fails_is_told_with_its_cause() -> None:
    loops = Loops()
    loops.run("doomed", fails())
    with pytest.raises(RuntimeError, match="broken"):
        await asyncio.wait_for(loops.wait_failed(), 5)
    assert not loops.alive
    await loops.aclose()


async def test_a_loop_that_merely_ends_is_a_failure_too() -> None:
    loops = Loops()
    loops.run("short", ends())
    with pytest.raises(RuntimeError, match="the loop short ended"):
        await asyncio.wait_for(loops.wait_failed(), 5)
    await loops.aclose()


async def test_another_s_task_is_minded_and_left_to_its_owner() -> None:
    loops = Loops()
    task = asyncio.create_task(lasts(), name="lent")
    loops.mind(task)
    await loops.aclose()
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert loops.alive


async def test_ending_in_order_is_no_failure() -> None:
    loops = Loops()
    loops.run("steady", lasts())
    await asyncio.sleep(0)
    await loops.aclose()
    assert loops.alive
