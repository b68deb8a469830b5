"""Patterns of names, and who may read a secret by them: it names its readers, with `*` for any characters."""

from __future__ import annotations

from collections.abc import Iterable

from hub.wire.config import EVERYBODY


def may_read(service: str, readers: Iterable[str]) -> bool:
    """Whether a service is among the readers."""
    return any(matches(pattern, service) for pattern in readers)


def matches(pattern: str, service: str) -> bool:
    """Whether a service goes by the pattern, in which `*` stands for any characters, or none. In linear time."""
    first, *others = pattern.split("*")
    if not others:
        return pattern == service
    *middle, last = others
    at, end = len(first), len(service) - len(last)
    if end < at or not service.startswith(first) or not service.endswith(last):
        return False
    for part in middle:
        found = service.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def may_refer(scope: str, readers: Iterable[str]) -> bool:
    """Whether the configuration of a scope may refer to it: what all share may, whoever of them may then read it."""
    return scope == EVERYBODY or may_read(scope, readers)
