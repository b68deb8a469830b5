"""What somebody presents to be let in, what that proves, and what can tell."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from hub.wire.roles import Caller


class Presented(Struct, frozen=True, kw_only=True):
    """What came with a connection to NATS or with an HTTP request. Its representation shows no secret.

    Attributes:
        via: By which door.
        token: The text that was given as a token: a JWT or an API key. None where none was.
        nkey: The public nkey that the caller signed the server's nonce with; the signature has been verified.
        certificate: The client certificate, PEM, that the TLS handshake verified against a CA.
        connection: What the connection calls itself; anybody may call himself anything.
        host: The address that it comes from.
    """

    via: Literal["nats", "http"]
    token: str | None = None
    nkey: str | None = None
    certificate: str | None = None
    connection: str = ""
    host: str = ""

    def __repr__(self) -> str:
        has = [name for name in ("token", "nkey", "certificate") if getattr(self, name) is not None]
        return f"Presented(via={self.via!r}, with={'+'.join(has) or 'nothing'}, host={self.host!r})"


class Proof(Struct, frozen=True, kw_only=True):
    """What was proven.

    Attributes:
        caller: Who it is.
        credential: What proved it, without the secret in it: `nkey:<public>`, `jwt:<issuer>/<jti or subject>`,
            `key:<id>`, `certificate:<sha256 in hex>`. By this name it is revoked.
        expires: When it proves nothing any more, seconds since the epoch; None where that is not set.
        scopes: What it is good for, of all that its role may do: names of rights (`discover`, `config` ...); None is
            all of it.
    """

    caller: Caller
    credential: str
    expires: float | None = None
    scopes: tuple[str, ...] | None = None


class Verifier(Protocol):
    """Knows one kind of credential."""

    async def verify(self, presented: Presented, now: float) -> Proof | None:
        """What it proves; None where nothing of this kind was presented.

        Args:
            presented: What was presented.
            now: Seconds since the epoch.

        Raises:
            Unauthenticated: it is of this kind and proves nothing; the message says why and is for the log.
            Unavailable: it cannot be told now, since the keys of its issuer cannot be had.
        """
