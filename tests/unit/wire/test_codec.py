"""What a refused message is told: the field, what was expected there, what was found."""

from __future__ import annotations

import pytest

from hub.errors import InvalidRequest, PayloadTooLarge
from hub.wire.codec import MAX_MESSAGE_BYTES, Decoder, encode
from hub.wire.discovery import Discover
from hub.wire.registration import Deregister, Heartbeat, Register

register = Decoder(Register)
GOOD = b'"name":"a","host":"h","port":1'


@pytest.mark.parametrize(
    ("payload", "field", "message"),
    [
        (b"{" + GOOD.replace(b":1", b":0") + b"}", "port", "port: expected 1..65535, got 0"),
        (b"{" + GOOD.replace(b":1", b":65536") + b"}", "port", "port: expected 1..65535, got 65536"),
        (b"{" + GOOD.replace(b":1", b':"80"') + b"}", "port", 'port: expected 1..65535, got "80"'),
        (
            b'{"name":"a.b","host":"h","port":1}',
            "name",
            "name: expected a DNS label: 1..63 of a-z, 0-9 and inner '-', got \"a.b\"",
        ),
        (b'{"name":"a","host":"h"}', "port", "port: expected a value, got none (the field is required)"),
        (b"{" + GOOD + b',"ttl":-1}', "ttl", "ttl: expected 0.5..86400, got -1"),
        (b"{" + GOOD + b',"tags":["x",3]}', "tags[1]", "tags[1]: expected a string of 1..64 characters, got 3"),
        (b"{" + GOOD + b',"metadata":[]}', "metadata", "metadata: expected an object, got []"),
        (
            b"{" + GOOD + b',"liveness":"eternal"}',
            "liveness",
            "liveness: expected one of 'heartbeat', 'permanent', 'probe', got \"eternal\"",
        ),
        (b"[]", None, "message: expected object, got []"),
        (b"{" + GOOD + b',"metadata":' + b'{"a":' * 17 + b"1" + b"}" * 17 + b"}", "metadata", "16 levels"),
        (b"{" + GOOD + b',"metadata":' + b"[" * 20_000 + b"]" * 20_000 + b"}", None, "nested too deeply"),
        (b"not json", None, "message: expected JSON"),
        (b"\xff\xfe", None, "message: expected JSON"),
    ],
)
def test_a_refused_message_is_told_where_and_what_was_expected(payload: bytes, field: str | None, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        register(payload)
    assert refused.value.field == field
    assert message in refused.value.message


@pytest.mark.parametrize("name", ["a.b", "*", "a b", ">", "-a", "a-", "A", "a\n", "", "x" * 64])
def test_a_name_that_is_no_dns_label_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="DNS label"):
        register(encode({"name": name, "host": "h", "port": 1}))


@pytest.mark.parametrize("name", ["hub", "nats", "kafka", "database", "cache", "bridge", "db-orders"])
def test_a_name_that_the_hub_reports_under_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="reserved"):
        register(encode({"name": name, "host": "h", "port": 1}))


@pytest.mark.parametrize("instance_id", ["", "a.b", "*", "a b", "x" * 65, "é"])
def test_an_instance_id_with_other_characters_is_refused(instance_id: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Decoder(Deregister)(encode({"name": "a", "instance_id": instance_id}))
    assert refused.value.field == "instance_id"


def test_a_message_of_more_than_64_kib_is_refused_by_its_size() -> None:
    with pytest.raises(PayloadTooLarge, match="65536"):
        register(b" " * (MAX_MESSAGE_BYTES + 1))


def test_unknown_fields_are_ignored() -> None:
    assert register(b"{" + GOOD + b',"colour":"blue"}').name == "a"


def test_an_empty_beat_is_a_beat() -> None:
    assert Decoder(Heartbeat)(b"") == Heartbeat()


def test_a_discovery_by_labels_may_leave_the_name_empty() -> None:
    assert Decoder(Discover)(b'{"capabilities":["trading"]}').name == ""


@pytest.mark.parametrize(
    "rest",
    [b",garbage", b',"z":"\\ud800"}', b',"z":"\xff"}', b"}\xff", b',"z":1' + b"0" * 5000 + b"}"],
    ids=["no JSON", "half a character", "no UTF-8", "too much", "an endless number"],
)
def test_what_is_broken_behind_a_wrong_value_is_still_the_callers_fault(rest: bytes) -> None:
    with pytest.raises(InvalidRequest):
        Decoder(Register)(b'{"name":5' + rest)


def test_a_range_of_statuses_that_no_answer_can_be_in_is_refused() -> None:
    check = b'{"type":"http","expect_status":"%b"}'
    register(b"{" + GOOD + b',"checks":[' + check % b"200-200" + b"]}")
    with pytest.raises(InvalidRequest, match="expected the lower status first, got '299-200'"):
        register(b"{" + GOOD + b',"checks":[' + check % b"299-200" + b"]}")
