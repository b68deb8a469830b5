"""Which kind of request a subject takes."""

from __future__ import annotations

import pytest

from hub.wire import subjects
from hub.wire.channel import HUB, Channel
from hub.wire.channels import CHANNELS
from hub.wire.classes import SUBJECT_CLASSES, class_of, named_class

ASKED = [channel for channel in CHANNELS if HUB in channel.subscribers and channel.publishers != (HUB,)]


@pytest.mark.parametrize("channel", ASKED, ids=lambda channel: channel.name)
def test_every_channel_that_callers_ask_was_given_a_class(channel: Channel) -> None:
    assert named_class(channel.address) in SUBJECT_CLASSES, "its family stands in hub/wire/classes.py"
    assert class_of(channel.address) == named_class(channel.address)


def test_every_class_has_channels() -> None:
    assert {class_of(channel.address) for channel in ASKED} == set(SUBJECT_CLASSES)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (subjects.DISCOVER, "discover"),
        (subjects.DEREGISTER, "register"),
        (subjects.heartbeat("engine.a1"), "heartbeat"),
        (subjects.CONFIG_SCHEMA_GET, "config"),
        (subjects.SECRET_RESOLVE, "secrets"),
        (subjects.ADMIN_DRAIN, "admin"),
        ("hub.something-new.get", "admin"),
    ],
)
def test_a_subject_is_of_the_class_of_its_family(subject: str, expected: str) -> None:
    assert class_of(subject) == expected
