"""The JSON Schema that a service's configuration must be valid by."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any, Final

import msgspec

from hub.errors import InvalidRequest
from hub.validation.defaults import defaults
from hub.validation.document import DRAFT, Document, refused
from hub.validation.engine import Refused, Rules, check_by_its_own_schema
from hub.validation.references import lenient, replaced
from hub.validation.shown import by_name, shown
from hub.validation.values import Extent, Unsound
from hub.validation.words import Wording, pointer
from hub.validation.work import MAX_FINDINGS, Reach, TooMuch, Work
from hub.wire.config import Violation
from hub.wire.secrets import is_reference

MAX_BYTES: Final = 32 * 1024
MAX_VIOLATIONS: Final = 50


class Schema:
    """A JSON Schema (draft 2020-12), compiled. It comes from outside, and so do the values: neither can hurt.

    Nothing is fetched: references stay within the schema. Patterns are matched in linear time, so that lookaround and
    backreferences are not to be had. `format` is a note to readers, as the draft has it. What would take long to check
    is not checked, and not valid.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._work = Work(document)
        self._defaults = defaults(document)
        self._strict = _rules(document.root.schema)

    @classmethod
    def compile(cls, schema: dict[str, Any]) -> Schema:
        """The schema, ready to be used; it is copied.

        Raises:
            InvalidRequest: it is no JSON Schema, has more than 32 KiB as JSON, is nested more than 32 deep, refers to
                what is not in it or to itself without end, or has a pattern that cannot be matched in linear time;
                `field` is "schema", and the message says where.
        """
        schema = _bounded(schema)
        if not isinstance(schema.get("$schema", DRAFT), str) or schema.get("$schema", DRAFT).rstrip("#") != DRAFT:
            raise refused(("$schema",), f"{DRAFT!r} or nothing, got {shown(schema['$schema'])}")
        try:
            check_by_its_own_schema(schema)
        except Refused as error:
            raise refused(error.place, f"what a JSON Schema (draft 2020-12) has there: {error.why}") from None
        return cls(Document(schema))

    def violations(self, values: dict[str, Any], limit: int = MAX_VIOLATIONS) -> tuple[Violation, ...]:
        """Where the values are not as the schema wants them, the first so many; empty where they are valid.

        A reference to a secret, `{"$secret": "<name>"}`, is as good as any string. What is write-only by the schema, or
        has a secret's name, is not shown.

        Raises:
            InvalidRequest: the engine broke down over them.
        """
        limit = max(limit, 1)
        try:
            extent = Extent(values)
            reach = self._work.reach(values, extent)
        except Unsound as error:
            return (Violation(path=pointer(error.path), expected=error.expected, got=error.got),)
        except TooMuch:
            return (Violation(path="", expected="fewer values, or a simpler schema: checking takes too long", got=""),)
        rules, checked = (self._lenient, replaced(values)) if extent.references else (self._strict, values)
        wording = _wording(values, self._document, reach)
        if reach.findings <= MAX_FINDINGS:
            return wording.violations(rules.findings(checked, None if extent.references else limit), limit)
        if rules.is_valid(checked):
            return ()
        return (wording.violation((), "what the schema wants; so much can be wrong that it is not looked for"),)

    def defaults(self) -> dict[str, Any]:
        """What holds where nothing is given, by the `default` of properties, object by object."""
        return copy.deepcopy(self._defaults)

    def describes(self, name: str) -> bool:
        """Whether it says anything of the member `name` of the values, by that name."""
        return self._document.describes(name)

    @cached_property
    def _lenient(self) -> Rules:
        return _rules(lenient(self._document))


def _wording(values: Any, document: Document, reach: Reach) -> Wording:
    def hides(container: Any, key: str | int) -> bool:
        named = by_name(container, key) and not is_reference(container)
        return named or (id(container), key) in reach.hidden

    return Wording(values, document, hides, reach.all_hidden)


def _rules(schema: dict[str, Any]) -> Rules:
    try:
        return Rules(schema)
    except Refused as error:
        raise refused(error.place, f"a JSON Schema that can be used: {error.why}") from None


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    """A copy of the schema, of moderate size and depth, and JSON."""
    try:
        Extent(schema)
    except Unsound as error:
        raise InvalidRequest(
            f"schema{pointer(error.path)}: expected {error.expected}, got {error.got}", field="schema"
        ) from None
    encoded = msgspec.json.encode(schema)
    if len(encoded) > MAX_BYTES:
        raise refused((), f"at most {MAX_BYTES} bytes as JSON, got {len(encoded)}")
    copied: dict[str, Any] = msgspec.json.decode(encoded)
    return copied
