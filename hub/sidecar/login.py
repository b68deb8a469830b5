"""Who makes an HTTP request, where that has to be proven, and for how long what they have begun may go on."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from time import monotonic
from typing import Final, Literal

from starlette.requests import Request

from hub.errors import HubError, Unavailable
from hub.identity.proof import Presented, Proof
from hub.sidecar.credentials import peer, presented
from hub.sidecar.ports import Authenticate
from hub.sidecar.problems import Missing

LoginRule = Literal["needed", "network", "welcome", "none"]
"""Whether who asks has to prove who he is: always, unless he comes from a network that may do without, only to be told
more than others, or never."""

REMEMBERED: Final = 5.0
"""Seconds for which what a credential has proven need not be proven again. Revocation does not wait for that."""
MOST: Final = 2048
"""Credentials that are remembered."""
WELCOME_WITHIN: Final = 0.5
"""Seconds that a login may take which nobody asked for: monitors do not wait, whatever they come with."""
LOOK_EVERY: Final = 0.5
"""Seconds between two looks at whether those who listen still may."""

_Key = tuple[bytes, str]


class Login:
    """Tells who makes a request.

    What was proven is remembered for a moment, under a hash of the credential and the address that it came from: never
    the credential itself, and never that something proved nothing, so that whoever guesses is counted each time.

    Args:
        authenticate: Proves who presents something.
        holds: Whether a proof still proves anything: it has not expired, and nobody has revoked it.
        networks: From where metrics may be read without a login.
        now: Where to read a clock that only goes forward.
    """

    def __init__(
        self,
        authenticate: Authenticate,
        holds: Callable[[Proof], bool],
        *,
        networks: Iterable[str] = (),
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.holds = holds
        self._authenticate = authenticate
        self._networks = [ip_network(network) for network in networks]
        self._now = now
        self._proven: OrderedDict[_Key, tuple[Proof, float]] = OrderedDict()
        self._listening: dict[object, tuple[Proof, Callable[[], None]]] = {}

    def __len__(self) -> int:
        """How many credentials are remembered."""
        return len(self._proven)

    async def proof_of(self, request: Request, rule: LoginRule) -> Proof | None:
        """What proves who makes a request; None where nobody need say so, and nobody has.

        Raises:
            Unauthenticated: nothing proves it. The message is for the log.
            InvalidRequest: several credentials were presented.
            HubError: it cannot be told now.
        """
        if rule == "none" or (rule == "network" and self._is_near(request)):
            return None
        if rule == "welcome":
            try:
                async with asyncio.timeout(WELCOME_WITHIN):
                    return await self._prove(presented(request))
            except (HubError, TimeoutError):  # who may ask without a login is answered as if he had none
                return None
        return await self._prove(presented(request))

    @contextmanager
    def listening(self, proof: Proof, end: Callable[[], None]) -> Iterator[None]:
        """Call `end` when the proof does not hold any more, unless the context ends before."""
        key = object()
        self._listening[key] = proof, end
        try:
            yield
        finally:
            self._listening.pop(key, None)

    async def mind(self) -> None:
        """End what those have begun whose proof does not hold any more, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for proof, end in list(self._listening.values()):
                if not self.holds(proof):
                    end()

    async def _prove(self, given: Presented | None) -> Proof:
        if given is None:
            raise Missing()
        key = _key(given)
        known = self._proven.get(key)
        if known is not None and self._now() < known[1] and self.holds(known[0]):
            return known[0]
        self._proven.pop(key, None)
        try:
            proof = await self._authenticate(given)
        except Unavailable:  # why is no affair of strangers
            raise Unavailable("login: it cannot be told now whether that is good here; try again") from None
        self._proven[key] = proof, self._now() + REMEMBERED
        if len(self._proven) > MOST:
            self._proven.popitem(last=False)
        return proof

    def _is_near(self, request: Request) -> bool:
        return within(peer(request), self._networks)


def within(host: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of the networks. An IPv4 address that is written as IPv6 is that IPv4 address."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return any(address in network for network in networks)


def _key(given: Presented) -> _Key:
    what = f"token {given.token}" if given.token is not None else f"certificate {given.certificate}"
    return hashlib.sha256(what.encode("utf-8", "surrogateescape")).digest(), given.host
