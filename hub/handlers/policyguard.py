"""The guard that lets callers do what the policy allows them, and tells all others why not."""

from __future__ import annotations

from hub.core.policy import Policy
from hub.errors import Forbidden
from hub.handlers.gate import Asked


class PolicyGuard:
    """Asks the policy of every request. Of a message it reads whom it is about, and nothing else.

    Args:
        policy: What decides.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def admit(self, asked: Asked) -> None:
        """Let it through.

        Raises:
            Forbidden: the caller may not do this; the message says by which rule, and `field` what was refused.
            InvalidRequest, PayloadTooLarge: the message cannot be read so far.
        """
        decision = self._policy.decide(asked.caller, asked.subject, asked.payload)
        if not decision.allowed:
            raise Forbidden(f"{decision.reason} ({decision.rule})", field=decision.field)
