"""Values as they are shown to people: cut where they are long, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from hub.masking import MASK, is_secret_name, mask

CUT: Final = 80
_LONGEST_STRING = 4096
"""Of a longer string only so much is looked at: enough to know a secret by its form."""

Hides = Callable[[Any, str | int], bool]
"""Whether a container's member must not be shown."""


def by_name(_: Any, key: str | int) -> bool:
    """Whether a member goes by a secret's name."""
    return isinstance(key, str) and is_secret_name(key)


def shown(value: Any, hides: Hides = by_name) -> str:
    """The value as JSON, of at most 80 characters; what is hidden is masked."""
    text = ""
    for piece in _pieces(value, hides):
        text += piece
        if len(text) > CUT:
            return text[: CUT - 3] + "..."
    return text


def _pieces(value: Any, hides: Hides) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for number, (key, inner) in enumerate(value.items()):
            yield ("," if number else "") + _text(str(key)) + ":"
            yield from _member(value, key, inner, hides)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for number, inner in enumerate(value):
            yield "," if number else ""
            yield from _member(value, number, inner, hides)
        yield "]"
    elif isinstance(value, str):
        yield _text(mask(value[:_LONGEST_STRING]))
    elif value is None or isinstance(value, bool | float):
        yield json.dumps(value)
    elif isinstance(value, int):
        yield str(value) if value.bit_length() < 1024 else "a very large number"
    else:
        yield _text(type(value).__name__)


def _member(container: Any, key: str | int, inner: Any, hides: Hides) -> Iterator[str]:
    return iter((_text(MASK),)) if hides(container, key) else _pieces(inner, hides)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
