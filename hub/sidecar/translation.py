"""From HTTP to messages: paths, queries and bodies become the payload that the same request has on NATS.

Values are not judged here. A parameter that reads as what its field takes is passed on as that, and any other as the
text it is, so that the hub refuses it in the words that it has for such a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

import msgspec
from msgspec import Raw, Struct, inspect

from hub.errors import InvalidRequest
from hub.wire.codec import encode

_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WORDS: Final = ("true", "false")

Query = Iterable[tuple[str, str]]
"""The parameters of a query in their order; one name may come several times."""


def payload(kind: type[Struct], path: Mapping[str, str], query: Query) -> bytes:
    """The message of a kind, encoded: what the path says, and of the query what the message has fields for.

    A list is a parameter that comes several times, or has several values separated by commas. Empty ones do not count.

    Raises:
        InvalidRequest: a parameter that takes one value comes several times.
    """
    fields = _fields(kind)
    message: dict[str, object] = dict(path)
    for name, text in query:
        if name in path or name not in fields:
            continue
        field = fields[name]
        if isinstance(field, inspect.VarTupleType):
            known = message.setdefault(name, [])
            assert isinstance(known, list)
            known += [_value(field.item_type, item) for item in text.split(",") if item]
        elif name in message:
            raise InvalidRequest(f"{name}: expected one value, got several", field=name)
        else:
            message[name] = _value(field, text)
    return encode(message)


def members(body: bytes) -> dict[str, Raw] | None:
    """What a body says, field by field; an empty one says nothing.

    None for one that is no message: it is passed on as it is, and the hub says what is wrong with it.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def placed(body: bytes, places: Mapping[str, str]) -> bytes:
    """The message in a body, with what the path says in it, whatever it says of that itself."""
    given = members(body) if places else None
    return body if given is None else encode({**given, **places})


def with_probe(body: bytes, _: Mapping[str, str]) -> bytes:
    """A registration with `"liveness":"probe"` where it says nothing of that and gives a `health_endpoint`.

    Who registers over HTTP once and names the place where it can be looked at is looked at.
    """
    given = members(body)
    if given is None or "liveness" in given or bytes(given.get("health_endpoint", b"null")) == b"null":
        return body
    return b'{"liveness":"probe",' + body.lstrip()[1:]


@cache
def _fields(kind: type[Struct]) -> dict[str, inspect.Type]:
    """The types of a struct's fields, without what is said about them."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name: bare(field.type) for field in info.fields}


def bare(kind: inspect.Type) -> inspect.Type:
    """The type behind `| None` and annotations."""
    if isinstance(kind, inspect.Metadata):
        return bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        return next(bare(each) for each in kind.types if not isinstance(each, inspect.NoneType))
    return kind


def _value(kind: inspect.Type, text: str) -> object:
    numeric = isinstance(kind, inspect.IntType | inspect.FloatType) and _NUMBER.fullmatch(text)
    worded = isinstance(kind, inspect.BoolType) and text in _WORDS
    return Raw(text.encode()) if numeric or worded else text
