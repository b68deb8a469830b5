"""Certificates made and read: a private CA, what it signs, and until when one is good."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFETIME: Final = timedelta(days=365)
LIFETIME: Final = timedelta(days=90)
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_SIGNS: Final = {"key_cert_sign": True, "crl_sign": True}
_USES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM. The key is never shown."""

    cert: bytes
    key: bytes = field(repr=False)


class Authority:
    """A CA that signs with an elliptic key (P-256).

    Args:
        pair: Its certificate and key.

    Raises:
        ValueError: these are none, or not of each other.
    """

    def __init__(self, pair: Pair) -> None:
        key = serialization.load_pem_private_key(pair.key, password=None)
        self._cert = x509.load_pem_x509_certificate(pair.cert)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != self._cert.public_key():
            raise ValueError("the key is not that of the certificate")
        self._key = key
        self.pair = pair

    @classmethod
    def fresh(cls, name: str, now: datetime, lifetime: timedelta = CA_LIFETIME) -> Authority:
        """A new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _begun(_named(name), key.public_key(), now, now + lifetime).issuer_name(_named(name))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(**_SIGNS), critical=True)
        return cls(_pair(builder.sign(key, hashes.SHA256()), key))

    @property
    def expires(self) -> datetime:
        """Until when it is good."""
        return self._cert.not_valid_after_utc

    def issue(
        self,
        name: str,
        now: datetime,
        *,
        hosts: tuple[str, ...] = (),
        uris: tuple[str, ...] = (),
        server: bool = False,
        client: bool = False,
        lifetime: timedelta = LIFETIME,
    ) -> Pair:
        """A new certificate, and its key; good for no longer than the CA itself.

        Args:
            name: Whose it is.
            now: From when on it is good.
            hosts: The names and addresses that it is made out to.
            uris: The URIs that it is made out to, as those of SPIFFE.
            server: Whether to be a server with it.
            client: Whether to be a client with it.
            lifetime: For how long it is good.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _begun(_named(name), key.public_key(), now, min(now + lifetime, self.expires))
        builder = builder.issuer_name(self._cert.subject)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(digital_signature=True), critical=True)
        uses = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        if hosts or uris:
            names = [*map(_alternative, hosts), *map(x509.UniformResourceIdentifier, uris)]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _pair(builder.sign(self._key, hashes.SHA256()), key)


def expires(pem: bytes) -> datetime:
    """Until when the first certificate of a file is good. Raises ValueError where there is none."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


@dataclass(frozen=True, slots=True)
class Named:
    """Whom a certificate is made out to.

    Attributes:
        names: Its DNS names and URIs (subjectAltName), in the order in which it has them. The common name is none.
        starts: From when on it is good.
        expires: Until when it is good.
        fingerprint: The SHA-256 of it, in hex.
    """

    names: tuple[tuple[Literal["dns", "uri"], str], ...]
    starts: datetime
    expires: datetime
    fingerprint: str


def named(pem: bytes) -> Named:
    """Whom the first certificate of a text is made out to. Raises ValueError where there is none, or a broken one."""
    found = x509.load_pem_x509_certificate(pem)
    try:
        alternatives = list(found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        alternatives = []
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(f"its names cannot be read ({error})") from None
    names: list[tuple[Literal["dns", "uri"], str]] = []
    for each in alternatives:
        if isinstance(each, x509.DNSName):
            names.append(("dns", each.value))
        elif isinstance(each, x509.UniformResourceIdentifier):
            names.append(("uri", each.value))
    fingerprint = found.fingerprint(hashes.SHA256()).hex()
    return Named(tuple(names), found.not_valid_before_utc, found.not_valid_after_utc, fingerprint)


def _begun(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(min(now, until) - _CLOCKS_DIFFER).not_valid_after(until)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(**wanted: bool) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: wanted.get(use, False) for use in _USES})


def _pair(cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return Pair(cert.public_bytes(serialization.Encoding.PEM), secret)
