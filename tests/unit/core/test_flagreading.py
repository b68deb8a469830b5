"""What is wrong with flags, told in full and with its places."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core.flagreading import MAX_VIOLATIONS, read
from hub.wire.config import Violation
from hub.wire.flags import MAX_FLAGS, MAX_RULES, MAX_VARIANTS

TESTS = "present, starts_with, ends_with, contains, gt, gte, lt, lte, sem_ver"
GOOD = {"variants": {"on": True, "off": False}, "default": "off"}


def wrong(given: Any) -> list[tuple[str, str, str]]:
    return [(each.path, each.expected, each.got) for each in read(given).violations]


def in_rule(rule: Any) -> list[tuple[str, str, str]]:
    """What is wrong with a flag that has this rule; places from the rule on."""
    found = wrong({"x": {**GOOD, "rules": [rule]}})
    assert all(path.startswith("/flags/x/rules/0") for path, _, _ in found)
    return [(path.removeprefix("/flags/x/rules/0"), expected, got) for path, expected, got in found]


def test_what_is_right_has_no_violations() -> None:
    assert wrong(None) == wrong({}) == wrong({"a": True, "b.c_d-E": GOOD, "gone": None, "list": []}) == []


@pytest.mark.parametrize("given", [True, 1, "x", ["a"]])
def test_flags_are_an_object(given: Any) -> None:
    [(path, expected, _)] = wrong(given)
    assert (path, expected) == ("/flags", "an object, with a value or a definition for each flag")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = wrong(
        {
            "a": {"variants": {"on": True, "off": 1, "no": None}, "default": "of", "disabled": "x"},
            "b": {"variant": {"on": True}, "enabled": "yes"},
            "c d": True,
            "e": {**GOOD, "rules": [{"variant": "up", "when": {"v": {"sem_ver": "new"}}}, {"split": {"on": 60.5}}]},
        }
    )
    name_words = "1..{} of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
    there_are = "there are description, enabled, variants, default, disabled, rules, salt"
    assert found == [
        ("/flags/a/variants/off", "a value of type boolean, as 'on' is", "1"),
        ("/flags/a/variants/no", "a boolean, string, number, object or list", "null"),
        ("/flags/a/default", "one of the variants on, off, no", '"of"'),
        ("/flags/a/disabled", "one of the variants on, off, no", '"x"'),
        ("/flags/b/variant", f"no property 'variant' ({there_are})", '{"on":true}'),
        ("/flags/b/enabled", "true or false", '"yes"'),
        ("/flags/b/variants", "a value", "nothing"),
        ("/flags/b/default", "a value", "nothing"),
        ("/flags/c d", f"a name of {name_words.format(128)}", '"c d"'),
        ("/flags/e/rules/0/variant", "one of the variants on, off", '"up"'),
        ("/flags/e/rules/0/when/v/sem_ver", "comparisons such as '>=1.2,<2'", "'new'"),
        ("/flags/e/rules/1/split", "percentages that are 100 together", "60.5"),
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [("", "either a variant or a split", "none")]),
        ({"variant": "on", "split": {"on": 100}}, [("", "either a variant or a split", "both")]),
        (
            {"variant": "on"},
            [("", "conditions in 'when' or 'unless', or a split; what is for everybody is the default", "none")],
        ),
        ({"split": {"on": 100, "up": 0}}, [("/split/up", "one of the variants on, off", '"up"')]),
        ({"split": {"on": 101, "off": -1}}, [("/split/on", "0..100", "101"), ("/split/off", "0..100", "-1")]),
        ({"split": {}}, [("/split", "1..32 members", "0")]),
        ({"split": {"on": True}}, [("/split/on", "0..100", "true")]),
        (
            {"when": {"a/b": None}, "variant": "on"},
            [("/when/a~1b", "a text, a number, true, false, a list of these, or an object with a test", "null")],
        ),
        ({"when": {"a": {}}, "variant": "on"}, [("/when/a", f"a test: {TESTS}", "none")]),
        (
            {"when": {"a": {"matches": ".*"}}, "variant": "on"},
            [
                (
                    "/when/a/matches",
                    f"no property 'matches' (there are {TESTS})",
                    '".*"',
                )
            ],
        ),
        ({"when": {"a": []}, "variant": "on"}, [("/when/a", "1..256 values", "0")]),
        (
            {"when": {"a": ["x", None]}, "variant": "on"},
            [("/when/a/1", "true or false or an integer or a number or a string of 0..1024 characters", "null")],
        ),
        ({"when": {"a": {"gt": "5"}}, "variant": "on"}, [("/when/a/gt", "a number", '"5"')]),
        ({"when": [], "variant": "on"}, [("/when", "an object", "[]")]),
        ("on", [("", "an object", '"on"')]),
    ],
)
def test_a_rule_says_whom_it_is_for_and_what_they_have(rule: Any, expected: list[tuple[str, str, str]]) -> None:
    assert in_rule(rule) == expected


def test_an_object_is_a_variant_and_not_a_plain_value() -> None:
    assert (
        "/flags/x/max",
        "no property 'max' (there are description, enabled, variants, default, disabled, rules, salt)",
        "3",
    ) in wrong({"x": {"max": 3}})


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({f"f{number}": True for number in range(MAX_FLAGS + 1)}, "/flags"),
        ({"x": {**GOOD, "rules": [{"when": {"a": 1}, "variant": "on"}] * (MAX_RULES + 1)}}, "/flags/x/rules"),
        ({"x": {"variants": {f"v{n}": n for n in range(MAX_VARIANTS + 1)}, "default": "v0"}}, "/flags/x/variants"),
        (
            {"x": {**GOOD, "rules": [{"when": {f"a{n}": 1 for n in range(17)}, "variant": "on"}]}},
            "/flags/x/rules/0/when",
        ),
    ],
)
def test_more_than_can_be_evaluated_in_good_time_is_refused(given: Any, path: str) -> None:
    assert path in [each[0] for each in wrong(given)]


def test_what_is_told_is_bounded_and_has_no_secrets_in_it() -> None:
    found = read({f"f{number}": None or {} for number in range(500)}).violations
    assert len(found) == MAX_VIOLATIONS
    long = read({f"{number}" + "x" * 20_000: True for number in range(10)}).violations
    assert len(long) == 2
    wide = {"x": {**GOOD, "rules": [{"when": {"a": [None] * 12_000}, "variant": "on"}]}}
    assert len(read(wide).violations) == MAX_VIOLATIONS
    leaky = read({"x": {**GOOD, "enabled": "nats://ada:hunter2@example.org"}}).violations
    assert leaky == [Violation(path="/flags/x/enabled", expected="true or false", got='"nats://ada:***@example.org"')]
