"""Whether what is declared of issuers makes sense."""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import SettingsError
from hub.identity.issuers import check
from tests.unit.identity.making import ISS, issuer


def complaint(*declared: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        check(declared)
    return caught.value.message


@pytest.mark.parametrize(
    "changed",
    [
        {"jwks": "keys.json"},
        {"jwks": "/etc/hub/keys.json"},
        {"jwks": "https://issuer.test/.well-known/jwks.json"},
        {"jwks": "https://issuer.test:8443/keys?tenant=a", "jwks_ca": "ca.pem"},
        {"jwks": "http://localhost:8080/keys"},
        {"jwks": "http://127.0.0.1/keys"},
        {"jwks": "http://[::1]:8080/keys"},
        {"roles": ("operator",), "role": "operator"},
    ],
)
def test_what_makes_sense_is_taken(changed: dict[str, Any]) -> None:
    check([issuer(**changed), issuer(("HS256",), audience="other")])


@pytest.mark.parametrize(
    ("algorithms", "changed", "why"),
    [
        ((), {}, "algorithms: expected at least one"),
        (("HS256", "RS256"), {"jwks": None}, "algorithms: expected HS256 alone"),
        (("HS256",), {"secret_file": None}, "secret_file: expected the file of the secret"),
        (("HS256",), {"jwks": "keys.json"}, "secret_file: expected the file of the secret, and no jwks"),
        (("RS256",), {"jwks": None}, "jwks: expected a file or an URL"),
        (("RS256",), {"secret_file": "secret"}, "no secret_file, which is for HS256"),
        (("RS256",), {"jwks_ca": "ca.pem"}, "jwks_ca: expected none"),
        (("RS256",), {"jwks": "http://issuer.test/keys"}, "jwks: expected https, got http to issuer.test"),
        (("RS256",), {"jwks": "http://localhost.evil.test/keys"}, "jwks: expected https"),
        (("RS256",), {"jwks": "http://127.0.0.1.evil.test/keys"}, "jwks: expected https"),
        (("RS256",), {"jwks": "http://0.0.0.0/keys"}, "jwks: expected https"),
        (("RS256",), {"jwks": "http://2130706433/keys"}, "jwks: expected https"),
        (("RS256",), {"jwks": "ftp://localhost/keys"}, "jwks: expected https"),
        (("RS256",), {"jwks": "file:///etc/keys"}, "jwks: expected an https URL with a host"),
        (("RS256",), {"jwks": "https://"}, "jwks: expected an https URL with a host"),
        (("RS256",), {"jwks": "https://a b/keys"}, "jwks: expected an https URL with a host, in ASCII"),
        (("RS256",), {"jwks": "https://a/k\r\nHost: b"}, "jwks: expected an https URL with a host, in ASCII"),
        (("RS256",), {"jwks": "https://issuer.test:0/"}, "jwks: expected an https URL"),
        (("RS256",), {"jwks": "https://issuer.test:99999/"}, "jwks: expected an https URL"),
        (("RS256",), {"jwks": "https://[::1/"}, "jwks: expected an https URL"),
        (("RS256",), {"jwks": "https://user:hidden-word@issuer.test/"}, "without a login"),
        (("RS256",), {"jwks": "https://issuer.test/keys#a"}, "a fragment"),
        (("RS256",), {"roles": ("service", "root")}, "roles: expected some of service, reader"),
        (("RS256",), {"roles": ()}, "roles: expected some of"),
        (("RS256",), {"role": "operator"}, "role: expected one of its roles (service, reader), got 'operator'"),
    ],
)
def test_what_contradicts_itself_or_is_not_safe_is_refused_by_key(
    algorithms: tuple[Any, ...], changed: dict[str, Any], why: str
) -> None:
    said = complaint(issuer(algorithms, **changed))
    assert said.startswith(f"issuer[0] ({ISS}): ")
    assert why in said
    assert "hidden-word" not in said


def test_an_issuer_is_declared_once_for_each_audience() -> None:
    check([issuer(), issuer(audience="other")])
    assert "issuer[1]" in complaint(issuer(), issuer(leeway=0.0))
