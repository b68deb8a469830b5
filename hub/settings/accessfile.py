"""Reading `access.toml`: who may come in, and what of the services they may see. Every mistake is told at once."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, structs

from hub.errors import SettingsError
from hub.settings.access import AccessFile, Allow, Certificate, Identity, Issuer
from hub.settings.load import read_toml
from hub.wire.names import is_instance_id, is_service_name
from hub.wire.roles import CALLER_ROLES, is_caller_name
from hub.wire.subjects import is_reserved

NAME: Final = "access.toml"
"""What it is called in the folder of static files."""

_KINDS: Final = ("identity", "issuer", "certificate", "allow")
_USER_KEY: Final = 20 << 3
"""The first byte of the public nkey of a user, which makes it begin with `U`."""
_SERVICES: Final = re.compile(r"[a-z0-9*-]{1,128}")
_DATABASES: Final = re.compile(r"[A-Za-z0-9_*-]{1,128}")
_WHO: Final = "expected callers as in 'service:api-*' or 'external:partner'"

_Entry = TypeVar("_Entry", bound=Struct)
_Entries = Mapping[str, Sequence[tuple[str, Any]]]


def load(path: str | Path) -> AccessFile:
    """What the file declares; nothing where there is none.

    Raises:
        SettingsError: it cannot be read, or is not as expected. The message names the file and, of each mistake, the
            line where its entry begins and the key, what was expected there, and what there is.
    """
    path = Path(path)
    if not path.exists():
        return AccessFile()
    table, text = read_toml(path)
    reading = _Reading(text)
    identities = reading.entries(table, "identity", Identity)
    issuers = reading.entries(table, "issuer", Issuer)
    certificates = reading.entries(table, "certificate", Certificate)
    allows = reading.entries(table, "allow", Allow)
    reading.unknown(table)
    entries: _Entries = {"identity": identities, "issuer": issuers, "certificate": certificates, "allow": allows}
    for name, each in entries.items():
        for place, entry in each:
            reading.mistakes += (f"{place}: {mistake}" for mistake in _CHECKS[name](entry))
    reading.mistakes += _repeated(entries)
    if reading.mistakes:
        raise SettingsError(f"{path}: {'; '.join(reading.mistakes)}")
    return AccessFile(
        identity=tuple(entry for _, entry in identities),
        issuer=tuple(entry for _, entry in issuers),
        certificate=tuple(entry for _, entry in certificates),
        allow=tuple(entry for _, entry in allows),
    )


def is_user_nkey(text: str) -> bool:
    """Whether this is the public nkey of a user: base32 of its kind, 32 bytes, and their CRC-16."""
    try:
        raw = base64.b32decode(text, casefold=False)
    except (binascii.Error, ValueError):
        return False
    body, checksum = raw[:-2], int.from_bytes(raw[-2:], "little")
    return len(raw) == 35 and raw[0] == _USER_KEY and binascii.crc_hqx(body, 0) == checksum


class _Reading:
    """Turns tables into entries, and gathers what is wrong with their types."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.mistakes: list[str] = []

    def entries(self, table: dict[str, Any], name: str, kind: type[_Entry]) -> list[tuple[str, _Entry]]:
        """The entries of one kind, each with its place. One with a mistake is left out."""
        given = table.get(name, [])
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            self.mistakes.append(f"{name}: expected [[{name}]] entries, got {_shown(given)}")
            return []
        places = self._places(name, len(given))
        found = []
        for place, each in zip(places, given, strict=True):
            mistakes = list(_mistyped(each, kind))
            self.mistakes += (f"{place}: {mistake}" for mistake in mistakes)
            if not mistakes:
                found.append((place, msgspec.convert(each, kind)))
        return found

    def unknown(self, table: dict[str, Any]) -> None:
        """Tell of keys that mean nothing."""
        self.mistakes += (f"unknown key {key}{_near(key, _KINDS)}" for key in table if key not in _KINDS)

    def _places(self, name: str, count: int) -> list[str]:
        """Where the entries are: the line of each heading, as far as each has one of its own."""
        heading = re.compile(rf"[ \t]*\[\[[ \t]*{name}[ \t]*\]\]")
        lines = [number for number, line in enumerate(self._text.split("\n"), 1) if heading.match(line)]
        if len(lines) != count:
            return [f"{name}[{index}]" for index in range(count)]
        return [f"line {line}, [[{name}]]" for line in lines]


def _mistyped(given: dict[str, Any], kind: type[Struct]) -> Iterator[str]:
    """What of an entry is unknown, missing, or of another type."""
    hints = get_type_hints(kind, include_extras=True)
    for key in given:
        if key not in hints:
            yield f"unknown key {key}{_near(key, hints)}"
    for field in structs.fields(kind):
        if field.name not in given:
            if field.required:
                yield f"{field.name}: expected a value, got none (it is required)"
            continue
        try:
            msgspec.convert(given[field.name], hints[field.name])
        except msgspec.ValidationError as error:
            yield f"{field.name}: {_words(str(error), field.name, given[field.name])}"


def _words(complaint: str, key: str, value: object) -> str:
    complaint, _, place = complaint.partition(" - at ")
    expected = complaint.partition(", got ")[0].replace("`", "").removeprefix("Expected ").removeprefix("Invalid ")
    expected = expected.replace("array", "a list").replace("str of length >= 1", "a text that is not empty")
    expected = "a text" if expected == "str" else expected
    expected = f"one of {', '.join(_ALGORITHMS)}" if expected.startswith("enum value") else expected
    inside = " in it" if "[" in place else ""
    return f"expected {expected}{inside}, got {'something else' if key == 'nkey' else _shown(value)}"


_ALGORITHMS: Final = ("EdDSA", "RS256", "HS256")


# --- what an entry means


def _identity(entry: Identity) -> Iterator[str]:
    yield from _role("role", entry.role)
    yield from _name(entry.role, entry.name)
    if entry.instance is not None:
        if entry.role != "service":
            yield f"instance: expected none for the role {entry.role!r}, since only services have instances"
        elif not is_instance_id(entry.instance):
            yield f"instance: expected 1..64 of A-Z, a-z, 0-9, _ and -, got {_shown(entry.instance)}"
    if entry.nkey.startswith("S"):
        yield "nkey: expected the public half (U...), got what looks like the seed: that is for its owner alone"
    elif not is_user_nkey(entry.nkey):
        yield "nkey: expected the public nkey of a user, U and 55 of A-Z and 2-7, got none of these"


def _issuer(entry: Issuer) -> Iterator[str]:
    symmetric = "HS256" in entry.algorithms
    if not entry.algorithms:
        yield f"algorithms: expected at least one of {', '.join(_ALGORITHMS)}, got none"
    elif symmetric and len(set(entry.algorithms)) > 1:
        yield "algorithms: expected HS256 alone: with a public key beside it, that key would pass for the shared secret"
    if symmetric:
        if entry.jwks is not None:
            yield "jwks: expected none with HS256, whose secret is in secret_file"
        if entry.secret_file is None:
            yield "secret_file: expected the file with the shared secret of HS256, got none"
    elif entry.algorithms:
        if entry.secret_file is not None:
            yield f"secret_file: expected none with {', '.join(entry.algorithms)}, whose keys are in jwks"
        if entry.jwks is None:
            yield "jwks: expected a file or an https URL with the public keys, got none"
    if entry.jwks is not None:
        yield from _jwks(entry.jwks)
    if entry.jwks_ca is not None and not (entry.jwks or "").startswith("https://"):
        yield "jwks_ca: expected none, since jwks is no https URL"
    if not entry.roles:
        yield "roles: expected at least one, got none"
    for role in entry.roles:
        yield from _role("roles", role)
    if entry.role is not None:
        yield from _role("role", entry.role)
        if entry.role in CALLER_ROLES and entry.role not in entry.roles:
            yield f"role: expected one of roles ({', '.join(entry.roles)}), got {entry.role!r}"


def _jwks(jwks: str) -> Iterator[str]:
    if "://" not in jwks:
        return
    try:
        url = urlsplit(jwks)
        secure = url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.hostname or ""))
        good = secure and bool(url.hostname) and "@" not in url.netloc
    except ValueError:
        good = False
    if not good:
        yield "jwks: expected a file, or an https URL without a login (http for a host that is loopback), got another"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _certificate(entry: Certificate) -> Iterator[str]:
    yield from _role("role", entry.role)
    if entry.name is not None:
        yield from _name(entry.role, entry.name)
    elif "*" not in entry.san:
        yield "name: expected a name, or a * in san for it, got neither"


def _allow(entry: Allow) -> Iterator[str]:
    if not entry.who:
        yield f"who: {_WHO}, got none"
    for who in entry.who:
        role, colon, _ = who.partition(":")
        if role not in CALLER_ROLES and (colon or "*" not in who):
            yield f"who: {_WHO}, with a role of {', '.join(CALLER_ROLES)}, got {_shown(who)}"
    given = {"discover": entry.discover, "config": entry.config, "lease": entry.lease}
    if not any(given.values()):
        yield f"expected at least one of {', '.join(given)}, got none: it allows nothing"
    for key, patterns in given.items():
        pattern = _DATABASES if key == "lease" else _SERVICES
        what = "databases" if key == "lease" else "services"
        for each in patterns:
            if not pattern.fullmatch(each):
                yield f"{key}: expected names of {what}, with * for any characters, got {_shown(each)}"


_CHECKS: Final[dict[str, Callable[[Any], Iterator[str]]]] = {
    "identity": _identity,
    "issuer": _issuer,
    "certificate": _certificate,
    "allow": _allow,
}


def _role(key: str, role: str) -> Iterator[str]:
    if role not in CALLER_ROLES:
        yield f"{key}: expected one of {', '.join(CALLER_ROLES)}, got {_shown(role)}{_near(role, CALLER_ROLES)}"


def _name(role: str, name: str) -> Iterator[str]:
    if role != "service":
        if not is_caller_name(name):
            yield f"name: expected 1..128 printable characters without spaces, got {_shown(name)}"
    elif not is_service_name(name):
        yield f"name: expected a DNS label, 1..63 of a-z, 0-9 and inner '-', got {_shown(name)}"
    elif is_reserved(name):
        yield f"name: expected a name that is not reserved for the hub itself, got {_shown(name)}"


def _repeated(entries: _Entries) -> Iterator[str]:
    """What stands for two at once: nobody could tell which of them comes."""
    keys: dict[str, Callable[[Any], object]] = {
        "identity": lambda entry: entry.nkey,
        "issuer": lambda entry: (entry.issuer, entry.audience),
        "certificate": lambda entry: entry.san,
    }
    words = {"identity": "nkey", "issuer": "issuer and audience", "certificate": "san"}
    for name, key in keys.items():
        first: dict[object, str] = {}
        for place, entry in entries[name]:
            earlier = first.setdefault(key(entry), place)
            if earlier != place:
                yield f"{place}: {words[name]}: expected each once, got that of {earlier} again"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
