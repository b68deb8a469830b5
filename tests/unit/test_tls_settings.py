"""The settings of TLS: what belongs together, and what there is none for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hub.errors import SettingsError
from hub.settings import load
from hub.settings.schema import settings
from hub.transport.tls import Tls, serving


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("HUB_HTTP_TLS_CERT", "http.tls_key"),
        ("HUB_HTTP_TLS_KEY", "http.tls_cert"),
        ("HUB_HTTP_TLS_CLIENT_CA", "http.tls_cert"),
        ("NATS_CERT", "nats.tls_key"),
        ("NATS_KEY", "nats.tls_cert"),
        ("HUB_NATS_LISTEN_CERT", "nats.listen_key"),
        ("HUB_NATS_LISTEN_CLIENT_CA", "nats.listen_cert"),
    ],
)
def test_a_file_without_the_one_that_it_needs_is_an_error_at_the_start(given: str, missing: str) -> None:
    with pytest.raises(SettingsError, match=f"{missing}: expected a file, since"):
        load(None, {given: "some.pem"})


def test_no_setting_and_no_argument_turns_verification_off() -> None:
    words = ("verify", "insecure", "skip", "trust_all", "check_hostname")
    names = [*settings(), *Tls.__slots__, *_arguments(serving)]
    assert not [name for name in names if any(word in name for word in words)]


def _arguments(function: Callable[..., object]) -> list[str]:
    return list(function.__annotations__)
