"""Whom a client certificate is of."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from hub.certificates import Authority
from hub.errors import SettingsError, Unauthenticated
from hub.identity.certificates import CertificateVerifier, Kind, Pattern
from hub.identity.proof import Presented, Proof
from hub.settings.access import Certificate
from tests.unit.identity.making import often

MADE = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
NOW = MADE.timestamp() + 60
AUTHORITY = Authority.fresh("ca", MADE)


def pem(*hosts: str, uris: tuple[str, ...] = (), name: str = "engine.svc.test") -> str:
    return AUTHORITY.issue(name, MADE, hosts=hosts, uris=uris, client=True).cert.decode()


def proof(certificate: str, *entries: Certificate, now: float = NOW) -> Proof:
    return CertificateVerifier(entries).prove(certificate, now, host="10.0.0.7")


def refused(certificate: str, *entries: Certificate, now: float = NOW) -> str:
    with pytest.raises(Unauthenticated) as caught:
        proof(certificate, *entries, now=now)
    return caught.value.message


def service(san: str = "*.svc.test", **more: Any) -> Certificate:
    return Certificate(san=san, role="service", **more)


def test_what_the_star_stands_for_is_the_name() -> None:
    certificate = pem("engine.svc.test")
    found = proof(certificate, service())
    der = x509.load_pem_x509_certificate(certificate.encode()).public_bytes(Encoding.DER)
    assert str(found.caller) == "service:engine"
    assert found.caller.host == "10.0.0.7"
    assert found.credential == f"certificate:{hashlib.sha256(der).hexdigest()}"
    assert found.expires == (MADE + timedelta(days=90)).timestamp()
    assert found.scopes is None


def test_a_name_that_is_given_is_the_name() -> None:
    assert (
        str(proof(pem("ada.people.test"), Certificate(san="ada.people.test", role="operator", name="ada")).caller)
        == "operator:ada"
    )


def test_a_uri_names_a_caller_too() -> None:
    certificate = pem(uris=("spiffe://prod.test/ns/trading/sa/engine",))
    assert (
        str(proof(certificate, service("spiffe://prod.test/ns/*/sa/engine", name="engine")).caller) == "service:engine"
    )
    assert str(proof(certificate, service("spiffe://prod.test/ns/trading/sa/*")).caller) == "service:engine"
    assert str(proof(certificate, service("spiffe://prod.test/ns/*/sa/*")).caller) == "service:trading", (
        "the first star"
    )


def test_the_common_name_is_none() -> None:
    assert "made out to no DNS name and no URI" in refused(pem(name="engine.svc.test"), service())
    assert "made out to 'other.test'" in refused(pem("other.test", name="engine.svc.test"), service())


def test_an_address_is_none() -> None:
    assert "no DNS name and no URI" in refused(pem("10.0.0.7"), service("*.0.0.7"))


def test_the_first_entry_that_fits_decides_even_where_it_leads_to_nothing() -> None:
    certificate = pem("api.svc.test", "engine.svc.test")
    reader, engine = Certificate(san="*.svc.test", role="reader"), service("engine.svc.test", name="engine")
    assert str(proof(certificate, reader, engine).caller) == "reader:api"
    assert str(proof(certificate, engine, reader).caller) == "service:engine"
    assert "no name of a service" in refused(pem("under_score.svc.test"), service(), reader)
    assert "no name of a service" in refused(pem("hub.svc.test"), service(), reader), "which is reserved"


def test_of_several_names_that_fit_an_entry_the_first_in_the_certificate_is_taken() -> None:
    assert proof(pem("a.svc.test", "b.svc.test"), service()).caller.name == "a"
    assert proof(pem("b.svc.test", "a.svc.test"), service()).caller.name == "b"


def test_dns_names_know_no_upper_case_and_uris_do() -> None:
    assert proof(pem("Engine.SVC.test"), service("*.svc.TEST")).caller.name == "engine"
    assert "none of these is declared" in refused(pem(uris=("spiffe://a/SA/engine",)), service("spiffe://a/sa/*"))


@pytest.mark.parametrize(
    "name",
    [
        "*.svc.test",
        "engine..svc.test",
        "x.engine.svc.test",
        "svc.test",
        ".svc.test",
        "engine.svc.test.",
        "engine.svc.test.evil.test",
        "engine.svcxtest",
    ],
)
def test_a_star_stands_for_one_label_and_no_more_and_no_less(name: str) -> None:
    builder = x509.SubjectAlternativeName([x509.DNSName(name)])
    certificate = _with(builder)
    assert "none of these is declared" in refused(certificate, service())


def test_a_uri_is_no_dns_name_and_the_other_way_round() -> None:
    assert "none of these" in refused(pem(uris=("engine.svc.test",)), service())
    assert Pattern.of("a:*").match("dns", "a:b") is None


def test_a_name_with_a_nul_in_it_fits_nothing() -> None:
    certificate = _with(
        x509.SubjectAlternativeName(
            [x509.DNSName("engine\0x.svc.test"), x509.UniformResourceIdentifier("spiffe://a/sa/x\0y")]
        )
    )
    assert "none of these is declared" in refused(certificate, service(), service("spiffe://a/sa/*"))


def _with(extension: x509.ExtensionType) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.x509.oid import NameOID

    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, MADE, MADE + timedelta(days=1))
    return (
        builder.add_extension(extension, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    )


def test_a_certificate_counts_from_its_first_moment_to_its_last() -> None:
    certificate = pem("engine.svc.test")
    ends = (MADE + timedelta(days=90)).timestamp()
    assert proof(certificate, service(), now=ends - 1)
    assert "it expired at 2027-04-15 08:00 UTC" in refused(certificate, service(), now=ends)
    assert "good from 2027-01-15 07:55 UTC on" in refused(certificate, service(), now=MADE.timestamp() - 301)


def test_of_a_chain_the_first_is_looked_at() -> None:
    chain = pem("engine.svc.test") + pem("other.svc.test")
    assert proof(chain, service()).caller.name == "engine"


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "x" * 70_000, "\ud800"]
)
def test_what_is_no_certificate_is_refused(text: str) -> None:
    assert "certificate: expected" in refused(text, service())


async def test_where_none_is_presented_another_may_know() -> None:
    verifier = CertificateVerifier([service()])
    assert await verifier.verify(Presented(via="http"), NOW) is None
    found = await verifier.verify(Presented(via="http", certificate=pem("engine.svc.test"), host="h"), NOW)
    assert found is not None
    assert found.caller.name == "engine"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (service("**.test"), "san: expected one `*`"),
        (service("*a*.test"), "san: expected one `*`"),
        (service("spiffe://a/*b*"), "san: expected one `*`"),
        (service("a b"), "san: expected a DNS name or a URI"),
        (service("a..b"), "san: expected a DNS name or a URI"),
        (service(".*"), "san: expected a DNS name or a URI"),
        (service("a/*"), "san: expected a DNS name or a URI"),
        (service("*://a/b"), "san: expected the scheme of the URI without"),
        (service("*:a"), "san: expected the scheme of the URI without"),
        (service("spiffe://ä/*"), "san: expected a URI in ASCII"),
        (Certificate(san="*.test", role="root"), "role: expected one of"),
        (service("engine.test"), "name: expected one, since there is no `*`"),
        (service("engine.test", name="Engine"), "name: expected the name of a service"),
        (Certificate(san="a.test", role="reader", name="a b"), "name: expected the name of a reader"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_by_key(entry: Certificate, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        CertificateVerifier([service(), entry])
    assert caught.value.message.startswith(f"certificate[1] ({entry.san}): ")
    assert why in caught.value.message


# --- against a reference that knows nothing of regular expressions


def naive(kind: Kind, pattern: str, name: str) -> tuple[str, ...] | None:
    """What each star stands for, label by label, and segment by segment."""
    if kind == "dns":
        return _parts(pattern.lower().split("."), name.lower().split("."))
    if not name.startswith("spiffe://"):
        return None
    (host, *path), (named, *segments) = (text.removeprefix("spiffe://").split("/") for text in (pattern, name))
    first, rest = _parts(host.split("."), named.split(".")), _parts(path, segments)
    return None if first is None or rest is None else first + rest


def _parts(patterns: list[str], names: list[str]) -> tuple[str, ...] | None:
    found: list[str] = []
    if len(patterns) != len(names):
        return None
    for pattern, name in zip(patterns, names, strict=True):
        if "*" not in pattern:
            if pattern != name:
                return None
            continue
        begin, end = pattern.split("*")
        if len(name) <= len(begin) + len(end) or not name.startswith(begin) or not name.endswith(end):
            return None
        found.append(name[len(begin) : len(name) - len(end)])
    return tuple(found)


_label = st.text("ab-", min_size=1, max_size=3)
_starred = (
    st.tuples(st.text("ab-", max_size=2), st.sampled_from(("*", "")), st.text("ab-", max_size=2))
    .map("".join)
    .filter(bool)
)


def _joined(part: st.SearchStrategy[str], by: str) -> st.SearchStrategy[str]:
    return st.lists(part, min_size=1, max_size=3).map(by.join)


@given(_joined(_starred, "."), _joined(_label, "."))
@often(200)
def test_dns_names_are_matched_as_the_reference_has_it(pattern: str, name: str) -> None:
    assert Pattern.of(pattern).match("dns", name) == naive("dns", pattern, name)


@given(_joined(_label, "."), st.data())
@often(150)
def test_a_pattern_that_was_made_of_a_name_fits_it(name: str, data: st.DataObject) -> None:
    labels = name.split(".")
    place = data.draw(st.integers(0, len(labels) - 1))
    start = data.draw(st.integers(0, len(labels[place]) - 1))
    end = data.draw(st.integers(start + 1, len(labels[place])))
    taken, labels[place] = labels[place][start:end], f"{labels[place][:start]}*{labels[place][end:]}"
    pattern = ".".join(labels)
    assert Pattern.of(pattern).match("dns", name) == (taken,) == naive("dns", pattern, name)


@given(_starred, _joined(_starred, "/"), _label, _joined(st.text("ab.-", max_size=3), "/"))
@often(200)
def test_uris_are_matched_as_the_reference_has_it(host: str, path: str, named: str, segments: str) -> None:
    pattern, name = f"spiffe://{host}/{path}", f"spiffe://{named}/{segments}"
    assert Pattern.of(pattern).match("uri", name) == naive("uri", pattern, name)
