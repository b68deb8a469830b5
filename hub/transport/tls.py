"""TLS as everything here speaks it: 1.2 or newer, and the other side's certificate verified, chain and name.

There is no argument by which that could be left out.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import partial
from typing import Final

OLDEST: Final = ssl.TLSVersion.TLSv1_2

_END: Final = "-----END CERTIFICATE-----"
_EXPIRED: Final = 10
_NOT_YET: Final = 9
_OTHER_NAME: Final = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_WANTED: Final = ("certificate required", "handshake failure", "bad certificate")
_REFUSED: Final = ("unknown ca", "certificate unknown", "certificate expired", "unsupported certificate")


class Unusable(OSError):
    """A file of certificates or keys cannot be used; the text names it, and says why."""


class NoTls(OSError):
    """The server speaks no TLS, and is not spoken to without."""


class Refused(OSError):
    """The server takes our certificate for none, or wants one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Whom to trust, and as whom to come. Anything given asks for TLS, whatever the URL says.

    The files are read at each handshake, so that a certificate that was renewed is used from the next one on.

    Attributes:
        ca: The file (PEM) of the CAs that are trusted, in place of those of the machine.
        cert: The file (PEM) of our own certificate, with those between it and its CA.
        key: The file (PEM) of its key; None where it is in `cert`.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __bool__(self) -> bool:
        """Whether anything is given."""
        return bool(self.ca or self.cert or self.key)

    def check(self) -> None:
        """Raise Unusable where one of the files cannot be used."""
        self.context()

    def context(self) -> ssl.SSLContext:
        """How to speak TLS as a client.

        Raises:
            Unusable: one of the files cannot be used.
        """
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=read_ca(self.ca) if self.ca else None)
        context.minimum_version = OLDEST
        if self.cert:
            load_pair(context, self.cert, self.key)
        elif self.key:
            raise Unusable(f"TLS: a key is given ({self.key}), and no certificate that it is for")
        return context


class Chain:
    """What a server shows, to be exchanged while it serves: each connection takes what there is when it comes.

    Args:
        cert, key, client_ca, required: As in `serving`.

    Attributes:
        context: How to speak TLS now.

    Raises:
        Unusable: one of the files cannot be used.
    """

    def __init__(self, cert: str, key: str, *, client_ca: str | None = None, required: bool = True) -> None:
        self._read = partial(serving, cert, key, client_ca=client_ca, required=required)
        self.context = self._read()

    def take(self) -> None:
        """Show what is in the files now. Raises Unusable, and leaves what there was."""
        self.context = self._read()


def serving(cert: str, key: str, *, client_ca: str | None = None, required: bool = True) -> ssl.SSLContext:
    """How to speak TLS as a server, of HTTP.

    Args:
        cert: The file of the certificate, with those between it and its CA.
        key: The file of its key.
        client_ca: The file of the CAs whose certificates clients may come with; None asks for none.
        required: Whether clients must come with one.

    Raises:
        Unusable: one of the files cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=read_ca(client_ca) if client_ca else None)
    context.minimum_version = OLDEST
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    load_pair(context, cert, key)
    return context


def load_pair(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    """Come with this certificate. Raises Unusable, naming the file that is wrong."""
    for path in filter(None, (cert, key)):
        _read(path)
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise Unusable(f"TLS: the key in {key or cert} is not that of the certificate in {cert}") from None
        raise Unusable(
            f"TLS: expected a certificate and its key (PEM) in {cert if key is None else f'{cert} and {key}'}, "
            f"got something else ({_reason(error)})"
        ) from None
    except ValueError:
        raise Unusable(f"TLS: the key in {key or cert} is encrypted: give one without a password") from None


def explain(error: BaseException, host: str = "") -> str | None:
    """What is wrong with the certificates of a connection, and what to do; None where that is not what is wrong.

    Args:
        error: What the connection failed with.
        host: Whom we wanted to reach; empty where that is not known.
    """
    if isinstance(error, Unusable | NoTls | Refused):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _unverified(error, host)
    if not isinstance(error, ssl.SSLError):
        return None
    said = _reason(error)
    if any(word in said for word in _WANTED):
        return f"TLS: the server wants a certificate of the client, or another ({said}): name its file and its key's"
    if any(word in said for word in _REFUSED):
        return f"TLS: the server does not take the client's certificate ({said}): use one of the CA that it trusts"
    return f"TLS: no handshake ({said}): does the other side speak TLS 1.2 or newer there?"


def _unverified(error: ssl.SSLCertVerificationError, host: str) -> str:
    of = f"the certificate of {host}" if host else "the server's certificate"
    if error.verify_code == _EXPIRED:
        return f"TLS: {of} has expired: have it renewed there"
    if error.verify_code == _NOT_YET:
        return f"TLS: {of} is not valid yet: look at the clocks of both machines"
    if error.verify_code in _OTHER_NAME:
        return (
            f"TLS: {of} is made out to another host ({error.verify_message}): connect by a name that is in it, "
            "or have this name put into it"
        )
    return (
        f"TLS: {of} is from a CA that is not trusted here ({error.verify_message}): name the file of its CA, "
        "if it should be trusted"
    )


def _reason(error: ssl.SSLError) -> str:
    """What OpenSSL says, in words."""
    return (getattr(error, "reason", None) or str(error)).replace("_", " ").lower()


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="ignore") as file:  # bundles have comments in any charset
            return file.read()
    except OSError as error:
        raise Unusable(f"TLS: {path} cannot be read ({error.strerror})") from None


def read_ca(path: str) -> str:
    """The certificates (PEM) in a file of CAs. Raises Unusable where there are none."""
    text = _read(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise Unusable(f"TLS: expected certificates of CAs (PEM) in {path}, got something else") from None
    return text


def leaf(path: str) -> bytes:
    """The first certificate (PEM) in a file, in DER. Raises Unusable where there is none."""
    _, found, rest = _read(path).partition("-----BEGIN CERTIFICATE-----")
    try:
        if found:
            return ssl.PEM_cert_to_DER_cert(found + rest.partition(_END)[0] + _END)
    except ValueError:
        pass
    raise Unusable(f"TLS: expected a certificate (PEM) in {path}, got something else")


def _no_password() -> bytes:
    """OpenSSL would ask for it on the terminal."""
    raise ValueError("encrypted")
