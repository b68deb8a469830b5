"""An open hub is asked by the names of its own machine alone, whatever a page has had resolved to it."""

from __future__ import annotations

import pytest

from hub.errors import Forbidden
from hub.settings.model import Http
from hub.sidecar.hosts import Hosts


@pytest.mark.parametrize(
    "host",
    [
        None,
        "localhost",
        "LocalHost:7000",
        "hub.localhost:7000",
        "localhost.",
        "127.0.0.1:7000",
        "10.0.0.7",
        "[::1]:7000",
        "app.example:7000",
    ],
)
def test_an_address_this_machine_and_the_host_of_an_origin_that_is_named_are_asked_for(host: str | None) -> None:
    Hosts(Http(cors_origins=("https://app.example",))).check(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "",
        "[",
        "a@b",
    ],
)
def test_any_other_name_is_refused_since_a_page_could_have_it(host: str) -> None:
    with pytest.raises(Forbidden) as caught:
        Hosts(Http(cors_origins=("https://app.example",))).check(host)
    assert caught.value.field == "host"


def test_whoever_lets_all_pages_read_lets_them_come_by_any_name() -> None:
    Hosts(Http(cors_origins=("*",))).check("evil.example")
