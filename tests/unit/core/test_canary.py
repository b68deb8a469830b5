"""Who tries a canary, what they run with, and how it goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.canary import (
    GRACE,
    LONELY,
    SETTLE,
    Traits,
    Tried,
    check,
    compared,
    counted,
    judge,
    promoted,
    seen_by,
    share,
    tries,
)
from hub.core.drafts import Draft, Signature
from hub.core.layers import laid_together, origins
from hub.errors import Conflict, InvalidConfig, InvalidRequest
from hub.wire.canary import Canary, CanaryPlan, CanaryRules, CanaryState, CanaryTarget
from hub.wire.codec import MAX_MESSAGE_BYTES
from hub.wire.config import (
    EVERYBODY,
    ConfigRecord,
)
from hub.wire.configstatus import ConfigRefusal
from tests.unit.core.making import WALL
from tests.unit.core.test_configs import WHO, Store

BLUE = Traits("engine", "a1", version="1.4.2", zone="eu-1", tags=("blue", "fast"))
STATE = CanaryState(id="c1", since=WALL, bake=60.0)
STARTING = Signature("canary", "ada", "try it", WALL, id="c1")

instances = st.builds(
    Traits,
    st.just("engine"),
    st.from_regex(r"[A-Za-z0-9_-]{1,16}", fullmatch=True),
    st.sampled_from([None, "", "1.0", "1.4.2", "2.0", "latest"]),
    st.sampled_from([None, "eu-1", "us-1"]),
    st.lists(st.sampled_from(["blue", "fast"]), unique=True),
)


def record(values: dict[str, Any], tried: dict[str, Any] | None = None, **target: Any) -> ConfigRecord:
    canary = None
    if tried is not None:
        canary = Canary(id="c1", since=WALL, target=CanaryTarget(**target), values=tried)
    return ConfigRecord(scope="engine", kind="canary", at=WALL, values=values, canary=canary)


# --- who


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"instances": ("a1", "b2")},
        {"zones": ("us-1", "eu-1")},
        {"tags": ("fast", "blue")},
        {"version": ">=1.4,<2"},
        {"instances": ("a1",), "zones": ("eu-1",), "tags": ("blue",), "version": "~=1.4"},
    ],
)
def test_whoever_all_of_a_target_matches_tries_it(target: dict[str, Any]) -> None:
    assert tries(CanaryTarget(**target), BLUE)


@pytest.mark.parametrize(
    "target",
    [
        {"instances": ("b2",)},
        {"zones": ("us-1",)},
        {"tags": ("blue", "slow")},
        {"version": ">=2"},
        {"version": "not a version"},
        {"instances": ("a1",), "zones": ("us-1",)},
        {"percent": 0.000001},
    ],
)
def test_whoever_a_part_of_it_does_not_match_does_not(target: dict[str, Any]) -> None:
    assert not tries(CanaryTarget(**target), BLUE)


def test_an_instance_without_zone_or_version_is_in_none() -> None:
    bare = Traits("engine", "a1")
    assert not tries(CanaryTarget(zones=("eu-1",)), bare)
    assert not tries(CanaryTarget(version=">=0"), bare)
    assert tries(CanaryTarget(), bare)


def test_a_range_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check(CanaryTarget(version=">=one"))
    assert refused.value.field == "canary.target.version"


def test_the_place_of_an_instance_is_what_the_contract_says_it_is() -> None:
    """SHA-256 of `engine.a1` begins with fddc8b8ef4e69c72 (by coreutils' sha256sum)."""
    assert share("engine", "a1") == pytest.approx(int("fddc8b8ef4e69c72", 16) / 2**64 * 100)


@given(instances, st.floats(0.001, 100), st.floats(0.001, 100))
def test_a_higher_percentage_only_adds(instance: Traits, one: float, other: float) -> None:
    fewer, more = sorted((one, other))
    assert tries(CanaryTarget(percent=fewer), instance) <= tries(CanaryTarget(percent=more), instance)


@pytest.mark.parametrize("percent", [1.0, 10.0, 50.0, 90.0])
def test_a_percentage_is_about_so_many_of_many(percent: float) -> None:
    chosen = sum(tries(CanaryTarget(percent=percent), Traits("engine", f"i{number}")) for number in range(20_000))
    assert chosen / 200 == pytest.approx(percent, abs=1.5)


# --- what they run with


@given(instances)
def test_each_runs_with_what_was_put_or_with_what_is_tried_and_never_with_a_mixture(instance: Traits) -> None:
    stored = record({"a": 1, "b": {"c": 1, "d": 1}}, {"b": {"c": 2}}, zones=("eu-1",))
    values = laid_together(stored, None, instance)
    assert values == ({"b": {"c": 2}} if instance.zone == "eu-1" else {"a": 1, "b": {"c": 1, "d": 1}})
    assert laid_together(stored, None) == {"a": 1, "b": {"c": 1, "d": 1}}


def test_a_canary_may_take_keys_away_and_the_layers_below_show() -> None:
    stored = msgspec.structs.replace(record({"a": 1}, {}), defaults={"a": 0})
    assert laid_together(stored, None, BLUE) == {"a": 0}
    assert origins(stored, None, BLUE) == {"/a": "schema"}


def test_only_what_is_other_than_put_comes_from_the_canary() -> None:
    own = record({"a": 1, "b": 1}, {"a": 1, "b": 2})
    shared = msgspec.structs.replace(record({"x": True, "y": 1}, {"x": 1, "y": 1}), scope=EVERYBODY)
    assert origins(own, shared, BLUE) == {"/a": "service", "/b": "canary", "/x": "all-canary", "/y": "all"}
    assert origins(own, shared) == {"/a": "service", "/b": "service", "/x": "all", "/y": "all"}


def test_promoted_it_is_for_all_what_it_was_for_those_who_tried_it() -> None:
    stored = record({"a": 1}, {"a": 2})
    assert laid_together(promoted(stored), None) == laid_together(stored, None, BLUE) == {"a": 2}
    assert seen_by(record({"a": 1}), BLUE) == record({"a": 1})


def test_a_canary_concerns_those_who_try_it_and_its_promotion_the_others() -> None:
    plain, tried = record({"a": 1}), record({"a": 1}, {"a": 2})
    assert [each and each.values for each in compared(plain, tried)] == [{"a": 1}, {"a": 2}]
    assert [each and each.values for each in compared(tried, plain)] == [{"a": 2}, {"a": 1}]
    assert [each and each.values for each in compared(tried, promoted(tried))] == [{"a": 1}, {"a": 2}]


# --- what is stored


def start(store: Store, scope: str, values: dict[str, Any], **target: Any) -> None:
    plan = CanaryPlan(target=CanaryTarget(**target))
    store.change(Draft(scope, values=values, canary=plan), signature=STARTING)


def test_what_is_put_stays_until_the_canary_is_promoted() -> None:
    store = Store()
    store.change(Draft("engine", values={"a": 1}))
    start(store, "engine", {"a": 2}, zones=("eu-1",))
    assert store.configs.values("engine") == {"a": 1}
    assert store.configs.values("engine", BLUE) == {"a": 2}
    assert store.configs.under_way() == {"c1": ["engine"]}
    assert store.get("engine").canary is not None
    store.change(Draft("engine", values={"a": 2}, ends="c1"))
    assert store.configs.values("engine") == {"a": 2}
    assert store.configs.under_way() == {}


def test_a_canary_of_what_all_share_is_tried_by_instances_of_every_service() -> None:
    store = Store()
    store.change(Draft("engine", values={"a": 1}))
    start(store, EVERYBODY, {"halted": True}, zones=("eu-1",))
    assert store.configs.values("engine", BLUE) == {"a": 1, "halted": True}
    assert store.configs.values("feed", Traits("feed", "f1", zone="us-1")) == {}
    assert [canary.id for canary in store.configs.canaries("feed")] == ["c1"]


@pytest.mark.parametrize("draft", [Draft("engine", values={}), Draft("engine", values={"a": 3}, canary=CanaryPlan())])
def test_while_it_is_tried_nothing_else_is_put(draft: Draft) -> None:
    store = Store()
    start(store, "engine", {"a": 2})
    with pytest.raises(Conflict, match=r"a canary is being tried since .* by ada; promote or abort it"):
        store.change(draft)


def test_no_canary_tries_flags_that_cannot_be_evaluated() -> None:
    store = Store()
    for scope in ("engine", EVERYBODY):
        with pytest.raises(InvalidConfig, match=rf"{scope}: /flags/a/default: expected a value"):
            start(store, scope, {"flags": {"a": {"variants": {"on": True}}}})
        start(store, scope, {"flags": {"a": {"variants": {"on": True}, "default": "on"}}})


def test_files_and_schemas_may_change_while_it_is_tried() -> None:
    store = Store()
    start(store, "engine", {"max": 2})
    store.change(Draft("engine", file={"from": "file"}))
    store.change(Draft("engine", schema={"bound": 3}))
    assert store.configs.values("engine", BLUE) == {"max": 2, "from": "file"}


def test_who_tries_must_run_with_something_valid_too() -> None:
    store = Store()
    store.change(Draft("engine", values={"max": 1}, schema={"bound": 3}))
    with pytest.raises(InvalidConfig, match=r"/max: expected a number of at most 3, got 4"):
        start(store, "engine", {"max": 4})
    start(store, "engine", {"max": 3})
    with pytest.raises(InvalidConfig, match=r"/max: expected a number of at most 2, got 3"):
        store.change(Draft("engine", schema={"bound": 2}))


def test_only_the_canary_that_was_seen_is_ended() -> None:
    store = Store()
    start(store, "engine", {"a": 2})
    with pytest.raises(Conflict, match="ended already"):
        store.change(Draft("engine", ends="c0"))
    store.change(Draft("engine", ends="c1"))
    with pytest.raises(Conflict, match="ended already"):
        store.change(Draft("engine", ends="c1"))
    assert store.configs.values("engine", BLUE) == {}


def test_what_is_shown_is_what_those_who_try_it_will_run_with() -> None:
    store = Store()
    store.change(Draft("engine", values={"a": 1, "b": 1}))
    start_plan = store.change(
        Draft("engine", values={"a": 2}, canary=CanaryPlan(target=CanaryTarget(zones=("eu-1",)))), signature=STARTING
    )
    effect = start_plan.effects[0]
    assert [(each.path, each.change) for each in effect.differences] == [("/a", "changed"), ("/b", "removed")]
    assert effect.canary is not None
    assert effect.canary.target.zones == ("eu-1",)
    assert start_plan.decoded["engine"].changed == ("/a", "/b")
    ended = store.change(Draft("engine", ends="c1"))
    assert [(each.path, each.change) for each in ended.effects[0].differences] == [("/a", "changed"), ("/b", "added")]
    assert ended.effects[0].canary is not None


def test_a_canary_can_be_taken_back_however_large_its_scope_has_become() -> None:
    """What it takes back is told place by place, and with a reason, where there is room for that."""
    store = Store()
    keys = {f"{number:03}-{'k' * 100}": 0 for number in range(100)}
    store.change(Draft("engine", values=keys))
    start(store, "engine", {})
    room = MAX_MESSAGE_BYTES - len(msgspec.json.encode(store.configs.record("engine"))) + 10_000
    store.change(Draft("engine", file={"filling": "f" * room}))
    ended = store.change(Draft("engine", ends="c1"), signature=WHO._replace(kind="abort", reason="r" * 500))
    assert ended.decoded["engine"].changed == ()
    assert store.configs.values("engine", BLUE).keys() == {*keys, "filling"}


# --- how it goes on


def tried(**given: Any) -> Tried:
    return Tried(**{"instance_id": "a1", "runs": True, **given})


REFUSAL = ConfigRefusal(revision=7, reason="no such venue")


@pytest.mark.parametrize(
    ("all_tried", "elapsed", "step", "words"),
    [
        ([tried()], 59.0, "bake", ""),
        ([tried()], 60.0, "promote", "1 of 1 have run with it for 60 s"),
        ([tried(), tried(instance_id="a2", runs=False)], 60.0 + GRACE - 1, "bake", ""),
        ([tried(), tried(instance_id="a2", runs=False)], 60.0 + GRACE, "roll back", "not applied by a2"),
        ([tried(refusal=REFUSAL)], 1.0, "roll back", "refused by a1: no such venue"),
        ([tried(is_critical=True, has_fallen=True)], 1.0, "roll back", "a1 became critical"),
        ([tried(), tried(instance_id="a2", runs=False, is_critical=True)], 60.0, "promote", "1 of 2"),
        ([tried(runs=False, is_critical=True)], 60.0 + GRACE, "roll back", "all are critical"),
    ],
)
def test_a_canary_is_promoted_when_all_is_well_and_taken_back_when_a_rule_is_broken(
    all_tried: list[Tried], elapsed: float, step: str, words: str
) -> None:
    ruling = judge(STATE, all_tried, elapsed, 0.0)
    assert ruling.step == step
    assert words in ruling.reason


def test_rules_may_be_switched_off() -> None:
    lax = msgspec.structs.replace(STATE, rules=CanaryRules(refused=False, critical=False))
    assert judge(lax, [tried(is_critical=True, has_fallen=True)], 1.0, 0.0).step == "bake"
    assert judge(lax, [tried(runs=False, refusal=REFUSAL)], 1.0, 0.0).step == "bake"
    assert judge(lax, [tried(runs=False, refusal=REFUSAL)], 60.0 + GRACE, 0.0).step == "roll back"


def test_who_may_refuse_it_does_not_hold_it_up() -> None:
    lax = msgspec.structs.replace(STATE, rules=CanaryRules(refused=False))
    ruling = judge(lax, [tried(), tried(instance_id="a2", runs=False, refusal=REFUSAL)], 60.0, 0.0)
    assert (ruling.step, ruling.reason) == ("promote", "1 of 2 have run with it for 60 s")


def test_who_was_critical_all_along_proves_nothing_unless_that_is_tolerated() -> None:
    assert judge(STATE, [tried(is_critical=True)], 60.0, 0.0).step == "bake"
    assert judge(STATE, [tried(is_critical=True)], 60.0 + GRACE, 0.0).step == "roll back"
    lax = msgspec.structs.replace(STATE, rules=CanaryRules(critical=False))
    assert judge(lax, [tried(is_critical=True, has_fallen=True)], 60.0, 0.0).step == "promote"


def test_the_time_in_which_nobody_runs_with_it_does_not_count() -> None:
    assert judge(STATE, [tried()], 60.0, 0.0, idle=20.0).step == "bake"
    assert judge(STATE, [tried()], 79.0, 0.0, idle=20.0).step == "bake"
    assert judge(STATE, [tried()], 80.0, 0.0, idle=20.0).step == "promote"


def test_a_canary_that_nobody_tries_any_more_is_taken_back_after_a_while() -> None:
    assert judge(STATE, [], 60.0, LONELY - 1).step == "bake"
    assert judge(STATE, [], 60.0, LONELY).step == "roll back"


def test_a_hub_that_goes_on_counts_what_was_baked_but_watches_for_a_while_itself() -> None:
    assert counted(20.0, 60.0) == 20.0
    assert counted(3600.0, 60.0) == 60.0 - SETTLE
    assert counted(timedelta(hours=-1).total_seconds(), 60.0) == 0.0
    assert counted(5.0, 3.0) == 0.0


def test_many_who_refuse_are_told_in_few_words() -> None:
    refusals = [tried(instance_id=f"a{number}", refusal=REFUSAL) for number in range(9)]
    assert judge(STATE, refusals, 1.0, 0.0).reason == "refused by a0, a1, a2, a3, a4 and 4 more: no such venue"
