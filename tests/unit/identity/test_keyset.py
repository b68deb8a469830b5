"""Which keys of a JWKS verify, and which are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.identity.keyset import MAX_BYTES, MAX_KEYS, decoded, parsed, shared
from tests.unit.identity.making import SECRET, b64, ed25519, jwks, number, often, rsa


def complaint(data: bytes) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        parsed(data)
    return str(caught.value)


def test_a_key_is_found_by_its_algorithm_and_its_kid() -> None:
    keys = parsed(jwks(ed25519(), rsa(), rsa("other")))
    assert [(key.algorithm, key.kid) for key in keys.keys] == [("EdDSA", "ed"), ("RS256", "rsa"), ("RS256", "other")]
    assert keys.find("RS256", "other") is keys.keys[2]
    assert keys.find("EdDSA", "rsa") is None
    assert keys.find("HS256", "rsa") is None
    assert keys.find("RS256", "unknown") is None


def test_a_token_that_names_no_key_is_of_the_only_one_for_its_algorithm() -> None:
    keys = parsed(jwks(ed25519(), rsa(), rsa("other")))
    assert keys.find("EdDSA", None) is keys.keys[0]
    assert keys.find("RS256", None) is None


def test_a_shared_secret_has_no_name() -> None:
    keys = shared(SECRET + b"\n")
    assert keys.find("HS256", None) is keys.find("HS256", "whatever") is keys.keys[0]
    assert keys.keys[0].material == SECRET
    assert keys.find("RS256", None) is None


def test_one_kid_may_be_that_of_two_kinds_of_keys() -> None:
    keys = parsed(jwks(ed25519("same"), rsa("same")))
    assert keys.find("EdDSA", "same") is keys.keys[0]
    assert keys.find("RS256", "same") is keys.keys[1]


@pytest.mark.parametrize(
    "other",
    [
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "ec"},
        {"kty": "oct", "k": b64(SECRET), "kid": "oct"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": "OKP", "crv": "Ed448", "x": "AA"},
        {"kty": "what"},
        {},
        {"kty": ["RSA"]},
        rsa().jwk(use="enc"),
        rsa().jwk(alg="RS512"),
        rsa().jwk(alg="HS256"),
        rsa().jwk(alg="RSA-OAEP"),
        rsa().jwk(alg=[]),
        rsa().jwk(use={}),
        rsa().jwk(key_ops=["encrypt"]),
        rsa().jwk(key_ops="verify"),
        ed25519("x").jwk(alg="RS256"),
    ],
)
def test_what_is_not_known_or_for_another_use_is_passed_over(other: dict[str, Any]) -> None:
    keys = parsed(jwks(other, ed25519()))
    assert [key.kid for key in keys.keys] == ["ed"]
    assert keys.refused == ()


@pytest.mark.parametrize(
    "more", [{"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "EdDSA"}, {"alg": "Ed25519"}, {"z": 1}]
)
def test_what_a_key_says_beside_that_is_not_in_its_way(more: dict[str, Any]) -> None:
    assert [key.kid for key in parsed(jwks(ed25519().jwk(**more))).keys] == ["ed"]


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    (rsa("weak", bits=1024).jwk(), "expected an RSA key of 2048..8192 bits, got 1024"),
    (rsa().jwk(n=number((1 << 9000) + 1)), "expected an RSA key of 2048..8192 bits, got 9001"),
    (rsa().jwk(n=number(1 << 2047)), "expected a modulus and an exponent"),
    (rsa().jwk(e=number(1)), "expected a modulus and an exponent"),
    (rsa().jwk(e=number(4)), "expected a modulus and an exponent"),
    (rsa().jwk(e=number(2**64 + 1)), "expected a modulus and an exponent"),
    (rsa().jwk(n=7), "n: expected a string in base64url"),
    (rsa().jwk(e=""), "e: expected a string in base64url"),
    (rsa().jwk(e="AQAB="), "e: expected base64url without padding"),
    (rsa().jwk(d="AQ"), "its private half is in it"),
    (rsa().jwk(kid=7), "kid: expected a string"),
    (rsa().jwk(kid=""), "kid: expected a string"),
    (ed25519().jwk(x=b64(b"x" * 31)), "x: expected 32 bytes, got 31"),
    (ed25519().jwk(x="!"), "x: expected base64url"),
    (ed25519().jwk(x="ä"), "x: expected base64url"),
    (ed25519().jwk(d="AQ"), "its private half is in it"),
)


@pytest.mark.parametrize(("jwk", "why"), REFUSED)
def test_a_key_that_is_no_good_is_refused_alone_with_the_reason(jwk: dict[str, Any], why: str) -> None:
    keys = parsed(jwks(jwk, ed25519("good")))
    assert [key.kid for key in keys.keys] == ["good"]
    (refused,) = keys.refused
    assert refused.startswith("keys[0]")
    assert why in refused
    assert why in complaint(jwks(jwk)), "and where there is no other, all is"


def test_of_two_keys_of_one_kid_the_first_counts() -> None:
    keys = parsed(jwks(rsa(), rsa("other").jwk(kid="rsa")))
    assert keys.find("RS256", "rsa") is keys.keys[0]
    assert len(keys.keys) == 1
    assert "there is another of this kid before it" in keys.refused[0]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "expected a JWKS"),
        (b"[]", "expected a JWKS"),
        (b"{}", "expected a JWKS"),
        (b'{"keys":{}}', "expected a JWKS"),
        (b'{"keys":[7]}', "expected a JWKS"),
        (b'{"keys":[{"kty":"\xff"}]}', "expected a JWKS"),
        (b'{"keys":[{"x":' + b"[" * 100_000, "expected a JWKS"),
        (b'{"keys":[{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}]}", "expected a JWKS"),
        (b"<html>Not found</html>", "expected a JWKS"),
        (b'{"keys":[]}', "expected a key for EdDSA or RS256, found none"),
        (b'{"keys":[' + b",".join([b"{}"] * (MAX_KEYS + 1)) + b"]}", "keys: expected at most 64, got 65"),
        (b" " * (MAX_BYTES + 1), "expected at most 262144 bytes"),
    ],
)
def test_what_is_no_key_set_is_refused(data: bytes, why: str) -> None:
    assert why in complaint(data)


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (b"", "at least 32 bytes"),
        (b"x" * 31, "at least 32 bytes for HS256, got 31"),
        (b"x" * 31 + b"\n", "at least 32 bytes for HS256, got 31"),
        (rsa().public_pem(), "a key of another kind"),
        (jwks(rsa()), "a key of another kind"),
        (b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx", "a key of another kind"),
        (b"x" * (MAX_BYTES + 1), "expected at most"),
    ],
)
def test_a_secret_that_is_too_short_or_none_is_refused(secret: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        shared(secret)


def test_no_key_shows_itself() -> None:
    assert "0123456789" not in repr(shared(SECRET))


@given(st.binary(max_size=64))
@often(100)
def test_bytes_have_one_spelling(data: bytes) -> None:
    text = b64(data)
    assert decoded(text) == data
    for other in (text + "=", text + "\n", " " + text):
        with pytest.raises(ValueError, match="base64url"):
            decoded(other)


_members = st.dictionaries(
    st.sampled_from(("kty", "crv", "x", "n", "e", "d", "kid", "use", "alg", "key_ops")),
    st.none()
    | st.integers()
    | st.lists(st.text(max_size=3), max_size=2)
    | st.sampled_from(("RSA", "OKP", "Ed25519", "sig", "AQAB"))
    | st.text(max_size=8),
)


@given(st.lists(_members, max_size=4))
@often(100)
def test_whatever_stands_beside_a_good_key_that_one_is_found(others: list[dict[str, Any]]) -> None:
    data = json.dumps({"keys": [*others, rsa("the-good-one").jwk()]}).encode()
    assert parsed(data).find("RS256", "the-good-one") is not None
