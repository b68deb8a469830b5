"""The change of one scope's configuration, as its own route takes it: the only one of a list on NATS."""

from __future__ import annotations

from collections.abc import Mapping

from hub.sidecar.translation import members
from hub.wire.canary import CanaryPlan
from hub.wire.codec import encode
from hub.wire.config import ConfigChange
from hub.wire.names import Author, Reason


class OneChange(ConfigChange, frozen=True, kw_only=True):
    """What the scope in the path is to be, who changes it, and why."""

    author: Author = ""
    reason: Reason = ""
    dry_run: bool = False
    """Whether to decide and answer as if, and store nothing."""
    canary: CanaryPlan | None = None
    """Whether some instances are to try it first, and which; null puts it for all at once."""


def one_change(body: bytes, places: Mapping[str, str]) -> bytes:
    """The `OneChange` in a body as a `PutConfig` or `PatchConfig`. The scope is the one in the path."""
    given = members(body)
    if given is None:
        return body
    change = {name: given[name] for name in ConfigChange.__struct_fields__ if name in given}
    return encode({**given, "changes": [{**change, **places}]})
