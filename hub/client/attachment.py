"""What an open client lends to its configuration, for as long as it is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from hub.client.link import Link
from hub.client.tasks import Tasks
from hub.core.canary import Traits


class Attachment(NamedTuple):
    """What an open client lends to its configuration.

    Attributes:
        link: The connection.
        tasks: Owns the background tasks.
        instance: The one that is registered; None for none.
        beat: Has a beat sent at once.
        say: Sends one, and returns when it is on its way.
    """

    link: Link
    tasks: Tasks
    instance: Traits | None
    beat: Callable[[], None]
    say: Callable[[], Awaitable[None]]
