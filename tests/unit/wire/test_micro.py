"""The answers of the micro protocol, apart from any server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.wire import micro, subjects
from hub.wire.channel import Channel
from hub.wire.channels import CHANNELS
from hub.wire.codec import encode
from tests.micro_schemas import MICRO_V1

_DISCOVER = next(channel for channel in CHANNELS if channel.name == "discover")
_METRICS = next(channel for channel in CHANNELS if channel.name == "metrics")


@pytest.mark.parametrize(
    ("requests", "seconds", "total", "average"),
    [
        (0, 0.0, 0, 0),
        (3, 0.000_001, 1000, 333),
        (2, 1.5, 1_500_000_000, 750_000_000),
        (7, 0.1 + 0.2, 300_000_000, 42_857_142),
    ],
)
def test_times_are_whole_nanoseconds_and_their_average_is_cut(
    requests: int, seconds: float, total: int, average: int
) -> None:
    stats = micro.endpoint_stats(_DISCOVER, outcomes={"ok": requests}, errors=0, last_error="", seconds=seconds)
    assert (stats.processing_time, stats.average_processing_time) == (total, average)


@pytest.mark.parametrize(("channel", "group"), [(_DISCOVER, "hub"), (_METRICS, "")], ids=["shared", "for itself"])
def test_an_endpoint_is_told_with_its_queue_group_or_none(channel: Channel, group: str) -> None:
    info = micro.endpoint_info(channel)
    assert (info.name, info.subject, info.queue_group) == (channel.name, channel.address, group)
    assert info.metadata["description"] == channel.description


def test_an_endpoint_names_the_schemas_of_its_messages() -> None:
    metadata = micro.endpoint_info(_DISCOVER).metadata
    assert (metadata["request"], metadata["reply"]) == ("discover", "discovered")
    assert set(micro.endpoint_info(_METRICS).metadata) == {"description"}


def test_no_error_is_told_as_an_empty_text_and_the_start_in_utc() -> None:
    figures = micro.endpoint_stats(_DISCOVER, outcomes={"ok": 1}, errors=0, last_error="", seconds=0.1)
    started = datetime(2026, 1, 31, 9, 2, 11, tzinfo=UTC)
    stats = micro.Stats(id="hub-1", version="3.0.0", metadata={}, started=started, endpoints=(figures,))
    told = json.loads(encode(stats))
    assert told["type"] == "io.nats.micro.v1.stats_response"
    assert told["started"] == "2026-01-31T09:02:11Z"
    assert told["endpoints"][0]["last_error"] == ""
    assert told["endpoints"][0]["data"] == {"outcomes": {"ok": 1}}


@pytest.mark.parametrize(
    ("verb", "change"),
    [
        ("PING", {"type": "io.nats.micro.v1.pong"}),
        ("PING", {"name": "central.hub"}),
        ("PING", {"id": ""}),
        ("PING", {"version": "3.0"}),
        ("PING", {"metadata": {"contract": 1}}),
        ("INFO", {"description": None}),
        ("INFO", {"endpoints": [{"name": "a b", "subject": "x"}]}),
        ("INFO", {"endpoints": [{"name": "a"}]}),
        ("STATS", {"started": "yesterday"}),
        ("STATS", {"endpoints": None}),
    ],
)
def test_the_published_schemas_refuse_what_is_not_the_protocol(verb: str, change: dict[str, Any]) -> None:
    who: dict[str, Any] = {"id": "hub-1", "version": "3.0.0", "metadata": {"contract": "v1"}}
    figures = micro.endpoint_stats(_DISCOVER, outcomes={"ok": 1}, errors=0, last_error="", seconds=0.1)
    messages = {
        "PING": micro.Ping(**who),
        "INFO": micro.Info(**who, endpoints=(micro.endpoint_info(_DISCOVER), micro.endpoint_info(_METRICS))),
        "STATS": micro.Stats(**who, started=datetime.now(UTC), endpoints=(figures,)),
    }
    told = json.loads(encode(messages[verb]))
    MICRO_V1[verb].validate(told)
    assert not MICRO_V1[verb].is_valid({**told, **change})


def test_one_instance_is_asked_on_three_subjects() -> None:
    assert subjects.micro("PING", "central-hub", "hub-1") == (
        "$SRV.PING",
        "$SRV.PING.central-hub",
        "$SRV.PING.central-hub.hub-1",
    )
