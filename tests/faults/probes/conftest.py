"""Everything here runs on asyncio's own loop and on the one that the hub runs on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

import pytest
import uvloop
from nats.aio.client import Client

from hub.probes import Outcome, Probes
from hub.settings.model import Probes as ProbeSettings
from hub.wire.checks import Probe
from tests.calls import connected
from tests.certificates import CA
from tests.servers import NatsServer


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class LookAt(Protocol):
    """Makes a check once, of an instance on 127.0.0.1 unless told otherwise."""

    async def __call__(
        self, check: Probe, port: int = 9, *, host: str = "127.0.0.1", protocol: str = "http"
    ) -> Outcome: ...


@pytest.fixture
async def nats_client(shared_nats: NatsServer) -> AsyncIterator[Client]:
    async with connected(shared_nats.url) as client:
        yield client


@pytest.fixture
async def probes(nats_client: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Probes]:
    """The probes of a hub whose machine trusts the certificates of the tests."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    async with Probes(ProbeSettings(), nats_client) as opened:
        yield opened


@pytest.fixture
def look_at(probes: Probes) -> LookAt:
    async def look(check: Probe, port: int = 9, *, host: str = "127.0.0.1", protocol: str = "http") -> Outcome:
        return await probes.prober(check, host=host, port=port, protocol=protocol)()

    return look
