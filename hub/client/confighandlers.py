"""What a service does about something new, as a configuration: its handlers, one after the other, each in its time."""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from hub.errors import InvalidRequest

log = logging.getLogger("hub.client")

HANDLER_TIMEOUT: Final = 30.0
"""Seconds that a handler may take, where nothing else is said."""
END_WITHIN: Final = 1.0
"""Seconds that a handler has to end in when it is cancelled; then it is left to itself."""


def _nothing() -> None:
    return None


class _Registered(NamedTuple):
    handler: Callable[[Any], object]
    timeout: float | None


class Handlers:
    """The handlers of one service.

    Args:
        service: The service's name, or what they are told of, for the log.
        timeout: Seconds that one may take, where it does not say otherwise.
    """

    def __init__(self, service: str, timeout: float) -> None:
        self._service = service
        self._timeout = checked(timeout)
        self._handlers: list[_Registered] = []
        self._left: set[asyncio.Future[object]] = set()
        self.masked: Callable[[str], str] = str
        """Takes out of what an exception says what is not for the log."""

    def add(self, handler: Callable[[Any], object], timeout: float | None) -> None:
        """Call it from now on.

        Raises:
            InvalidRequest: the timeout is none.
        """
        self._handlers.append(_Registered(handler, None if timeout is None else checked(timeout)))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._handlers)

    async def tell(self, value: Any, before: Any, undo: Callable[[], None] = _nothing) -> None:
        """Call each with what is new. Where one fails, those that had taken it are given what was before.

        Args:
            value: What is new.
            before: What was before.
            undo: Called where one fails, before others are given what was before.

        Raises:
            TimeoutError: one has not taken it in time; says which, and how long it had.
            Exception: what one has raised.
        """
        told: list[_Registered] = []
        for each in list(self._handlers):
            try:
                await self._call(each, value)
            except Exception:
                undo()
                for earlier in reversed(told):
                    await self._take_back(earlier, before)
                raise
            told.append(each)

    async def _take_back(self, earlier: _Registered, before: Any) -> None:
        try:
            await self._call(earlier, before)
        except Exception as error:  # noqa: BLE001  # it has had its turn, and the others want theirs
            told = self.masked("".join(traceback.format_exception(error)))
            log.error("%s: a handler does not take what was before back\n%s", self._service, told)

    async def _call(self, registered: _Registered, value: Any) -> None:
        try:
            outcome = registered.handler(value)
            if not inspect.isawaitable(outcome):
                return
            running: asyncio.Future[object] = asyncio.ensure_future(outcome)
            within = self._timeout if registered.timeout is None else registered.timeout
            if not await self._ended(running, within):
                raise TimeoutError(f"the handler {_name(registered.handler)} has not taken it within {within:g} s")
            running.result()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError("what the handler has waited for was cancelled") from None

    async def _ended(self, running: asyncio.Future[object], within: float) -> bool:
        """Whether it has come to its end by itself in time; else it is cancelled, and mostly over."""
        ended: set[asyncio.Future[object]] = set()
        try:
            ended, _ = await asyncio.wait({running}, timeout=within)
        finally:
            if not ended:
                running.cancel()
                await asyncio.wait({running}, timeout=END_WITHIN)
                self._leave(running)
        return bool(ended)

    def _leave(self, running: asyncio.Future[object]) -> None:
        """Hold on to what has not ended although it was cancelled, until it does; what it ends with is of no use."""
        self._left.add(running)
        running.add_done_callback(self._forget)
        if not running.done():
            log.error("%s: a handler goes on although it was cancelled", self._service)

    def _forget(self, running: asyncio.Future[object]) -> None:
        self._left.discard(running)
        if not running.cancelled() and (error := running.exception()) is not None:
            log.warning("%s: a handler that was cancelled has ended with %s", self._service, self.masked(repr(error)))


def checked(timeout: float) -> float:
    """Seconds, more than none.

    Raises:
        InvalidRequest: they are not.
    """
    if not timeout > 0:
        raise InvalidRequest(f"timeout: expected more than 0 seconds, got {timeout!r}", field="timeout")
    return timeout


def _name(handler: Callable[[Any], object]) -> str:
    return getattr(handler, "__qualname__", None) or type(handler).__name__
