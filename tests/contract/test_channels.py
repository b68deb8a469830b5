"""The one table of subjects: complete, consistent, and the same as what the code uses."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from hub.wire import subjects
from hub.wire.channel import HUB, PARAMETERS, Channel, Role
from hub.wire.channels import CHANNELS
from hub.wire.config import EVERYBODY
from hub.wire.event import EventType
from hub.wire.fault import ErrorReply
from hub.wire.messages import MESSAGES, message_name
from hub.wire.mutations import HARMLESS, MUTATING

_SUBJECTS = {
    name: value
    for name, value in vars(subjects).items()
    if name.isupper() and isinstance(value, str) and value.startswith("hub.")
}
_ABOUT_ITSELF = {subjects.METRICS}
each_channel = pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)


@pytest.mark.parametrize("subject", _SUBJECTS.values(), ids=_SUBJECTS.keys())
def test_every_subject_that_the_code_names_is_in_the_table(subject: str) -> None:
    if subject.endswith("."):
        assert any(channel.address.startswith(subject + "{") for channel in CHANNELS)
    else:
        assert subject in [channel.pattern() for channel in CHANNELS]


def test_no_two_rows_share_a_name_or_a_pattern() -> None:
    assert len({channel.name for channel in CHANNELS}) == len(CHANNELS)
    assert len({channel.pattern() for channel in CHANNELS}) == len(CHANNELS)


def test_every_message_is_said_somewhere() -> None:
    said = {kind for channel in CHANNELS for kind in (channel.payload, channel.reply) if kind}
    assert said | {ErrorReply} == set(MESSAGES.values())


def test_every_parameter_is_used() -> None:
    assert {name for channel in CHANNELS for name in channel.parameters} == set(PARAMETERS)


@each_channel
def test_the_hub_is_alone_on_one_side_and_on_the_other_only_where_hubs_talk_to_each_other(channel: Channel) -> None:
    sides = channel.publishers, channel.subscribers
    assert (HUB,) in sides
    assert {*channel.publishers, *channel.subscribers} <= set(get_args(Role))
    assert all(side == (HUB,) for side in sides) == all(HUB in side for side in sides)


@each_channel
def test_what_is_requested_is_answered_by_one_replica_unless_each_is_asked_about_itself(channel: Channel) -> None:
    is_request = channel.kind in ("request", "request or publish")
    assert (channel.reply is not None or channel.text is not None) == is_request
    assert (channel.queue == subjects.QUEUE_GROUP) == (is_request and channel.address not in _ABOUT_ITSELF)
    assert channel.reply is None or channel.text is None


@each_channel
def test_what_is_said_to_the_hub_changes_something_or_does_not(channel: Channel) -> None:
    decided = (channel.name in MUTATING) + (channel.name in HARMLESS)
    assert decided == (HUB in channel.subscribers and channel.publishers != (HUB,)), "say so in hub/wire/mutations.py"


def test_nothing_is_said_to_change_something_that_is_not_there() -> None:
    assert {channel.name for channel in CHANNELS} >= MUTATING | HARMLESS


@each_channel
def test_its_messages_have_schemas(channel: Channel) -> None:
    for kind in (channel.payload, channel.reply):
        assert kind is None or MESSAGES[message_name(kind)] is kind


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("heartbeat", subjects.heartbeat("engine.a1")),
        ("reregister", subjects.reregister("engine.a1")),
        ("health", subjects.health("engine")),
        ("registry-delta", subjects.registry_delta("engine").replace("*", "a1")),
        ("replica", subjects.replica("hub-1a2b3c4d")),
        ("check", subjects.check("engine.a1")),
        ("config-delta", subjects.config_delta("engine")),
        ("config-delta", subjects.config_delta(EVERYBODY)),
        ("secret-delta", subjects.secret_delta("db-password")),
        ("config-remind", subjects.config_remind("engine.a1")),
        ("audit", subjects.audit_chain("hub-1a2b3c4d-20260301T090000Z")),
        *(("events", subjects.event(kind)) for kind in get_args(EventType)),
    ],
)
def test_the_subjects_that_the_code_makes_match_their_row(name: str, subject: str) -> None:
    channel = next(channel for channel in CHANNELS if channel.name == name)
    pattern = re.escape(channel.address).replace(r"\{", "{").replace(r"\}", "}")
    for place in channel.parameters:
        pattern = pattern.replace(f"{{{place}}}", f"(?P<{place}>.+)")
    match = re.fullmatch(pattern, subject)
    assert match
    for place, value in match.groupdict().items():
        parameter = PARAMETERS[place]
        assert re.match(parameter.pattern, value)
        assert len(value.split(".")) == parameter.tokens
        assert not parameter.values or value in parameter.values
