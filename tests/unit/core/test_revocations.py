"""Whom a revocation covers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.revocations import Revocations, stored_as
from hub.identity.proof import Proof
from hub.store.backup import _KEY
from hub.wire.admitted import parse_user, user_name
from hub.wire.keys import RevocationRecord
from hub.wire.roles import parse_caller

AT = datetime(2026, 11, 25, tzinfo=UTC)


def revoke(
    revocations: Revocations, revision: int = 1, *, who: str | None = None, credential: str | None = None
) -> bool:
    record = RevocationRecord(at=AT, who=who, credential=credential)
    return revocations.learn(stored_as(who=who, credential=credential), record, revision)


def proof(who: str, credential: str = "nkey:U1") -> Proof:
    return Proof(caller=parse_caller(who), credential=credential)


@pytest.mark.parametrize(
    ("who", "caller", "covered"),
    [
        ("service:engine", "service:engine", True),
        ("service:engine", "service:engine/a1", True),
        ("service:engine/a1", "service:engine/a1", True),
        ("service:engine/a1", "service:engine/a2", False),
        ("service:engine/a1", "service:engine", False),
        ("service:engine", "service:engine-2", False),
        ("service:engine", "external:engine", False),
        ("operator:ada", "operator:ada", True),
        ("operator:ada", "operator:ad", False),
    ],
)
def test_a_service_is_revoked_with_all_its_instances_and_nobody_else(who: str, caller: str, covered: bool) -> None:
    revocations = Revocations()
    revoke(revocations, who=who)
    assert revocations.revoked(proof(caller)) is covered


def test_a_credential_is_revoked_whoever_has_it_and_no_other_of_the_same_caller() -> None:
    revocations = Revocations()
    revoke(revocations, credential="key:a1B2c3D4e5")
    assert revocations.revoked(proof("external:partner", "key:a1B2c3D4e5"))
    assert revocations.revoked(proof("external:other", "key:a1B2c3D4e5"))
    assert not revocations.revoked(proof("external:partner", "key:z1B2c3D4e5"))


@given(st.text(min_size=1, max_size=400).map(lambda text: f"jwt:{text.encode(errors='replace').decode()}"))
def test_a_connection_is_known_by_its_credential_whatever_that_is_called(credential: str) -> None:
    revocations = Revocations()
    user = parse_user(user_name(parse_caller("service:engine"), credential))
    assert not revocations.revoked(user)
    revoke(revocations, credential=credential)
    assert revocations.revoked(user)
    assert revocations.revoked(proof("service:engine", credential))
    assert _KEY.fullmatch(stored_as(who=None, credential=credential)), "it can be stored, and restored"


def test_what_is_restored_is_let_in_and_an_older_record_revokes_nobody_again() -> None:
    revocations = Revocations()
    assert revoke(revocations, 3, who="operator:ada")
    assert not revoke(revocations, 4, who="operator:ada"), "nothing new: nobody is to be looked for"
    revocations.forget(stored_as(who="operator:ada", credential=None), 2)
    assert revocations.revoked(proof("operator:ada")), "that was before"
    revocations.forget(stored_as(who="operator:ada", credential=None), 5)
    assert not revocations.revoked(proof("operator:ada"))
    assert len(revocations) == 0


def test_they_are_listed_by_what_they_revoke() -> None:
    revocations = Revocations()
    for number, who in enumerate(("service:b", "operator:z", "service:a"), 1):
        revoke(revocations, number, who=who)
    revoke(revocations, 9, credential="key:a1B2c3D4e5")
    listed = [record.who or record.credential for record in revocations]
    assert listed == ["key:a1B2c3D4e5", "operator:z", "service:a", "service:b"]
    revocations.reset()
    assert not revocations.revoked(proof("service:a"))
