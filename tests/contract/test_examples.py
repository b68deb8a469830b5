"""Golden messages: what the schemas take is what the hub takes, and what it refuses, it refuses in these words."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from hub.errors import InvalidRequest
from hub.wire import fault
from hub.wire.channels import CHANNELS
from hub.wire.codec import Decoder, encode
from hub.wire.messages import SHAPES, message_name
from hub.wire.schemas import schema
from tests.contract.golden import INVALID, VALID, Golden, name_of

_SAID_TO_THE_HUB = {
    message_name(channel.payload) for channel in CHANNELS if channel.payload and "hub" in channel.subscribers
}


def _validator(message: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema(message, SHAPES[message]), validate_formats=True)


@pytest.mark.parametrize("golden", VALID, ids=name_of)
def test_a_golden_message_is_valid_by_its_schema(golden: Golden) -> None:
    _validator(golden.message).validate(golden.content)


@pytest.mark.parametrize("golden", VALID, ids=name_of)
def test_a_golden_message_survives_decoding_and_encoding(golden: Golden) -> None:
    decode = Decoder(golden.kind)
    message = decode(json.dumps(golden.content).encode())
    assert decode(encode(message)) == message
    again: dict[str, Any] = json.loads(encode(message))
    if golden.message in _SAID_TO_THE_HUB:  # who sends may leave out what has a default, and say what is not known here
        known = {field: value for field, value in golden.content.items() if field in golden.kind.__struct_fields__}
        assert {field: again[field] for field in known} == known
    else:
        assert again == golden.content


@pytest.mark.parametrize("golden", VALID, ids=name_of)
def test_what_the_hub_makes_of_a_golden_message_is_valid_by_the_same_schema(golden: Golden) -> None:
    message = Decoder(golden.kind)(json.dumps(golden.content).encode())
    _validator(golden.message).validate(json.loads(encode(message)))


@pytest.mark.parametrize("golden", INVALID, ids=name_of)
def test_an_invalid_golden_message_is_refused_in_exactly_its_words(golden: Golden) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Decoder(golden.kind)(json.dumps(golden.content["message"]).encode())
    body, headers = fault.encode(refused.value)
    assert json.loads(body) == {"error": golden.content["error"]}
    assert headers[fault.CODE_HEADER] == "400"
    _validator("error").validate(json.loads(body))


@pytest.mark.parametrize("golden", INVALID, ids=name_of)
def test_an_invalid_golden_message_is_refused_by_its_schema_as_far_as_a_schema_can_say(golden: Golden) -> None:
    accepted = _validator(golden.message).is_valid(golden.content["message"])
    assert accepted == golden.content.get("beyond_schema", False)


@pytest.mark.parametrize("message", SHAPES)
def test_every_message_has_a_golden_example(message: str) -> None:
    assert any(golden.message == message for golden in VALID)


@pytest.mark.parametrize("message", sorted(_SAID_TO_THE_HUB))
def test_every_message_to_the_hub_has_examples_of_what_is_refused(message: str) -> None:
    assert any(golden.message == message for golden in INVALID)


@pytest.mark.parametrize("message", SHAPES)
def test_every_field_stands_in_some_golden_example(message: str) -> None:
    told = {field for golden in VALID if golden.message == message for field in golden.content}
    assert told >= set(SHAPES[message].__struct_fields__)
