"""TCP: whether a connection is taken, and a TLS handshake where one is wanted."""

from __future__ import annotations

import asyncio

from hub.probes.dialing import Dialer
from hub.wire.checks import TcpCheck


class TcpLook:
    """Connects, and leaves again."""

    def __init__(self, dialer: Dialer, check: TcpCheck, *, host: str, port: int) -> None:
        self._dialer = dialer
        self._host = check.host or host
        self._port = check.port or port
        self._tls = dialer.context(verify=check.verify) if check.tls else None

    async def __call__(self) -> str:
        """Look once."""
        if self._tls is None:
            (await self._dialer.connect(self._host, self._port)).close()
            return "connected"
        transport, _ = await self._dialer.open(asyncio.Protocol, self._host, self._port, tls=self._tls)
        version = transport.get_extra_info("ssl_object").version()
        transport.abort()
        return f"connected, {version}"
