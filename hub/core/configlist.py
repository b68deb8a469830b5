"""The list of scopes that have a configuration, page by page."""

from __future__ import annotations

from typing import Final

from hub.core.configs import Configs
from hub.wire.codec import encode
from hub.wire.config import (
    ConfigList,
    ListConfigs,
    ListedConfig,
)

_AROUND: Final = 256
"""Bytes of a list beside its rows."""


def listed(configs: Configs, query: ListConfigs, *, max_bytes: int) -> ConfigList:
    """The scopes behind `query.after`: as many as were asked for, and fit into so many bytes."""
    rows: list[ListedConfig] = []
    size = _AROUND
    for scope in sorted(scope for scope in configs.scopes() if scope > query.after):
        row = _row(configs, scope)
        size += len(encode(row)) + 1
        if rows and (len(rows) == query.limit or size > max_bytes):
            return ConfigList(revision=configs.revision, scopes=tuple(rows), next=rows[-1].service)
        rows.append(row)
    return ConfigList(revision=configs.revision, scopes=tuple(rows))


def _row(configs: Configs, scope: str) -> ListedConfig:
    known = configs.own(scope)
    assert known is not None
    return ListedConfig(
        service=scope,
        own_revision=known.revision,
        kind=known.record.kind,
        at=known.record.at,
        author=known.record.author,
        reason=known.record.reason,
        has_schema=known.record.schema is not None,
    )
