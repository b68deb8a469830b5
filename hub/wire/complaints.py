"""Everything that is wrong with a value by its type, where msgspec stops at what is wrong first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct, inspect

from hub.wire.codec import abbreviated, wanted

_NOTHING: Final = "nothing"


class Complaint(NamedTuple):
    """One thing that is wrong: the keys that lead to it, what is expected there, and what is there."""

    place: tuple[str, ...]
    expected: str
    got: str


def complaints(kind: type[Struct], value: Any, limit: int = 50) -> list[Complaint]:
    """What is wrong with a value of JSON that should be a `kind`, the first so many; empty where it is one."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return list(islice(_within(_info(kind), value, ()), limit)) or [Complaint((), str(error), abbreviated(value))]
    return []


@lru_cache(maxsize=64)
def _info(kind: type[Struct]) -> inspect.Type:
    """What is known of the kind; dear to find out, and needed only where something is wrong."""
    return inspect.type_info(kind)


def _within(kind: inspect.Type, value: Any, place: tuple[str, ...]) -> Iterator[Complaint]:
    bare = kind.type if isinstance(kind, inspect.Metadata) else kind
    if isinstance(bare, inspect.UnionType):
        bare = next((option for option in bare.types if _is_shape(option, value)), bare)
    if not _is_shape(bare, value):
        yield Complaint(place, _words(kind), abbreviated(value))
    elif isinstance(bare, inspect.StructType):
        yield from _within_struct(bare, value, place)
    elif isinstance(bare, inspect.DictType):
        yield from _length(bare, value, place)
        for name, inner in value.items():
            if list(_within(bare.key_type, name, place)):
                yield Complaint((*place, name), f"a name: {_words(bare.key_type)}", abbreviated(name))
            yield from _within(bare.value_type, inner, (*place, name))
    elif isinstance(bare, inspect.VarTupleType):
        yield from _length(bare, value, place)
        for number, inner in enumerate(value):
            yield from _within(bare.item_type, inner, (*place, str(number)))
    elif not _fits(bare, value):
        yield Complaint(place, _words(kind), abbreviated(value))


def _within_struct(kind: inspect.StructType, value: dict[str, Any], place: tuple[str, ...]) -> Iterator[Complaint]:
    fields = {field.encode_name: field for field in kind.fields}
    if kind.forbid_unknown_fields:
        for name in (name for name in value if name not in fields):
            there_are = ", ".join(fields)
            yield Complaint((*place, name), f"no property {name!r} (there are {there_are})", abbreviated(value[name]))
    for name, field in fields.items():
        if name in value:
            yield from _within(field.type, value[name], (*place, name))
        elif field.required:
            yield Complaint((*place, name), "a value", _NOTHING)


def _is_shape(kind: inspect.Type, value: Any) -> bool:
    """Whether the value is of the JSON type that the kind is written as."""
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    match kind:
        case inspect.StructType() | inspect.DictType():
            return isinstance(value, dict)
        case inspect.VarTupleType():
            return isinstance(value, list)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.NoneType():
            return value is None
        case inspect.UnionType():
            return any(_is_shape(option, value) for option in kind.types)
    return True


def _length(kind: inspect.DictType | inspect.VarTupleType, value: Any, place: tuple[str, ...]) -> Iterator[Complaint]:
    least, most = kind.min_length or 0, kind.max_length
    if len(value) < least or (most is not None and len(value) > most):
        what = "members" if isinstance(kind, inspect.DictType) else "values"
        yield Complaint(
            place, f"{least}..{most} {what}" if most is not None else f"at least {least} {what}", str(len(value))
        )


def _fits(kind: inspect.Type, value: Any) -> bool:
    """Whether a single value of the right type is within its bounds."""
    if isinstance(kind, inspect.StrType):
        long_enough = (
            (kind.min_length or 0) <= len(value) <= (len(value) if kind.max_length is None else kind.max_length)
        )
        return long_enough and (kind.pattern is None or re.search(kind.pattern, value) is not None)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return (kind.ge is None or value >= kind.ge) and (kind.le is None or value <= kind.le)
    return True


def _words(kind: inspect.Type) -> str:
    """What the kind is, in words."""
    bare = kind.type if isinstance(kind, inspect.Metadata) else kind
    if isinstance(bare, inspect.UnionType) and not (isinstance(kind, inspect.Metadata) and kind.extra):
        options = dict.fromkeys(_words(option) for option in bare.types if not isinstance(option, inspect.NoneType))
        return " or ".join(options)
    if isinstance(bare, inspect.StructType):
        return "an object"
    return wanted(kind, []) or "another value"
