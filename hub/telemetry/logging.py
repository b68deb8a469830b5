"""Logging: one event per thing that happened, as lines for people or as JSON, through one renderer for all."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from hub.telemetry.cleaning import clean
from hub.telemetry.request import add_request

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]

_NUMBERS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: Level = "info", format: Format = "auto", stream: TextIO | None = None) -> None:  # noqa: A002
    """Set logging up for this process; to be called once, before the first event.

    The libraries' own logging goes the same way. It is held to warnings and worse; where `level` is `debug`, to info.

    Args:
        level: The least important events that are shown.
        format: `json` for one object a line; `console` for people, in colour on a terminal; `auto` is `console`.
        stream: Where events go; None is standard error.
    """
    out = stream or sys.stderr
    number = _NUMBERS[level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    render: list[Processor] = [clean, _json if format == "json" else _console(out)]
    structlog.configure(
        processors=[*shared, _add_name, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda name=None, *_: _Lines(out, name),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING) if level != "debug" else logging.INFO)


class _Lines:
    """Writes rendered events, one line each."""

    def __init__(self, stream: TextIO, name: str | None) -> None:
        self._stream = stream
        self.name = name

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return  # nobody reads the log any more, which is no reason to stop working, and there is no one to tell

    debug = info = warning = warn = error = critical = fatal = exception = log = msg


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is logging's
        """Do nothing: there is no one to tell (see `_Lines`)."""


def _add_name(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if logger.name is not None:
        event.setdefault("logger", logger.name)
    return event


def _json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    first: dict[str, Any] = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return msgspec.json.encode({**first, **event}).decode()


def _console(stream: TextIO) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # the fancy one would show local variables, secrets included
    )
