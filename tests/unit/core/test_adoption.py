"""Who is taken in by the micro protocol, as what, and who is asked about itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.core import adoption
from hub.core.adoption import Intake, Pace, Unfit, key_of, registered_name, registration
from hub.core.registry import Registry
from hub.errors import Conflict
from hub.wire.codec import MAX_MESSAGE_BYTES, Decoder, encode
from hub.wire.micro import EndpointAnswer, InfoAnswer, PingAnswer
from hub.wire.registration import Register
from tests.unit.core.making import WALL


def ping(**given: Any) -> PingAnswer:
    return PingAnswer(**{"name": "feed", "id": "f1", "version": "1.0.0", **given})


def info(**given: Any) -> InfoAnswer:
    return InfoAnswer(**{"name": "feed", "id": "f1", "version": "1.0.0", **given})


def made(interval: float = 5.0, **given: Any) -> Register:
    answer = info(**given)
    return registration(ping(name=answer.name, id=answer.id), answer, host="10.0.0.9", port=4222, interval=interval)


def intake(*keys: str, now: float = 0.0) -> Intake:
    """With these taken in already, long enough ago not to be new."""
    found = Intake(60.0)
    for key in keys:
        found.settle(key, ping(), now, adopted=True)
        found.settle(key, ping(), now, adopted=True)
    return found


# --- as whom


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("feed", "feed"),
        ("PriceFeed", "pricefeed"),
        ("Price_Feed_2", "price-feed-2"),
        ("_feed", None),
        ("feed-", None),
        ("-", None),
        ("x" * 63, "x" * 63),
        ("x" * 64, None),
        ("hub", None),
        ("NATS", None),
        ("DB_orders", None),
        ("Kafka", None),
    ],
)
def test_a_service_is_called_what_its_name_makes_as_a_dns_label(name: str, expected: str | None) -> None:
    assert registered_name(name) == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": "hub"}, "name"),
        ({"name": "-"}, "name"),
        ({"id": "a.b"}, "id"),
        ({"id": "a*"}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"id": "ö"}, "id"),
        ({"metadata": {"hub.adopt": "false"}}, "declined"),
    ],
)
def test_who_cannot_or_will_not_be_registered_is_unfit_and_told_why(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unfit) as unfit:
        key_of(ping(**given))
    assert unfit.value.reason == reason


@pytest.mark.parametrize("metadata", [None, {}, {"hub.adopt": "true"}, {"adopt": "false"}])
def test_everybody_else_has_a_key(metadata: dict[str, str] | None) -> None:
    assert key_of(ping(name="My_Feed", id="Ab-9_z", metadata=metadata)) == "my-feed.Ab-9_z"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"type":"io.nats.micro.v1.ping_response","name":"feed"}',
        b'{"type":"io.nats.micro.v1.info_response","name":"feed","id":"f1"}',
        b'{"name":5,"id":"f1"}',
        b'{"name":"a.b","id":"f1"}',
        b'{"name":"a b","id":"f1"}',
        b'{"name":"","id":"f1"}',
        b'{"name":"feed","id":""}',
        b'{"name":"feed","id":"f1","version":1}',
        b'{"name":"feed","id":"f1","metadata":[]}',
        b'{"name":"feed","id":"f1","metadata":{"a":{"b":1}}}',
        b'{"name":"feed","id":"' + b"x" * 200 + b'"}',
    ],
)
def test_what_is_not_the_protocol_is_not_read(payload: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        msgspec.json.decode(payload, type=PingAnswer)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"name":"feed","id":"f1"}',
        b'{"name":"feed","id":"f1","version":"1.0.0","metadata":null,"type":"io.nats.micro.v1.ping_response"}',
        b'{"name":"feed","id":"f1","version":"1.0.0","metadata":{"a":"b"},"more":[1]}',
    ],
)
def test_what_the_protocol_leaves_open_is_read(payload: bytes) -> None:
    assert key_of(msgspec.json.decode(payload, type=PingAnswer)) == "feed.f1"


# --- as what


def test_a_service_is_registered_as_it_would_itself() -> None:
    endpoint = EndpointAnswer(name="quote", subject="prices.quote", queue_group="q")
    request = made(name="Price_Feed", description="Prices.", metadata={"team": "a"}, endpoints=(endpoint,))
    assert (request.name, request.instance_id, request.version) == ("price-feed", "f1", "1.0.0")
    assert (request.host, request.port, request.protocol, request.tags) == ("10.0.0.9", 4222, "nats", ("micro",))
    assert (request.liveness, request.ttl, request.deregister_after) == ("heartbeat", 15.0, 50.0)
    assert request.metadata == {
        "description": "Prices.",
        "micro_name": "Price_Feed",
        "endpoints": [{"name": "quote", "subject": "prices.quote", "queue_group": "q"}],
        "capabilities": ["quote"],
        "micro": {"team": "a"},
    }


@pytest.mark.parametrize("interval", [0.2, 1.0, 3600.0])
def test_a_registration_is_one_that_the_contract_takes_at_any_interval(interval: float) -> None:
    assert Decoder(Register)(encode(made(interval))) == made(interval)


def test_what_says_little_is_registered_with_little() -> None:
    assert made(description=None, metadata=None, endpoints=None).metadata == {
        "description": "",
        "micro_name": "feed",
        "endpoints": [],
        "capabilities": [],
        "micro": {},
    }


@pytest.mark.parametrize(
    "given",
    [
        {"description": "x" * 200_000},
        {"metadata": {"k": "v" * 100_000}},
        {"metadata": {f"key-{n}": "v" * 100 for n in range(256)}},
        {"endpoints": tuple(EndpointAnswer(name=f"e{n}", subject="s") for n in range(4096))},
        {"endpoints": tuple(EndpointAnswer(name="e" * 128, subject="s" * 512) for _ in range(64))},
    ],
    ids=["description", "one value", "many values", "many endpoints", "long endpoints"],
)
def test_what_is_too_much_is_cut_and_says_so(given: dict[str, Any]) -> None:
    request = made(**given)
    assert request.metadata["truncated"] is True
    assert len(encode(request)) < MAX_MESSAGE_BYTES / 2
    Decoder(Register)(encode(request))


def test_what_another_answered_is_not_taken_for_it() -> None:
    for given in ({"name": "other"}, {"id": "f2"}):
        with pytest.raises(Unfit, match="another name or id"):
            registration(ping(), info(**given), host="h", port=1, interval=5.0)


# --- when to ask who is alive


@pytest.mark.parametrize(
    ("begun", "heard", "now", "leading", "due"),
    [
        (None, None, 0.0, True, True),
        (None, None, 0.0, False, False),
        (None, None, 7.4, False, False),
        (None, None, 7.5, False, True),
        (10.0, 10.1, 14.9, True, False),
        (10.0, 10.1, 15.0, True, True),
        (10.0, 14.9, 15.0, True, True),
        (None, 10.0, 10.1, True, True),
        (None, 10.0, 17.4, False, False),
        (None, 10.0, 17.5, False, True),
        (10.0, None, 17.4, False, False),
        (10.0, None, 17.5, False, True),
    ],
)
def test_the_leader_asks_every_interval_and_the_others_when_it_does_not(
    begun: float | None, heard: float | None, now: float, leading: bool, due: bool
) -> None:
    pace = Pace(5.0, 0.0)
    if begun is not None:
        pace.begin(begun)
    if heard is not None:
        pace.heard(heard)
    assert pace.is_due(now, leading=leading) is due


# --- whom to ask about itself


def test_a_stranger_is_asked_once_however_often_it_answers() -> None:
    found = Intake(60.0)
    assert found.offer("feed.f1", ping(), 0.0, known=False)
    assert found.offer("feed.f1", ping(), 0.1, known=False)
    assert found.take(10) == [("feed.f1", ping())]
    assert found.take(10) == []


@pytest.mark.parametrize(
    ("given", "now", "known", "asked"),
    [
        ({}, 1.0, True, False),
        ({}, 44.0, True, False),
        ({}, 76.0, True, True),
        ({}, 1.0, False, True),
        ({"version": "1.0.1"}, 1.0, True, True),
        ({"metadata": {"a": "b"}}, 1.0, True, True),
        ({"metadata": {}}, 1.0, True, False),
    ],
    ids=["the same", "the same later", "the same much later", "gone", "version", "metadata", "none as before"],
)
def test_one_that_was_taken_in_is_asked_again_when_there_is_something_to_learn(
    given: dict[str, Any], now: float, known: bool, asked: bool
) -> None:
    assert intake("feed.f1").offer("feed.f1", ping(**given), now, known=known) is asked


def test_one_that_is_new_is_asked_again_soon() -> None:
    found = Intake(60.0)
    found.settle("feed.f1", ping(), 0.0, adopted=True)
    assert not found.offer("feed.f1", ping(), 5.0, known=True)
    assert found.offer("feed.f1", ping(), 15.1, known=True)


def test_one_that_was_refused_is_left_alone_for_a_while() -> None:
    found = Intake(60.0)
    found.settle("feed.f1", ping(), 0.0, adopted=False)
    assert not found.offer("feed.f1", ping(), 44.0, known=False)
    assert found.offer("feed.f1", ping(), 76.0, known=False)


def test_a_fleet_is_not_asked_all_at_once() -> None:
    keys = [f"feed.f{n}" for n in range(1000)]
    found = intake(*keys)
    for now, least, most in ((44.0, 0, 0), (60.0, 300, 700), (76.0, 1000, 1000)):
        due = sum(found.offer(key, ping(), now, known=True) for key in keys)
        assert least <= due <= most


def test_those_who_wait_are_bounded_and_come_in_their_turn() -> None:
    found = Intake(60.0)
    for number in range(adoption.MAX_WAITING):
        found.offer(f"feed.f{number}", ping(), 0.0, known=False)
    with pytest.raises(Unfit) as unfit:
        found.offer("feed.late", ping(), 0.0, known=False)
    assert unfit.value.reason == "overflow"
    assert found.offer("feed.f0", ping(version="2"), 0.0, known=False)
    assert [key for key, _ in found.take(2)] == ["feed.f0", "feed.f1"]
    assert found.offer("feed.late", ping(), 0.0, known=False)


def test_those_who_have_not_been_heard_for_long_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    found = intake("feed.f1", "feed.f2")
    found.settle("feed.f3", ping(), 200.0, adopted=False)
    assert list(found._seen) == ["feed.f3"]
    monkeypatch.setattr(adoption, "MAX_SEEN", 3)
    for number in range(10):
        found.settle(f"feed.g{number}", ping(), 200.0, adopted=False)
    assert len(found._seen) == 3


def test_a_replica_that_does_not_lead_remembers_nobody() -> None:
    found = intake("feed.f1")
    found.offer("feed.f2", ping(), 0.0, known=False)
    found.clear()
    assert len(found) == 0
    assert found.offer("feed.f1", ping(), 0.0, known=True)


# --- what a service says itself goes before what was found out


def wall() -> Any:
    return WALL


def own(**given: Any) -> Register:
    return Register(**{"name": "feed", "instance_id": "f1", "host": "10.0.0.1", "port": 80, **given})


def admitted(registry: Registry, request: Register, revision: int, **given: Any) -> None:
    registry.admitted(registry.admit(request, 0.0, wall, **given).record, revision, 0.0)


def test_one_that_was_found_says_so_and_the_same_again_changes_nothing() -> None:
    registry = Registry(0.0)
    admitted(registry, made(), 7, source="micro")
    assert registry.catalog.entries["feed.f1"].instance.source == "micro"
    assert not registry.admit(made(), 1.0, wall, "micro").changed
    assert registry.admit(made(version="2.0.0"), 1.0, wall, "micro").changed


def test_one_that_was_found_becomes_its_own_when_it_registers() -> None:
    registry = Registry(0.0)
    admitted(registry, made(), 7, source="micro")
    admission = registry.admit(own(), 1.0, wall)
    assert (admission.changed, admission.is_new, admission.expected) == (True, False, 7)
    assert (admission.record.source, admission.record.port, admission.record.ttl) == ("registration", 80, 6.0)


def test_one_that_registered_is_never_overwritten_by_what_is_found() -> None:
    registry = Registry(0.0)
    admitted(registry, own(), 7)
    with pytest.raises(Conflict, match="registered itself"):
        registry.admit(made(), 1.0, wall, "micro")


def test_an_id_that_was_found_is_not_kept_from_another_service_that_registers() -> None:
    registry = Registry(0.0)
    admitted(registry, made(), 7, source="micro")
    assert registry.claimants("feed", "f1") == []
    admitted(registry, own(name="engine"), 8)
    assert registry.claimants("feed", "f1") == ["engine"]
    with pytest.raises(Conflict, match="belongs to 'engine'"):
        registry.admit(made(), 1.0, wall, "micro")


def test_two_services_of_one_id_are_not_both_found() -> None:
    registry = Registry(0.0)
    admitted(registry, made(), 7, source="micro")
    with pytest.raises(Conflict, match="belongs to 'feed'"):
        registry.admit(made(name="other"), 1.0, wall, "micro")
