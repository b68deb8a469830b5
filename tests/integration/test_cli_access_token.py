"""`hub access keygen` and `hub access token`: what they print is let in by what they made, and by nothing else."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.errors import Unauthenticated
from hub.identity.keyset import parsed, shared
from hub.identity.proof import Proof
from hub.identity.signing import SigningKey
from hub.identity.tokens import proven, read
from hub.settings.access import Algorithm, Issuer
from tests.commands import run

ALGORITHMS: tuple[Algorithm, ...] = ("EdDSA", "RS256", "HS256")


def made(folder: Path, algorithm: Algorithm) -> Path:
    """The file of a new key that signs."""
    done = run("access", "keygen", "--alg", algorithm, "--out", str(folder))
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[0])


def printed(key: Path, *more: str) -> str:
    done = run("access", "token", "--key", str(key), "--issuer", "me", "--audience", "hub", *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def proof(token: str, folder: Path, algorithm: Algorithm) -> Proof:
    """What it proves to whom has what was made in the folder."""
    secret = folder / "token-secret"
    keys = shared(secret.read_bytes()) if algorithm == "HS256" else parsed((folder / "jwks.json").read_bytes())
    issuer = Issuer(issuer="me", audience="hub", algorithms=(algorithm,), roles=("service", "operator"))
    claimed = read(token)
    key = keys.find(claimed.algorithm, claimed.kid)
    assert key is not None
    return proven(claimed, issuer, key, time.time())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_is_verified_with_what_was_made_beside_its_key(tmp_path: Path, algorithm: Algorithm) -> None:
    key = made(tmp_path / "keys", algorithm)
    token = printed(
        key, "--name", "engine", "--instance", "a1", "--scope", "discover", "--scope", "config", "--ttl", "60"
    )
    found = proof(token, tmp_path / "keys", algorithm)
    assert str(found.caller) == "service:engine/a1"
    assert found.scopes == ("discover", "config")
    assert found.expires is not None
    assert 0 < found.expires - time.time() <= 60 + 30
    assert (
        str(proof(printed(key, "--name", "ada", "--role", "operator"), tmp_path / "keys", algorithm).caller)
        == "operator:ada"
    )


def test_what_signs_is_for_its_owner_alone_and_never_replaced(tmp_path: Path) -> None:
    for algorithm in ALGORITHMS:
        folder = tmp_path / algorithm
        key = made(folder, algorithm)
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        before = key.read_bytes()
        again = run("access", "keygen", "--alg", algorithm, "--out", str(folder))
        assert again.returncode == 1
        assert "would be replaced" in again.stderr
        assert key.read_bytes() == before
    for folder in (tmp_path / "EdDSA", tmp_path / "RS256"):
        (jwk,) = json.loads((folder / "jwks.json").read_bytes())["keys"]
        assert set(jwk) <= {"kty", "crv", "x", "n", "e", "kid", "alg", "use"}, "nothing private is published"


def test_a_token_of_another_key_is_refused(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one", "HS256"), made(tmp_path / "other", "HS256")
    with pytest.raises(Unauthenticated):
        proof(printed(other, "--name", "engine"), one.parent, "HS256")


def weak() -> bytes:
    key = generate_private_key(public_exponent=65537, key_size=1024)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"hidden-word", "at least 32 bytes for HS256, got 11"),
        (
            b"-----BEGIN PRIVATE KEY-----\nhidden-word\n-----END PRIVATE KEY-----\n",
            "expected a private key of Ed25519 or RSA",
        ),
        (weak(), "expected an RSA key of at least 2048 bits, got 1024"),
    ],
)
def test_a_key_that_is_none_or_too_weak_is_refused_and_not_shown(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        SigningKey.read(content)
    assert "hidden-word" not in str(caught.value)


def test_a_token_for_nobody_is_refused(tmp_path: Path) -> None:
    key = made(tmp_path, "EdDSA")
    for more, why in (
        (("--name", "Engine"), "name: expected a DNS label"),
        (("--name", "a b", "--role", "reader"), "name: expected 1..128 printable characters"),
        (("--name", "ada", "--role", "operator", "--instance", "a1"), "instance: expected that of a service"),
        (("--name", "engine", "--key", str(tmp_path / "missing")), "cannot be read"),
    ):
        done = run("access", "token", "--key", str(key), "--issuer", "me", "--audience", "hub", *more)
        assert done.returncode == 1
        assert why in done.stderr
        assert done.stdout == ""


def test_a_key_is_named_by_its_thumbprint_as_the_rfcs_have_it() -> None:
    """The example of RFC 8037, appendix A."""
    pem = (
        b"-----BEGIN PRIVATE KEY-----\n"
        b"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
        b"-----END PRIVATE KEY-----\n"
    )
    key = SigningKey.read(pem)
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert key.jwk is not None
    assert key.jwk["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
