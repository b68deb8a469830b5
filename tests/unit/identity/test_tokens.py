"""What a token proves, and every way to be taken in by one."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Unauthenticated
from hub.identity.proof import Proof
from hub.identity.tokens import MAX_TOKEN, is_token, proven, read
from hub.settings.access import Issuer
from hub.wire.roles import Caller
from tests.unit.identity.making import (
    AUD,
    ISS,
    NOW,
    SECRET,
    SHARED,
    Signer,
    b64,
    claims,
    ed25519,
    forged,
    hmac_forged,
    issuer,
    key,
    often,
    rsa,
)

SIGNERS = (ed25519(), rsa(), SHARED)
_HS: Issuer = issuer(("HS256",))


def declared(signer: Signer, **changed: Any) -> Issuer:
    return issuer((signer.algorithm,), **changed)


def proof(token: str, signer: Signer | None = None, now: float = NOW, **changed: Any) -> Proof:
    signer = signer or ed25519()
    return proven(read(token), declared(signer, **changed), key(signer), now, host="10.0.0.7")


def refused(token: str, signer: Signer | None = None, now: float = NOW, **changed: Any) -> str:
    with pytest.raises(Unauthenticated) as caught:
        proof(token, signer, now, **changed)
    shown = [part for part in (token, *token.split(".")) if len(part) > 16 and part in caught.value.message]
    assert not shown
    return caught.value.message


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda signer: signer.algorithm)
def test_a_good_token_proves_who_its_caller_is_and_until_when(signer: Signer) -> None:
    assert proof(signer.sign(), signer) == Proof(
        caller=Caller(role="service", name="engine", host="10.0.0.7"),
        credential=f"jwt:{ISS}/t1",
        expires=NOW + 60 + 30,
        scopes=None,
    )


def test_a_token_may_bind_a_service_to_one_instance() -> None:
    assert str(proof(ed25519().sign(instance="a1")).caller) == "service:engine/a1"


def test_an_instance_counts_for_services_alone() -> None:
    assert str(proof(ed25519().sign(role="reader", instance="a1")).caller) == "reader:engine"


@pytest.mark.parametrize(
    ("changed", "scopes"),
    [
        ({"scope": "discover config discover"}, ("discover", "config")),
        ({"scope": ""}, ()),
        ({"scp": ["discover"]}, ("discover",)),
        ({"scp": "discover config"}, ("discover", "config")),
        ({"scope": "discover", "scp": ["config"]}, ("discover",)),
        ({}, None),
    ],
)
def test_scopes_say_what_a_token_is_good_for_and_their_absence_says_nothing(
    changed: dict[str, Any], scopes: tuple[str, ...] | None
) -> None:
    assert proof(ed25519().sign(**changed)).scopes == scopes


def test_a_token_is_known_by_its_jti_or_else_by_its_subject() -> None:
    assert proof(ed25519().sign(jti=None)).credential == f"jwt:{ISS}/engine"
    assert proof(ed25519().sign(jti=None, sub="x9", azp="engine"), name_claim="azp").credential == f"jwt:{ISS}/x9"


def test_name_and_role_come_from_the_claims_that_are_declared() -> None:
    found = proof(ed25519().sign(azp="ada", kind="reader", role=None), name_claim="azp", role_claim="kind")
    assert str(found.caller) == "reader:ada"


def test_a_token_without_a_role_has_the_one_that_is_declared_or_is_refused() -> None:
    assert str(proof(ed25519().sign(role=None), role="reader").caller) == "reader:engine"
    assert "role: expected one of service, reader, got none" in refused(ed25519().sign(role=None))


@pytest.mark.parametrize("audience", [AUD, [AUD], ["other", AUD]])
def test_the_audience_may_be_one_of_several(audience: object) -> None:
    assert proof(ed25519().sign(aud=audience))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_access_tokens_of_either_name_are_tokens(kind: str) -> None:
    signer = ed25519()
    front = forged({"alg": "EdDSA", "typ": kind, "kid": "ed"}, claims()).rsplit(".", 1)[0]
    assert proof(f"{front}.{b64(signer.private.sign(front.encode()))}")


CLAIMS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"iss": "https://other.test"}, "iss: expected"),
    ({"iss": ISS + "/"}, "iss: expected"),
    ({"iss": [ISS]}, "iss: expected"),
    ({"aud": "central-hub2"}, "aud: expected"),
    ({"aud": "CENTRAL-HUB"}, "aud: expected"),
    ({"aud": ["other"]}, "aud: expected"),
    ({"aud": [[AUD]]}, "aud: expected"),
    ({"aud": {AUD: True}}, "aud: expected"),
    ({"aud": None}, "aud: expected"),
    ({"exp": None}, "exp: expected when it expires, got none"),
    ({"exp": NOW - 31}, "exp: it expired 31 s ago"),
    ({"exp": NOW - 30}, "exp: it expired 30 s ago"),
    ({"exp": str(NOW + 60)}, "exp: expected seconds"),
    ({"exp": True}, "exp: expected seconds"),
    ({"exp": [NOW + 60]}, "exp: expected seconds"),
    ({"exp": 10**30}, "exp: expected seconds"),
    ({"exp": 1e300}, "exp: expected seconds"),
    ({"exp": -1}, "exp: expected seconds"),
    ({"nbf": NOW + 31}, "nbf: it is not valid for another 31 s"),
    ({"nbf": "soon"}, "nbf: expected seconds"),
    ({"iat": NOW + 31}, "iat: it is not valid for another 31 s"),
    ({"iat": {}}, "iat: expected seconds"),
    ({"role": "operator"}, "role: expected one of service, reader, got 'operator'"),
    ({"role": "Service"}, "role: expected"),
    ({"role": ["service"]}, "role: expected"),
    ({"role": ""}, "role: expected"),
    ({"sub": None}, "sub: expected the name of a service"),
    ({"sub": "engine/a1"}, "sub: expected the name of a service"),
    ({"sub": "Engine"}, "sub: expected the name of a service"),
    ({"sub": "engine\n"}, "sub: expected the name of a service"),
    ({"sub": "a.b"}, "sub: expected the name of a service"),
    ({"sub": "*"}, "sub: expected the name of a service"),
    ({"sub": "hub"}, "sub: expected the name of a service"),
    ({"sub": "nats"}, "sub: expected the name of a service"),
    ({"sub": 7}, "sub: expected the name of a service"),
    ({"role": "reader", "sub": "a b"}, "sub: expected a name without spaces"),
    ({"role": "reader", "sub": "a\u2028b"}, "sub: expected a name without spaces"),
    ({"role": "reader", "sub": "a" * 129}, "sub: expected a name without spaces"),
    ({"instance": "a.1"}, "instance: expected"),
    ({"instance": 1}, "instance: expected"),
    ({"instance": ""}, "instance: expected"),
    ({"jti": 7}, "jti: expected"),
    ({"jti": "a\nb"}, "jti: expected"),
    ({"jti": ""}, "jti: expected"),
    ({"scope": 7}, "scope: expected"),
    ({"scp": ["a", 7]}, "scp: expected"),
    ({"scp": ["a b"]}, "scp: expected"),
    ({"scope": " ".join(map(str, range(65)))}, "scope: expected"),
)


@pytest.mark.parametrize(("changed", "why"), CLAIMS)
def test_claims_that_are_not_right_are_refused_with_the_reason(changed: dict[str, Any], why: str) -> None:
    assert why in refused(ed25519().sign(**changed))


@pytest.mark.parametrize("changed", [{"exp": NOW - 29}, {"nbf": NOW + 30}, {"iat": NOW + 30}])
def test_clocks_may_differ_by_the_leeway_and_no_more(changed: dict[str, float]) -> None:
    token = ed25519().sign(**changed)
    assert proof(token)
    assert refused(token, leeway=0.0)


def test_an_expired_proof_is_never_given_and_none_is_given_out_that_has_expired() -> None:
    token = ed25519().sign(exp=NOW)
    found = proof(token, now=NOW + 29)
    assert found.expires is not None
    assert found.expires > NOW + 29
    assert "expired" in refused(token, now=found.expires)


def good_header(**more: Any) -> dict[str, Any]:
    return {"alg": "EdDSA", "kid": "ed", **more}


def with_header(header: dict[str, Any], body: dict[str, Any] | None = None) -> str:
    """A token with this header, and a true signature."""
    front = forged(header, claims() if body is None else body).rsplit(".", 1)[0]
    return f"{front}.{b64(ed25519().private.sign(front.encode()))}"


ATTACKER = Signer("EdDSA", Ed25519PrivateKey.generate(), "ed")
ATTACKS: dict[str, tuple[str, str]] = {
    "no signature": (ed25519().sign().rsplit(".", 1)[0] + ".", "the signature is not by its key"),
    "alg none": (forged({"alg": "none"}, claims()), "alg: expected one of"),
    "alg None": (forged({"alg": "None"}, claims()), "alg: expected one of"),
    "alg nOnE": (forged({"alg": "nOnE"}, claims()), "alg: expected one of"),
    "alg none, signed": (with_header(good_header(alg="none")), "alg: expected one of"),
    "alg empty": (forged({"alg": ""}, claims()), "alg: expected one of"),
    "alg null": (forged({"alg": None}, claims()), "alg: expected one of"),
    "alg missing": (with_header({"kid": "ed"}), "alg: expected one of"),
    "alg a list": (with_header(good_header(alg=["EdDSA"])), "alg: expected one of"),
    "alg in lower case": (with_header(good_header(alg="eddsa")), "alg: expected one of"),
    "alg ES256": (with_header(good_header(alg="ES256")), "alg: expected one of"),
    "alg HS512": (with_header(good_header(alg="HS512")), "alg: expected one of"),
    "alg not the issuer's": (hmac_forged(SECRET, {"alg": "HS256"}), "alg: expected EdDSA"),
    "signed by another": (ATTACKER.sign(), "the signature is not by its key"),
    "brings jwk": (with_header(good_header(jwk=ATTACKER.jwk())), "jwk: it brings a key of its own"),
    "brings jku": (with_header(good_header(jku="https://evil.test/keys")), "jku: it brings a key of its own"),
    "brings x5u": (with_header(good_header(x5u="https://evil.test/cert")), "x5u: it brings a key of its own"),
    "brings x5c": (with_header(good_header(x5c=["MIIB"])), "x5c: it brings a key of its own"),
    "crit": (with_header(good_header(crit=["exp"])), "crit: it asks for what is not done here"),
    "crit empty": (with_header(good_header(crit=[])), "crit: it asks for what is not done here"),
    "b64 false": (with_header(good_header(b64=False)), "b64: it asks for what is not done here"),
    "kid a path": (with_header(good_header(kid="x" * 257)), "kid: expected"),
    "kid a number": (with_header(good_header(kid=1)), "kid: expected"),
    "kid empty": (with_header(good_header(kid="")), "kid: expected"),
    "a logout token": (with_header(good_header(typ="logout+jwt")), "typ: expected"),
    "typ a list": (with_header(good_header(typ=["JWT"])), "typ: expected"),
    "header a list": (forged(b"[]", claims()), "header: expected an object"),
    "header no JSON": (forged(b"{", claims()), "header: expected JSON"),
    "header no UTF-8": (forged(b'{"alg":"\xff"}', claims()), "header: expected JSON"),
    "header nested": (forged(b"[" * 3000, claims()), "header: expected JSON"),
    "claims nested": (forged({"alg": "EdDSA"}, b'{"iss":' + b"[" * 3000), "claims: expected JSON"),
    "claims a text": (forged({"alg": "EdDSA"}, b'"x"'), "claims: expected an object"),
    "claims no UTF-8": (forged({"alg": "EdDSA"}, b'{"iss":"\xff"}'), "claims: expected JSON"),
    "alg a long number": (forged(b'{"alg":' + b"1" * 5000 + b"}", claims()), "expected"),
    "alg nested": (forged(b'{"alg":' + b"[" * 400 + b"]" * 400 + b"}", claims()), "alg: expected"),
    "nan": (forged({"alg": "EdDSA"}, b'{"iss":NaN}'), "claims: expected JSON"),
    "padded": (ed25519().sign() + "==", "three parts"),
    "four parts": (ed25519().sign() + ".x", "three parts"),
    "encrypted (five parts)": ("a.b.c.d.e", "three parts"),
    "two parts": (ed25519().sign().rsplit(".", 1)[0], "three parts"),
    "with a line break": (ed25519().sign() + "\n", "three parts"),
    "empty": ("", "three parts"),
    "too large": (ed25519().sign(more="x" * MAX_TOKEN), "expected at most 8192 characters"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_whatever_a_token_tries_it_is_refused(attack: str) -> None:
    token, why = ATTACKS[attack]
    assert why in refused(token)


@pytest.mark.parametrize("made_of", ["pem", "pem without its last line break", "der", "modulus", "jwk"])
def test_a_public_key_is_no_shared_secret(made_of: str) -> None:
    """The classic: an RSA key that everybody knows, used as the secret of HS256."""
    public = rsa().public_pem()
    numbers = rsa().private.public_key().public_numbers()
    secret = {
        "pem": public,
        "pem without its last line break": public.rstrip(),
        "der": rsa().private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "modulus": numbers.n.to_bytes(256, "big"),
        "jwk": json.dumps(rsa().jwk()).encode(),
    }[made_of]
    token = hmac_forged(secret, {"alg": "HS256", "kid": "rsa"})
    assert "alg: expected RS256, with a key for it; got HS256" in refused(token, rsa())
    with pytest.raises(Unauthenticated, match="with a key for it"):
        proven(read(token), issuer(("RS256", "HS256")), key(rsa()), NOW)


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda signer: signer.algorithm)
@pytest.mark.parametrize("other", SIGNERS, ids=lambda signer: signer.algorithm)
def test_a_key_verifies_nothing_but_its_own_algorithm(signer: Signer, other: Signer) -> None:
    everything = issuer(("EdDSA", "RS256", "HS256"))
    if signer is other:
        assert proven(read(signer.sign()), everything, key(other), NOW)
        return
    with pytest.raises(Unauthenticated, match="with a key for it"):
        proven(read(signer.sign()), everything, key(other), NOW)


def test_another_secret_is_not_the_secret() -> None:
    assert "signature" in refused(hmac_forged(SECRET[:-1] + b"x", {"alg": "HS256"}), SHARED)


def test_a_claim_that_comes_twice_is_read_once_and_by_its_last_value_alone() -> None:
    body = json.dumps(claims())[:-1].encode() + b',"role":"operator"}'
    front = forged({"alg": "EdDSA", "kid": "ed"}, body).rsplit(".", 1)[0]
    assert "'operator'" in refused(f"{front}.{b64(ed25519().private.sign(front.encode()))}")


def test_what_has_no_shape_of_a_token_is_told_from_one() -> None:
    assert is_token(ed25519().sign())
    assert is_token("a.b.")
    for other in (
        "",
        "key",
        "a.b",
        "a.b.c.d",
        "a..c",
        ".b.c",
        "a.b.c ",
        " a.b.c",
        "a.b.c\n",
        "a.b.c=",
        "ä.b.c",
        "a.b+.c",
    ):
        assert not is_token(other)


GOOD = {signer.algorithm: signer.sign() for signer in SIGNERS}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n"


@given(
    signer=st.sampled_from(SIGNERS),
    place=st.integers(min_value=0, max_value=2000),
    change=st.sampled_from(("replace", "insert", "delete", "swap", "cut")),
    character=st.sampled_from(_ALPHABET),
)
@often(300)
def test_a_good_token_that_is_changed_anywhere_is_refused(
    signer: Signer, place: int, change: str, character: str
) -> None:
    good = GOOD[signer.algorithm]
    place %= len(good)
    changed = {
        "replace": good[:place] + character + good[place + 1 :],
        "insert": good[:place] + character + good[place:],
        "delete": good[:place] + good[place + 1 :],
        "swap": good[:place] + good[place : place + 2][::-1] + good[place + 2 :],
        "cut": good[:place],
    }[change]
    if changed != good:
        assert refused(changed, signer)


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda signer: signer.algorithm)
def test_a_signature_has_one_spelling(signer: Signer) -> None:
    """The last character of base64 has bits that decide nothing; were they not looked at, tokens would have twins."""
    good = GOOD[signer.algorithm]
    for last in _ALPHABET[:64]:
        if last != good[-1]:
            assert refused(good[:-1] + last, signer)


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=70))
@often(150)
def test_anything_at_all_is_refused_and_nothing_else_happens(header: bytes, body: bytes, signature: bytes) -> None:
    assert refused(forged(header, body, signature))


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    name=st.sampled_from(("iss", "aud", "exp", "nbf", "iat", "jti", "sub", "role", "instance", "scope")),
    value=_json_values,
)
@often(200)
def test_whatever_an_issuer_says_leads_to_a_sound_proof_or_to_a_refusal(name: str, value: Any) -> None:
    token = with_header(good_header(), {**claims(), name: value})
    try:
        found = proof(token)
    except Unauthenticated:
        return
    assert found.caller.role in ("service", "reader")
    assert found.expires is not None
    assert found.expires > NOW
    assert "\n" not in found.credential


@given(name=st.sampled_from(("alg", "kid", "typ", "crit", "b64", "jku", "x")), value=_json_values)
@often(150)
def test_whatever_stands_in_a_header_no_other_error_comes_of_it(name: str, value: Any) -> None:
    token = with_header({**good_header(), name: value})
    with contextlib.suppress(Unauthenticated):
        assert proof(token).caller.name == "engine"
