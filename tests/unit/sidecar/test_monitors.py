"""What monitors, probes and Prometheus are told where who asks must be proven, and from where."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub.errors import SettingsError, Unavailable
from hub.settings import load
from hub.sidecar import login as module
from hub.wire.roles import CALLER_ROLES
from tests.unit.sidecar.proving import CHECKS, DETAILS, ProvingHub, bearer, proof


@pytest.fixture
def hub() -> ProvingHub:
    return ProvingHub()


@pytest.mark.parametrize("role", [None, "wrong", *CALLER_ROLES])
async def test_health_tells_details_to_operators_readers_and_prometheus_alone(
    hub: ProvingHub, role: str | None
) -> None:
    async with hub.browsing() as http:
        response = await http.get("/health", headers=bearer(role) if role else {})
    assert response.status_code == 200
    if role in ("operator", "reader", "prometheus"):
        assert response.json()["checks"] == CHECKS
        assert response.json()["details"] == DETAILS
    else:
        assert sorted(response.json()) == ["status", "version"]


async def test_health_answers_though_logins_are_out_of_order_and_tells_no_details_to_a_narrow_key(
    hub: ProvingHub,
) -> None:
    hub.known.proofs["narrow"] = proof("operator", scopes=("discover",))
    async with hub.browsing() as http:
        assert sorted((await http.get("/health", headers=bearer("narrow"))).json()) == ["status", "version"]
        hub.known.trouble = Unavailable("no keys")
        response = await http.get("/health", headers=bearer("operator"))
        assert (response.status_code, sorted(response.json())) == (200, ["status", "version"])
        both = {**bearer("operator"), "x-api-key": "operator"}
        assert (await http.get("/health", headers=both)).status_code == 200


async def test_a_monitor_does_not_wait_for_a_login_that_takes_long(
    hub: ProvingHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(presented: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(hub, "authenticate", never)
    monkeypatch.setattr(module, "WELCOME_WITHIN", 0.01)
    async with hub.browsing() as http:
        assert sorted((await http.get("/health", headers=bearer("reader"))).json()) == ["status", "version"]


async def test_probes_ask_nobody_who_they_are(hub: ProvingHub) -> None:
    async with hub.browsing() as http:
        for path in ("/livez", "/readyz", "/"):
            assert (await http.get(path, headers=bearer("wrong"))).status_code == 200
    assert not hub.known.presented


@pytest.mark.parametrize(
    ("host", "status"),
    [("10.1.2.3", 200), ("::ffff:10.1.2.3", 200), ("fd00::7", 200), ("10.2.0.1", 401), ("fd01::7", 401), ("", 401)],
)
async def test_metrics_need_no_login_from_the_networks_that_are_named(hub: ProvingHub, host: str, status: int) -> None:
    async with hub.browsing(host, metrics_networks=("10.1.0.0/16", "fd00::/64")) as http:
        assert (await http.get("/metrics")).status_code == status
        assert (await http.get("/discovery/services")).status_code == 401


async def test_where_a_request_comes_from_is_not_what_it_says(hub: ProvingHub) -> None:
    told = {"x-forwarded-for": "10.1.2.3", "forwarded": "for=10.1.2.3", "x-real-ip": "10.1.2.3"}
    async with hub.browsing("10.9.9.9", metrics_networks=("10.1.0.0/16",)) as http:
        assert (await http.get("/metrics", headers=told)).status_code == 401
        await http.get("/metrics", headers={**told, **bearer("prometheus")})
    assert [presented.host for presented in hub.known.presented] == ["10.9.9.9"]


def test_a_network_that_is_none_is_an_error_at_the_start() -> None:
    with pytest.raises(SettingsError, match=r"http\.metrics_networks: expected addresses and ranges"):
        load(None, {"HUB_HTTP_METRICS_NETWORKS": "10.0.0.0/8,everywhere"})
