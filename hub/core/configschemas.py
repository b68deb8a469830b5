"""Whose schema a service's configuration is held to, where several instances register one.

Instances of an older and a newer version run side by side for a while, and register again whenever the hub has
forgotten them. Were the last writer to win, the schema would go back and forth. So the newest version decides, for as
long as an instance of it is registered: once there is none any more, the older version is what is meant to run. Among
instances of one version the last writer wins. A version that is none (see `versions`) is older than any that is one.

What was put by hand holds against the version that had registered a schema before, and all that are older: who puts a
schema knows of them. A newer one knows better.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from hub.core.versions import Parsed, parse
from hub.wire.config import ConfigRecord

_NONE: Parsed = ((), ())


def why_held(stored: ConfigRecord | None, version: str, registered: Iterable[str]) -> str:
    """Why what is stored goes before the schema that an instance of `version` registers; empty where it does not.

    Args:
        stored: The newest record of the service.
        version: As the instance says.
        registered: The versions of the service's registered instances.
    """
    if stored is None:
        return ""
    own, known = _order(version), _order(stored.schema_version)
    if not stored.schema_registered:
        was_put = stored.schema is not None or stored.schema_version
        if was_put and own <= known:
            over = f"for version {stored.schema_version}" if stored.schema_version else "for it"
            return (
                f"a schema was put {over}, which holds until a newer version registers one; this is {_shown(version)}"
            )
        return ""
    if own < known and any(_order(each) > own for each in registered):
        return (
            f"the schema of version {stored.schema_version} holds while instances of a newer version are registered; "
            f"this is {_shown(version)}"
        )
    return ""


def is_same(stored: ConfigRecord | None, schema: dict[str, Any]) -> bool:
    """Whether this is the schema that is stored; JSON tells `true` from 1, which Python does not."""
    return stored is not None and stored.schema == schema and _exact(stored.schema) == _exact(schema)


def _order(version: str) -> Parsed:
    return parse(version) or _NONE


def _exact(schema: Any) -> bytes:
    return msgspec.json.encode(schema, order="deterministic")


def _shown(version: str) -> str:
    return f"version {version}" if version else "one without a version"
