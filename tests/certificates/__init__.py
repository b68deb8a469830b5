"""Certificates for tests, made by make.sh. What is in this folder protects nothing."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
CA: Final = _HERE / "ca.pem"
"""Whom to trust in order to trust the others."""
GOOD: Final = _HERE / "good.pem"
"""Made out to service.test, localhost and this machine; with its key, as the following are."""
EXPIRED: Final = _HERE / "expired.pem"
SELF_SIGNED: Final = _HERE / "self-signed.pem"


def serving(certificate: Path) -> ssl.SSLContext:
    """What a server with this certificate speaks TLS by."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
