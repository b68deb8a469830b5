"""The issuers of tokens that are declared: whether what is said of each makes sense."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from hub.errors import SettingsError
from hub.settings.access import Issuer
from hub.wire.roles import CALLER_ROLES

_LOOPBACK_NAME: Final = "localhost"


def check(issuers: Iterable[Issuer]) -> None:
    """Look at what is declared of all of them. An issuer may be there more than once, each time for another audience.

    Raises:
        SettingsError: what is declared of one contradicts itself, or is not safe; names it and the key.
    """
    found: set[tuple[str, str]] = set()
    for place, issuer in enumerate(issuers):
        where = f"issuer[{place}] ({issuer.issuer})"
        try:
            _check(issuer)
        except ValueError as error:
            raise SettingsError(f"{where}: {error}", field="issuer") from None
        if (issuer.issuer, issuer.audience) in found:
            raise SettingsError(f"{where}: expected it once for an audience, got it twice", field="issuer")
        found.add((issuer.issuer, issuer.audience))


def is_url(jwks: str) -> bool:
    """Whether that is where keys are fetched from; otherwise it is a file."""
    return "://" in jwks


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == _LOOPBACK_NAME


def _check(issuer: Issuer) -> None:
    if not issuer.algorithms:
        raise ValueError("algorithms: expected at least one of EdDSA, RS256 and HS256, got none")
    if "HS256" in issuer.algorithms:
        if set(issuer.algorithms) != {"HS256"}:
            raise ValueError(
                "algorithms: expected HS256 alone, got it beside others: whoever knows a public key could sign with it"
            )
        if issuer.secret_file is None or issuer.jwks is not None:
            raise ValueError("secret_file: expected the file of the secret, and no jwks, since it is for HS256")
    elif issuer.jwks is None or issuer.secret_file is not None:
        raise ValueError("jwks: expected a file or an URL of public keys, and no secret_file, which is for HS256")
    if issuer.jwks is not None and is_url(issuer.jwks):
        _check_url(issuer.jwks)
    elif issuer.jwks_ca is not None:
        raise ValueError("jwks_ca: expected none, since jwks is not an https URL")
    _check_roles(issuer)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("jwks: expected an https URL, got one that cannot be read") from None
    if not host or port == 0 or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("jwks: expected an https URL with a host, in ASCII without spaces")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("jwks: expected an URL without a login and a fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError(
            f"jwks: expected https, got {parts.scheme} to {host}: on the way anybody could exchange the keys; http is "
            "for localhost, 127.0.0.0/8 and ::1 alone"
        )


def _check_roles(issuer: Issuer) -> None:
    for role in issuer.roles:
        if role not in CALLER_ROLES:
            raise ValueError(f"roles: expected some of {', '.join(CALLER_ROLES)}, got {role!r}")
    if not issuer.roles:
        raise ValueError(f"roles: expected some of {', '.join(CALLER_ROLES)}, got none")
    if issuer.role is not None and issuer.role not in issuer.roles:
        raise ValueError(f"role: expected one of its roles ({', '.join(issuer.roles)}), got {issuer.role!r}")
