"""Keys that sign tokens: made, and read. Hubs need none of them; who issues tokens does."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hub.identity.keyset import RSA_BITS, encoded, shared
from hub.settings.access import Algorithm

_EXPONENT: Final = 65537


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One that signs.

    Attributes:
        algorithm: How.
        private: The key itself.
        kid: Its name: its thumbprint (RFC 7638), which nobody has to think of; None of a shared secret.
        jwk: Its public half, to be published; None of a shared secret.
    """

    algorithm: Algorithm
    private: Ed25519PrivateKey | RSAPrivateKey | bytes = field(repr=False)
    kid: str | None = None
    jwk: dict[str, str] | None = None

    @classmethod
    def fresh(cls, algorithm: Algorithm) -> SigningKey:
        """A new one."""
        match algorithm:
            case "EdDSA":
                return _of(Ed25519PrivateKey.generate())
            case "RS256":
                return _of(generate_private_key(public_exponent=_EXPONENT, key_size=RSA_BITS))
            case "HS256":
                return cls("HS256", encoded(secrets.token_bytes(32)).encode())

    @classmethod
    def read(cls, content: bytes) -> SigningKey:
        """The one in a file: a private key (PEM) of Ed25519 or RSA, or a shared secret.

        Raises:
            ValueError: it is none, or too weak; shows nothing of it.
        """
        if b"-----BEGIN" not in content:
            (secret,) = shared(content).keys
            assert isinstance(secret.material, bytes)
            return cls("HS256", secret.material)
        try:
            found = load_pem_private_key(content, password=None)
        except (ValueError, TypeError):
            found = None
        if not isinstance(found, Ed25519PrivateKey | RSAPrivateKey):
            raise ValueError("expected a private key of Ed25519 or RSA in PEM, without a password")
        if isinstance(found, RSAPrivateKey) and found.key_size < RSA_BITS:
            raise ValueError(f"expected an RSA key of at least {RSA_BITS} bits, got {found.key_size}")
        return _of(found)

    def content(self) -> bytes:
        """What a file of it has."""
        if isinstance(self.private, bytes):
            return self.private + b"\n"
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _of(private: Ed25519PrivateKey | RSAPrivateKey) -> SigningKey:
    """The key with its name, of which the members and their order are those of RFC 7638 and RFC 8037."""
    if isinstance(private, Ed25519PrivateKey):
        algorithm: Algorithm = "EdDSA"
        members = {"crv": "Ed25519", "kty": "OKP", "x": encoded(private.public_key().public_bytes_raw())}
    else:
        algorithm, numbers = "RS256", private.public_key().public_numbers()
        members = {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}
    kid = encoded(hashlib.sha256(msgspec.json.encode(members)).digest())
    return SigningKey(algorithm, private, kid, {**members, "kid": kid, "alg": algorithm, "use": "sig"})


def _number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))
