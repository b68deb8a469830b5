"""Why a flag comes to what it does for a context, rule by rule, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from hub.core.flags import POINTS, Flag, Rule, Split
from hub.core.flagtests import Context, lookup
from hub.wire.codec import abbreviated
from hub.wire.flags import FlagRule


class Step(NamedTuple):
    """What became of one rule."""

    rule: int
    """Which, from 0, as in its place."""
    outcome: Literal["matches", "does not match", "not looked at"]
    why: str


def explained(flag: Flag, context: Context) -> list[Step]:
    """A step for each rule that the flag has; none where it is plain."""
    if flag.definition is None:
        return []
    if not flag.definition.enabled:
        return [Step(number, "not looked at", "it is disabled") for number in range(len(flag.definition.rules))]
    return list(_steps(flag, flag.definition.rules, context))


def _steps(flag: Flag, definitions: tuple[FlagRule, ...], context: Context) -> Iterator[Step]:
    decided = False
    for number, (rule, definition) in enumerate(zip(flag.rules, definitions, strict=True)):
        if decided:
            yield Step(number, "not looked at", "a rule before it matches")
            continue
        decided = rule.decide(context) is not None
        if decided:
            yield Step(number, "matches", _why(rule, definition, context))
        else:
            yield Step(number, "does not match", _why_not(rule, definition, context))


def _why_not(rule: Rule, definition: FlagRule, context: Context) -> str:
    for holds, (attribute, condition) in zip(rule.when, definition.when.items(), strict=True):
        if not holds(context):
            return f"{_given(attribute, context)}, and has to be {_json(condition)}"
    for holds, (attribute, condition) in zip(rule.unless, definition.unless.items(), strict=True):
        if holds(context):
            return f"{_given(attribute, context)}, and must not be {_json(condition)}"
    return f"{_given(definition.by, context)}, and is what it splits by"


def _why(rule: Rule, definition: FlagRule, context: Context) -> str:
    said = [_given(attribute, context) for attribute in definition.when]
    if definition.unless:
        said.append(f"no exception for {', '.join(definition.unless)}")
    if isinstance(rule.outcome, Split):
        point = rule.outcome.point(context) or 0
        said.append(f"{_given(definition.by, context)}, at {100 * point / POINTS:.4f} of 100")
    return "; ".join(said)


def _given(attribute: str, context: Context) -> str:
    value = lookup(attribute)(context)
    return f"{attribute} is not given" if value is None else f"{attribute} is {_json(value)}"


def _json(value: Any) -> str:
    try:
        return abbreviated(value)
    except (TypeError, ValueError):
        return repr(value)[:80]
