"""Traces: what callers say is passed on, and a collector sees it where one is set; nothing is the worse for either."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from tests.calls import connected, discover, register
from tests.clients import sdk
from tests.collector import Collector, attributes
from tests.hubs import HubProcess
from tests.servers import NatsServer, free_port
from tests.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
HEADERS = {"traceparent": TRACEPARENT, "tracestate": "rojo=00f067aa0ba902b7"}


def registration(name: str) -> bytes:
    return json.dumps(
        {"name": name, "host": "127.0.0.1", "port": 8000, "instance_id": f"{name}-1", "liveness": "permanent"}
    ).encode()


async def told_of(client: Client, name: str, headers: dict[str, str]) -> tuple[Msg, dict[str, object]]:
    """The reply to a registration with these headers, and the event that tells of it."""
    events: list[dict[str, object]] = []

    async def on_event(message: Msg) -> None:
        event = json.loads(message.data)
        if event["subject"] == f"{name}.{name}-1":
            events.append(event)

    subscription = await client.subscribe("hub.events.service.registered", cb=on_event)
    reply = await client.request("hub.register", registration(name), headers=headers, timeout=10)
    await until(lambda: bool(events), "the event is told")
    await subscription.unsubscribe()
    return reply, events[0]


async def test_without_a_collector_a_trace_is_passed_on_as_it_came(client: Client) -> None:
    reply, event = await told_of(client, "traced", HEADERS)
    assert reply.headers == HEADERS
    assert (event["traceparent"], event["tracestate"]) == (TRACEPARENT, HEADERS["tracestate"])


async def test_what_is_no_trace_is_not_passed_on(client: Client) -> None:
    reply, event = await told_of(client, "untraced", {"traceparent": "00-0-0-00", "tracestate": "a=1"})
    assert reply.headers is None
    assert not {"traceparent", "tracestate"} & event.keys()


async def test_spans_of_a_request_reach_the_collector_within_the_callers_trace(tmp_path: Path) -> None:
    with Collector() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20hidden-word",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "LOG_LEVEL": "debug",
        }
        with HubProcess(tmp_path / "hub", variables=variables) as hub:
            async with connected(hub.nats_url) as client:
                reply, event = await told_of(client, "engine", {**HEADERS, "X-Request-Id": "mine"})
                await until(lambda: len(collector.of_trace(TRACE)) >= 2, "the spans arrive")
                await client.request("hub.register", b"{}", headers=HEADERS, timeout=10)
                await until(lambda: len(collector.of_trace(TRACE)) >= 3, "the span of the refused one arrives")
            assert "hidden-word" not in hub.output()
            assert f"trace_id={TRACE}" in re.sub(r"\x1b\[[0-9;]*m", "", hub.output())
    write, taken, refused = sorted(collector.of_trace(TRACE), key=lambda span: span.end_time_unix_nano)
    assert (taken.name, taken.parent_span_id.hex(), taken.kind) == ("hub.register", PARENT, taken.SPAN_KIND_SERVER)
    assert (write.name, write.parent_span_id) == ("store put", taken.span_id)
    told = attributes(taken)
    assert told["messaging.system"] == "nats"
    assert told["messaging.destination.name"] == "hub.register"
    assert (told["hub.outcome"], told["hub.request_id"]) == ("ok", "mine")
    assert attributes(refused)["error.type"] == "invalid_request"
    assert refused.status.code == refused.status.STATUS_CODE_UNSET
    own = f"00-{TRACE}-{taken.span_id.hex()}-01"
    assert reply.headers is not None
    assert (reply.headers["traceparent"], event["traceparent"]) == (own, own)
    assert {each["service.name"] for each in collector.resources} == {"central-hub"}
    assert set(collector.authorizations) == {"Bearer hidden-word"}


async def test_spans_that_wait_are_sent_when_the_hub_stops(tmp_path: Path, nats_server: NatsServer) -> None:
    with Collector() as collector:
        variables = {"HUB_TRACING_ENDPOINT": f"{collector.url}/", "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
        with HubProcess(tmp_path / "hub", nats_url=nats_server.url, variables=variables) as hub:
            async with connected(nats_server.url) as client:
                await discover(client, "anybody")
            assert collector.spans == []
            assert hub.stop() == 0
    assert "hub.discover" in {span.name for span in collector.spans}


async def test_of_requests_whose_callers_have_not_decided_only_the_share_that_is_set_is_traced(tmp_path: Path) -> None:
    with Collector() as collector:
        variables = {"HUB_TRACING_ENDPOINT": collector.url, "HUB_TRACING_RATIO": "0"}
        with HubProcess(tmp_path / "hub", variables=variables) as hub:
            async with connected(hub.nats_url) as client:
                await discover(client, "anybody")
                await client.request("hub.discover", b'{"name":"x"}', headers=HEADERS, timeout=10)
            assert hub.stop() == 0
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}


@pytest.mark.parametrize("listens", [False, True], ids=["refused", "silent"])
async def test_a_collector_that_does_not_answer_is_told_of_sparingly_and_holds_nothing_up(
    tmp_path: Path, listens: bool
) -> None:
    with socket.socket() as silent:
        port = free_port()
        if listens:
            silent.bind(("127.0.0.1", port))
            silent.listen(64)
        variables = {
            "HUB_TRACING_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_BSP_MAX_QUEUE_SIZE": "64",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        }
        with HubProcess(tmp_path / "hub", variables=variables) as hub:
            async with connected(hub.nats_url) as client:
                await register(client, "engine")
                for _ in range(200):
                    assert (await discover(client, "engine"))["instances"]
                await until(lambda: "tracing has trouble" in hub.output(), "the trouble is told", within=30)
                assert (await discover(client, "engine"))["instances"]
            began = time.monotonic()
            assert hub.stop() == 0
            assert time.monotonic() - began < 10
            assert hub.output().count("tracing has trouble") == 1
            assert "Traceback" not in hub.output()


async def test_tracing_without_its_libraries_is_refused_by_the_name_of_the_extra(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\n\n\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter')):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n\n\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    path = os.pathsep.join(filter(None, [str(hidden), os.environ.get("PYTHONPATH", "")]))
    configured = {"PYTHONPATH": path, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    hub = HubProcess(tmp_path / "refused", nats_url=nats_server.url, variables=configured)
    hub.start(wait=False)
    assert hub.wait() == 1
    assert "tracing.endpoint" in hub.output()
    assert "pip install 'central-hub[tracing]'" in hub.output()
    assert "Traceback" not in hub.output()


async def test_the_sdk_tells_the_hub_of_the_trace_that_the_service_is_in(tmp_path: Path) -> None:
    caller = SpanContext(
        int(TRACE, 16),
        int(PARENT, 16),
        is_remote=False,
        trace_flags=TraceFlags(1),
        trace_state=TraceState([("a", "1")]),
    )
    with (
        Collector() as collector,
        HubProcess(tmp_path / "hub", variables={"HUB_TRACING_ENDPOINT": collector.url}) as hub,
    ):
        with trace.use_span(NonRecordingSpan(caller)):
            async with sdk(hub.nats_url, "looker") as client:
                await client.services()
        assert hub.stop() == 0
        [seen] = [span for span in collector.of_trace(TRACE) if span.name == "hub.services"]
    assert (seen.parent_span_id.hex(), seen.trace_state) == (PARENT, "a=1")
