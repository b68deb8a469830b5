"""A configuration as the type that a service has for it."""

from __future__ import annotations

import re
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect

from hub.core.layers import step
from hub.errors import InvalidConfig, InvalidRequest, PayloadTooLarge
from hub.wire.codec import Decoder, encode
from hub.wire.flags import FLAGS

T = TypeVar("T")

_STEP = re.compile(r"([^.\[\]]+)")


def converted(service: str, values: dict[str, Any], kind: type[T]) -> T:
    """The values as a `kind`: whatever msgspec takes, such as a Struct, a dataclass, a TypedDict. A copy in any case.

    A kind with fields of its own, and none for the flags of the service, is spared them: `client.flags` has them.

    Raises:
        InvalidConfig: they are not what the type wants; says where, what was expected, and what is there.
    """
    payload = encode(taken(values, kind))
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.ValidationError as error:
        raise _explained(service, payload, kind, str(error)) from None


def schema_of(given: dict[str, Any] | type[Any] | None) -> dict[str, Any] | None:
    """The JSON Schema of a configuration: as it is given, or of a type that `converted` takes.

    Raises:
        InvalidRequest: msgspec has no schema for the type.
    """
    if given is None or isinstance(given, dict):
        return given
    try:
        return msgspec.json.schema(given)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise InvalidRequest(
            f"config_schema: expected a JSON Schema, or a type that there is one for; {error}", field="config_schema"
        ) from None


def taken(values: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    """What a kind takes of the values: without the flags, where it has fields, and none for them."""
    if FLAGS not in values or kind is dict or _takes(cast("Hashable", kind), FLAGS):
        return values
    return {name: value for name, value in values.items() if name != FLAGS}


@lru_cache(maxsize=64)
def _takes(kind: Hashable, name: str) -> bool:
    return _has_room(inspect.type_info(kind), name)


def _has_room(kind: inspect.Type, name: str) -> bool:
    if isinstance(kind, inspect.Metadata):
        return _has_room(kind.type, name)
    if isinstance(kind, inspect.UnionType):
        return any(_has_room(option, name) for option in kind.types)
    if isinstance(kind, inspect.StructType | inspect.DataclassType | inspect.TypedDictType):
        return any(field.encode_name == name for field in kind.fields)
    return isinstance(kind, inspect.AnyType | inspect.RawType | inspect.DictType | inspect.CustomType)


def _explained(service: str, payload: bytes, kind: type[Any], complaint: str) -> InvalidConfig:
    words, place = complaint, None
    try:
        Decoder(kind)(payload)
    except InvalidRequest as error:
        words, place = error.message.removeprefix(f"{error.field or 'message'}: "), error.field
        words = words.replace("expected Invalid ", "expected a valid ", 1)  # of a text that is no date, and the like
    except PayloadTooLarge:
        pass  # larger than any one message: msgspec's own words have to do
    path = ""
    for name in _STEP.findall(place or ""):
        path = step(path, name)
    return InvalidConfig(f"{service}: {path or '/'}: {words}", field=path or None)
