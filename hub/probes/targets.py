"""Which addresses the hub connects to. Anybody who may register may make it connect: it must not be led astray.

A name is resolved once a look, every address that it has is judged, and what is connected to is an address that was
judged, so that a name that changes its mind in between (DNS rebinding) gains nothing. Judged is what the system makes
of a host, not how it is spelled: `2130706433`, `0177.0.0.1` and `::ffff:127.0.0.1` are all 127.0.0.1.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from hub.probes.look import Failed, shortened
from hub.probes.names import AddressInfo, Names

_Address = IPv4Address | IPv6Address

_LONGEST_HOST: Final = 100
"""Characters of a host that are shown; all that a name may have would leave no room for what is said of it."""
_REMEMBERED: Final = 10_000
"""Addresses whose verdict is kept; it is always the same."""
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Targets:
    """Finds the addresses of hosts, save those that are forbidden.

    Args:
        forbidden: Networks (CIDR) that are not connected to.
        allowed: Networks that are, although they are forbidden.
        names: Finds every address of a host.

    Raises:
        ValueError: what should be a network is none.
    """

    def __init__(self, *, forbidden: Iterable[str], allowed: Iterable[str], names: Names) -> None:
        self._forbidden = [ip_network(network) for network in forbidden]
        self._allowed = [ip_network(network) for network in allowed]
        self._names = names
        self._permits = lru_cache(maxsize=_REMEMBERED)(self._judged)

    async def find(self, host: str, port: int) -> list[AddressInfo]:
        """The addresses of a host that may be connected to, in the resolver's order; at least one.

        Raises:
            Failed: it has none, or none that is not forbidden.
        """
        found = _literal(host, port) or await self._names.find(host, port)
        if not found:
            raise Failed(f"{shortened(host, _LONGEST_HOST)} does not resolve")
        fit = [info for info in found if self._permits(info[4][0])]
        if not fit:
            raise Failed(f"target {found[0][4][0]} is forbidden by probes.forbidden")
        return fit

    def _judged(self, text: str) -> bool:
        return all(self._permits_one(address) for address in _meant(ip_address(text)))

    def _permits_one(self, address: _Address) -> bool:
        if any(address in network for network in self._allowed):
            return True
        return not any(address in network for network in self._forbidden)


def _literal(host: str, port: int) -> list[AddressInfo] | None:
    """The address that a host is in its canonical spelling; every other spelling is left to the resolver."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
    if address.scope_id is not None:
        return None
    return [(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, 0, 0))]


def _meant(address: _Address) -> list[_Address]:
    """The addresses that a connection may come to: an IPv6 address can stand for an IPv4 one."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):  # ::a.b.c.d is an old way to write one
        return [address, IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]
