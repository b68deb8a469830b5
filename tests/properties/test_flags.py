"""Feature flags, whatever they say and whoever they are asked for."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.flagexplaining import explained
from hub.core.flagreading import MAX_VIOLATIONS, read
from hub.core.flags import Decision, Flags, Wanted
from hub.wire.flags import FlagDefinition
from hub.wire.schemas import schema

_SCHEMA = jsonschema_rs.Draft202012Validator(schema("flag", FlagDefinition))
VARIANTS = ("a", "b", "c", "d")
ATTRIBUTES = ("targetingKey", "country", "app.version", "app", "plan")
WANTED: tuple[Wanted, ...] = ("boolean", "string", "integer", "number", "object")

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=9)
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
contexts = st.dictionaries(st.sampled_from(ATTRIBUTES) | st.text(max_size=4), anything, max_size=5)
texts = st.text(max_size=4) | st.lists(st.text(max_size=4), min_size=1, max_size=3)
tests = st.fixed_dictionaries(
    {},
    optional={
        "present": st.booleans(),
        "starts_with": texts,
        "ends_with": texts,
        "contains": texts,
        "gt": st.integers(-5, 5),
        "lte": st.floats(-5, 5),
        "sem_ver": st.sampled_from([">=1.2,<2", "^1", "~=1.4", "!=3"]),
    },
).filter(bool)
plain = st.booleans() | st.integers(-9, 9) | st.text(max_size=4)
conditions = st.dictionaries(
    st.sampled_from(ATTRIBUTES), plain | st.lists(plain, min_size=1, max_size=3) | tests, max_size=3
)


@st.composite
def shares(draw: st.DrawFn) -> dict[str, float]:
    """Percentages with two decimals, together 100."""
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), min_size=3, max_size=3)))
    sizes = [after - before for before, after in zip([0, *cuts], [*cuts, 10_000], strict=True)]
    return {variant: size / 100 for variant, size in zip(draw(st.permutations(VARIANTS)), sizes, strict=True)}


rules = st.one_of(
    st.fixed_dictionaries(
        {"when": conditions.filter(bool), "unless": conditions, "variant": st.sampled_from(VARIANTS)}
    ),
    st.fixed_dictionaries({"when": conditions, "split": shares()}, optional={"by": st.sampled_from(ATTRIBUTES)}),
)
definitions = st.fixed_dictionaries(
    {"variants": st.just({name: ord(name) for name in VARIANTS}), "default": st.sampled_from(VARIANTS)},
    optional={
        "enabled": st.booleans(),
        "disabled": st.sampled_from(VARIANTS) | st.none(),
        "rules": st.lists(rules, max_size=4),
        "salt": st.text(max_size=4),
        "description": st.text(max_size=4),
    },
)


def sound(definition: Any) -> Flags:
    found = read({"x": definition})
    assert not found.violations
    return found


def dealt(split: dict[str, float], keys: int, *, salt: str = "x") -> list[str]:
    """The variants of so many users."""
    definition = {
        "variants": {name: name for name in VARIANTS},
        "default": "a",
        "rules": [{"split": split}],
        "salt": salt,
    }
    found = sound(definition)
    return [found.decide("x", "string", {"targetingKey": f"user-{number}"}).value for number in range(keys)]


@given(anything | st.dictionaries(st.sampled_from(["x", "y", " "]), anything | definitions, max_size=3))
def test_whatever_is_read_never_raises_and_what_it_complains_of_is_bounded(given_flags: Any) -> None:
    found = read(given_flags)
    assert len(found.violations) <= MAX_VIOLATIONS
    assert bool(found.violations) == bool(found.broken) or not found.flags
    for violation in found.violations:
        assert violation.path.startswith("/flags")


@given(
    st.dictionaries(
        st.sampled_from([*FlagDefinition.__struct_fields__, "more"]), anything | st.lists(rules | anything, max_size=2)
    )
)
def test_what_the_schema_refuses_is_complained_of(definition: dict[str, Any]) -> None:
    definition = json.loads(msgspec.json.encode(definition))
    if not _SCHEMA.is_valid(definition):
        assert read({"x": definition}).violations


@given(definitions, contexts)
def test_a_sound_flag_comes_to_one_of_its_variants_and_never_raises(definition: dict[str, Any], context: Any) -> None:
    assert _SCHEMA.is_valid(definition)
    found = sound(definition)
    for wanted in WANTED:
        decision = found.decide("x", wanted, context)
        assert decision == found.decide("x", wanted, dict(reversed(context.items()))), "it depends on nothing else"
        if wanted in ("integer", "number"):
            assert decision.error is None
            assert decision.variant is None or decision.value == ord(decision.variant)
        else:
            assert decision.error == "TYPE_MISMATCH"


@given(definitions, contexts)
def test_the_first_rule_that_matches_by_itself_is_the_one_that_decides(
    definition: dict[str, Any], context: Any
) -> None:
    decision = sound(definition).decide("x", "integer", context)
    if not definition.get("enabled", True):
        assert decision.reason == "DISABLED"
        return
    alone = [
        sound({**definition, "rules": [rule]}).decide("x", "integer", context) for rule in definition.get("rules", ())
    ]
    first = next((number for number, each in enumerate(alone) if each.reason != "DEFAULT"), None)
    if first is None:
        assert decision.reason == ("DEFAULT" if alone else "STATIC")
        assert decision.variant == definition["default"]
    else:
        assert decision == alone[first]._replace(rule=first)
    steps = explained(sound(definition).flags["x"], context)
    assert [step.rule for step in steps if step.outcome == "matches"] == ([] if first is None else [first])
    assert all(step.why for step in steps)


@settings(max_examples=30)
@given(shares(), st.text(max_size=4))
def test_a_split_deals_as_its_percentages_say(split: dict[str, float], salt: str) -> None:
    users = 4_000
    variants = dealt(split, users, salt=salt)
    for variant, percentage in split.items():
        share = percentage / 100
        deviation = 6 * (share * (1 - share) / users) ** 0.5
        assert abs(variants.count(variant) / users - share) <= deviation + 1e-9


@settings(max_examples=30)
@given(shares(), st.sampled_from(VARIANTS), st.data())
def test_who_has_a_variant_keeps_it_when_its_percentage_alone_is_raised(
    split: dict[str, float], raised: str, data: st.DataObject
) -> None:
    after = {variant: round(share * 100) for variant, share in split.items()}
    for other in sorted(set(VARIANTS) - {raised}):
        taken = data.draw(st.integers(0, after[other]))
        after[other] -= taken
        after[raised] += taken
    before = dealt(split, 400)
    later = dealt({variant: share / 100 for variant, share in after.items()}, 400)
    for one, other in zip(before, later, strict=True):
        assert one != raised or other == raised


@settings(max_examples=20)
@given(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8))
def test_flags_of_different_salts_deal_independently(one: str, other: str) -> None:
    if one == other:
        return
    half = {"a": 50.0, "b": 50.0}
    pairs = list(zip(dealt(half, 4_000, salt=one), dealt(half, 4_000, salt=other), strict=True))
    for pair in (("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")):
        assert abs(pairs.count(pair) / 4_000 - 0.25) < 6 * (0.25 * 0.75 / 4_000) ** 0.5


@given(shares(), st.permutations(VARIANTS))
def test_the_order_in_which_a_split_is_written_says_nothing(split: dict[str, float], order: list[str]) -> None:
    assert dealt(split, 50) == dealt({variant: split[variant] for variant in order}, 50)


def test_a_decision_without_a_value_is_the_default_of_who_asks() -> None:
    assert Decision("DISABLED").value is msgspec.UNSET
