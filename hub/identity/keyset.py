"""The keys that tokens are verified with: of an issuer's JWKS (RFC 7517, RFC 8037), or a secret that it shares."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from hub.settings.access import Algorithm

MAX_BYTES: Final = 256 * 1024
"""Bytes of a JWKS that are read at most."""
MAX_KEYS: Final = 64
MAX_KID: Final = 256
RSA_BITS: Final = 2048
"""Bits of an RSA key at least; at most four times as many, since each verification takes longer with more."""
SECRET_BYTES: Final = 32
"""Bytes of a shared secret at least: as many as SHA-256 has (RFC 7518, 3.2)."""

_ED25519_BYTES: Final = 32
_MOST_EXPONENT: Final = 2**32
_SHOWN: Final = 64
_NAMES: Final = {
    "EdDSA": ("EdDSA", "Ed25519"),  # RFC 9864 has given it a name of its own
    "RS256": ("RS256",),
}
"""What the `alg` of a key may say for each algorithm."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, good for one algorithm alone.

    Attributes:
        algorithm: Which.
        kid: Its name among those of its issuer; None where it has none.
        material: The key itself.
    """

    algorithm: Algorithm
    kid: str | None
    material: Ed25519PublicKey | RSAPublicKey | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one issuer.

    Attributes:
        keys: Those that verify.
        refused: Why others that were meant to are not among them.
    """

    keys: tuple[Key, ...]
    refused: tuple[str, ...] = ()

    def find(self, algorithm: Algorithm, kid: str | None) -> Key | None:
        """The key for a token that was signed so; None where there is none.

        A token without a `kid` is of the one key there is for its algorithm, and of none where there are several. A
        shared secret has no name: whatever `kid` comes with it is not looked at.
        """
        fit = [key for key in self.keys if key.algorithm == algorithm]
        if kid is None or algorithm == "HS256":
            return fit[0] if len(fit) == 1 else None
        return next((key for key in fit if key.kid == kid), None)


class _Jwks(msgspec.Struct):
    keys: list[dict[str, Any]]


def parsed(data: bytes) -> KeySet:
    """The keys of a JWKS that verify signatures of ours: Ed25519 and RSA. All others are passed over.

    One that is meant to verify and is not good for it is left out, and told of in `refused`.

    Raises:
        ValueError: it is none, is too large, or has no key that is of use.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES} bytes, got more")
    try:
        found = msgspec.json.decode(data, type=_Jwks).keys
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ValueError("expected a JWKS, an object with a list of keys, got something else") from None
    if len(found) > MAX_KEYS:
        raise ValueError(f"keys: expected at most {MAX_KEYS}, got {len(found)}")
    keys: dict[tuple[Algorithm, str | None], Key] = {}
    refused: list[str] = []
    for place, jwk in enumerate(found):
        try:
            key = _key(jwk)
            if key is not None and keys.setdefault((key.algorithm, key.kid), key) is not key:
                raise ValueError("there is another of this kid before it, which counts")
        except ValueError as error:
            refused.append(f"keys[{place}]{_named(jwk)}: {error}")
    if not keys:
        raise ValueError("; ".join(["expected a key for EdDSA or RS256, found none", *refused]))
    return KeySet(tuple(keys.values()), tuple(refused))


def shared(content: bytes) -> KeySet:
    """The secret in a file, with which an issuer signs and we verify. A line break at its end is not part of it.

    Raises:
        ValueError: it is too short, or a key of another kind; shows nothing of it.
    """
    secret = content.rstrip(b"\r\n")
    if b"-----BEGIN" in secret or b'"kty"' in secret or secret.startswith((b"ssh-", b"ecdsa-")):
        raise ValueError("expected a secret for HS256, got a key of another kind or a certificate")
    if len(secret) < SECRET_BYTES:
        raise ValueError(f"expected a secret of at least {SECRET_BYTES} bytes for HS256, got {len(secret)}")
    if len(secret) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES} bytes, got more")
    return KeySet((Key("HS256", None, secret),))


def decoded(text: str) -> bytes:
    """The bytes of base64url without padding, in the one spelling that they have.

    Raises:
        ValueError: it is none.
    """
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("expected base64url without padding") from None
    if encoded(found) != text:
        raise ValueError("expected base64url without padding, in its one spelling")
    return found


def encoded(data: bytes) -> str:
    """Bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _key(jwk: dict[str, Any]) -> Key | None:
    """The key; None where it is of a kind or for a use that is none of ours. Raises ValueError where it is no good."""
    kind = jwk.get("kty"), jwk.get("crv")
    algorithm: Algorithm | None = "EdDSA" if kind == ("OKP", "Ed25519") else "RS256" if kind[0] == "RSA" else None
    if algorithm is None or not _verifies(jwk, algorithm):
        return None
    if "d" in jwk:
        raise ValueError("its private half is in it, and known to whoever could read this: replace the key")
    kid = jwk.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID):
        raise ValueError(f"kid: expected a string of 1..{MAX_KID} characters")
    return Key(algorithm, kid, _ed25519(jwk) if algorithm == "EdDSA" else _rsa(jwk))


def _verifies(jwk: dict[str, Any], algorithm: Algorithm) -> bool:
    uses = jwk.get("key_ops")
    return (
        jwk.get("use", "sig") == "sig"
        and (uses is None or (isinstance(uses, list) and "verify" in uses))
        and jwk.get("alg", algorithm) in _NAMES[algorithm]
    )


def _ed25519(jwk: dict[str, Any]) -> Ed25519PublicKey:
    point = _member(jwk, "x")
    if len(point) != _ED25519_BYTES:
        raise ValueError(f"x: expected {_ED25519_BYTES} bytes, got {len(point)}")
    return Ed25519PublicKey.from_public_bytes(point)


def _rsa(jwk: dict[str, Any]) -> RSAPublicKey:
    modulus, exponent = (int.from_bytes(_member(jwk, name), "big") for name in ("n", "e"))
    bits = modulus.bit_length()
    if not RSA_BITS <= bits <= 4 * RSA_BITS:
        raise ValueError(f"n: expected an RSA key of {RSA_BITS}..{4 * RSA_BITS} bits, got {bits}")
    if not 3 <= exponent < _MOST_EXPONENT or exponent % 2 == 0 or modulus % 2 == 0:
        raise ValueError("expected a modulus and an exponent (of at most 32 bits) as an RSA key has them")
    return RSAPublicNumbers(exponent, modulus).public_key()


def _member(jwk: dict[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: expected a string in base64url")
    try:
        return decoded(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _named(jwk: dict[str, Any]) -> str:
    kid = jwk.get("kid")
    return f" ({kid[:_SHOWN]!a})" if isinstance(kid, str) else ""
