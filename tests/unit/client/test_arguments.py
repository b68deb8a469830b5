from __future__ import annotations

from typing import Any

import pytest

from hub.client import CentralHubClient, InvalidRequest, Unavailable
from hub.client.address import local_address


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "Not A Label"}, "name"),
        ({"name": "hub"}, "name"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"host": "two words"}, "host"),
        ({"instance_id": "a.b"}, "instance_id"),
        ({"ttl": -1.0}, "ttl"),
        ({"weight": -1}, "weight"),
        ({"tags": ("",)}, "tags[0]"),
        ({"liveness": "sometimes"}, "liveness"),
    ],
)
async def test_what_a_registration_may_not_say_is_refused_where_it_is_written(given: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        CentralHubClient(**{"name": "svc", "port": 80, **given})
    assert raised.value.field == field


async def test_a_client_without_a_port_has_nothing_to_register() -> None:
    with pytest.raises(InvalidRequest) as raised:
        await CentralHubClient("ops").register()
    assert raised.value.field == "port"


async def test_a_client_that_is_not_open_says_so() -> None:
    client = CentralHubClient("ops")
    for call in (client.discover("engine"), client.discover_all("engine"), client.services()):
        with pytest.raises(Unavailable, match="not open"):
            await call
    with pytest.raises(Unavailable, match="not registered"):
        client.set_status("warning", "why")
    await client.close()
    assert not client.connected
    assert not client.registered


async def test_the_address_for_others_is_the_one_that_reaches_nats() -> None:
    assert await local_address(["nats://127.0.0.1:1"]) == "127.0.0.1"
    assert await local_address(["[::1]:4222"]) in ("::1", None)
    assert await local_address(["nats://no-such-host.invalid:4222", "127.0.0.1"]) == "127.0.0.1"
