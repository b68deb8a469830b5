"""How well the hub's streams are held: by as many servers as they should be, or by too few, or by none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hub.core.condition import WELL, Condition, critical, together, warning


class Held(NamedTuple):
    """How a stream is held.

    Attributes:
        configured: Servers that are to hold it.
        current: Servers that are there and have all of it, the leader among them.
        led: Whether it has a leader, without which nothing can be written.
        is_silent: Whether it should send its changes on to who follows them, and does not.
    """

    configured: int = 1
    current: int = 1
    led: bool = True
    is_silent: bool = False


def judge(streams: Mapping[str, Held | str], wanted: int) -> Condition:
    """How the streams are, taken together.

    Args:
        streams: How each is held by its name, or why that cannot be known: it is missing, or nobody answers for it.
        wanted: Servers that should hold each.
    """
    return together(_judge(name, held, wanted) for name, held in streams.items())


def _judge(name: str, held: Held | str, wanted: int) -> Condition:
    if isinstance(held, str):
        return critical(held)
    if not held.led:
        return critical(f"the stream {name} has no leader: too few of its servers are there")
    if held.configured < wanted:
        return warning(f"the stream {name} is kept on {held.configured} of {wanted} servers")
    if held.current < held.configured:
        return warning(f"the stream {name} is complete on {held.current} of its {held.configured} servers")
    if held.is_silent:
        return warning(
            f"the stream {name} does not send its changes on, as while a restore writes; "
            "that is mended once nothing is written any more"
        )
    return WELL
