"""The supervisor of background tasks: one that dies or is stuck is started again, and never missed, never doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from hub.core.supervision import PATIENCE, TOO_OFTEN
from hub.handlers.supervisor import Supervisor
from hub.transport.loops import Beat, alone, woken
from tests.waiting import until


class Time:
    """A clock that goes as it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Worker:
    """A loop that does as it is told: `"work"`, `"hang"`, `"end"`, or the error that it is to raise."""

    def __init__(self, order: str | Exception = "work") -> None:
        self.order = order
        self.starts = 0
        self.running = 0
        self.most_at_once = 0
        self.deaf = False
        self.released = asyncio.Event()

    async def __call__(self, beat: Beat) -> None:
        self.starts += 1
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await self._run(beat)
        except asyncio.CancelledError:
            if not self.deaf:
                raise
            await self._ignore()
        finally:
            self.running -= 1

    async def _run(self, beat: Beat) -> None:
        while self.order == "work":
            beat()
            await asyncio.sleep(0.001)
        if isinstance(self.order, Exception):
            raise self.order
        if self.order == "hang":
            await asyncio.Event().wait()

    async def _ignore(self) -> None:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue  # the very mistake that is to be borne


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def supervisor(time: Time) -> AsyncIterator[Supervisor]:
    async with Supervisor(time) as running:
        yield running


def status(supervisor: Supervisor, name: str = "worker") -> str:
    return str(supervisor.describe()[name]["status"])


async def has_ended(worker: Worker, times: int) -> None:
    """Return when it was started so often, and has ended."""
    await until(lambda: worker.starts == times and not worker.running)
    await asyncio.sleep(0)


async def test_a_task_that_dies_is_started_again_and_told_of_with_its_cause(supervisor: Supervisor, time: Time) -> None:
    worker = Worker(RuntimeError("broken"))
    supervisor.keep("worker", worker)
    await until(lambda: status(supervisor) == "restarting")
    assert supervisor.alive
    assert supervisor.condition.status == "warning"
    assert "worker" in supervisor.condition.reason
    assert "RuntimeError: broken" in supervisor.condition.reason
    worker.order = "work"
    time.seconds += 1
    await until(lambda: worker.starts == 2)
    assert supervisor.restarts["worker"] == 1
    assert status(supervisor) == "recovering"
    assert "was restarted" in supervisor.condition.reason
    time.seconds += 60
    await until(lambda: supervisor.condition.well)
    assert status(supervisor) == "running"
    assert supervisor.describe()["worker"]["last_error"] == "RuntimeError: broken"


async def test_a_task_that_merely_ends_is_started_again_too(supervisor: Supervisor, time: Time) -> None:
    worker = Worker("end")
    supervisor.keep("worker", worker)
    await until(lambda: status(supervisor) == "restarting")
    assert supervisor.describe()["worker"]["last_error"] == "it ended"


async def test_a_task_that_gives_no_sign_of_life_is_cancelled_and_started_again(
    supervisor: Supervisor, time: Time
) -> None:
    worker = Worker("hang")
    supervisor.keep("worker", worker, bound=5)
    await until(lambda: worker.running)
    time.seconds += 4
    supervisor.look(late=0)
    assert status(supervisor) == "running"
    time.seconds += 2
    with capture_logs() as logs:
        supervisor.look(late=0)
    assert status(supervisor) == "stuck"
    assert supervisor.describe()["worker"]["last_error"] == "no sign of life for 6.0 s"
    assert "_run:" in logs[0]["where"], "where it hangs is told"
    worker.order = "work"
    await until(lambda: status(supervisor) == "restarting")
    time.seconds += 1
    await until(lambda: worker.starts == 2)
    assert worker.most_at_once == 1
    assert supervisor.restarts["worker"] == 1


async def test_a_task_that_ignores_its_cancellation_is_reported_and_never_doubled(
    supervisor: Supervisor, time: Time
) -> None:
    worker = Worker("hang")
    worker.deaf = True
    supervisor.keep("worker", worker, bound=5)
    await until(lambda: worker.running)
    time.seconds += 6
    supervisor.look(late=0)
    for _ in range(20):
        time.seconds += PATIENCE / 2
        supervisor.look(late=0)
        await asyncio.sleep(0)
    assert not supervisor.alive
    assert supervisor.condition.status == "critical"
    assert "does not end when it is cancelled" in supervisor.condition.reason
    assert (worker.starts, worker.most_at_once) == (1, 1)
    worker.order = "work"
    worker.released.set()
    await until(lambda: not worker.running)
    time.seconds += 60
    await until(lambda: worker.starts == 2)
    assert supervisor.alive


async def test_a_task_that_keeps_failing_takes_the_hub_s_health_and_is_tried_on(
    supervisor: Supervisor, time: Time
) -> None:
    worker = Worker(RuntimeError("broken"))
    with capture_logs() as logs:
        supervisor.keep("worker", worker)
        for attempt in range(1, TOO_OFTEN + 3):
            await has_ended(worker, attempt)
            supervisor.look(late=0)
            assert supervisor.alive is (attempt < TOO_OFTEN), attempt
            time.seconds += 10
            supervisor.look(late=0)
    told = [entry for entry in logs if entry["event"].startswith("task ended")]
    assert len(told) >= TOO_OFTEN + 1
    assert [bool(entry["exc_info"]) for entry in told] == [True] + [False] * (len(told) - 1), "one traceback a cause"
    worker.order = "work"
    await until(lambda: worker.running)
    assert not supervisor.alive
    time.seconds += 31
    await until(lambda: supervisor.alive)


async def test_a_process_that_was_stopped_cancels_nobody(supervisor: Supervisor, time: Time) -> None:
    worker = Worker("hang")
    supervisor.keep("worker", worker, bound=5)
    await until(lambda: worker.running)
    time.seconds += 100
    supervisor.look(late=99.75)
    assert status(supervisor) == "running"
    assert "stood still for 99.8 s" in supervisor.condition.reason
    time.seconds += 10.5
    supervisor.look(late=0)
    assert "stood still" not in supervisor.condition.reason, "told for a while only"


async def test_secrets_in_an_error_are_not_told(supervisor: Supervisor) -> None:
    supervisor.keep("worker", Worker(OSError("cannot reach postgresql://hub:hidden-word@db/platform")))
    await until(lambda: status(supervisor) == "restarting")
    assert "hidden-word" not in str(supervisor.describe())
    assert "hidden-word" not in supervisor.condition.reason


async def test_whoever_asked_for_a_task_ends_it_and_it_stays_so(supervisor: Supervisor, time: Time) -> None:
    worker = Worker()
    kept = supervisor.keep("worker", worker)
    await until(lambda: worker.running)
    await kept.aclose()
    await kept.aclose()
    assert not worker.running
    time.seconds += 100
    supervisor.look(late=0)
    assert worker.starts == 1
    assert supervisor.describe() == {}
    supervisor.keep("worker", worker)
    assert supervisor.restarts == {"worker": 0}


async def test_two_tasks_of_one_name_are_refused(supervisor: Supervisor) -> None:
    supervisor.keep("worker", Worker())
    with pytest.raises(ValueError, match="worker"):
        supervisor.keep("worker", Worker())


async def test_what_ends_the_hub_is_told_to_whoever_waits(supervisor: Supervisor) -> None:
    supervisor.fail(RuntimeError("closed for good"))
    with pytest.raises(RuntimeError, match="closed for good"):
        await asyncio.wait_for(supervisor.wait_failed(), 5)
    assert not supervisor.alive


async def test_a_supervisor_that_fails_itself_is_the_end(time: Time) -> None:
    async with Supervisor(time) as supervisor:
        supervisor.keep("worker", Worker())
        del time.seconds  # its next look fails
        with pytest.raises(AttributeError):
            await asyncio.wait_for(supervisor.wait_failed(), 5)
        time.seconds = 0
        assert not supervisor.alive


async def test_a_loop_with_nothing_to_do_beats_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.transport.loops.IDLE", 0.01)
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    event = asyncio.Event()
    waiting = asyncio.create_task(woken(event, beat))
    await until(lambda: beats > 3)
    event.set()
    await asyncio.wait_for(waiting, 5)


async def test_a_loop_without_a_supervisor_runs_until_it_is_ended() -> None:
    worker = Worker()
    kept = alone("worker", worker)
    await until(lambda: worker.running)
    await kept.aclose()
    assert not worker.running
