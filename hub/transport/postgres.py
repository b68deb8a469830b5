"""How to speak TLS with PostgreSQL, by what its URL says: for whoever in the hub connects to it."""

from __future__ import annotations

import os
import ssl
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from hub.transport.tls import Tls

_VERIFIED: Final = ("require", "verify-full")


def tls_of(url: str, ca: str | None) -> ssl.SSLContext | None:
    """How to speak TLS with the server that a URL names; None leaves that to the driver.

    Where the URL wants TLS (`sslmode`), the server's certificate and its name are verified: `require`, which the tools
    of PostgreSQL take for encryption with whomever it may be, is taken for `verify-full`.

    Args:
        url: Where it is, and how to log in.
        ca: The file of the CAs that its certificate may be from, where the URL names none (`sslrootcert`); then TLS is
            wanted even where the URL does not say so. None takes those that the machine trusts.

    Raises:
        Unusable: a file that is named cannot be used.
    """
    try:
        query = dict(parse_qsl(urlsplit(url).query))
    except ValueError:
        return None
    mode = query.get("sslmode") or os.environ.get("PGSSLMODE") or ("verify-full" if ca else "")
    if mode not in _VERIFIED:
        return None
    return Tls(ca=query.get("sslrootcert") or ca, cert=query.get("sslcert"), key=query.get("sslkey")).context()
