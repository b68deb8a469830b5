"""Open on loopback, enforced elsewhere: decided by what was set and who can reach it."""

from __future__ import annotations

import pytest

from hub.errors import SettingsError
from hub.settings import load
from hub.settings.exposure import Mode, is_loopback, mode_of


def decided(*, embedded: bool = True, **given: object) -> Mode:
    overrides = {key.replace("__", "."): value for key, value in given.items()}
    return mode_of(load(None, {}, overrides), embedded=embedded)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.7", False),
        ("localhost.example", False),
        ("nats", False),
        ("", False),
    ],
)
def test_loopback_is_what_nobody_else_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_by_itself_a_hub_is_open_on_loopback_and_enforced_elsewhere() -> None:
    assert decided() == "open"
    assert decided(nats__host="0.0.0.0") == "enforced"
    assert decided(http__host="10.0.0.7") == "enforced"
    assert decided(embedded=False, nats__url=["nats://localhost:4222"]) == "open"
    assert decided(embedded=False, nats__url=["nats://127.0.0.1:4222", "tls://nats.example"]) == "enforced"
    assert decided(embedded=False, nats__host="0.0.0.0") == "open", "it runs no server that would listen there"


def test_a_hub_can_be_told_to_prove_identities_on_loopback_too() -> None:
    assert decided(access__mode="enforced") == "enforced"


@pytest.mark.parametrize(
    ("given", "field", "what"),
    [
        ({"nats__host": "0.0.0.0"}, "nats.host", "NATS listens on 0.0.0.0"),
        ({"http__host": "::"}, "http.host", "HTTP listens on ::"),
        ({"nats__url": ["nats://u:hidden@nats.example"], "embedded": False}, "nats.url", "NATS is at nats.example"),
    ],
)
def test_open_is_refused_where_others_reach_it_and_it_is_said_why(
    given: dict[str, object], field: str, what: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        decided(access__mode="open", **given)  # type: ignore[arg-type]
    message = refused.value.message
    assert what in message
    assert field in message
    assert "hidden" not in message
    assert "\n" not in message
