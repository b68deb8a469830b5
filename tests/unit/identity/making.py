"""Keys, key sets and tokens for tests, good ones and those that are made to deceive."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from hypothesis import HealthCheck, settings

from hub.identity.keyset import Key, KeySet, parsed, shared
from hub.identity.tokens import signed
from hub.settings.access import Algorithm, Issuer

NOW = 1_800_000_000.0
ISS, AUD = "https://issuer.test", "central-hub"
SECRET = b"0123456789abcdef0123456789abcdef"


def often(examples: int) -> settings:
    """So many examples, however busy the machine is."""
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


@dataclass(frozen=True)
class Signer:
    """A private key, and how it is known."""

    algorithm: Algorithm
    private: Any
    kid: str | None

    def jwk(self, **more: Any) -> dict[str, Any]:
        named = {"kid": self.kid} if self.kid is not None else {}
        if isinstance(self.private, RSAPrivateKey):
            numbers = self.private.public_key().public_numbers()
            return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **named, **more}
        raw = self.private.public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), **named, **more}

    def public_pem(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        pem: bytes = self.private.public_key().public_bytes(serialization.Encoding.PEM, form)
        return pem

    def sign(self, **changed: Any) -> str:
        """A good token; claims that are changed to None are left out."""
        return signed(claims(**changed), self.private, self.algorithm, self.kid)


def claims(**changed: Any) -> dict[str, Any]:
    good = {"iss": ISS, "aud": AUD, "sub": "engine", "role": "service", "exp": NOW + 60, "iat": NOW, "jti": "t1"}
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


@cache
def ed25519(kid: str | None = "ed") -> Signer:
    return Signer("EdDSA", Ed25519PrivateKey.generate(), kid)


@cache
def rsa(kid: str | None = "rsa", bits: int = 2048) -> Signer:
    return Signer("RS256", generate_private_key(public_exponent=65537, key_size=bits), kid)


SHARED = Signer("HS256", SECRET, None)


def jwks(*keys: Signer | dict[str, Any]) -> bytes:
    found = [key.jwk() if isinstance(key, Signer) else key for key in keys]
    return json.dumps({"keys": found}).encode()


def key_set(signer: Signer) -> KeySet:
    return shared(SECRET) if signer.algorithm == "HS256" else parsed(jwks(signer))


def key(signer: Signer) -> Key:
    return key_set(signer).keys[0]


def issuer(algorithms: tuple[Algorithm, ...] = ("EdDSA", "RS256"), **changed: Any) -> Issuer:
    where: dict[str, Any] = {"secret_file": "secret"} if "HS256" in algorithms else {"jwks": "keys.json"}
    given = {"issuer": ISS, "audience": AUD, "algorithms": algorithms, **where, **changed}
    return Issuer(**given)


def forged(header: dict[str, Any] | bytes, body: dict[str, Any] | bytes, signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, body)]
    return ".".join(map(b64, [*parts, signature]))


def hmac_forged(secret: bytes, header: dict[str, Any], body: dict[str, Any] | None = None) -> str:
    """One that is signed by HMAC, with whatever is taken for the secret."""
    front = forged(header, claims() if body is None else body).rsplit(".", 1)[0]
    return f"{front}.{b64(hmac.digest(secret, front.encode(), hashlib.sha256))}"
