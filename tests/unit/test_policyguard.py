"""The guard before every subject, and who a request is then said to be by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hub.handlers
from hub.core.policy import Policy
from hub.errors import Forbidden, InvalidRequest
from hub.handlers.gate import Asked, Gate
from hub.handlers.policyguard import PolicyGuard
from hub.handlers.proven import Signed, service
from hub.settings.access import AccessFile, Allow
from hub.telemetry.request import on_behalf_of
from hub.wire.channel import HUB
from hub.wire.channels import CHANNELS
from hub.wire.messages import MESSAGES
from hub.wire.roles import parse_caller
from hub.wire.secrets import PutSecret

GATE = Gate([PolicyGuard(Policy(AccessFile(allow=(Allow(who=("service:api",), discover=("ledger",)),))))])


def ask(who: str, subject: str, payload: bytes) -> None:
    GATE.admit(Asked(parse_caller(who), subject, payload))


def test_what_is_allowed_passes() -> None:
    ask("service:api", "hub.discover", b'{"name":"ledger"}')
    ask("operator:ada", "hub.services", b"")


def test_what_is_not_is_refused_with_the_field_the_reason_and_the_rule() -> None:
    with pytest.raises(Forbidden) as refused:
        ask("service:api", "hub.discover", b'{"name":"engine"}')
    assert refused.value.field == "name"
    assert refused.value.message == (
        "name: service:api may not discover 'engine' (access.toml: [[allow]] 1: none has it)"
    )


def test_what_cannot_be_read_is_refused_as_any_such_message() -> None:
    with pytest.raises(InvalidRequest, match="name: expected a string, got 3"):
        ask("service:api", "hub.discover", b'{"name":3}')


def test_who_was_proven_to_ask_signs_whatever_the_message_says() -> None:
    decode = Signed(PutSecret)
    payload = b'{"name":"db","value":"x","author":"somebody else"}'
    assert decode(payload).author == "somebody else", "as long as nobody proves anything"
    with on_behalf_of(parse_caller("operator:ada")):
        assert decode(payload).author == "operator:ada"
        assert decode(b'{"name":"db","value":"x"}').author == "operator:ada"


def decoded(by: str) -> Iterator[str]:
    """The kinds of messages that handlers decode so."""
    for path in Path(hub.handlers.__path__[0]).glob("*.py"):
        yield from re.findall(rf"= {by}\((?:\w+\.)?(\w+)\)", path.read_text())


def test_every_message_with_an_author_is_decoded_as_a_signed_one() -> None:
    kinds = {kind.__name__: kind for kind in MESSAGES.values()}
    asked = [channel.payload for channel in CHANNELS if HUB in channel.subscribers and channel.payload]
    with_author = {kind.__name__ for kind in asked if "author" in kind.__struct_fields__}
    assert set(decoded("Signed")) == with_author
    assert not any("author" in kinds[name].__struct_fields__ for name in decoded("Decoder") if name in kinds)


def test_secrets_are_for_the_service_that_was_proven_to_ask() -> None:
    assert service("engine") == "engine", "as long as nobody proves anything"
    with on_behalf_of(parse_caller("service:engine/a1")):
        assert service("engine") == "engine"
        with pytest.raises(Forbidden, match="expected the service that asks") as refused:
            service("ledger")
        assert refused.value.field == "service"
    with on_behalf_of(parse_caller("operator:engine")), pytest.raises(Forbidden):
        service("engine")
