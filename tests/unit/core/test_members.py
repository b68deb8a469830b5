from __future__ import annotations

import pytest

from hub.core.members import ANNOUNCE_EVERY, GONE_AFTER, SETTLE, Members


def settled() -> Members:
    members = Members("a", 0.0)
    members.tick(SETTLE, -10.0)
    return members


def test_a_hub_counts_itself_in_once_it_has_listened_for_a_while() -> None:
    members = Members("a", 0.0)
    members.heard("b", 0.5)
    assert not members.present
    assert members.known == 2
    members.tick(SETTLE - 0.01, -10.0)
    assert not members.present
    members.tick(SETTLE, -10.0)
    assert members.present == ("a", "b")


def test_who_is_new_is_told_once() -> None:
    members = settled()
    assert [members.heard(hub, 2.0) for hub in ("b", "b", "c", "a")] == [True, False, True, False]
    assert members.present == ("a", "b", "c")


@pytest.mark.parametrize(("silent", "gone"), [(ANNOUNCE_EVERY, []), (GONE_AFTER, []), (GONE_AFTER + 0.1, ["b"])])
def test_a_replica_is_gone_after_a_while_of_silence(silent: float, gone: list[str]) -> None:
    members = settled()
    members.heard("b", 10.0)
    assert members.tick(10.0 + silent, -10.0) == gone
    assert ("b" in members.present) == (not gone)


def test_a_farewell_takes_a_replica_out_at_once() -> None:
    members = settled()
    members.heard("b", 10.0)
    assert members.left("b")
    assert not members.left("b")
    assert members.present == ("a",)


def test_after_its_own_stall_nobody_is_gone_before_a_full_period_of_listening() -> None:
    members = settled()
    members.heard("b", 10.0)
    members.heard("c", 10.0)
    assert members.tick(60.0, 60.0) == []
    members.heard("b", 60.2)
    assert members.tick(60.0 + GONE_AFTER, 60.0) == []
    assert members.tick(60.1 + GONE_AFTER, 60.0) == ["c"]
