from __future__ import annotations

import secrets
import time
from pathlib import Path

import click

from hub.errors import HubError, InvalidRequest
from hub.wire.names import is_instance_id, is_service_name
from hub.wire.roles import CALLER_ROLES, is_caller_name

_LARGEST = 64 * 1024
_LONGEST = 365 * 86_400


@click.command()
@click.option(
    "--key",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file of the key that signs (PEM), or of the shared secret.",
)
@click.option("--issuer", required=True, metavar="ISS", help="Who issues it, as [[issuer]] has it.")
@click.option("--audience", required=True, metavar="AUD", help="Whom it is for, as [[issuer]] has it.")
@click.option("--name", required=True, help="Whom it is of: the service, or how somebody else is called.")
@click.option("--role", type=click.Choice(CALLER_ROLES), default="service", show_default=True, help="What this one is.")
@click.option("--instance", metavar="ID", help="The one instance of the service that it speaks for.")
@click.option(
    "--scope", "scopes", multiple=True, metavar="RIGHT", help="A right that it is for; may be repeated [default: all]."
)
@click.option(
    "--ttl",
    type=click.FloatRange(min=1, max=_LONGEST),
    default=3600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long it is good for.",
)
def token(
    path: Path,
    issuer: str,
    audience: str,
    name: str,
    role: str,
    instance: str | None,
    scopes: tuple[str, ...],
    ttl: float,
) -> None:
    """Print a token that says who somebody is, for trying out and for scripts.

    Whoever has it is that one until it expires. Its claims: sub (the name) and role; where given, instance and scope.
    """
    from hub.identity.signing import SigningKey
    from hub.identity.tokens import signed

    _check(name, role, instance)
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": name,
        "role": role,
        "iat": now,
        "exp": now + int(ttl),
        "jti": secrets.token_hex(16),
    }
    if instance is not None:
        claims["instance"] = instance
    if scopes:
        claims["scope"] = " ".join(scopes)
    try:
        with path.open("rb") as file:
            key = SigningKey.read(file.read(_LARGEST))
    except OSError as error:
        raise HubError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise HubError(f"{path}: {error}") from None
    click.echo(signed(claims, key.private, key.algorithm, key.kid))


def _check(name: str, role: str, instance: str | None) -> None:
    if not (is_service_name(name) if role == "service" else is_caller_name(name)):
        wanted = "a DNS label" if role == "service" else "1..128 printable characters without spaces"
        raise InvalidRequest(f"name: expected {wanted}, got {name!r}", field="name")
    if instance is not None and (role != "service" or not is_instance_id(instance)):
        raise InvalidRequest(f"instance: expected that of a service, of A-Z, a-z, 0-9, _ and -; got {instance!r}")
