"""Client certificates as proofs: by the DNS names and URIs that they are made out to, never by the common name.

Entries of `[[certificate]]` are tried in their order, and the first that any name of the certificate fits decides: its
names in their order, where several fit. What comes later is not looked at, even where the first leads to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, cast

from hub.certificates import named
from hub.errors import SettingsError, Unauthenticated
from hub.identity.proof import Presented, Proof
from hub.settings.access import Certificate
from hub.wire.names import is_service_name
from hub.wire.roles import CALLER_ROLES, Caller, CallerRole, is_caller_name
from hub.wire.subjects import is_reserved

MAX_BYTES: Final = 64 * 1024
"""Bytes of PEM that are looked at: a certificate, and those between it and its CA."""

_LABEL: Final = "[A-Za-z0-9_-]+"
_SEGMENT: Final = "[A-Za-z0-9._~!$&'()*+,;=:@%-]+"
_DNS: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_URI: Final = re.compile(r"[!-~]+")
_SHOWN: Final = 5

Kind = Literal["dns", "uri"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which names an entry is for. `*` stands for one or more characters of a label, or of a segment of a path.

    A pattern with a colon is of URIs, every other one of DNS names, which know no upper and lower case. In a label or
    segment there is one `*` at most, so that what it stands for is never in doubt.

    Attributes:
        kind: What it is for.
        fits: A name of that kind, with what each `*` stands for.
    """

    kind: Kind
    fits: re.Pattern[str]

    @classmethod
    def of(cls, text: str) -> Pattern:
        """The pattern that is written so.

        Raises:
            ValueError: nothing could fit it, or a label or a segment has more than one `*`.
        """
        if any(part.count("*") > 1 for part in re.split("[./]" if ":" not in text else "/", text)):
            raise ValueError(f"san: expected one `*` in a label or segment at most, got {text!r}")
        if ":" not in text:
            if not _DNS.fullmatch(text.replace("*", "x")):
                raise ValueError(f"san: expected a DNS name or a URI, with `*` in it where it may differ, got {text!r}")
            return cls("dns", re.compile(_expression(text, _LABEL), re.IGNORECASE | re.ASCII))
        if not _URI.fullmatch(text):
            raise ValueError(f"san: expected a URI in ASCII without spaces, got {text!r}")
        begin, slashes, rest = text.partition("//")
        authority, slash, path = rest.partition("/") if slashes else ("", "", begin)
        if "*" in begin.partition(":")[0] or ("*" in begin and slashes):
            raise ValueError(f"san: expected the scheme of the URI without `*`, got {text!r}")
        front = re.escape(begin + slashes) + _expression(authority, _LABEL) + slash if slashes else ""
        return cls("uri", re.compile(front + _expression(path, _SEGMENT)))

    def match(self, kind: Kind, name: str) -> tuple[str, ...] | None:
        """What each `*` stands for in a name; None where it does not fit."""
        if kind != self.kind or not (_DNS if kind == "dns" else _URI).fullmatch(name):
            return None
        found = self.fits.fullmatch(name)
        return found.groups() if found else None


class CertificateVerifier:
    """Knows client certificates. To be asked last: one may be there for TLS alone, and another proof beside it.

    Args:
        entries: Whom certificates are of.

    Raises:
        SettingsError: an entry makes no sense; names it and the key.
    """

    def __init__(self, entries: Iterable[Certificate]) -> None:
        self._entries = tuple(_entry(place, entry) for place, entry in enumerate(entries))

    async def verify(self, presented: Presented, now: float) -> Proof | None:
        """See `hub.identity.proof.Verifier`."""
        if presented.certificate is None:
            return None
        return self.prove(presented.certificate, now, host=presented.host)

    def prove(self, pem: str, now: float, *, host: str = "") -> Proof:
        """What a certificate proves that TLS has verified.

        Args:
            pem: The certificate, alone or first.
            now: Seconds since the epoch.
            host: Where it comes from.

        Raises:
            Unauthenticated: nothing; says why.
        """
        if len(pem) > MAX_BYTES:
            raise Unauthenticated(f"certificate: expected at most {MAX_BYTES} bytes, got {len(pem)}")
        try:
            seen = named(pem.encode())
        except (ValueError, UnicodeEncodeError):
            raise Unauthenticated("certificate: expected one in PEM whose names can be read") from None
        if now >= seen.expires.timestamp():
            raise Unauthenticated(f"certificate {seen.fingerprint}: it expired at {seen.expires:%Y-%m-%d %H:%M} UTC")
        if now < seen.starts.timestamp():
            raise Unauthenticated(f"certificate {seen.fingerprint}: good from {seen.starts:%Y-%m-%d %H:%M} UTC on only")
        return Proof(
            caller=self._caller(seen.names, seen.fingerprint, host),
            credential=f"certificate:{seen.fingerprint}",
            expires=seen.expires.timestamp(),
        )

    def _caller(self, names: tuple[tuple[Kind, str], ...], fingerprint: str, host: str) -> Caller:
        for entry, pattern in self._entries:
            for kind, name in names:
                found = pattern.match(kind, name)
                if found is not None:
                    role = cast(CallerRole, entry.role)
                    who = entry.name if entry.name is not None else found[0].lower() if kind == "dns" else found[0]
                    if not _may_be_called(who, role):
                        why = f"{name!a} fits {entry.san!r}, and {who!a} is no name of a {role}"
                        raise Unauthenticated(f"certificate {fingerprint}: {why}")
                    return Caller(role=role, name=who, host=host)
        shown = ", ".join(ascii(name) for _, name in names[:_SHOWN]) or "no DNS name and no URI"
        raise Unauthenticated(f"certificate {fingerprint}: made out to {shown}, and none of these is declared")


def _entry(place: int, entry: Certificate) -> tuple[Certificate, Pattern]:
    try:
        pattern = Pattern.of(entry.san)
        if entry.role not in CALLER_ROLES:
            raise ValueError(f"role: expected one of {', '.join(CALLER_ROLES)}, got {entry.role!r}")
        if entry.name is None and "*" not in entry.san:
            raise ValueError("name: expected one, since there is no `*` in san that could stand for it")
        if entry.name is not None and not _may_be_called(entry.name, entry.role):
            raise ValueError(f"name: expected the name of a {entry.role}, got {entry.name!r}")
    except ValueError as error:
        raise SettingsError(f"certificate[{place}] ({entry.san}): {error}", field="certificate") from None
    return entry, pattern


def _may_be_called(name: str, role: str) -> bool:
    return is_service_name(name) and not is_reserved(name) if role == "service" else is_caller_name(name)


def _expression(text: str, star: str) -> str:
    return f"({star})".join(re.escape(part) for part in text.split("*"))
