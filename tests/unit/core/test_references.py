"""References to secrets: found wherever they stand, laid over as the texts that they stand for, and filled in."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core.configs import Configs
from hub.core.drafts import Draft, Signature
from hub.core.layers import laid_over
from hub.core.references import filled, references
from hub.core.secrets import Secrets
from hub.errors import InvalidConfig
from hub.validation import Schema
from hub.wire.canary import CanaryPlan, CanaryTarget
from hub.wire.secrets import Sealed, SecretRecord
from tests.unit.core.making import WALL

REFERENCE = {"$secret": "db"}
SIGNATURE = Signature("put", "ada", "", WALL)


def secret(name: str, *readers: str) -> SecretRecord:
    sealed = Sealed(key_id="k", wrapped=b"", ciphertext=b"")
    return SecretRecord(name=name, version="1", at=WALL, readers=readers, sealed=sealed)


def configs(*records: SecretRecord) -> Configs:
    known = Secrets()
    for revision, record in enumerate(records, start=1):
        known.learn(record, revision)
    return Configs(Schema.compile, known)


def store(known: Configs, scope: str, revision: int, **what: Any) -> None:
    plan = known.plan([Draft(scope, **what)], SIGNATURE)
    known.learn(scope, plan.decoded[scope], revision)


def test_references_are_found_in_objects_and_lists_with_their_places() -> None:
    values = {"a": REFERENCE, "b/c": [{"x": {"$secret": "other"}}, REFERENCE], "d": {"$secret": "x", "more": 1}}
    assert list(references(values)) == [("/a", "db"), ("/b~1c/0/x", "other"), ("/b~1c/1", "db")]


@pytest.mark.parametrize("almost", [{"$secret": 1}, {"$secret": "a", "b": 1}, {"secret": "a"}, {}, [], "db", None])
def test_what_only_looks_like_a_reference_is_none(almost: Any) -> None:
    assert list(references({"it": almost})) == []
    assert filled({"it": almost}, str.upper) == {"it": almost}


def test_what_is_filled_in_takes_the_place_of_the_reference_and_leaves_the_values_alone() -> None:
    values = {"a": REFERENCE, "b": [1, REFERENCE, {"c": REFERENCE}]}
    assert filled(values, str.upper) == {"a": "DB", "b": [1, "DB", {"c": "DB"}]}
    assert values == {"a": REFERENCE, "b": [1, REFERENCE, {"c": REFERENCE}]}


@pytest.mark.parametrize(
    ("below", "above"), [({"host": "h"}, REFERENCE), (REFERENCE, {"host": "h"}), (REFERENCE, {"$secret": "other"})]
)
def test_a_reference_and_an_object_take_each_others_place_and_are_never_mixed(below: Any, above: Any) -> None:
    assert laid_over({"a": below}, {"a": above}) == {"a": above}


def test_a_configuration_may_refer_to_what_its_service_may_read() -> None:
    known = configs(secret("db", "engine"))
    assert known.plan([Draft("engine", values={"a": REFERENCE})], SIGNATURE).records


@pytest.mark.parametrize(
    ("layer", "path"), [({"values": {"a": [REFERENCE]}}, "/a/0"), ({"file": {"b": {"c": REFERENCE}}}, "/b/c")]
)
def test_one_that_refers_to_what_its_service_may_not_read_is_refused_by_its_place(layer: Any, path: str) -> None:
    known = configs(secret("db", "gateway", "trading-*"))
    with pytest.raises(InvalidConfig) as refused:
        known.plan([Draft("engine", **layer)], SIGNATURE)
    assert refused.value.message == (
        f"engine: {path}: expected a secret that engine may read, got 'db', whose readers are gateway, trading-*"
    )


def test_one_that_refers_to_what_is_not_there_is_refused_among_all_that_is_wrong() -> None:
    known = configs()
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    with pytest.raises(InvalidConfig) as refused:
        known.plan([Draft("engine", values={"n": "x", "a": REFERENCE}, schema=schema)], SIGNATURE)
    assert "/n: expected" in refused.value.message
    assert "/a: expected a secret that engine may read, got 'db', which does not exist" in refused.value.message


def test_a_default_in_a_schema_refers_too() -> None:
    schema = {"type": "object", "properties": {"a": {"default": REFERENCE}}}
    with pytest.raises(InvalidConfig, match="/a: expected a secret"):
        configs().plan([Draft("engine", schema=schema)], SIGNATURE)
    known = configs(secret("db", "engine"))
    store(known, "engine", 1, schema=schema)
    assert known.users("db") == ["engine"]


def test_what_all_share_may_refer_to_whatever_there_is() -> None:
    known = configs(secret("db", "gateway"))
    assert known.plan([Draft("_all", values={"a": REFERENCE})], SIGNATURE).records
    with pytest.raises(
        InvalidConfig, match="_all: /a: expected a secret that there is, got 'no', which does not exist"
    ):
        known.plan([Draft("_all", values={"a": {"$secret": "no"}})], SIGNATURE)


def test_values_that_could_not_be_put_are_told_when_they_are_only_validated() -> None:
    [violation] = configs().violations("engine", {"a": REFERENCE})
    assert (violation.path, violation.expected) == ("/a", "a secret that engine may read")


def test_who_uses_a_secret_is_known_by_every_scope_that_refers_to_it() -> None:
    known = configs(secret("db", "*"))
    store(known, "engine", 1, values={"a": REFERENCE})
    store(known, "_all", 2, file={"b": [REFERENCE]})
    store(known, "gateway", 3, values={"a": 1})
    assert known.users("db") == ["_all", "engine"]
    assert known.users("other") == []


def test_what_some_try_first_may_refer_to_no_more_than_what_all_get() -> None:
    plan = CanaryPlan(target=CanaryTarget(percent=10.0), bake=60.0)
    tried = Draft("engine", values={"a": REFERENCE}, canary=plan)
    with pytest.raises(InvalidConfig, match="engine: /a: expected a secret that engine may read"):
        configs().plan([tried], SIGNATURE)
    known = configs(secret("db", "engine"))
    known.learn("engine", known.plan([tried], SIGNATURE).decoded["engine"], 1)
    assert known.users("db") == ["engine"], "while it is only tried"


def test_values_nested_too_deep_are_refused_for_that() -> None:
    deep: Any = REFERENCE
    for _ in range(200):
        deep = [deep]
    assert configs().refused_secrets([Draft("engine", values={"a": deep})]) == set()
    assert not [v for v in configs().violations("engine", {"a": deep}) if "secret" in v.expected]


def test_news_that_come_late_do_not_bring_back_what_was_deleted() -> None:
    known = Secrets()
    known.learn(secret("db", "a"), 3)
    known.forget("db", 5)
    known.learn(secret("db", "b"), 4)
    assert (known.get("db"), known.newest("db"), known.revision) == (None, 5, 5)
    known.learn(secret("db", "c"), 6)
    known.forget("db", 5)
    found = known.get("db")
    assert found is not None
    assert (found.record.readers, known.newest("db"), len(known)) == (("c",), 6, 1)
    known.reset()
    assert (len(known), known.newest("db"), known.revision) == (0, 0, 0)
