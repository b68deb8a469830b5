from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from hub.cli.config import rendering
from hub.cli.config.rollout import decision
from hub.cli.output import Cell
from hub.wire.config import (
    ChangedScope,
    Config,
    ConfigChanged,
    ConfigDifference,
)
from hub.wire.configstatus import (
    ConfigRefusal,
    ConfigStatus,
    InstanceConfig,
    Verdict,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def texts(rows: list[rendering.Row]) -> list[list[str]]:
    return [[cell if isinstance(cell, str) else cell.text for cell in row] for row in rows]


def standing(revision: int = 7, **counts: int) -> ConfigStatus:
    verdicts = {name: counts[name] for name in get_args(Verdict) if name in counts}
    return ConfigStatus(service="orders", wanted=revision, counts=verdicts, instances=())


def test_a_secret_is_shown_by_its_name() -> None:
    assert rendering.value({"$secret": "db-password"}).text == "secret db-password"
    assert rendering.value("db-password", "/db/password/$secret").text == "secret db-password"
    assert rendering.value({"$secret": "a", "more": 1}).text == '{"$secret":"a","more":1}'


def test_a_difference_tells_null_from_nothing() -> None:
    found = (
        ConfigDifference(path="/a", change="added", after=None),
        ConfigDifference(path="/b", change="changed", before=None, after=False),
        ConfigDifference(path="/c", change="removed", before="x"),
        ConfigDifference(path="/d/$secret", change="changed", before="old", after="new"),
        ConfigDifference(path="", change="changed", before={}, after=[]),
    )
    assert texts(rendering.differences(found)) == [
        ["/a", "added", "", "null"],
        ["/b", "changed", "null", "false"],
        ["/c", "removed", '"x"', ""],
        ["/d", "changed", "secret old", "secret new"],
        ["/", "changed", "{}", "[]"],
    ]


def test_origins_are_those_within_a_place() -> None:
    config = Config(
        service="orders",
        revision=3,
        own_revision=3,
        values={"risk": {"max": 3, "db": {"$secret": "p"}}, "risky": True},
        origins={"/risk/max": "service", "/risk/db/$secret": "all", "/risky": "schema"},
        put={},
    )
    assert texts(rendering.origins(config, ("risk",))) == [
        ["/risk/db", "secret p", "all"],
        ["/risk/max", "3", "service"],
    ]
    assert len(rendering.origins(config)) == 3


def test_an_instance_that_refused_says_what_and_why() -> None:
    refused = ConfigRefusal(revision=7, reason="no such exchange")
    rows = rendering.status(
        [
            InstanceConfig(
                instance_id="o1", verdict="refused", running=6, since=NOON - timedelta(minutes=3), refused=refused
            ),
            InstanceConfig(instance_id="o2", verdict="unknown"),
        ],
        NOON,
    )
    assert texts(rows) == [
        ["o1", "refused", "6", "3m", "", "7", "no such exchange"],
        ["o2", "unknown", "", "", "", "", ""],
    ]


def test_the_head_counts_who_stands_how() -> None:
    pieces = rendering.counts(standing(applied=3, refused=1))
    assert "".join(piece.text if isinstance(piece, Cell) else piece for piece in pieces) == (
        "orders: revision 7 is wanted, 3 applied, 1 refused"
    )


def test_only_some_of_many_instances_are_named() -> None:
    many = [InstanceConfig(instance_id=f"o{number}", verdict="lagging") for number in range(7)]
    assert rendering.names(many) == "; ".join(f"o{number} (lagging)" for number in range(5)) + " and 2 more"


@pytest.mark.parametrize(
    ("changed", "dry_run", "words"),
    [
        (0, False, "nothing had to be changed"),
        (9, False, "stored as revision 9, for 2 instances"),
        (0, True, "nothing is stored; it would be for 2 instances"),
    ],
)
def test_a_change_is_summed_up_with_whom_it_reaches(changed: int, dry_run: bool, words: str) -> None:
    difference = ConfigDifference(path="/a", change="added", after=1)
    scopes = (
        ChangedScope(service="orders", revision=9, differences=(difference,), instances=2),
        ChangedScope(service="desk", revision=9, differences=(), instances=5),
    )
    assert rendering.summary(ConfigChanged(revision=changed, scopes=scopes), dry_run=dry_run) == words


def test_who_tries_what_all_share_is_counted_once() -> None:
    difference = ConfigDifference(path="/a", change="added", after=1)
    scopes = tuple(
        ChangedScope(service=service, revision=9, differences=(difference,), instances=instances)
        for service, instances in (("_all", 3), ("desk", 1), ("orders", 1))
    )
    assert rendering.summary(ConfigChanged(revision=9, scopes=scopes), dry_run=False).endswith("for 3 instances")


def test_a_change_that_reaches_nobody_says_so() -> None:
    difference = ConfigDifference(path="/a", change="added", after=1)

    def told(service: str, *differences: ConfigDifference) -> str:
        scope = ChangedScope(service=service, revision=9, differences=differences, instances=0)
        return rendering.summary(ConfigChanged(revision=9, scopes=(scope,)), dry_run=False)

    assert told("ordres", difference) == "stored as revision 9, for nobody yet: no instance of ordres is registered"
    assert told("orders") == "stored as revision 9, for nobody: what services run with stays the same"
    assert told("_all", difference) == "stored as revision 9, for every service"


@pytest.mark.parametrize(
    ("status", "revision", "expected"),
    [
        (standing(applied=3), 0, "applied"),
        (standing(applied=3), 7, "applied"),
        (standing(applied=3), 8, "open"),
        (standing(applied=2, pending=1), 0, "open"),
        (standing(applied=2, lagging=1), 0, "open"),
        (standing(applied=2, unknown=1), 0, "open"),
        (standing(applied=1, pending=1, refused=1), 0, "refused"),
        (standing(refused=1), 8, "open"),
    ],
)
def test_a_roll_out_is_decided_when_all_apply_or_one_refuses(
    status: ConfigStatus, revision: int, expected: str
) -> None:
    assert decision(status, revision) == expected
