"""The supervisor of the hub's background tasks: it hears their beats, and starts again what died or is stuck.

One look at all of them four times a second, decided by `hub.core.supervision`. A task is never there twice: one that
does not end when it is cancelled is reported, and waited for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from time import monotonic
from types import TracebackType
from typing import Any, Self

import structlog

from hub.core.condition import WELL, Condition, critical, together, warning
from hub.core.supervision import Step, Vigil
from hub.core.thresholds import Recent
from hub.masking import mask
from hub.transport.loops import BOUND, Kept, Loop

log = structlog.get_logger(__name__)

TICK = 0.25
LATE = 0.5
"""Seconds of delay of the event loop that are worth telling."""
_TOLD_FOR = 10.0
"""Seconds that such a delay is told for."""
_ASLEEP = 10.0
"""Seconds without a look of its own after which the supervisor is not well itself."""
_ENDS_WITHIN = 1.0


class Supervisor:
    """Keeps loops running for as long as its context is open, and their owners want them.

    Args:
        now: Monotonic seconds.

    Attributes:
        restarts: How often each loop was started again, by name.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._tasks: dict[str, _Task] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wake = asyncio.Event()
        self._looked = now()
        self._lateness = Recent(_TOLD_FOR)
        self._looking: asyncio.Task[None] | None = None
        self.restarts: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._looked = self._now()
        self._looking = asyncio.create_task(self._look_after_all(), name="supervisor")
        self._looking.add_done_callback(self._on_end)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.gather(*(task.aclose() for task in list(self._tasks.values())))
        if self._failed.done():
            self._failed.exception()  # whoever waits has been told; nobody else needs to be

    def keep(self, name: str, loop: Loop, *, bound: float = BOUND) -> Kept:
        """See `Keep`. A name is there once at a time."""
        if name in self._tasks:
            raise ValueError(f"{name}: expected a name of its own for each loop")
        self.restarts[name] += 0
        task = self._tasks[name] = _Task(self, name, loop, bound)
        return task

    @property
    def alive(self) -> bool:
        """Whether there is hope: no loop keeps failing, and the hub can go on at all."""
        return self.condition.status != "critical"

    @property
    def condition(self) -> Condition:
        """How the loops are, and the event loop that they share."""
        now = self._now()
        return together([self._own(now), *(task.vigil.condition(task.name, now) for task in self._tasks.values())])

    def describe(self) -> dict[str, dict[str, Any]]:
        """Each loop by name: its status, restarts, last error, and the seconds since its last sign of life."""
        now = self._now()
        return {
            task.name: {
                "status": task.vigil.state(now),
                "restarts": self.restarts[task.name],
                "last_error": task.vigil.last_error,
                "beat_ago": round(task.vigil.age(now), 3),
            }
            for task in self._tasks.values()
        }

    def beat_ages(self) -> dict[str, float]:
        """Seconds since each loop's last sign of life."""
        now = self._now()
        return {name: task.vigil.age(now) for name, task in self._tasks.items()}

    def fail(self, error: BaseException) -> None:
        """The hub cannot go on."""
        if not self._failed.done():
            self._failed.set_exception(error)

    async def wait_failed(self) -> None:
        """Return never, unless the hub cannot go on; then raise why."""
        await asyncio.shield(self._failed)

    # --- what its tasks ask of it

    def time(self) -> float:
        """The time by which beats are measured."""
        return self._now()

    def hurry(self, _: object = None) -> None:
        """Something ended: look now."""
        self._wake.set()

    def forget(self, task: _Task) -> None:
        """Its owner has ended it."""
        self._tasks.pop(task.name, None)

    # --- looking

    async def _look_after_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            try:
                async with asyncio.timeout(TICK):
                    await self._wake.wait()
            except TimeoutError:
                pass  # time to look
            self._wake.clear()
            self.look(late=max(0.0, loop.time() - due))

    def look(self, *, late: float) -> None:
        """Look at every loop, and do what is to be done. `late` are seconds that this look comes too late."""
        now = self._looked = self._now()
        self._lateness.note(late if late > LATE else 0.0, now)
        for task in list(self._tasks.values()):
            if late > LATE:
                task.vigil.stood_still(late, now)
            task.look(now)

    def _own(self, now: float) -> Condition:
        if self._failed.done():
            return critical("the hub cannot go on; its log says why")
        if now - self._looked > _ASLEEP:
            return critical("nobody looks after the tasks of the hub")
        late = self._lateness.peak(now)
        return warning(f"the event loop stood still for {late:.1f} s") if late else WELL

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            error = task.exception() or RuntimeError("the supervisor ended")
            log.error("the supervisor failed; the hub cannot go on", exc_info=error)
            self.fail(error)


class _Task:
    """One loop, with the task that runs it at the moment, if one does."""

    def __init__(self, supervisor: Supervisor, name: str, loop: Loop, bound: float) -> None:
        self.name = name
        self.vigil = Vigil(bound, supervisor.time())
        self._supervisor = supervisor
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._told = ""
        self._start()

    def look(self, now: float) -> None:
        """Do what is to be done."""
        if self._task is not None and self._task.done():
            self._bury(self._task, now)
        match self.vigil.step(now):
            case Step.START:
                self.vigil.started(now)
                self._supervisor.restarts[self.name] += 1
                self._start()
            case Step.CANCEL if self._task is not None:
                self.vigil.cancelled(now)
                where = " > ".join(_where(self._task))
                log.error("task is stuck; cancelling it", task=self.name, reason=self.vigil.last_error, where=where)
                self._task.cancel()
            case _:
                pass

    async def aclose(self) -> None:
        """See `Kept`. One that does not end is left behind, and told of."""
        self._supervisor.forget(self)
        task, self._task = self._task, None
        if task is None:
            return
        task.remove_done_callback(self._supervisor.hurry)
        task.cancel()
        _, left = await asyncio.wait([task], timeout=_ENDS_WITHIN)
        if left:
            log.error("task does not end when it is cancelled", task=self.name, where=" > ".join(_where(task)))
        elif not task.cancelled():
            task.exception()  # it failed at its end, which is all that was wanted of it

    def _start(self) -> None:
        self._task = asyncio.create_task(self._loop(self._beat), name=self.name)
        self._task.add_done_callback(self._supervisor.hurry)

    def _beat(self) -> None:
        self.vigil.beat(self._supervisor.time())

    def _bury(self, task: asyncio.Task[None], now: float) -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        cause = "it was cancelled" if task.cancelled() else "it ended" if error is None else _describe(error)
        self.vigil.ended(now, cause)
        cause = self.vigil.last_error
        new, self._told = error is not None and cause != self._told, cause
        log.error("task ended; it is started again", task=self.name, reason=cause, exc_info=error if new else None)


def _describe(error: BaseException) -> str:
    """Kind and text of an error, without the secrets in it."""
    text = mask(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _where(task: asyncio.Task[None]) -> Iterator[str]:
    """What a task waits in, outermost first, as function and line."""
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        yield f"{frame.f_code.co_name}:{frame.f_lineno}"
        awaited = awaited.cr_await
