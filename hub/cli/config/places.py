"""Places in a configuration as people write them, `risk.max_leverage` or `/risk/max_leverage`. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

Place = tuple[str, ...]


class NotAPlace(ValueError):
    """A place is not written as it should be, or does not go with the others."""


def place(text: str) -> Place:
    """The keys that lead to a place: of a JSON Pointer (RFC 6901) where it begins with `/`, else between dots.

    Raises:
        NotAPlace: a key is empty.
    """
    if text.startswith("/"):
        keys = tuple(key.replace("~1", "/").replace("~0", "~") for key in text[1:].split("/"))
    else:
        keys = tuple(text.split("."))
    if not text or not all(keys):
        raise NotAPlace(f"expected a place such as risk.max_leverage or /risk/max_leverage, got {text!r}")
    return keys


def pointer(keys: Iterable[str]) -> str:
    """The place as a JSON Pointer."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def found(values: Any, keys: Place) -> Any:
    """What is at a place; in a list, a key is a number.

    Raises:
        LookupError: nothing is there; its text says where the way ends, and what is there instead.
    """
    for depth, key in enumerate(keys):
        if isinstance(values, dict) and key in values:
            values = values[key]
        elif isinstance(values, list) and key.isdecimal() and int(key) < len(values):
            values = values[int(key)]
        else:
            raise LookupError(_missing(values, keys, depth))
    return values


def in_list(values: Any, keys: Place) -> Place | None:
    """The place of the list within which a place is; None where it is within none."""
    for depth, key in enumerate(keys):
        if isinstance(values, list):
            return keys[:depth]
        if not isinstance(values, dict) or key not in values:
            return None
        values = values[key]
    return None


def patch(changes: Sequence[tuple[Place, Any]]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7396) that makes these changes; None removes what is at a place.

    Raises:
        NotAPlace: a place is given twice, or lies within another.
    """
    merged: dict[str, Any] = {}
    ends: set[Place] = set()
    for keys, value in changes:
        _claim(keys, ends)
        within = merged
        for key in keys[:-1]:
            within = within.setdefault(key, {})
        within[keys[-1]] = value
    return merged


def given(text: str) -> tuple[Place, Any]:
    """The place and the value of `KEY=VALUE`; a value is JSON where it can be read as JSON, else text.

    Raises:
        NotAPlace: it is no pair, or its value is one that a patch cannot set.
    """
    key, equals, written = text.partition("=")
    if not equals:
        raise NotAPlace(f"expected KEY=VALUE, got {text!r}")
    keys = place(key)
    try:
        value = msgspec.json.decode(written)
    except (msgspec.MsgspecError, UnicodeError):
        return keys, written
    if _has_null(value):
        raise NotAPlace(f"{key}: null removes what is there; to do that, say --unset with the key")
    if _has_odd_number(value):
        raise NotAPlace(f"{key}: {written!r} is beyond the numbers that can be stored; as text it is '\"{written}\"'")
    return keys, value


def _missing(values: Any, keys: Place, depth: int) -> str:
    where = pointer(keys[:depth]) or "the configuration"
    if isinstance(values, dict):
        near = get_close_matches(keys[depth], values, n=1)
        meant = f"; did you mean {pointer((*keys[:depth], near[0]))}?" if near else ""
        return f"{where} has no {keys[depth]!r}{meant}"
    if isinstance(values, list):
        return f"{where} is a list of {len(values)}, and has no {keys[depth]!r}"
    return f"{where} is a value, and has nothing within it"


def _claim(keys: Place, ends: set[Place]) -> None:
    for other in ends:
        common = min(len(keys), len(other))
        if keys[:common] == other[:common]:
            raise NotAPlace(f"{pointer(keys)} and {pointer(other)} cannot both be changed at once: one holds the other")
    ends.add(keys)


def _has_null(value: Any) -> bool:
    """Whether a patch of this value would remove something. Lists are taken as they are."""
    if isinstance(value, dict):
        return any(map(_has_null, value.values()))
    return value is None


def _has_odd_number(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_odd_number, value.values()))
    if isinstance(value, list):
        return any(map(_has_odd_number, value))
    return isinstance(value, int) and not -(2**63) <= value < 2**64
