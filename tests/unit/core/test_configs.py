"""What a change of configuration comes to, decided upon all that is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.configs import Configs, Plan
from hub.core.drafts import Draft, Signature
from hub.errors import Conflict, InvalidConfig, InvalidRequest, PayloadTooLarge
from hub.wire.config import (
    EVERYBODY,
    Config,
    ConfigRecord,
    Violation,
)
from tests.unit.core.making import WALL
from tests.unit.core.test_layers import objects

WHO = Signature("put", "ops", "because", WALL)


class Bounded:
    """A schema that wants `max` to be there and not above its bound; its default is 1."""

    def __init__(self, schema: dict[str, Any]) -> None:
        if "bound" not in schema:
            raise InvalidRequest("schema: expected a bound", field="schema")
        self._bound = schema["bound"]

    def violations(self, values: dict[str, Any]) -> Sequence[Violation]:
        got = values.get("max")
        if isinstance(got, int) and got <= self._bound:
            return ()
        return (Violation(path="/max", expected=f"a number of at most {self._bound}", got=repr(got)),)

    def defaults(self) -> dict[str, Any]:
        return {"max": 1}

    def describes(self, name: str) -> bool:
        return name == "max"


class Store:
    """Plans, and stores what was planned."""

    def __init__(self) -> None:
        self.configs = Configs(Bounded)
        self.revision = 0

    def change(self, *drafts: Draft, force: bool = False, signature: Signature = WHO) -> Plan:
        plan = self.configs.plan(drafts, signature, force=force)
        assert plan.base == self.revision
        for scope, record in plan.records.items():
            self.revision += 1
            self.configs.learn(scope, msgspec.json.decode(record, type=ConfigRecord), self.revision)
        return plan

    def get(self, service: str) -> Config:
        return msgspec.json.decode(self.configs.answer(service), type=Config)


def test_what_was_put_is_answered_with_its_revision_and_who_put_it() -> None:
    store = Store()
    store.change(Draft(EVERYBODY, values={"tz": "UTC"}))
    plan = store.change(Draft("engine", values={"a": {"b": 1}}))
    assert [difference.path for difference in plan.effects[0].differences] == ["/a"]
    config = store.get("engine")
    assert config.values == {"tz": "UTC", "a": {"b": 1}}
    assert config.put == {"a": {"b": 1}}
    assert (config.revision, config.own_revision, config.author, config.reason) == (2, 2, "ops", "because")
    assert config.origins == {"/tz": "all", "/a/b": "service"}


def test_a_service_runs_at_the_newer_of_its_own_revision_and_that_of_all() -> None:
    store = Store()
    store.change(Draft("engine", values={"a": 1}))
    assert store.configs.wanted("engine") == 1
    store.change(Draft(EVERYBODY, values={"b": 1}))
    assert (store.configs.wanted("engine"), store.configs.wanted("nobody")) == (2, 2)
    assert store.get("engine").values == {"a": 1, "b": 1}
    assert store.get("nobody").values == {"b": 1}


def test_a_change_over_another_revision_is_a_conflict_that_names_the_newest_and_its_author() -> None:
    store = Store()
    store.change(Draft("engine", values={"a": 1}, revision=0))
    with pytest.raises(Conflict, match=r"engine: expected revision 0, its newest is 1, by ops at 2026-01-02"):
        store.change(Draft("engine", values={"a": 2}, revision=0))
    with pytest.raises(Conflict, match="expected revision 3, its newest is 0"):
        store.change(Draft("other", values={}, revision=3))
    store.change(Draft("engine", values={"a": 2}, revision=1))


def test_nothing_invalid_is_planned_and_every_place_is_named() -> None:
    store = Store()
    store.change(Draft("engine", schema={"bound": 10}), Draft("gateway", schema={"bound": 5}))
    assert store.get("engine").values == {"max": 1}
    drafts = Draft("engine", values={"max": 11}), Draft("gateway", values={"max": 6}), Draft("free", values={"max": 99})
    with pytest.raises(InvalidConfig) as refused:
        store.change(*drafts)
    assert refused.value.message == (
        "engine: /max: expected a number of at most 10, got 11; gateway: /max: expected a number of at most 5, got 6"
    )
    assert store.get("free").values == {}


def test_what_all_share_is_held_against_the_schema_of_each() -> None:
    store = Store()
    store.change(Draft("engine", schema={"bound": 10}))
    with pytest.raises(InvalidConfig, match="engine: /max"):
        store.change(Draft(EVERYBODY, values={"max": 11}))
    store.change(Draft("engine", values={"max": 3}))
    plan = store.change(Draft(EVERYBODY, values={"max": 11, "tz": "UTC"}))
    assert [effect.scope for effect in plan.effects] == [EVERYBODY, "engine"]
    assert [difference.path for difference in plan.effects[1].differences] == ["/tz"]
    with pytest.raises(InvalidConfig, match="got 11"):
        store.change(Draft("engine", values={}))


def test_a_schema_that_what_is_stored_does_not_fit_is_taken_only_by_force() -> None:
    store = Store()
    store.change(Draft("engine", values={"max": 7}))
    with pytest.raises(InvalidConfig, match="expected a number of at most 5, got 7"):
        store.change(Draft("engine", schema={"bound": 5}))
    store.change(Draft("engine", schema={"bound": 5}), force=True)
    with pytest.raises(InvalidConfig):
        store.change(Draft("engine", values={"max": 7, "other": 1}))
    store.change(Draft(EVERYBODY, values={"tz": "UTC"}))
    store.change(Draft("engine", values={"max": 5}))
    store.change(Draft("engine", schema=None))
    assert store.get("engine").values == {"tz": "UTC", "max": 5}


def test_flags_that_cannot_be_evaluated_are_not_planned_whatever_the_schema_and_every_place_is_named() -> None:
    store = Store()
    wrong = {"flags": {"a": {"variants": {"on": True}, "default": "of"}, "b": {}}}
    for scope in ("free", EVERYBODY):
        with pytest.raises(InvalidConfig) as refused:
            store.change(Draft(scope, values=wrong))
        assert refused.value.message == (
            f'{scope}: /flags/a/default: expected one of the variants on, got "of"; '
            f"{scope}: /flags/b/variants: expected a value, got nothing; "
            f"{scope}: /flags/b/default: expected a value, got nothing"
        )
        with pytest.raises(InvalidConfig):
            store.change(Draft(scope, file=wrong))
        assert [violation.path for violation in store.configs.violations(scope, wrong)] == [
            "/flags/a/default",
            "/flags/b/variants",
            "/flags/b/default",
        ]
        assert not store.configs.violations(scope, {"flags": {"a": True}})
    assert list(store.configs.scopes()) == []


def test_a_flag_is_laid_together_from_all_layers_before_it_is_looked_at() -> None:
    store = Store()
    flag = {"variants": {"on": True, "off": False}, "default": "on"}
    store.change(Draft(EVERYBODY, values={"flags": {"a": flag}}))
    store.change(Draft("engine", values={"flags": {"a": {"enabled": False}}}))
    assert store.get("engine").values == {"flags": {"a": {**flag, "enabled": False}}}
    with pytest.raises(InvalidConfig, match="engine: /flags/a/variants: expected a value, got nothing"):
        store.change(Draft(EVERYBODY, values={}))
    with pytest.raises(InvalidConfig, match="other: /flags/b/variants"):
        store.change(Draft("other", values={"flags": {"b": {"enabled": False}}}))


def test_who_has_no_flags_of_its_own_is_not_told_of_those_that_all_share() -> None:
    store = Store()
    store.change(Draft("engine", values={"x": 1}), Draft("gateway", values={"x": 1}))
    with pytest.raises(InvalidConfig) as refused:
        store.change(Draft(EVERYBODY, values={"flags": {"a": None, "b": {}}}))
    assert refused.value.message.count("/flags/b/default") == 1
    assert refused.value.message.startswith("_all: ")


def test_a_schema_that_knows_nothing_of_flags_does_not_forbid_them() -> None:
    seen: list[dict[str, Any]] = []

    class Seeing(Bounded):
        def violations(self, values: dict[str, Any]) -> Sequence[Violation]:
            seen.append(values)
            return super().violations(values)

    store = Store()
    store.configs = Configs(Seeing)
    store.change(Draft("engine", schema={"bound": 5}))
    store.change(Draft("engine", values={"max": 2, "flags": {"a": True}}))
    assert seen[-1] == {"max": 2}
    assert store.get("engine").values == {"max": 2, "flags": {"a": True}}
    with pytest.raises(InvalidConfig, match=r"engine: /flags: expected an object.*engine: /max: expected"):
        store.change(Draft("engine", values={"max": 7, "flags": True}))


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="expected a bound"):
        Store().change(Draft("engine", schema={}))


def test_what_changes_nothing_is_not_stored() -> None:
    store = Store()
    store.change(Draft("engine", values={"a": 1, "b": 2}))
    plan = store.change(Draft("engine", values={"b": 2, "a": 1}), Draft("other", values={"c": 1}))
    assert list(plan.records) == ["other"]
    assert list(store.change(Draft("engine", values={"a": True, "b": 2})).records) == ["engine"]


def test_a_scope_is_named_once_and_bounded() -> None:
    store = Store()
    with pytest.raises(InvalidRequest, match="each service once"):
        store.change(Draft("engine", values={}), Draft("engine", values={}))
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"a": deep}
    with pytest.raises(InvalidRequest, match="nests too deep"):
        store.change(Draft("engine", values=deep))
    with pytest.raises(PayloadTooLarge, match="at most 65536 bytes"):
        store.change(Draft("engine", values={"a": "x" * 65536}))


def test_a_clock_that_steps_back_an_hour_changes_no_order() -> None:
    store = Store()
    store.change(Draft("engine", values={"a": 1}))
    plan = store.configs.plan([Draft("engine", values={"a": 2})], WHO._replace(at=WALL - timedelta(hours=1)))
    store.configs.learn("engine", plan.decoded["engine"], 2)
    config = store.get("engine")
    assert (config.values, config.revision, config.at) == ({"a": 2}, 2, WALL - timedelta(hours=1))
    assert not store.configs.learn("engine", ConfigRecord(scope="engine", kind="put", at=WALL), 1)


def test_an_older_record_changes_nothing_and_a_bucket_made_anew_begins_again() -> None:
    store = Store()
    store.change(Draft("engine", values={"a": 1}))
    store.change(Draft("engine", values={"a": 2}))
    assert not store.configs.learn("engine", ConfigRecord(scope="engine", kind="put", at=WALL), 1)
    assert store.get("engine").values == {"a": 2}
    store.configs.reset()
    assert store.get("engine").revision == 0
    assert store.configs.learn("engine", ConfigRecord(scope="engine", kind="put", at=WALL), 1)


_drafts = st.lists(
    st.tuples(st.sampled_from([EVERYBODY, "engine", "gateway"]), objects).map(lambda pair: Draft(*pair)),
    min_size=1,
    max_size=3,
    unique_by=lambda draft: draft.scope,
)


@given(st.lists(_drafts, max_size=6))
def test_two_hubs_that_are_told_the_same_answer_the_same(history: list[list[Draft]]) -> None:
    store, other = Store(), Configs(Bounded)
    told = []
    for drafts in history:
        plan = store.change(*drafts)
        first = store.revision - len(plan.records) + 1
        told += [(scope, record, number) for number, (scope, record) in enumerate(plan.decoded.items(), start=first)]
    for scope, record, number in sorted(told, key=lambda each: hash((each[2] % 3, each[2]))):
        other.learn(scope, record, number)
    for service in ("engine", "gateway", "nobody", EVERYBODY):
        assert other.answer(service) == store.configs.answer(service)
