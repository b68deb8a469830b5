"""The request being handled: known to its own tasks and lines of the log, and to nothing else."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from hub.handlers.inflight import InFlight
from hub.telemetry.logging import configure
from hub.telemetry.request import RequestContext, current_request, with_trace
from hub.wire.event import CloudEvent

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A configured log."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    configure("debug", "json", written)
    yield written
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def event() -> CloudEvent:
    return CloudEvent(id="1", type="t", source="s", subject="a.b", time=datetime.now(UTC), data={})


def test_headers_are_read_in_any_case_and_answered_in_the_usual() -> None:
    request = RequestContext.from_headers({"x-request-id": "mine", "TraceParent": TRACEPARENT, "TRACESTATE": "a=1"})
    assert request.request_id == "mine"
    assert request.reply_headers() == {"X-Request-Id": "mine", "traceparent": TRACEPARENT, "tracestate": "a=1"}


@pytest.mark.parametrize("wrong", ["", "two words", "x" * 129, "é"])
def test_what_is_no_id_is_replaced_by_one_that_is_answered(wrong: str) -> None:
    request = RequestContext.from_headers({"X-Request-Id": wrong})
    assert request.request_id != wrong
    assert request.reply_headers() == {"X-Request-Id": request.request_id}


def test_a_request_without_headers_is_answered_without_unless_it_fails() -> None:
    request = RequestContext.from_headers(None)
    assert request.reply_headers() == {}
    assert request.reply_headers(failed=True) == {"X-Request-Id": request.request_id}


def test_a_trace_that_is_none_is_left_out_with_its_state() -> None:
    request = RequestContext.from_headers({"traceparent": "00-1-2-3", "tracestate": "a=1"})
    assert (request.traceparent, request.tracestate, request.reply_headers()) == ("", "", {})


async def test_a_task_in_flight_keeps_its_request_and_those_beside_it_theirs() -> None:
    in_flight = InFlight(10)
    seen: dict[str, list[str]] = {}

    async def work(name: str) -> None:
        seen[name] = []
        for _ in range(3):
            request = current_request()
            seen[name].append(request.request_id if request else "none")
            await asyncio.sleep(0)

    for name in ("one", "other"):
        with RequestContext(name):
            in_flight.begin(work(name))
    in_flight.begin(work("none"))
    assert current_request() is None
    await in_flight.drain(5)
    assert seen == {name: [name] * 3 for name in ("one", "other", "none")}


def test_every_line_within_a_request_has_its_id_and_trace_and_no_line_beside_it(stream: io.StringIO) -> None:
    log = structlog.get_logger("hub.test")
    log.info("before")
    with RequestContext.from_headers({"X-Request-Id": "mine", "traceparent": TRACEPARENT}):
        log.info("within")
        logging.getLogger("lib").warning("of a library")
    log.info("after")
    before, within, library, after = map(json.loads, stream.getvalue().splitlines())
    for line in (within, library):
        assert (line["request_id"], line["trace_id"]) == ("mine", TRACEPARENT[3:35])
    for line in (before, after):
        assert not {"request_id", "trace_id"} & line.keys()


def test_an_event_has_the_trace_of_the_request_that_brought_it_about() -> None:
    assert with_trace(event()).traceparent == event().traceparent
    with RequestContext.from_headers({"traceparent": TRACEPARENT}):
        told = with_trace(event())
    assert told.traceparent == TRACEPARENT
    assert told.tracestate == event().tracestate
