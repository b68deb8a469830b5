"""Logging: what an event looks like, what is left out, and what never shows."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import structlog

from hub.settings import load
from hub.telemetry.logging import Format, Level, configure

SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


class Log:
    """A configured log that can be read."""

    def __init__(self, level: Level = "info", format: Format = "json") -> None:  # noqa: A002
        self.stream = io.StringIO()
        configure(level, format, self.stream)
        self.events = structlog.get_logger("hub.test")

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def test_an_event_is_one_line_of_json_with_time_in_utc() -> None:
    log = Log()
    log.events.info("instance registered", service="api", revision=7, zone=None, load=0.5)
    (line,) = log.lines
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
    assert line == {
        "level": "info",
        "event": "instance registered",
        "service": "api",
        "revision": 7,
        "zone": None,
        "load": 0.5,
        "logger": "hub.test",
    }


def test_on_the_console_an_event_is_one_plain_line() -> None:
    log = Log(format="console")
    log.events.warning("instance changed", key="a.1", reason="two words")
    assert log.text.count("\n") == 1
    assert "\x1b" not in log.text
    for part in ("Z", "[warning", "instance changed", "key=a.1", "reason='two words'"):
        assert part in log.text


def test_a_terminal_gets_colour() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure("info", "auto", stream)
    structlog.get_logger().info("started")
    assert "\x1b[" in stream.getvalue()


def test_less_important_events_are_left_out() -> None:
    log = Log("warning")
    log.events.debug("a")
    log.events.info("b")
    log.events.warning("c")
    log.events.error("d")
    assert [line["event"] for line in log.lines] == ["c", "d"]


def test_what_is_left_out_is_not_even_looked_at() -> None:
    class Costly:
        def __str__(self) -> str:
            raise AssertionError("it was rendered")

    log = Log("info")
    log.events.debug("beat", value=Costly())
    assert log.text == ""


@pytest.mark.parametrize("format", ["json", "console"])
def test_the_logging_of_libraries_goes_the_same_way(format: Format) -> None:  # noqa: A002
    log = Log(format=format)
    logging.getLogger("uvicorn.error").warning("cannot bind to %s", "nats://u:pw@h")
    logging.getLogger("nats").info("chatter")
    assert log.text.count("\n") == 1
    assert "cannot bind to nats://u:***@h" in log.text
    assert "uvicorn.error" in log.text


def test_at_debug_libraries_may_say_more() -> None:
    log = Log("debug")
    logging.getLogger("uvicorn").info("said")
    logging.getLogger("asyncio").debug("not said")
    assert [line["event"] for line in log.lines] == ["said"]


@pytest.mark.parametrize("format", ["json", "console"])
def test_an_exception_shows_its_traceback_and_neither_locals_nor_secrets(format: Format) -> None:  # noqa: A002
    log = Log(format=format)
    local = "local-value"

    def fail() -> None:
        raise ConnectionError(f"no route to {len(local)} nats://u:hunter2@h:1")

    try:
        fail()
    except ConnectionError as error:
        log.events.error("connection failed", exc_info=error)
        logging.getLogger("nats").exception("again")
    assert log.text.count("ConnectionError: no route to 11 nats://u:***@h:1") == 2
    assert "in fail" in log.text
    assert "hunter2" not in log.text
    assert "local-value" not in log.text
    if format == "json":
        assert all("Traceback" in line["exception"] for line in log.lines)


class Login(msgspec.Struct):
    user: str
    password: str


class Opaque:
    def __repr__(self) -> str:
        return "Opaque(nats://u:hunter2@h)"


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize(
    "values",
    [
        {"password": "hunter2"},
        {"system_seed": "hunter2"},
        {"Authorization": "Basic hunter2"},
        {"jwt": b"hunter2"},
        {"credentials": {"user": "u", "file": "hunter2"}},
        {"tokens": ["hunter2"]},
        {"url": "nats://u:hunter2@h:4222"},
        {"urls": ["nats://h", "nats://hunter2@h"]},
        {"options": {"deep": [{"client_secret": "hunter2"}, {"dsn": "postgres://u:hunter2@h/x"}]}},
        {"login": Login("u", "hunter2")},
        {"thing": Opaque()},
        {"raw": b"nats://u:hunter2@h"},
        {"settings": load(None, {"DATABASE_URL": "postgres://u:hunter2@h/x"})},
        {"deep": [[[[[[[[[[[[{"password": "hunter2"}]]]]]]]]]]]]},
    ],
)
def test_secrets_never_show(format: Format, values: dict[str, object]) -> None:  # noqa: A002
    log = Log(format=format)
    log.events.info("logged in", **values)
    assert "logged in" in log.text
    assert "***" in log.text
    assert "hunter2" not in log.text


def test_secrets_in_the_event_itself_never_show() -> None:
    log = Log()
    log.events.info(f"connected to nats://u:hunter2@h with {SEED}")
    assert log.lines[0]["event"] == "connected to nats://u:***@h with ***"


@pytest.mark.parametrize("format", ["json", "console"])
def test_what_a_service_says_cannot_pass_for_another_event_or_move_the_cursor(format: Format) -> None:  # noqa: A002
    log = Log(format=format)
    log.events.info("reported", message="fine\n2026-01-01 [error] forged\x1b[2J\r\u2028", short="\x1b[2J")
    logging.getLogger("lib").error("one\ntwo\x1b[2J")
    assert log.text.count("\n") == 2
    assert "\x1b" not in log.text
    assert "\r" not in log.text


def test_an_endless_value_is_cut() -> None:
    log = Log()
    log.events.info("read", payload="x" * 1_000_000)
    assert len(log.text) < 20_000
    assert "(1000000 characters)" in log.text


def test_what_json_cannot_hold_is_shown_all_the_same() -> None:
    log = Log()
    log.events.info("odd", where={1: {2, 3}}, nan=float("nan"), half="\ud800", kind=ValueError, big=10**30)
    assert log.lines[0]["event"] == "odd"


def test_a_log_that_nobody_reads_stops_nobody() -> None:
    log = Log()
    log.stream.close()
    log.events.info("said into the void")
    logging.getLogger("lib").error("this too")
