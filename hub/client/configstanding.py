"""How a service stands to what is stored of its configuration: what it runs with, and what it could not run with."""

from __future__ import annotations

import logging

from hub.client.layered import Layered
from hub.wire.configstatus import ConfigRefusal

log = logging.getLogger("hub.client")


class Standing:
    """What the service has answered to what is stored.

    Args:
        service: The service's name.

    Attributes:
        revision: The revision that it runs with; 0 where that is of none of the bucket's; None until it runs with one.
        refused: The newer revision that it could not run with, and why.
        answered: What is stored as far as it has answered to that, in whichever way.
        from_disk: Whether it runs with the copy on disk.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self.revision: int | None = None
        self.refused: ConfigRefusal | None = None
        self.answered: Layered | None = None
        self.from_disk = False

    def run(self, layered: Layered) -> None:
        """It runs with this."""
        self.answered = layered
        self.revision, self.refused = layered.revision, None
        self.from_disk = False
        log.info("%s: runs with configuration %d", self._service, layered.revision)

    def refuse(self, layered: Layered, reason: str, running: Layered | None) -> None:
        """It cannot run with this, and goes on with what it runs with."""
        self.answered = layered
        if layered == running:  # a secret has changed, and nothing else
            log.error("%s: a change of its secrets is refused; running on as before (%s)", self._service, reason)
            return
        if self.revision is not None and layered.revision <= self.revision:
            self.revision = 0  # the bucket was made anew: what we run with is of none of its revisions
        self.refused = ConfigRefusal(revision=layered.revision, reason=reason)
        log.error("%s: configuration %d refused (%s)", self._service, layered.revision, reason)

    def lose(self, layered: Layered) -> None:
        """Nothing is stored any more."""
        self.answered = layered
        self.revision, self.refused = 0, None
        log.error("%s: nothing is stored any more; running on with the last good configuration", self._service)
