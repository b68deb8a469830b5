"""What the engine complains of, in the words of the contract."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from hub.masking import MASK
from hub.validation.document import Document, Node
from hub.validation.engine import Finding
from hub.validation.references import replaced
from hub.validation.shown import Hides, shown
from hub.wire.config import Violation
from hub.wire.secrets import is_reference

Path = tuple[str | int, ...]
LONGEST: Final = 300
"""Characters of what is expected."""
LONGEST_ANSWER: Final = 32 * 1024
"""Characters of all that is told; what is begun is told to its end."""
_NUMBER = re.compile(r"\+?[0-9]{1,30}\Z")
_TYPES: Final = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}


class Wording:
    """Tells what is wrong with one configuration."""

    def __init__(self, values: Any, document: Document, hides: Hides, all_hidden: bool = False) -> None:
        self._values = values
        self._document = document
        self._hides = hides
        self._all_hidden = all_hidden

    def violations(self, findings: Iterable[Finding], limit: int) -> tuple[Violation, ...]:
        """The first so many, none twice; fewer where their places have very long names."""
        told: dict[Violation, None] = {}
        length = 0
        for violation in (each for finding in findings for each in self._of(finding)):
            if violation not in told:
                told[violation] = None
                length += len(violation.path) + len(violation.expected)
            if len(told) == limit or length > LONGEST_ANSWER:
                break
        return tuple(told)

    def violation(self, path: Path, expected: str) -> Violation:
        """One, with what is at its place."""
        if len(expected) > LONGEST:
            expected = expected[: LONGEST - 3] + "..."
        return Violation(path=pointer(path), expected=expected, got=self._got(path))

    def _of(self, finding: Finding) -> Iterator[Violation]:
        path, kind = located(self._values, finding), finding.kind
        match kind.name:
            case "additionalProperties" | "unevaluatedProperties":
                yield from self._unexpected(finding, path, kind.unexpected)  # type: ignore[attr-defined]
            case "falseSchema" if self._forbids_members(finding) and (members := self._members(path)):
                yield from self._unexpected(finding, path, members)
            case "anyOf" | "oneOf":
                yield from self._alternatives(finding, path)
            case _:
                yield self.violation(path, self._words(finding))

    def _forbids_members(self, finding: Finding) -> bool:
        """Whether it is of `additionalProperties: false`, where that is all; it is not of a property by that name."""
        keyword = finding.schema_path[-1] if finding.schema_path else ""
        node = self._node(finding)
        return keyword in ("additionalProperties", "unevaluatedProperties") and node is not None

    def _members(self, path: Path) -> list[str]:
        """The names in the object there; none where there is a value that the empty name leads to."""
        there = _at(self._values, path)
        return list(there) if isinstance(there, dict) else []

    def _unexpected(self, finding: Finding, path: Path, names: Iterable[str]) -> Iterator[Violation]:
        node = self._node(finding)
        hint = f" (there are {_listed(list(node.properties))})" if node and node.properties else ""
        for name in names:
            yield self.violation((*path, name), f"no property {name!r}{hint}")

    def _node(self, finding: Finding) -> Node | None:
        """The schema in which the keyword stands that it is of."""
        return self._document.nodes.get(tuple(str(step) for step in finding.schema_path[:-1]))

    def _alternatives(self, finding: Finding, path: Path) -> Iterator[Violation]:
        """Of alternatives that were all missed: the findings of the one that was meant, else what all of them want."""
        branches: list[list[Finding]] = finding.kind.context  # type: ignore[attr-defined]
        if any(not branch for branch in branches):
            if not is_reference(_at(self._values, path)):
                met = " and ".join(str(number) for number, branch in enumerate(branches, 1) if not branch)
                yield self.violation(path, f"what exactly one of {len(branches)} alternatives allows, not {met}")
            return
        depth = len(finding.instance_path)
        meant = [branch for branch in branches if not any(_is_of_another_kind(each, depth) for each in branch)]
        if len(meant) == 1:
            for each in meant[0]:
                yield from self._of(each)
            return
        yield self.violation(path, self._any_of(meant or branches, depth))

    def _any_of(self, branches: list[list[Finding]], depth: int) -> str:
        """What tells each alternative from the others, else the first thing that it wants."""
        telling = (
            next((each for each in branch if _is_of_another_kind(each, depth)), branch[0])
            for branch in branches
            if branch
        )
        return ", or ".join(dict.fromkeys(self._wanted(each, depth) for each in telling))[:LONGEST]

    def _wanted(self, finding: Finding, depth: int) -> str:
        words = self._words(finding)
        rest = tuple(finding.instance_path[depth:])
        return f"{words} at {pointer(rest)}" if rest else words

    def _words(self, finding: Finding) -> str:
        kind = finding.kind
        if kind.name == "propertyNames":
            inner: Finding = kind.error  # type: ignore[attr-defined]
            return f"each name to be {self._words(inner)}, got {shown(inner.instance)}"
        if kind.name in ("anyOf", "oneOf"):
            return self._any_of(kind.context, len(finding.instance_path))  # type: ignore[attr-defined]
        if kind.name in _WORDS:
            return _WORDS[kind.name](kind)
        return f"what {kind.name!r} in the schema wants"

    def _got(self, path: Path) -> str:
        """What is there, unless it is hidden on the way."""
        if self._all_hidden:
            return MASK
        value = self._values
        for step in path:
            if self._hides(value, step):
                return MASK
            if isinstance(value, dict) and step not in value:
                return ""
            value = value[step]
        return shown(value, self._hides)


def located(values: Any, finding: Finding) -> Path:
    """The place that it is about. The engine takes the name "007" for the number 7, and leaves out an empty name."""
    path: list[str | int] = []
    value = values

    def go(step: str | int) -> None:
        nonlocal value
        path.append(step)
        value = value[step]

    for told in finding.instance_path:
        step = _step(value, told)
        while step is None and isinstance(value, dict) and "" in value:
            go("")
            step = _step(value, told)
        if step is None:
            break
        go(step)
    else:
        while isinstance(value, dict) and "" in value and finding.instance != replaced(value):
            go("")
    return tuple(path)


def _step(value: Any, told: str | int) -> str | int | None:
    if isinstance(value, list):
        return told if isinstance(told, int) and told < len(value) else None
    if not isinstance(value, dict):
        return None
    if isinstance(told, str) or str(told) in value:
        return str(told) if str(told) in value else None
    return next((name for name in value if _NUMBER.match(name) and int(name) == told), None)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def pointer(path: Path) -> str:
    """The path as a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _is_of_another_kind(finding: Finding, depth: int) -> bool:
    """Whether the value was not meant to be this at all: another type, or another `kind: ...` among its members."""
    rest = len(finding.instance_path) - depth
    return (rest == 0 and finding.kind.name in ("type", "const", "enum", "falseSchema", "not")) or (
        rest == 1 and finding.kind.name == "const"
    )


def _many(count: int, what: str) -> str:
    return (
        f"{count} {what}" if count == 1 else f"{count} {what}s" if not what.endswith("y") else f"{count} {what[:-1]}ies"
    )


def _quoted(value: Any) -> str:
    return repr(value) if isinstance(value, str) else shown(value)


def _listed(options: list[Any]) -> str:
    """Values by commas, cut where they are many."""
    text = ""
    for number, option in enumerate(options):
        piece = (", " if number else "") + _quoted(option)
        if len(text) + len(piece) > LONGEST * 2 // 3:
            return f"{text}, and {len(options) - number} more" if text else piece[:LONGEST]
        text += piece
    return text


def _one_of(options: list[Any]) -> str:
    return f"one of {_listed(options)}" if len(options) > 1 else _listed(options) or "nothing: no value is allowed"


_WORDS: Final[dict[str, Callable[[Any], str]]] = {
    "type": lambda kind: " or ".join(_TYPES.get(each, each) for each in kind.types),
    "required": lambda kind: f"the property {kind.property!r}",
    "enum": lambda kind: _one_of(kind.options),
    "const": lambda kind: _quoted(kind.expected_value),
    "minimum": lambda kind: f"a number of at least {kind.limit}",
    "maximum": lambda kind: f"a number of at most {kind.limit}",
    "exclusiveMinimum": lambda kind: f"a number greater than {kind.limit}",
    "exclusiveMaximum": lambda kind: f"a number less than {kind.limit}",
    "multipleOf": lambda kind: f"a multiple of {kind.multiple_of}",
    "minLength": lambda kind: f"a string of at least {_many(kind.limit, 'character')}",
    "maxLength": lambda kind: f"a string of at most {_many(kind.limit, 'character')}",
    "pattern": lambda kind: f"a string that matches {kind.pattern!r}",
    "minItems": lambda kind: f"a list of at least {_many(kind.limit, 'item')}",
    "maxItems": lambda kind: f"a list of at most {_many(kind.limit, 'item')}",
    "uniqueItems": lambda _: "a list in which nothing is twice",
    "contains": lambda _: "a list with items as 'contains' in the schema wants them",
    "minContains": lambda _: "a list with more items as 'contains' in the schema wants them",
    "maxContains": lambda _: "a list with fewer items as 'contains' in the schema wants them",
    "unevaluatedItems": lambda _: "a list without further items",
    "minProperties": lambda kind: f"an object of at least {_many(kind.limit, 'property')}",
    "maxProperties": lambda kind: f"an object of at most {_many(kind.limit, 'property')}",
    "falseSchema": lambda _: "nothing: no value is allowed here",
    "not": lambda kind: f"anything but what fits {shown(kind.schema, lambda _, __: False)}",
}
