"""Whom an nkey is of, as `access.toml` declares it."""

from __future__ import annotations

import pytest

from hub.errors import Unauthenticated
from hub.handlers.callout import bound
from hub.identity.nkey import Nkey
from hub.identity.nkeyverifier import NkeyVerifier
from hub.identity.proof import Presented, Proof
from hub.settings.access import Identity
from hub.wire.admitted import parse_user
from hub.wire.roles import Caller

KEYS = [Nkey.fresh("user").public for _ in range(4)]
VERIFIER = NkeyVerifier(
    [
        Identity(name="engine", role="service", nkey=KEYS[0]),
        Identity(name="engine", role="service", nkey=KEYS[1], instance="a1"),
    ],
    (KEYS[2], "first"),
)


def presented(nkey: str | None) -> Presented:
    return Presented(via="nats", nkey=nkey, host="10.0.0.7")


async def test_an_nkey_is_of_whom_it_is_declared_for() -> None:
    proof = await VERIFIER.verify(presented(KEYS[1]), 0.0)
    assert proof == Proof(
        caller=Caller(role="service", name="engine", instance="a1", host="10.0.0.7"), credential=f"nkey:{KEYS[1]}"
    )


async def test_the_first_operator_is_known_until_somebody_else_is_declared_with_his_key() -> None:
    proof = await VERIFIER.verify(presented(KEYS[2]), 0.0)
    assert str(proof and proof.caller) == "operator:first"
    taken = NkeyVerifier([Identity(name="ada", role="operator", nkey=KEYS[2])], (KEYS[2], "first"))
    proof = await taken.verify(presented(KEYS[2]), 0.0)
    assert str(proof and proof.caller) == "operator:ada"


async def test_a_key_that_nobody_is_declared_with_proves_nothing() -> None:
    with pytest.raises(Unauthenticated, match="nobody is declared"):
        await VERIFIER.verify(presented(KEYS[3]), 0.0)
    assert await VERIFIER.verify(presented(None), 0.0) is None


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("service:engine nkey:0", ""),
        ("service:engine/a7 nkey:0", ""),
        ("service:engine/a1 nkey:1", ""),
        ("operator:first nkey:2", ""),
        ("operator:first", ""),
        ("operator:first key:a1B2c3D4e5", ""),
        ("operator:engine nkey:0", "declared with it is service:engine now"),
        ("service:other nkey:0", "declared with it is service:engine now"),
        ("service:engine nkey:1", "declared with it is service:engine/a1 now"),
        ("service:engine/a2 nkey:1", "declared with it is service:engine/a1 now"),
        ("operator:first nkey:3", "nobody is declared with it any more"),
    ],
)
def test_who_came_in_by_an_nkey_stays_while_it_is_declared_for_him(user: str, why: str) -> None:
    who, nkey, key = user.partition("nkey:")
    told = VERIFIER.ended(parse_user(who + nkey + KEYS[int(key)] if key else user))
    assert told.endswith(why)
    assert bool(told) == bool(why)


@pytest.mark.parametrize(
    ("caller", "connection", "written"),
    [
        ("service:engine", "engine.a1", "service:engine/a1"),
        ("service:engine", "engine", "service:engine"),
        ("service:engine", "other.a1", "service:engine"),
        ("service:engine", "engine.a1.b", "service:engine"),
        ("service:engine", "engine.", "service:engine"),
        ("service:engine/a1", "engine.a2", "service:engine/a1"),
        ("operator:engine", "engine.a1", "operator:engine"),
    ],
)
def test_a_connection_is_of_an_instance_where_its_service_calls_it_so(
    caller: str, connection: str, written: str
) -> None:
    role, _, rest = caller.partition(":")
    name, _, instance = rest.partition("/")
    asked = Caller(role=role, name=name, instance=instance or None)  # type: ignore[arg-type]
    assert str(bound(asked, connection)) == written
