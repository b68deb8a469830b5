"""What a configuration says of its flags, read: those that can be evaluated, and all that is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import islice
from typing import Any, Final

import msgspec

from hub.core.flags import NONE, Decision, Flag, Flags, Rule, Split
from hub.core.flagtests import Holds, compiled
from hub.core.layers import step
from hub.errors import InvalidRequest
from hub.masking import mask
from hub.wire.codec import abbreviated
from hub.wire.complaints import complaints
from hub.wire.config import (
    Pointer,
    Violation,
)
from hub.wire.flags import (
    FLAG_NAME_WORDS,
    FLAGS,
    MAX_FLAGS,
    Condition,
    FlagDefinition,
    FlagKind,
    FlagRule,
    FlagTest,
    is_flag_name,
)

_ROOT: Final = step("", FLAGS)
MAX_VIOLATIONS: Final = 50
_LONGEST: Final = 300
"""Characters of what is expected in one place, and of what is said of one flag."""
_LONGEST_ANSWER: Final = 32 * 1024
"""Characters of all that is told; what is begun is told to its end."""
_TESTS: Final = ", ".join(FlagTest.__struct_fields__)
_NOTHING: Final = FlagTest()


def read(given: Any) -> Flags:
    """The flags that the member `flags` of a configuration says; None says none.

    A flag that is wrong is left out, and does not keep the others from being evaluated. Of all that is wrong the first
    so many places are told.
    """
    if given is None:
        return NONE
    if not isinstance(given, dict):
        expected = "an object, with a value or a definition for each flag"
        return Flags({}, {}, [_violation(_ROOT, expected, abbreviated(given))])
    if len(given) > MAX_FLAGS:
        return Flags({}, {}, [_violation(_ROOT, f"at most {MAX_FLAGS} flags", str(len(given)))])
    flags: dict[str, Flag] = {}
    broken: dict[str, str] = {}
    told: list[Violation] = []
    for name, definition in given.items():
        if definition is None:
            continue  # a layer takes away what the layers below it have
        wrong = list(islice(_wrong(name, definition), MAX_VIOLATIONS))
        if wrong:
            told += wrong
            broken[name] = _cut("; ".join(f"{each.path}: expected {each.expected}, got {each.got}" for each in wrong))
        else:
            flags[name] = _flag(name, definition)
    return Flags(flags, broken, _first(told))


def kind_of(value: Any) -> FlagKind | None:
    """Of which type a value is; None where no flag can have it."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "object" if isinstance(value, dict | list) else None


# --- what is right


def _flag(name: str, given: Any) -> Flag:
    if not isinstance(given, dict):
        return Flag(name, kind_of(given) or "object", None, (), Decision("STATIC", given))
    definition = msgspec.convert(given, FlagDefinition)
    variants = definition.variants
    kind = kind_of(next(iter(variants.values()))) or "object"
    if not definition.enabled:
        variant = definition.disabled
        served = Decision("DISABLED") if variant is None else Decision("DISABLED", variants[variant], variant)
        return Flag(name, kind, definition, (), served)
    rules = tuple(_rule(number, rule, name, definition) for number, rule in enumerate(definition.rules))
    default = definition.default
    return Flag(name, kind, definition, rules, Decision("DEFAULT" if rules else "STATIC", variants[default], default))


def _rule(number: int, rule: FlagRule, name: str, definition: FlagDefinition) -> Rule:
    variants, salt = definition.variants, name if definition.salt is None else definition.salt
    outcome: Decision | Split
    if rule.split is None:
        assert rule.variant is not None
        outcome = Decision("TARGETING_MATCH", variants[rule.variant], rule.variant, number)
    else:
        shares = {
            variant: (percentage, Decision("SPLIT", variants[variant], variant, number))
            for variant, percentage in rule.split.items()
        }
        outcome = Split(salt, rule.by, shares)
    return Rule(_conditions(rule.when), _conditions(rule.unless), outcome)


def _conditions(given: Mapping[str, Condition]) -> tuple[Holds, ...]:
    return tuple(compiled(attribute, condition) for attribute, condition in given.items())


# --- what is wrong


def _wrong(name: str, given: Any) -> Iterator[Violation]:
    place = step(_ROOT, name)
    if not is_flag_name(name):
        yield _violation(place, f"a name of {FLAG_NAME_WORDS}", abbreviated(name))
    elif isinstance(given, dict):
        shapes = complaints(FlagDefinition, given, MAX_VIOLATIONS)
        for shape in shapes:
            yield _violation(_down(place, shape.place), shape.expected, shape.got)
        if not shapes:
            yield from _at_odds(msgspec.convert(given, FlagDefinition), place)
    elif kind_of(given) is None:
        yield _violation(place, "a boolean, a string, a number, a list, or a definition", abbreviated(given))


def _at_odds(definition: FlagDefinition, place: Pointer) -> Iterator[Violation]:
    """Where what is said in one place does not go with what is said in another."""
    yield from _of_many_kinds(definition.variants, step(place, "variants"))
    for field in ("default", "disabled"):
        variant = getattr(definition, field)
        if variant is not None:
            yield from _unknown(variant, definition, step(place, field))
    for number, rule in enumerate(definition.rules):
        yield from _of_rule(rule, definition, _down(place, ("rules", str(number))))


def _of_many_kinds(variants: Mapping[str, Any], place: Pointer) -> Iterator[Violation]:
    first, kind = "", None
    for name, value in variants.items():
        found = kind_of(value)
        if found is None:
            yield _violation(step(place, name), "a boolean, string, number, object or list", abbreviated(value))
        elif kind is None:
            first, kind = name, found
        elif found != kind:
            yield _violation(step(place, name), f"a value of type {kind}, as {first!r} is", abbreviated(value))


def _of_rule(rule: FlagRule, definition: FlagDefinition, place: Pointer) -> Iterator[Violation]:
    if (rule.variant is None) == (rule.split is None):
        yield _violation(place, "either a variant or a split", "none" if rule.variant is None else "both")
    elif not (rule.when or rule.unless or rule.split):
        yield _violation(
            place, "conditions in 'when' or 'unless', or a split; what is for everybody is the default", "none"
        )
    if rule.variant is not None:
        yield from _unknown(rule.variant, definition, step(place, "variant"))
    if rule.split is not None:
        yield from _of_split(rule.split, definition, step(place, "split"))
    for field in ("when", "unless"):
        for attribute, condition in getattr(rule, field).items():
            yield from _of_condition(attribute, condition, _down(place, (field, attribute)))


def _of_split(split: Mapping[str, float], definition: FlagDefinition, place: Pointer) -> Iterator[Violation]:
    for variant in split:
        yield from _unknown(variant, definition, step(place, variant))
    total = sum(Fraction(repr(percentage)) for percentage in split.values())
    if total != 100:
        yield _violation(place, "percentages that are 100 together", f"{float(total):.12g}")


def _of_condition(attribute: str, condition: Condition, place: Pointer) -> Iterator[Violation]:
    if condition == _NOTHING:
        yield _violation(place, f"a test: {_TESTS}", "none")
        return
    try:
        compiled(attribute, condition)
    except InvalidRequest as error:
        expected, _, got = error.message.partition(", got ")
        yield _violation(step(place, "sem_ver"), expected.removeprefix("version: expected "), got)


def _unknown(variant: str, definition: FlagDefinition, place: Pointer) -> Iterator[Violation]:
    if variant not in definition.variants:
        yield _violation(place, f"one of the variants {', '.join(definition.variants)}", abbreviated(variant))


def _down(place: Pointer, names: Iterable[str]) -> Pointer:
    for name in names:
        place = step(place, name)
    return place


def _violation(path: Pointer, expected: str, got: str) -> Violation:
    return Violation(path=path, expected=_cut(expected), got=mask(got))


def _first(violations: list[Violation]) -> list[Violation]:
    """The first so many; fewer where their places have very long names."""
    length = 0
    for number, violation in enumerate(violations[:MAX_VIOLATIONS]):
        length += len(violation.path) + len(violation.expected)
        if length > _LONGEST_ANSWER:
            return violations[: number + 1]
    return violations[:MAX_VIOLATIONS]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
