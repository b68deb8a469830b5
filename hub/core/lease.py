"""When a holder may still believe in its lease: the arithmetic of a deadline that no message can make late."""

from __future__ import annotations

from dataclasses import dataclass

MARGIN = 0.1
"""The part of the ttl that is given up at its end, for clocks that run at different speeds and work under way."""


@dataclass(slots=True)
class Tenure:
    """One holder's view of one lease. All times are seconds of one monotonic clock, `ttl` seconds of the store's.

    The store counts the ttl from the moment it stored a write, which is never before the write was sent. Counting from
    the sending, and giving up a margin before the ttl is over, the holder lets go before anybody else can take over,
    however late the store's answer came and however long the holder itself was stopped. A store whose own clock jumps
    ahead lets go sooner than that: what must not be done by two carries the term's revision as well.

    Attributes:
        ttl: Seconds after its last write that the store lets the lease go.
        term: Revision of the write that began this tenure, which fences what is done under it; 0 outside any.
        revision: Revision of the last write, which the next one must build upon; 0 outside any tenure.
        deadline: From here on the lease is not held.
    """

    ttl: float
    term: int = 0
    revision: int = 0
    deadline: float = float("-inf")

    def begin(self, sent: float, revision: int) -> None:
        """The write sent at `sent` took the lease."""
        self.term = revision
        self.renew(sent, revision)

    def renew(self, sent: float, revision: int) -> None:
        """The write sent at `sent` prolonged the lease."""
        self.revision = revision
        self.deadline = sent + self.ttl * (1.0 - MARGIN)

    def end(self) -> None:
        """The lease is lost or given back."""
        self.term = self.revision = 0
        self.deadline = float("-inf")

    def held(self, now: float) -> bool:
        """Whether nobody else can hold the lease at `now`."""
        return now < self.deadline

    def remaining(self, now: float) -> float:
        """Seconds until the lease is not held any more; 0 when it is not."""
        return max(0.0, self.deadline - now)
