"""JSON Schemas (2020-12) of the messages, as documents of their own and as parts of larger ones."""

from __future__ import annotations

import ast
import inspect as source
import textwrap
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct, inspect

from hub.wire import subjects
from hub.wire.registration import Register

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_NOT_RESERVED: Final[Schema] = {
    "anyOf": [{"enum": sorted(subjects.RESERVED_NAMES)}, {"pattern": f"^{subjects.RESERVED_PREFIX}"}]
}


def schema(name: str, kind: type[Struct]) -> Schema:
    """The schema of one message; the structs inside it are in its `$defs`.

    What msgspec tells of the type is completed by what it leaves out: the words that explain a value (docstrings of
    attributes, the `expected` of `hub.wire.names`), the format of timestamps, and what a struct checks by itself.
    """
    definitions = components([kind], ref_template="#/$defs/{name}")
    whole = {"$schema": DIALECT, "$id": f"urn:central-hub:v1:{name}", **definitions.pop(kind.__name__)}
    if definitions:
        whole["$defs"] = definitions
    return whole


def components(kinds: Iterable[type[Struct]], *, ref_template: str) -> dict[str, Schema]:
    """The schemas of several structs and of those inside them, by their names; `ref_template` is how one is named."""
    wanted = tuple(kinds)
    _, definitions = msgspec.json.schema_components(wanted, ref_template=ref_template)
    each = {struct.cls: struct for kind in wanted for struct in _structs(inspect.type_info(kind))}
    for struct in each.values():
        _complete(definitions[struct.cls.__name__], struct)
    if Register in wanted:
        definitions[Register.__name__]["properties"]["name"]["not"] = _NOT_RESERVED
    told: dict[str, Schema] = portable(definitions)
    return told


def _structs(kind: inspect.Type) -> list[inspect.StructType]:
    """The structs within a type, itself included."""
    if isinstance(kind, inspect.Metadata):
        return _structs(kind.type)
    if isinstance(kind, inspect.UnionType):
        return [struct for option in kind.types for struct in _structs(option)]
    if isinstance(kind, inspect.VarTupleType):
        return _structs(kind.item_type)
    if isinstance(kind, inspect.DictType):
        return _structs(kind.value_type)
    if isinstance(kind, inspect.StructType):
        return [kind, *(struct for field in kind.fields for struct in _structs(field.type))]
    return []


def _complete(schema: Schema, struct: inspect.StructType) -> None:
    schema["description"] = _plain(source.getdoc(struct.cls) or "")
    told = attribute_docs(struct.cls)
    for field in struct.fields:
        place = schema["properties"][field.encode_name]
        _explain(place, field.type)
        if field.name in told:
            place["description"] = " ".join(filter(None, (told[field.name], place.get("description"))))


def _explain(schema: Schema, kind: inspect.Type) -> None:
    if isinstance(kind, inspect.Metadata):
        expected = (kind.extra or {}).get("expected")
        if expected:
            said = schema.get("description", "")
            repeats = expected.lower().startswith(said.lower())
            schema["description"] = f"Expected: {expected}." if repeats else f"{said}. Expected: {expected}."
        _explain(schema, kind.type)
    elif isinstance(kind, inspect.UnionType):
        options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
        kinds = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
        for option, inner in zip(options, kinds, strict=False):  # literals are merged into one option
            _explain(option, inner)
    elif isinstance(kind, inspect.VarTupleType):
        _explain(schema["items"], kind.item_type)
    elif isinstance(kind, inspect.DateTimeType):
        schema["format"] = "date-time"


def attribute_docs(kind: type[Struct]) -> dict[str, str]:
    """The docstrings that follow the attributes of a class and of those it is made from, by attribute."""
    told: dict[str, str] = {}
    for cls in reversed(kind.__mro__[: kind.__mro__.index(Struct)]):
        body = ast.parse(textwrap.dedent(source.getsource(cls))).body[0]
        assert isinstance(body, ast.ClassDef), cls
        for before, after in zip(body.body, body.body[1:], strict=False):
            if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    told[before.target.id] = _plain(text.value)
    return told


def _plain(text: str) -> str:
    """A docstring as flowing text: paragraphs on one line each."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def portable(value: Any) -> Any:
    r"""The same schema with patterns that every language reads alike: Python's `\Z` is `$` elsewhere."""
    if isinstance(value, dict):
        return {
            key: portable_pattern(inner) if key == "pattern" and isinstance(inner, str) else portable(inner)
            for key, inner in value.items()
        }
    return [portable(inner) for inner in value] if isinstance(value, list) else value


def portable_pattern(pattern: str) -> str:
    """A pattern of `hub.wire` as other languages write it."""
    return pattern.removesuffix(r"\Z") + "$" if pattern.endswith(r"\Z") else pattern
