"""Queries and bodies become the messages that say the same on NATS."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import InvalidRequest
from hub.sidecar.change import OneChange, one_change
from hub.sidecar.translation import payload, placed, with_probe
from hub.wire.codec import Decoder, encode
from hub.wire.config import (
    ConfigChange,
    PatchConfig,
    PutConfig,
)
from hub.wire.discovery import Discover
from hub.wire.registration import Deregister

PLACES = {"service": "trading-engine"}


def discover(*query: tuple[str, str]) -> Any:
    return json.loads(payload(Discover, {"name": "a"}, query))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ((), {}),
        ((("limit", "3"), ("wait", "0.5")), {"limit": 3, "wait": 0.5}),
        ((("zone", "7"),), {"zone": "7"}),
        ((("tags", "blue,green"),), {"tags": ["blue", "green"]}),
        ((("tags", "blue"), ("tags", "green,red")), {"tags": ["blue", "green", "red"]}),
        ((("tags", ""),), {"tags": []}),
        ((("version", ">=1.2,<2"),), {"version": ">=1.2,<2"}),
        ((("name", "b"), ("unheard", "of")), {}),
    ],
)
def test_a_parameter_is_what_its_field_takes(query: tuple[tuple[str, str], ...], message: dict[str, Any]) -> None:
    assert discover(*query) == {"name": "a", **message}


@pytest.mark.parametrize("text", ["x", "", "1_0", "+1", "0x1", "٣", "NaN", "Infinity", "01", " 1", "1.", "null", "[1]"])
def test_what_is_no_number_is_passed_on_as_it_is_and_refused_in_the_words_of_nats(text: str) -> None:
    assert discover(("limit", text))["limit"] == text
    for kind in ("limit", "wait"):
        with pytest.raises(InvalidRequest) as over_http:
            Decoder(Discover)(payload(Discover, {}, [(kind, text)]))
        with pytest.raises(InvalidRequest) as on_nats:
            Decoder(Discover)(encode({kind: text}))
        assert over_http.value.message == on_nats.value.message
        assert over_http.value.field == kind


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_number_that_it_is_in_json(number: float) -> None:
    assert discover(("wait", json.dumps(number)))["wait"] == number


def test_one_value_is_not_taken_from_several() -> None:
    with pytest.raises(InvalidRequest, match=r"^limit: expected one value, got several$") as refused:
        discover(("limit", "1"), ("limit", "2"))
    assert refused.value.field == "limit"


@given(st.lists(st.tuples(st.sampled_from([*Discover.__struct_fields__, "other"]), st.text(max_size=20)), max_size=6))
def test_no_query_brings_about_anything_but_a_message_or_a_refusal(query: list[tuple[str, str]]) -> None:
    with suppress(InvalidRequest):
        assert Decoder(Discover)(payload(Discover, {"name": "a"}, query)).name == "a"


def test_what_the_path_says_wins() -> None:
    message = json.loads(payload(Deregister, {"name": "a", "instance_id": "i"}, [("name", "b"), ("reason", "over")]))
    assert message == {"name": "a", "instance_id": "i", "reason": "over"}


@pytest.mark.parametrize(
    ("given_message", "liveness"),
    [
        ({"health_endpoint": "/health"}, "probe"),
        ({"health_endpoint": "/health", "liveness": "heartbeat"}, "heartbeat"),
        ({"health_endpoint": "/health", "liveness": None}, None),
        ({"health_endpoint": None}, "none said"),
        ({}, "none said"),
    ],
)
def test_who_gives_a_place_to_look_at_and_says_no_more_is_probed(given_message: Any, liveness: str | None) -> None:
    message = {"name": "a", "host": "h", "port": 1, **given_message}
    for text in (json.dumps(message), " \n" + json.dumps(message, indent=1)):
        told = json.loads(with_probe(text.encode(), {}))
        assert told.pop("liveness", "none said") == liveness
        message.pop("liveness", None)
        assert told == message


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b'{"health_endpoint":', b"\xff", b"[" * 60_000, b"{}x"])
def test_a_body_that_is_no_message_is_left_for_the_hub_to_refuse(body: bytes) -> None:
    assert with_probe(body, {}) is body
    if body:
        assert placed(body, PLACES) is one_change(body, PLACES) is body


def test_what_the_path_says_is_in_the_message_whatever_the_body_says_of_it() -> None:
    told = json.loads(placed(b'{"service":"ledger","target":12}', PLACES))
    assert told == {"service": "trading-engine", "target": 12}
    assert json.loads(placed(b"", PLACES)) == PLACES


@pytest.mark.parametrize("body", [b"", b" {}", b'{"service":"ledger"}', b"{"])
def test_a_body_is_left_as_it_is_where_the_path_says_nothing(body: bytes) -> None:
    assert placed(body, {}) is body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"values": {"a": None}}, {"changes": [{"values": {"a": None}, **PLACES}]}),
        ({"values": 5, "revision": "x"}, {"changes": [{"values": 5, "revision": "x", **PLACES}]}),
        (
            {"values": {}, "revision": 12, "author": "ada", "reason": "why", "dry_run": True},
            {"changes": [{"values": {}, "revision": 12, **PLACES}], "author": "ada", "reason": "why", "dry_run": True},
        ),
        ({"service": "ledger", "values": {}}, {"changes": [{"values": {}, **PLACES}]}),
        ({"changes": [{"service": "ledger", "values": {}}]}, {"changes": [PLACES]}),
        ({}, {"changes": [PLACES]}),
    ],
)
def test_the_change_of_one_scope_is_the_only_one_of_its_message(body: Any, message: Any) -> None:
    told = json.loads(one_change(json.dumps(body).encode(), PLACES))
    assert {name: told[name] for name in told if name in PutConfig.__struct_fields__} == message


def test_the_body_of_one_change_has_all_that_the_messages_know() -> None:
    fields = set(ConfigChange.__struct_fields__) | (set(PutConfig.__struct_fields__) - {"changes"})
    assert set(OneChange.__struct_fields__) == fields
    assert set(PatchConfig.__struct_fields__) == set(PutConfig.__struct_fields__)
