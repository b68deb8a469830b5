"""Making an event fit to be shown: no secret in it, no control character, nothing endless."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from structlog.typing import EventDict, WrappedLogger

from hub.masking import MASK, is_secret_name, mask

_LONGEST: Final = 16 * 1024
_DEEPEST: Final = 8
_BIG: Final = 2**63
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LAYOUT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SPAN_LINES: Final = ("exception", "stack")
"""What is shown on lines of its own. A line break anywhere else could pass for another event."""


def clean(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The structlog processor: every value under a secret's name masked, every other masked where it looks like one."""
    cleaned: EventDict = {}
    for name, value in event.items():
        if name in _SPAN_LINES:
            cleaned[name] = _CONTROL_BUT_LAYOUT.sub(_escape, mask(_cut(str(value))))
        else:
            cleaned[name] = MASK if is_secret_name(name) and value else _clean(value, 0)
    return cleaned


def _clean(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _BIG):
        return value
    if isinstance(value, str):
        return _CONTROL.sub(_escape, mask(_cut(value)))
    if depth < _DEEPEST:
        if isinstance(value, msgspec.Struct):
            value = {name: getattr(value, name) for name in value.__struct_fields__}
        if isinstance(value, Mapping):
            return {
                _clean(str(name), depth): MASK if is_secret_name(str(name)) and each else _clean(each, depth + 1)
                for name, each in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [_clean(each, depth + 1) for each in value]
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value[:_LONGEST]).decode(errors="replace")
    return _clean(str(value), depth)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
