"""JSON Web Tokens (RFC 7519), verified as RFC 8725 asks for: what one claims, and what it proves.

Who signed is decided by what is declared here, never by the token: of its header, `alg` and `kid` choose among the keys
of its issuer, and each key is good for one algorithm alone. Errors show claims, shortened, and never a token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeGuard, cast, get_args

import jwt
import msgspec

from hub.errors import Unauthenticated
from hub.identity.keyset import MAX_KID, Key, decoded
from hub.identity.proof import Proof
from hub.settings.access import Algorithm, Issuer
from hub.wire.names import is_instance_id, is_service_name
from hub.wire.roles import Caller, CallerRole, is_caller_name
from hub.wire.subjects import is_reserved

MAX_TOKEN: Final = 8 * 1024
"""Characters that a token may have; of a longer one nothing is looked at."""
MAX_SCOPES: Final = 64

_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)
_BRINGS_KEYS: Final = ("jwk", "jku", "x5u", "x5c")
_TYPES: Final = ("jwt", "at+jwt", "application/at+jwt")
"""Other types are tokens for another purpose, as those of a logout, which an issuer signs with the same key."""
_LATEST: Final = 2**53
"""No time is later, in seconds since the epoch."""
_SHOWN: Final = 64
_signatures = jwt.PyJWS(algorithms=_ALGORITHMS, options={"enforce_minimum_key_length": True})


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a token says of itself, of which nothing is proven.

    Attributes:
        algorithm: How it says to be signed.
        kid: With which key of its issuer; None where it does not say.
        issuer: By whom.
        audience: For whom.
        token: The token.
    """

    algorithm: Algorithm
    kid: str | None
    issuer: str
    audience: tuple[str, ...]
    token: str = field(repr=False)


def is_token(text: str) -> bool:
    """Whether a text has the shape of a token: three parts in base64url, of which the signature may be empty."""
    return _SHAPE.fullmatch(text) is not None


def read(token: str) -> Claimed:
    """What a token claims.

    Raises:
        Unauthenticated: it cannot be a token of anybody who is believed here.
    """
    if len(token) > MAX_TOKEN:
        raise Unauthenticated(f"token: expected at most {MAX_TOKEN} characters, got {len(token)}")
    if not is_token(token):
        raise Unauthenticated("token: expected three parts in base64url")
    first, second, _ = token.split(".")
    header = _object(first, "header")
    for name in ("crit", "b64", *_BRINGS_KEYS):
        if name in header:
            why = "brings a key of its own" if name in _BRINGS_KEYS else "asks for what is not done here"
            raise Unauthenticated(f"token: header: {name}: it {why}")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not _is_algorithm(algorithm):
        raise Unauthenticated(f"token: header: alg: expected one of {', '.join(_ALGORITHMS)}, got {_shown(algorithm)}")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID):
        raise Unauthenticated(f"token: header: kid: expected a string of 1..{MAX_KID} characters")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Unauthenticated(f"token: header: typ: expected JWT or at+jwt, got {_shown(kind)}")
    claims = _object(second, "claims")
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise Unauthenticated(f"token: iss: expected who issued it, got {_shown(issuer)}")
    return Claimed(algorithm, kid, issuer, _audience(claims), token)


def proven(claimed: Claimed, issuer: Issuer, key: Key, now: float, *, host: str = "") -> Proof:
    """What a token proves.

    Args:
        claimed: What it claims.
        issuer: Who is declared to be its issuer.
        key: The key of this issuer that it names.
        now: Seconds since the epoch.
        host: Where it comes from.

    Raises:
        Unauthenticated: nothing; says why.
    """
    if claimed.algorithm not in issuer.algorithms or claimed.algorithm != key.algorithm:
        _refuse(issuer, f"alg: expected {' or '.join(issuer.algorithms)}, with a key for it; got {claimed.algorithm}")
    try:
        payload = _signatures.decode(claimed.token, key.material, algorithms=[key.algorithm])
    except jwt.PyJWTError:
        _refuse(issuer, f"the signature is not by its key{f' {_shown(key.kid)}' if key.kid else ''}")
    claims = _json(payload)
    _check_addressee(claims, issuer)
    expires = _check_times(claims, issuer, now)
    return Proof(
        caller=_caller(claims, issuer, host),
        credential=f"jwt:{issuer.issuer}/{_id(claims, issuer)}",
        expires=expires,
        scopes=_scopes(claims, issuer),
    )


def signed(claims: dict[str, Any], key: Any, algorithm: Algorithm, kid: str | None = None) -> str:
    """A token with these claims.

    Args:
        claims: Its claims.
        key: The private key, or the shared secret.
        algorithm: How it is signed.
        kid: The name of the key.
    """
    headers = {"kid": kid} if kid is not None else None
    return _signatures.encode(msgspec.json.encode(claims), key, algorithm=algorithm, headers=headers)


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        return _json(decoded(part), what)
    except ValueError:
        raise Unauthenticated(f"token: {what}: expected base64url in its one spelling") from None


def _json(data: bytes, what: str = "claims") -> dict[str, Any]:
    try:
        found = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise Unauthenticated(f"token: {what}: expected JSON") from None
    if not isinstance(found, dict):
        raise Unauthenticated(f"token: {what}: expected an object")
    return found


def _is_algorithm(value: object) -> TypeGuard[Algorithm]:
    return isinstance(value, str) and value in _ALGORITHMS


def _check_addressee(claims: dict[str, Any], issuer: Issuer) -> None:
    if claims.get("iss") != issuer.issuer:
        _refuse(issuer, f"iss: expected {issuer.issuer!r}, got {_shown(claims.get('iss'))}")
    if issuer.audience not in _audience(claims):
        _refuse(issuer, f"aud: expected {issuer.audience!r}, got {_shown(claims.get('aud'))}")


def _audience(claims: dict[str, Any]) -> tuple[str, ...]:
    found = claims.get("aud")
    return tuple(each for each in (found if isinstance(found, list) else [found]) if isinstance(each, str))


def _check_times(claims: dict[str, Any], issuer: Issuer, now: float) -> float:
    """Until when it is accepted, in seconds since the epoch."""
    expires = _time(claims, "exp", issuer)
    if expires is None:
        _refuse(issuer, "exp: expected when it expires, got none")
    if now >= expires + issuer.leeway:
        _refuse(issuer, f"exp: it expired {now - expires:.0f} s ago")
    for name in ("nbf", "iat"):
        start = _time(claims, name, issuer)
        if start is not None and start > now + issuer.leeway:
            _refuse(issuer, f"{name}: it is not valid for another {start - now:.0f} s; are the clocks right?")
    return expires + issuer.leeway


def _time(claims: dict[str, Any], name: str, issuer: Issuer) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        _refuse(issuer, f"{name}: expected seconds since the epoch, got {_shown(value)}")
    return float(value)


def _caller(claims: dict[str, Any], issuer: Issuer, host: str) -> Caller:
    role = claims.get(issuer.role_claim, issuer.role)
    if not isinstance(role, str) or role not in issuer.roles:
        _refuse(issuer, f"{issuer.role_claim}: expected one of {', '.join(issuer.roles)}, got {_shown(role)}")
    name = claims.get(issuer.name_claim)
    if role != "service":
        if not isinstance(name, str) or not is_caller_name(name):
            _refuse(issuer, f"{issuer.name_claim}: expected a name without spaces, got {_shown(name)}")
        return Caller(role=cast(CallerRole, role), name=name, host=host)
    if not isinstance(name, str) or not is_service_name(name) or is_reserved(name):
        _refuse(issuer, f"{issuer.name_claim}: expected the name of a service, a DNS label; got {_shown(name)}")
    instance = claims.get("instance")
    if instance is not None and not (isinstance(instance, str) and is_instance_id(instance)):
        _refuse(issuer, f"instance: expected 1..64 of A-Z, a-z, 0-9, _ and -; got {_shown(instance)}")
    return Caller(role="service", name=name, instance=instance, host=host)


def _id(claims: dict[str, Any], issuer: Issuer) -> str:
    """By what the token is known: its own name, else that of whom it is about."""
    name = "jti" if "jti" in claims else "sub"
    value = claims.get(name)
    if not isinstance(value, str) or not is_caller_name(value):
        _refuse(issuer, f"{name}: expected a name of the token, without spaces, got {_shown(value)}")
    return value


def _scopes(claims: dict[str, Any], issuer: Issuer) -> tuple[str, ...] | None:
    """What it is good for: of `scope` (RFC 9068), or of `scp`, as other issuers call it; a text or a list."""
    name = "scope" if "scope" in claims else "scp"
    if name not in claims:
        return None
    value = claims[name]
    found = value.split() if isinstance(value, str) else value
    if (
        not isinstance(found, list)
        or len(found) > MAX_SCOPES
        or not all(isinstance(each, str) and is_caller_name(each) for each in found)
    ):
        _refuse(issuer, f"{name}: expected at most {MAX_SCOPES} words, got {_shown(value)}")
    return tuple(dict.fromkeys(found))


def _refuse(issuer: Issuer, why: str) -> NoReturn:
    raise Unauthenticated(f"token of {issuer.issuer}: {why}")


def _shown(value: object) -> str:
    """A claim for an error: in ASCII, and not much of it."""
    try:
        text = "none" if value is None else ascii(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        text = "something else"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
