"""Which value a flag has for whom, and why."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from hub.core.flagexplaining import explained
from hub.core.flagreading import read
from hub.core.flags import Decision, Flags, Split, Wanted, differing


def flags(**definitions: Any) -> Flags:
    found = read({name.replace("_", "-"): definition for name, definition in definitions.items()})
    assert not found.violations
    return found


def switch(*rules: dict[str, Any], **given: Any) -> dict[str, Any]:
    return {"variants": {"on": True, "off": False}, "default": "off", "rules": list(rules), **given}


def matches(when: dict[str, Any], context: dict[str, Any], **rule: Any) -> bool:
    """Whether a rule of these conditions matches."""
    decision = flags(x=switch({"when": when, "variant": "on", **rule})).decide("x", "boolean", context)
    assert decision.reason == ("TARGETING_MATCH" if decision.value else "DEFAULT")
    return bool(decision.value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(True, "boolean"), ("blue", "string"), (3, "integer"), (2.5, "number"), ([1], "object")],
)
def test_a_plain_value_is_a_flag_that_is_the_same_for_everybody(value: Any, wanted: Wanted) -> None:
    decision = flags(plain=value).decide("plain", wanted, {"country": "DE"})
    assert decision == Decision("STATIC", value)


def test_a_definition_without_rules_is_static_and_serves_its_default() -> None:
    assert flags(x=switch()).decide("x", "boolean", {}) == Decision("STATIC", False, "off")


def test_the_first_rule_that_matches_decides_and_says_which_it_was() -> None:
    found = flags(
        x=switch(
            {"when": {"plan": "free"}, "variant": "off"},
            {"when": {"country": ["DE", "AT"]}, "variant": "on"},
            {"when": {"country": "DE"}, "variant": "off"},
        )
    )
    assert found.decide("x", "boolean", {"country": "DE"}) == Decision("TARGETING_MATCH", True, "on", 1)
    assert found.decide("x", "boolean", {"country": "DE", "plan": "free"}).rule == 0
    assert found.decide("x", "boolean", {"country": "FR"}) == Decision("DEFAULT", False, "off")


def test_a_disabled_flag_serves_its_variant_for_that_or_else_what_the_service_gives() -> None:
    rule = {"when": {"country": "DE"}, "variant": "on"}
    found = flags(x=switch(rule, enabled=False), y=switch(rule, enabled=False, disabled="off"))
    assert found.decide("x", "boolean", {"country": "DE"}) == Decision("DISABLED", UNSET)
    assert found.decide("y", "boolean", {"country": "DE"}) == Decision("DISABLED", False, "off")


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("DE", "DE", True),
        ("DE", "de", False),
        (["DE", "AT"], "AT", True),
        (["DE", "AT"], "FR", False),
        (1, 1.0, True),
        (1, True, False),
        (True, 1, False),
        ([True, "x"], True, True),
        (1, "1", False),
        ("1", 1, False),
        ("DE", ["DE"], False),
        ({"starts_with": "de-"}, "de-AT", True),
        ({"starts_with": ["fr", "de"]}, "de-AT", True),
        ({"starts_with": "de"}, "nde", False),
        ({"ends_with": "@example.org"}, "ada@example.org", True),
        ({"ends_with": "@example.org"}, 7, False),
        ({"contains": "beta"}, "a beta b", True),
        ({"contains": ["beta", "alpha"]}, ["x", "alpha"], True),
        ({"contains": "beta"}, ["betas"], False),
        ({"contains": "1"}, 11, False),
        ({"gt": 5}, 5, False),
        ({"gt": 5}, 5.1, True),
        ({"gte": 5}, 5, True),
        ({"lt": 5, "gte": 3}, 4, True),
        ({"lt": 5, "gte": 3}, 5, False),
        ({"lte": 5}, 10**400, False),
        ({"gte": 5}, 10**400, True),
        ({"gte": 0}, True, False),
        ({"gte": 0}, "7", False),
        ({"lt": 5}, float("nan"), False),
        ({"sem_ver": ">=1.2,<2"}, "1.10.0", True),
        ({"sem_ver": ">=1.2,<2"}, "2.0.0", False),
        ({"sem_ver": ">=1.2,<2"}, "1.2.0-rc.1", False),
        ({"sem_ver": "^1.4"}, "1.9", True),
        ({"sem_ver": ">=1"}, "not a version", False),
        ({"sem_ver": ">=1"}, "1" * 10_000, False),
        ({"sem_ver": ">=1"}, 2, False),
        ({"present": True}, 0, True),
        ({"present": False}, 0, False),
        ({"present": True, "starts_with": "x"}, "xy", True),
    ],
)
def test_a_condition_holds_of_what_it_says_and_of_nothing_else(condition: Any, value: Any, holds: bool) -> None:
    assert matches({"a": condition}, {"a": value}) is holds
    assert flags(x=switch({"unless": {"a": condition}, "variant": "on"})).decide(
        "x", "boolean", {"a": value}
    ).value is (not holds)


@pytest.mark.parametrize("condition", ["x", ["x"], {"gt": 0}, {"contains": ""}, {"sem_ver": ">=0"}, {"present": True}])
def test_of_an_attribute_that_is_not_known_no_condition_holds_but_that_it_is_absent(condition: Any) -> None:
    for context in ({}, {"a": None}):
        assert not matches({"a": condition}, context)
        assert matches({"a": {"present": False}}, context)
        assert matches({}, context, unless={"a": condition})


def test_all_of_when_must_hold_and_none_of_unless() -> None:
    when, unless = {"a": 1, "b": 2}, {"c": 3, "d": 4}
    assert matches(when, {"a": 1, "b": 2}, unless=unless)
    assert not matches(when, {"a": 1}, unless=unless)
    assert not matches(when, {"a": 1, "b": 2, "d": 4}, unless=unless)


def test_dots_lead_into_objects_unless_there_is_an_attribute_of_that_very_name() -> None:
    when = {"app.version": "1"}
    assert matches(when, {"app": {"version": "1"}})
    assert matches(when, {"app.version": "1", "app": {"version": "2"}})
    assert not matches(when, {"app": "1"})
    assert not matches(when, {"app": {"version": {"major": "1"}}})


# --- splits


def split(on: float, **given: Any) -> dict[str, Any]:
    return switch({"split": {"on": on, "off": 100 - on}, **given})


def test_a_split_deals_by_the_targeting_key_or_by_the_attribute_that_it_names() -> None:
    found = flags(a=split(50), b=split(50, by="account.id"))
    assert found.decide("a", "boolean", {"targetingKey": "u1"}).reason == "SPLIT"
    assert found.decide("b", "boolean", {"targetingKey": "u1"}).reason == "DEFAULT"
    assert found.decide("b", "boolean", {"account": {"id": 7}}).reason == "SPLIT"
    assert found.decide("b", "boolean", {"account": {"id": 7}}) == found.decide("b", "boolean", {"account.id": "7"})


@pytest.mark.parametrize("key", [None, "", True, 1.5, ["u1"], {}, pytest.param(10**5000, id="huge")])
def test_a_split_does_not_match_who_has_nothing_to_split_by(key: Any) -> None:
    assert flags(a=split(100)).decide("a", "boolean", {"targetingKey": key}).reason == "DEFAULT"


def test_a_rule_with_conditions_splits_only_those_for_whom_they_hold() -> None:
    found = flags(a=split(100, when={"country": "DE"}))
    assert found.decide("a", "boolean", {"targetingKey": "u1", "country": "DE"}).value is True
    assert found.decide("a", "boolean", {"targetingKey": "u1"}) == Decision("DEFAULT", False, "off")


def test_a_salt_makes_flags_split_alike_and_without_one_they_do_not() -> None:
    found = flags(a=split(50), b=split(50), c={**split(50), "salt": "a"})
    contexts = [{"targetingKey": f"user-{number}"} for number in range(200)]
    dealt = {name: [found.decide(name, "boolean", context).value for context in contexts] for name in "abc"}
    assert dealt["a"] == dealt["c"]
    assert dealt["a"] != dealt["b"]


def test_percentages_are_taken_as_they_are_written() -> None:
    shares = {"a": 33.3, "b": 33.3, "c": 33.4}
    found = flags(x={"variants": {"a": 1, "b": 2, "c": 3}, "default": "a", "rules": [{"split": shares}]})
    assert found.decide("x", "integer", {"targetingKey": "u"}).reason == "SPLIT"
    whole = Split("s", "by", {name: (share, Decision("SPLIT", name)) for name, share in shares.items()})
    assert whole._bounds == [1430224110, 2860448220, 2**32]


# --- types


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(True, "string"), (True, "integer"), ("1", "boolean"), (1, "boolean"), (1.5, "integer"), ([1], "string")],
)
def test_a_value_of_another_type_than_is_wanted_is_a_mismatch(value: Any, wanted: Wanted) -> None:
    decision = flags(x=value).decide("x", wanted, {})
    assert (decision.reason, decision.error, decision.value) == ("ERROR", "TYPE_MISMATCH", UNSET)
    assert "'x'" in decision.message


def test_a_number_comes_as_the_integer_or_the_float_that_is_wanted() -> None:
    found = flags(x=2.0, y=2)
    assert repr(found.decide("x", "integer", {}).value) == "2"
    assert repr(found.decide("y", "number", {}).value) == "2.0"


def test_a_flag_that_is_not_there_and_one_that_is_broken_are_errors_that_say_so() -> None:
    found = read({"broken": {"variants": {"on": True}, "default": "of"}, "good": True, "gone": None})
    assert found.decide("missing", "boolean", {}).error == "FLAG_NOT_FOUND"
    assert found.decide("gone", "boolean", {}).error == "FLAG_NOT_FOUND"
    assert found.decide("good", "boolean", {}).value is True
    decision = found.decide("broken", "boolean", {})
    assert decision.error == "PARSE_ERROR"
    assert decision.message == '/flags/broken/default: expected one of the variants on, got "of"'


def test_what_differs_between_two_configurations_is_named() -> None:
    before = read({"a": 1, "b": True, "c": switch(), "d": "x", "e": {"bad": 1}})
    after = read({"a": True, "b": True, "c": switch(enabled=False), "e": {"bad": 1}, "f": 1.0})
    assert differing(before, after) == ["a", "c", "d", "f"]
    assert differing(after, after) == []


# --- explaining


def test_each_rule_is_explained_with_what_it_was_held_against() -> None:
    found = flags(
        x=switch(
            {"when": {"country": ["DE", "AT"], "plan": "pro"}, "variant": "on"},
            {"when": {"plan": "pro"}, "unless": {"email": {"ends_with": "@x.org"}}, "variant": "on"},
            {"split": {"on": 50, "off": 50}, "by": "account"},
            {"when": {"country": "FR"}, "unless": {"email": "b"}, "split": {"on": 100}},
            {"when": {"country": "FR"}, "variant": "on"},
        )
    )
    context = {"country": "FR", "plan": "pro", "email": "a@x.org", "targetingKey": "user-1"}
    steps = explained(found.flags["x"], context)
    assert [(step.rule, step.outcome) for step in steps] == [
        (0, "does not match"),
        (1, "does not match"),
        (2, "does not match"),
        (3, "matches"),
        (4, "not looked at"),
    ]
    assert steps[0].why == 'country is "FR", and has to be ["DE","AT"]'
    assert steps[1].why == 'email is "a@x.org", and must not be {"ends_with":"@x.org"}'
    assert steps[2].why == "account is not given, and is what it splits by"
    assert steps[3].why.startswith('country is "FR"; no exception for email; targetingKey is "user-1", at ')
    assert explained(flags(x=switch({"split": {"on": 100}}, enabled=False)).flags["x"], {})[0].why == "it is disabled"
    assert explained(flags(x=1).flags["x"], {}) == []
