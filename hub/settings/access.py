"""What `config/static/access.toml` declares: who may come in, and what of the services they may see."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Text = Annotated[str, Meta(min_length=1)]
Algorithm = Literal["EdDSA", "RS256", "HS256"]


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who proves himself by an nkey (`[[identity]]`).

    Attributes:
        name: Of a service its name, of others whatever they are to be called.
        role: See `hub.wire.roles`.
        nkey: The public half, `U...`.
        instance: The one instance that this key is of; None lets it speak for any of the service.
    """

    name: Text
    role: Text
    nkey: Text
    instance: Text | None = None


class Issuer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody whose JWTs are believed (`[[issuer]]`).

    Attributes:
        issuer: The `iss` of its tokens.
        audience: The `aud` that they must have.
        algorithms: How they may be signed. HS256 stands alone: a shared secret is never mixed with public keys.
        jwks: Where its keys are: a file, or an https URL (http for a host that is loopback).
        jwks_ca: The file of the CAs (PEM) that are trusted for that URL, in place of those of the machine.
        secret_file: The file with the shared secret, for HS256.
        name_claim: The claim with the caller's name.
        role_claim: The claim with the role; a token without it has `role`.
        role: The role of tokens that name none; None refuses those.
        roles: The roles that it may give.
        leeway: Seconds by which its clock may be off.
    """

    issuer: Text
    audience: Text
    algorithms: tuple[Algorithm, ...]
    jwks: Text | None = None
    jwks_ca: Text | None = None
    secret_file: Text | None = None
    name_claim: Text = "sub"
    role_claim: Text = "role"
    role: Text | None = None
    roles: tuple[Text, ...] = ("service", "reader")
    leeway: Annotated[float, Meta(ge=0, le=300)] = 30.0


class Certificate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a client certificate is of (`[[certificate]]`).

    Attributes:
        san: A DNS or URI name in the certificate, with `*` for any characters of one label or path segment. What the
            first `*` stands for is the `name` where that is left out.
        role: The role.
        name: The name.
    """

    san: Text
    role: Text
    name: Text | None = None


class Allow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What some may have of which services (`[[allow]]`), with `*` for any characters. What is not allowed is denied.

    Attributes:
        who: Callers as they are written: `service:api-*`, `external:*`.
        discover: Services that they may discover and see the health of.
        config: Services whose configuration they may read.
        lease: Databases that they may lease connections to.
    """

    who: tuple[Text, ...]
    discover: tuple[Text, ...] = ()
    config: tuple[Text, ...] = ()
    lease: tuple[Text, ...] = ()


class AccessFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    identity: tuple[Identity, ...] = ()
    issuer: tuple[Issuer, ...] = ()
    certificate: tuple[Certificate, ...] = ()
    allow: tuple[Allow, ...] = ()
