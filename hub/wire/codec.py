"""Encoding and decoding of messages, with errors that say what was wrong, where, and what was expected."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import inspect

from hub.errors import InvalidRequest, PayloadTooLarge

MAX_MESSAGE_BYTES: Final = 64 * 1024

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""Any wire struct to its JSON bytes."""

_PATH = re.compile(r" - at `\$(?P<path>.*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")
_TOO_DEEP = "message: expected JSON of moderate depth, got one nested too deeply"
_WORDS = re.compile(r"^Expected (?P<expected>.+?)(, got .+)?$")
_OWN_WORDS = re.compile(r"^(?P<field>[a-z_]+): ")


class Decoder(Generic[T]):
    """Decodes one kind of message.

    Valid messages take msgspec's fast path; only a refused one is looked at again, to find the words for its error.
    Errors say what was expected and what is there; of a kind that is `CONFIDENTIAL`, nothing of the latter.
    """

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._confidential: bool = getattr(kind, "CONFIDENTIAL", False)
        self._decode = msgspec.json.Decoder(kind).decode

    def __call__(self, payload: bytes) -> T:
        """The message in `payload`; an empty payload counts as an empty object.

        Raises:
            PayloadTooLarge: more than 64 KiB.
            InvalidRequest: not JSON, or not what this kind of message asks for; `field` names the place.
        """
        if len(payload) > MAX_MESSAGE_BYTES:
            raise PayloadTooLarge(f"message: expected at most {MAX_MESSAGE_BYTES} bytes, got {len(payload)}")
        try:
            return self._decode(payload or b"{}")
        except msgspec.ValidationError as error:
            refused = str(error)
        except RecursionError:
            raise InvalidRequest(_TOO_DEEP) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"message: expected JSON, got something else: {error}") from None
        try:
            raise self._explain(payload or b"{}", refused)
        except RecursionError:
            raise InvalidRequest(_TOO_DEEP) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # broken behind the place that was refused first
            raise InvalidRequest(f"message: expected JSON, got something else: {error}") from None

    @cached_property
    def _info(self) -> inspect.Type:
        """What is known of the kind; dear to find out, and needed only for explanations."""
        return inspect.type_info(self._kind)

    def _explain(self, payload: bytes, complaint: str) -> InvalidRequest:
        found = _PATH.search(complaint)
        words = complaint[: found.start()] if found else complaint
        path = found.group("path") if found else ""
        own = _OWN_WORDS.match(words)
        if own:  # raised by a struct's own check, which already speaks in full
            place = f"{path}.{own['field']}".lstrip(".")
            return InvalidRequest(f"{place}{words[own.end('field') :]}", field=place)
        missing = re.search(r"missing required field `(.+)`", words)
        if missing:
            field = f"{path}.{missing[1]}".lstrip(".")
            return InvalidRequest(f"{field}: expected a value, got none (the field is required)", field=field)
        field = path.lstrip(".")
        steps = [m["name"] or m["index"] for m in _STEP.finditer(path)]
        got = "something else" if self._confidential else abbreviated(_value_at(msgspec.json.decode(payload), steps))
        plain = _WORDS.match(words.replace("`", ""))
        expected = wanted(self._info, steps) or (plain["expected"] if plain else words)
        return InvalidRequest(f"{field or 'message'}: expected {expected}, got {got}", field=field or None)


def _value_at(value: Any, steps: list[str]) -> Any:
    """The value that a complaint is about. msgspec writes `[...]` for an unnamed place; there the whole is shown."""
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return value
    return value


def abbreviated(value: Any) -> str:
    """The value as JSON, of at most 80 characters."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def wanted(kind: inspect.Type, steps: list[str]) -> str | None:
    """What the contract asks for at a path within a kind, in words; None where msgspec's own words serve as well."""
    if isinstance(kind, inspect.Metadata):
        told = (kind.extra or {}).get("expected")
        return told if told and not steps else wanted(kind.type, steps)
    if isinstance(kind, inspect.UnionType):
        options = [wanted(t, steps) for t in kind.types if not isinstance(t, inspect.NoneType)]
        known = dict.fromkeys(o for o in options if o)
        return " or ".join(known) if known else None
    if steps:
        return _expected_inside(kind, steps)
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(repr(v) for v in kind.values)
    if isinstance(kind, inspect.IntType):
        return _numbers("an integer", kind)
    if isinstance(kind, inspect.FloatType):
        return _numbers("a number", kind)
    if isinstance(kind, inspect.StrType):
        return (
            "a string"
            if kind.max_length is None
            else f"a string of {kind.min_length or 0}..{kind.max_length} characters"
        )
    if isinstance(kind, inspect.VarTupleType):
        if kind.max_length is None:
            return "a list"
        return f"a list of {f'{kind.min_length}..' if kind.min_length else 'at most '}{kind.max_length}"
    if isinstance(kind, inspect.DictType):
        return "an object"
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    if isinstance(kind, inspect.DateTimeType):
        return "a time such as 2026-03-01T09:00:00Z"
    return None


def _expected_inside(kind: inspect.Type, steps: list[str]) -> str | None:
    if isinstance(kind, inspect.StructType):
        if steps == [kind.tag_field]:
            return f"{kind.tag!r}"
        inner = next((f.type for f in kind.fields if f.encode_name == steps[0]), None)
        return wanted(inner, steps[1:]) if inner else None
    if isinstance(kind, inspect.VarTupleType):
        return wanted(kind.item_type, steps[1:])
    if isinstance(kind, inspect.DictType):
        return wanted(kind.value_type, steps[1:])
    return None


def _numbers(what: str, kind: inspect.IntType | inspect.FloatType) -> str:
    low, high = kind.ge, kind.le
    if low is not None and high is not None:
        return f"{low:.15g}..{high:.15g}" if isinstance(kind, inspect.FloatType) else f"{low}..{high}"
    if low is not None:
        return f"{what} of at least {low:.15g}"
    return what
