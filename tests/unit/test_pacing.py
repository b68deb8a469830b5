"""What holds changes back, with logs that are behind on command."""

from __future__ import annotations

import asyncio

import pytest

from hub.core.unlogged import LIMIT
from hub.errors import Unavailable
from hub.handlers import pacing
from hub.handlers.pacing import Pacing


class Log:
    def __init__(self, *answers: int | Unavailable | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def reached(self) -> int | None:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Unavailable):
            raise answer
        return answer


async def busy(log: Log) -> Pacing:
    """One scope was changed as often as it may be, the bucket being at that revision."""
    found = Pacing(log)
    found.synced()
    found._unlogged.confirm(0, 0)
    for revision in range(1, LIMIT + 1):
        found.changed("a", revision)
    return found


async def test_the_log_is_asked_only_once_a_scope_was_changed_so_often() -> None:
    log = Log(LIMIT)
    found = await busy(log)
    await found.admit(["b"], LIMIT)
    assert log.asked == 0
    for _ in range(5):
        await found.admit(["a", "b"], LIMIT)
    assert log.asked == 1


async def test_a_change_waits_for_the_log_and_goes_on_when_it_has_come_so_far() -> None:
    log = Log(1, 2, LIMIT - 1, LIMIT)
    await (await busy(log)).admit(["a"], LIMIT)
    assert log.asked == 4


async def test_a_log_that_stays_behind_refuses_the_change_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "PATIENCE", 0.1)
    found = await busy(Log(3))
    with pytest.raises(Unavailable, match="changed more often than the log") as caught:
        await found.admit(["a"], LIMIT)
    assert caught.value.retryable
    await found.admit(["b"], LIMIT)


@pytest.mark.parametrize("answer", [None, Unavailable("HUB_CONFIG_LOG_x: cannot be read")])
async def test_without_a_log_that_could_tell_nothing_is_held_back(answer: Unavailable | None) -> None:
    async with asyncio.timeout(1):
        await (await busy(Log(answer))).admit(["a"], LIMIT)
