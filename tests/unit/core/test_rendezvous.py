from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hub.core.rendezvous import Rendezvous, weight

KEYS = [f"engine-{number // 20}.i{number}" for number in range(3000)]
MEMBERS = st.sets(st.sampled_from([f"hub-{letter}" for letter in "abcdefgh"]), max_size=8)


def owners(rendezvous: Rendezvous) -> dict[str, str | None]:
    return {key: rendezvous.owner(key) for key in KEYS}


def test_a_weight_is_the_same_wherever_it_is_worked_out() -> None:
    assert weight("hub-1", "engine.a1") == 10420413050708722440
    assert weight("hub-1", "engine.a1") != weight("hub-2", "engine.a1")


def test_keys_spread_evenly() -> None:
    shares = Counter(owners(Rendezvous(["hub-a", "hub-b", "hub-c"])).values())
    assert len(shares) == 3
    assert all(abs(share - 1000) < 120 for share in shares.values())


def test_without_members_nobody_owns_anything() -> None:
    rendezvous = Rendezvous()
    assert rendezvous.owner("engine.a1") is None
    rendezvous.change(["hub-a"])
    assert rendezvous.owner("engine.a1") == "hub-a"
    rendezvous.change([])
    assert rendezvous.owner("engine.a1") is None


def test_when_a_member_goes_only_its_keys_move() -> None:
    rendezvous = Rendezvous(["hub-a", "hub-b", "hub-c"])
    before = owners(rendezvous)
    rendezvous.change(["hub-a", "hub-c"])
    after = owners(rendezvous)
    assert all(after[key] == owner for key, owner in before.items() if owner != "hub-b")
    assert set(after.values()) == {"hub-a", "hub-c"}


def test_when_a_member_comes_keys_move_to_it_alone() -> None:
    rendezvous = Rendezvous(["hub-a", "hub-b", "hub-c"])
    before = owners(rendezvous)
    rendezvous.change(["hub-a", "hub-b", "hub-c", "hub-d"])
    moved = [owner for key, owner in owners(rendezvous).items() if owner != before[key]]
    assert set(moved) == {"hub-d"}
    assert abs(len(moved) - 750) < 120


@given(changes=st.lists(MEMBERS, max_size=6), forgotten=st.sets(st.sampled_from(KEYS[:60])))
def test_however_members_come_and_go_the_owners_are_those_of_a_fresh_start(
    changes: list[set[str]], forgotten: set[str]
) -> None:
    rendezvous = Rendezvous()
    for members in changes:
        rendezvous.change(members)
        fresh = Rendezvous(members)
        assert {key: rendezvous.owner(key) for key in KEYS[:60]} == {key: fresh.owner(key) for key in KEYS[:60]}
        for key in forgotten:
            rendezvous.forget(key)
