"""The JWTs that a NATS server and what answers its auth callout say to each other: ed25519-nkey, by ADR-26.

The server asks with a request that it signs, and takes an answer that is signed with the account key it was told. What
a client presented to the server lies in the request: that the server has looked at it says nothing, so that the
signature over the server's nonce is verified here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from hub.errors import Unauthenticated
from hub.identity import nkey
from hub.identity.nkey import Nkey

AUDIENCE: Final = "nats-authorization-request"
MAX_BYTES: Final = 256 * 1024
"""A client's CONNECT has 4 KiB, the chain of its certificate some more."""
LEEWAY: Final = 30.0
"""Seconds by which the clocks of the server and of the hub may differ."""

_ALGORITHM: Final = "ed25519-nkey"
_NOTHING: Final = {"deny": [">"]}


class ServerId(Struct, frozen=True):
    """Which server asks."""

    id: str
    name: str = ""


class ClientInfo(Struct, frozen=True):
    """What the server knows of a connection."""

    host: str = ""
    name: str = ""
    nonce: str = ""


class ConnectOptions(Struct, frozen=True):
    """What the client has sent. Its representation shows no secret."""

    nkey: str = ""
    sig: str = ""
    auth_token: str = ""
    user: str = ""
    password: str = msgspec.field(name="pass", default="")
    name: str = ""

    def __repr__(self) -> str:
        return f"ConnectOptions(name={self.name!r})"


class ClientTls(Struct, frozen=True):
    """What the handshake has shown; `verified_chains` alone are of a CA that the server trusts."""

    verified_chains: tuple[tuple[str, ...], ...] = ()


class AuthorizationRequest(Struct, frozen=True, tag_field="type", tag="authorization_request"):
    """Shall this connection be let in, and as whom?"""

    server_id: ServerId
    user_nkey: str
    client_info: ClientInfo
    connect_opts: ConnectOptions
    client_tls: ClientTls = ClientTls()


class _Header(Struct):
    alg: str
    typ: str


class _Claims(Struct):
    iss: str
    sub: str
    aud: str
    exp: float
    nats: AuthorizationRequest


_header = msgspec.json.Decoder(_Header)
_claims = msgspec.json.Decoder(_Claims)


def read_request(token: bytes, *, issuer: str, now: float) -> AuthorizationRequest:
    """What the server asks.

    Args:
        token: The request as it came.
        issuer: The public account key that the server takes answers from.
        now: Seconds since the epoch.

    Raises:
        Unauthenticated: no server has said so, not now, not to us, or not for itself; the message says which.
    """
    if len(token) > MAX_BYTES:
        raise Unauthenticated(f"request of a NATS server: expected at most {MAX_BYTES} bytes, got {len(token)}")
    signed, _, signature = token.rpartition(b".")
    head, _, body = signed.partition(b".")
    try:
        header, claims = _header.decode(_decoded(head)), _claims.decode(_decoded(body))
        signed_by = _decoded(signature)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, binascii.Error, ValueError):
        raise Unauthenticated("request of a NATS server: is none") from None
    if header.typ.upper() != "JWT" or header.alg != _ALGORITHM:
        raise Unauthenticated(f"request of a NATS server: expected a JWT with {_ALGORITHM}")
    if not nkey.is_public(claims.iss, "server") or not nkey.verify(claims.iss, signed, signed_by):
        raise Unauthenticated("request of a NATS server: the signature is not that of a server")
    if claims.aud != AUDIENCE:
        raise Unauthenticated("request of a NATS server: made for somebody else")
    if claims.sub != issuer:
        raise Unauthenticated("request of a NATS server: its auth_callout names another issuer than access.keys has")
    if claims.exp < now - LEEWAY:
        raise Unauthenticated(
            f"request of a NATS server: expired {now - claims.exp:.0f} s ago; do its clock and the hub's differ?"
        )
    if claims.nats.server_id.id != claims.iss:
        raise Unauthenticated("request of a NATS server: signed by another server than the one it is of")
    if not nkey.is_public(claims.nats.user_nkey, "user"):
        raise Unauthenticated("request of a NATS server: names no user")
    return claims.nats


def proven_nkey(request: AuthorizationRequest) -> str | None:
    """The public nkey that the client has signed the server's nonce with; None where it presents none.

    Raises:
        Unauthenticated: it presents one, and the signature is not right.
    """
    options, nonce = request.connect_opts, request.client_info.nonce
    if not options.nkey and not options.sig:
        return None
    try:
        signature = _decoded(options.sig.encode())
    except (binascii.Error, ValueError):
        signature = b""
    signed = bool(nonce) and nkey.verify(options.nkey, nonce.encode(), signature)
    if not signed or not nkey.is_public(options.nkey, "user"):
        raise Unauthenticated("nkey: the signature of the server's nonce is not right")
    return options.nkey


def user(
    request: AuthorizationRequest,
    issuer: Nkey,
    *,
    account: str,
    name: str,
    publish: Sequence[str],
    subscribe: Sequence[str],
    now: float,
) -> str:
    """The JWT that lets the connection in.

    It does not expire: clients would take that for the end. Whom it names is let in no more, and put out.

    Args:
        request: What the server asked.
        issuer: The account key.
        account: In which account it is to live.
        name: Who it is; the server stamps it upon what crosses into another account.
        publish: Subjects that it may publish to; none forbids all.
        subscribe: Subjects that it may subscribe to; none forbids all.
        now: Seconds since the epoch.
    """
    claims = {
        **_base(request.user_nkey, issuer, account, now),
        "name": name,
        "nats": {
            "pub": {"allow": list(publish)} if publish else _NOTHING,
            "sub": {"allow": list(subscribe)} if subscribe else _NOTHING,
            "subs": -1,
            "data": -1,
            "payload": -1,
            "type": "user",
            "version": 2,
        },
    }
    return _signed(claims, issuer)


def response(
    request: AuthorizationRequest, issuer: Nkey, *, now: float, user_jwt: str = "", refusal: str = ""
) -> bytes:
    """The answer, which only the server that asked takes: the JWT of a user, or the words of a refusal."""
    said = {"jwt": user_jwt} if user_jwt else {"error": refusal}
    claims = {
        **_base(request.user_nkey, issuer, request.server_id.id, now),
        "nats": {**said, "type": "authorization_response", "version": 2},
    }
    return _signed(claims, issuer).encode()


def _base(subject: str, issuer: Nkey, audience: str, now: float) -> dict[str, Any]:
    return {"sub": subject, "iss": issuer.public, "aud": audience, "iat": int(now)}


def _signed(claims: dict[str, Any], key: Nkey) -> str:
    digest = hashlib.sha256(msgspec.json.encode(claims)).digest()
    claims = {**claims, "jti": base64.b32encode(digest).decode().rstrip("=")}
    header = {"typ": "JWT", "alg": _ALGORITHM}
    text = f"{_encoded(msgspec.json.encode(header))}.{_encoded(msgspec.json.encode(claims))}"
    return f"{text}.{_encoded(key.sign(text.encode()))}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: bytes) -> bytes:
    """From base64 of either alphabet, with padding or without.

    Raises:
        ValueError: it is none.
    """
    plain = text.rstrip(b"=").translate(_STANDARD)
    return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)


_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
