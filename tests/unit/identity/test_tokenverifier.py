"""Tokens by their issuers: whom the verifier asks, and whom it never bothers."""

from __future__ import annotations

import pytest

from hub.errors import Unauthenticated
from hub.handlers.tokenverifier import TokenVerifier
from hub.identity.proof import Presented
from tests.unit.identity.issuing import Issuing, watched
from tests.unit.identity.making import AUD, ISS, NOW, SHARED, Signer, ed25519, forged, issuer, rsa

pytestmark = pytest.mark.usefixtures("quick")


def presented(token: str | None) -> Presented:
    return Presented(via="nats", token=token, host="10.0.0.7")


async def test_the_verifier_leaves_to_others_what_is_no_token() -> None:
    verifier = TokenVerifier([])
    for other in (None, "", "chk_0123456789", "a.b"):
        assert await verifier.verify(presented(other), NOW) is None


async def test_the_verifier_asks_the_issuer_that_the_token_names_and_no_other() -> None:
    other_iss = "https://other.test"
    issuing, others = Issuing(ed25519("a")), Issuing(ed25519("b"))
    declared = issuer(("EdDSA",)), issuer(("EdDSA",), issuer=other_iss)
    async with watched(issuing.keys()) as keys, watched(others.keys(other_iss)) as other_keys:
        verifier = TokenVerifier(zip(declared, (keys, other_keys), strict=True))
        found = await verifier.verify(presented(ed25519("a").sign()), NOW)
        assert found is not None
        assert str(found.caller) == "service:engine"
        assert found.caller.host == "10.0.0.7"
        with pytest.raises(Unauthenticated, match=f"token of {other_iss}: kid"):
            await verifier.verify(presented(ed25519("a").sign(iss=other_iss)), NOW)
        with pytest.raises(Unauthenticated, match="is none of the declared issuers"):
            await verifier.verify(presented(ed25519("a").sign(iss="https://evil.test")), NOW)


async def test_an_issuer_gives_other_roles_to_another_audience() -> None:
    issuing, others = Issuing(ed25519("a")), Issuing(ed25519("a"), ed25519("b"))
    staff = issuer(("EdDSA",), audience="staff", roles=("operator",), role="operator")
    async with watched(issuing.keys()) as keys, watched(others.keys()) as staff_keys:
        verifier = TokenVerifier([(issuer(("EdDSA",)), keys), (staff, staff_keys)])

        async def caller(signer: Signer, aud: object, **more: object) -> str:
            found = await verifier.verify(presented(signer.sign(aud=aud, **more)), NOW)
            assert found is not None
            return str(found.caller)

        assert await caller(ed25519("a"), AUD) == "service:engine"
        assert await caller(ed25519("b"), "staff", role=None) == "operator:engine"
        assert await caller(ed25519("a"), ["staff", AUD]) == "service:engine", "the first in the file"
        for audience, role, why in ((AUD, "operator", "role: expected"), ("staff", "service", "role: expected")):
            with pytest.raises(Unauthenticated, match=why):
                await caller(ed25519("a"), audience, role=role)
        with pytest.raises(Unauthenticated, match=r"aud: expected 'central-hub' or 'staff', got 'other'"):
            await caller(ed25519("a"), "other")
        with pytest.raises(Unauthenticated, match="kid: expected one of its keys"):
            await caller(ed25519("b"), AUD)


async def test_what_no_key_could_verify_causes_no_read() -> None:
    issuing = Issuing(ed25519())
    keys = issuing.keys()
    verifier = TokenVerifier([(issuer(("EdDSA",)), keys)])
    for token in (
        SHARED.sign(),
        rsa("made-up").sign(),
        forged({"alg": "none", "kid": "made-up"}, {"iss": ISS}),
        ed25519("made-up").sign(iss="https://evil.test"),
        ed25519("made-up").sign(aud="other"),
    ):
        with pytest.raises(Unauthenticated):
            await verifier.verify(presented(token), NOW)
    assert not keys._wanted.is_set()
