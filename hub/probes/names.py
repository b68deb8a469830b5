"""Finding the addresses of names, without a crowd at the resolver.

A system's resolver is asked in a few threads, and a question that nobody waits for any more keeps its thread until a
name server has answered or has been given up. While none answers, every look would leave another question behind; so
all who ask for a name while somebody asks for it already share that question.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

AddressInfo = tuple[int, int, int, str, Any]
"""As `socket.getaddrinfo` has it: family, kind, protocol, canonical name, address of the socket."""
Resolve = Callable[[str, int], Awaitable[Sequence[AddressInfo]]]


async def resolve_by_system(host: str, port: int) -> Sequence[AddressInfo]:
    """What the system's resolver knows of a host.

    Raises:
        OSError: it knows nothing, or cannot ask.
        UnicodeError: the host cannot be a name: it has empty labels, or too long ones.
    """
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Names:
    """Asks a resolver, never twice for the same at the same time. Its owner closes it."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._asked: dict[tuple[str, int], asyncio.Task[Sequence[AddressInfo]]] = {}

    async def find(self, host: str, port: int) -> Sequence[AddressInfo]:
        """Every address of a host; none where it is not known."""
        key = (host, port)
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(self._ask(host, port), name="probes-name")
        return await asyncio.shield(self._asked[key])

    async def aclose(self) -> None:
        """Wait for no answer any more."""
        asked = list(self._asked.values())
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    async def _ask(self, host: str, port: int) -> Sequence[AddressInfo]:
        try:
            return await self._resolve(host, port)
        except (OSError, UnicodeError):
            return ()
        finally:
            del self._asked[host, port]
