"""The extent of values: how much there is, how deep it goes, and whether it is JSON at all."""

from __future__ import annotations

import math
from typing import Any, Final

from hub.wire.secrets import is_reference

MAX_DEPTH: Final = 32
MAX_PARTS: Final = 100_000
MAX_DIGITS: Final = 1000
_LARGEST = 10**MAX_DIGITS


class Unsound(Exception):
    """The values cannot be checked at all."""

    def __init__(self, path: tuple[str | int, ...], expected: str, got: str) -> None:
        super().__init__(expected)
        self.path = path
        self.expected = expected
        self.got = got
        """In words: it may be no JSON."""


class Extent:
    """How many parts each object and list has, itself and everything in it; all else is one."""

    def __init__(self, values: Any) -> None:
        """Measure the values.

        Raises:
            Unsound: they are nested too deeply, are too many, or are no JSON.
        """
        self._sizes: dict[int, int] = {}
        self._parts = 0
        self.references = False
        self._measure(values, ())

    def size(self, value: Any) -> int:
        """How many parts the value has."""
        return self._sizes.get(id(value), 1) if isinstance(value, dict | list) else 1

    def _measure(self, value: Any, path: tuple[str | int, ...]) -> int:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Unsound((), f"at most {MAX_PARTS} values in all", "more")
        if isinstance(value, dict):
            members: Any = value.items()
            self.references |= is_reference(value)
        elif isinstance(value, list):
            members = enumerate(value)
        else:
            _check(value, path)
            return 1
        if len(path) == MAX_DEPTH:
            raise Unsound(path[:-1], f"values nested at most {MAX_DEPTH} deep", "deeper ones")
        size = 1
        for key, inner in members:
            if isinstance(value, dict):
                _check_name(key, path)
            size += self._measure(inner, (*path, key))
        self._sizes[id(value)] = size
        return size


def _check(value: Any, path: tuple[str | int, ...]) -> None:
    if isinstance(value, str):
        if not _is_unicode(value):
            raise Unsound(path, "a string of Unicode characters", "half of a surrogate pair")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Unsound(path, "a finite number", str(value))
    elif isinstance(value, int):
        if abs(value) >= _LARGEST:
            raise Unsound(path, f"a number of at most {MAX_DIGITS} digits", "more")
    elif value is not None:
        raise Unsound(path, "JSON", type(value).__name__)


def _check_name(name: Any, path: tuple[str | int, ...]) -> None:
    if not isinstance(name, str) or not _is_unicode(name):
        raise Unsound(path, "names that are strings of Unicode characters", type(name).__name__)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
