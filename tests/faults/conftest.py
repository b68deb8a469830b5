"""Faults need a hub of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from tests.calls import connected
from tests.hubs import HubProcess


@pytest.fixture
def own_hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A hub with its own NATS that the test may do anything to."""
    with HubProcess(tmp_path / "hub") as process:
        yield process


@pytest.fixture
async def own_client(own_hub: HubProcess) -> AsyncIterator[Client]:
    """A plain NATS connection to that hub's NATS."""
    async with connected(own_hub.nats_url, max_reconnect_attempts=-1, reconnect_time_wait=1) as connection:
        yield connection
