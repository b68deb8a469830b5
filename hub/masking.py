"""Keeping secrets out of what is shown: passwords in URLs, keys, tokens, and whatever goes by a secret's name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MASK: Final = "***"

_SECRET_WORD = re.compile(
    r"passwd|password|passphrase|pwd|token|seed|secret|authorization|credential|creds|jwt|cookie|"
    r"api_?key|private_?key|access_?key",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"""(?<![\w-])([\w-]{0,40}?(?:passwd|password|passphrase|pwd|token|seed|secret|credential|jwt|api_?key)[\w-]{0,20}"""
    r"""(?:=|["']\s*:\s*)["']?)[^\s"'&;,]+""",
    re.IGNORECASE,
)
"""`password=...` as in the query of a URL, and `"password": "..."` as in JSON or the text of a mapping."""
_HEADER = re.compile(r"\b(bearer|authorization: ?\w+) [\w.~+/=-]{8,}", re.IGNORECASE)
_KEY_OR_JWT = re.compile(r"(?<![\w-])(?:S[ACNOUX][A-Z2-7]{56}(?!\w)|eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?)")
"""An nkey seed (S, kind, 56 characters of base32), or a JSON web token."""
_API_KEY = re.compile(r"(?<![0-9A-Za-z])(hk_[0-9A-Za-z]{10}_)[\w-]{8,}")
"""An API key, of which the id may be shown."""
_RUN = re.compile(r"(\s+|,(?=[a-zA-Z][\w+.-]*://))")


def is_secret_name(name: str) -> bool:
    """Whether what goes by this name must never be shown."""
    return _SECRET_WORD.search(name.replace("-", "_")) is not None


def mask(text: str) -> str:
    """The text without the secrets that can be told by their form; everything else in it stays.

    Masked are the password of a URL (the whole login where it is a lone token, as NATS has it), `password=...` and its
    like, bearer tokens, nkey seeds, JSON web tokens, and the secret of API keys. Where a URL is ambiguous, rather too
    much is masked.
    """
    if "://" in text and "@" in text:
        text = "".join(_mask_url(run) for run in _RUN.split(text))
    if "=" in text or ":" in text:
        text = _NAMED.sub(rf"\1{MASK}", text)
    if " " in text:
        text = _HEADER.sub(rf"\1 {MASK}", text)
    if "hk_" in text:
        text = _API_KEY.sub(rf"\1{MASK}", text)
    return _KEY_OR_JWT.sub(MASK, text)


def _mask_url(run: str) -> str:
    """Mask the login in one run of characters without space. A password may itself hold `@`, `/` or `:`."""
    scheme, found, rest = run.partition("://")
    login, at, host = rest.rpartition("@")
    if not found or not at:
        return run
    user, colon, _ = login.partition(":")
    if "/" in user:
        return run  # the `@` belongs to the path: http://host/@someone
    shown = f"{user}:{MASK}" if colon else MASK
    return f"{scheme}://{shown}@{host}"


def secrets_of(url: str) -> list[str]:
    """What in a URL must not be shown: its password, and what its query says under a secret's name."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]
    return [parts.password or "", *(value for name, value in parse_qsl(parts.query) if is_secret_name(name))]


def spellings(secrets: Iterable[str]) -> list[str]:
    """Every way in which secrets of a URL may be spelled, the longest first; empty ones are none."""
    found = {each for secret in secrets if secret for each in (secret, unquote(secret), quote(secret, safe=""))}
    return sorted(found, key=len, reverse=True)


def hidden(text: str, spelled: Sequence[str]) -> str:
    """The text without these."""
    for secret in spelled:
        text = text.replace(secret, MASK)
    return text
