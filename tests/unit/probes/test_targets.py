"""Where the hub may connect to, by the defaults of the settings and by those of operators."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from hub.errors import SettingsError
from hub.probes.look import Failed
from hub.probes.names import AddressInfo, Names
from hub.probes.targets import Targets
from hub.settings import load
from hub.settings.model import Probes


async def nobody(host: str, port: int) -> Sequence[AddressInfo]:
    raise socket.gaierror(socket.EAI_NONAME, "not known")


async def allowed(address: str, settings: Probes | None = None) -> bool:
    settings = settings or Probes()
    targets = Targets(forbidden=settings.forbidden, allowed=settings.allowed, names=Names(nobody))
    try:
        found = await targets.find(address, 80)
    except Failed as failed:
        return str(failed) != f"target {address} is forbidden by probes.forbidden"
    return [info[4][:2] for info in found] == [(address, 80)]


FINE = """
    127.0.0.1 10.1.2.3 172.16.0.1 192.168.0.1 100.64.0.1 8.8.8.8 ::1 fd00::1 2001:db8::1
    ::ffff:10.0.0.1 64:ff9b::8.8.8.8 2002:808:808::1
"""
NOT_FINE = """
    0.0.0.0 0.1.2.3 169.254.0.1 169.254.169.254 169.254.170.2 224.0.0.251 239.255.255.255 255.255.255.255
    100.100.100.200 168.63.129.16 192.0.0.192 :: fe80::1 febf::1 ff02::1 fd00:ec2::254 fd00:ec2::23 fd20:ce::254
    ::ffff:169.254.169.254 ::ffff:0:0 ::a9fe:a9fe 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::1
"""


@pytest.mark.parametrize("address", FINE.split())
async def test_where_services_live_may_be_looked_at(address: str) -> None:
    assert await allowed(address)


@pytest.mark.parametrize("address", NOT_FINE.split())
async def test_what_is_no_service_may_not(address: str) -> None:
    assert not await allowed(address)


async def test_what_is_allowed_wins_over_what_is_forbidden() -> None:
    settings = Probes(forbidden=("10.0.0.0/8",), allowed=("10.0.0.7",))
    assert await allowed("10.0.0.7", settings)
    assert await allowed("::ffff:10.0.0.7", settings)
    assert await allowed("169.254.169.254", settings)
    assert not await allowed("10.0.0.8", settings)
    assert not await allowed("64:ff9b::a00:8", settings)


@pytest.mark.parametrize("network", ["10.0.0.0/33", "10.0.0.1/8", "everything", "fe80::/200", "1.2.3", "nats://x:y@z"])
def test_what_is_no_network_is_refused_with_its_key(network: str) -> None:
    for key in ("forbidden", "allowed"):
        with pytest.raises(SettingsError, match=f"probes.{key}: expected addresses") as refused:
            load(environ={f"HUB_PROBES_{key.upper()}": f"10.0.0.0/8,{network}"})
        assert refused.value.field == f"probes.{key}"


def test_networks_can_be_set_by_the_environment() -> None:
    settings = load(environ={"HUB_PROBES_FORBIDDEN": "10.0.0.0/8, fe80::/10"})
    assert settings.probes.forbidden == ("10.0.0.0/8", "fe80::/10")
    assert settings.probes.allowed == ()
