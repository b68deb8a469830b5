"""One hub per test file; tests take names of their own in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from nats.aio.client import Client

from tests.calls import connected
from tests.hubs import HubProcess
from tests.keys import fresh_key


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub with its own NATS and a key for secrets, by the command that users type."""
    with HubProcess(tmp_path_factory.mktemp("hub"), variables={"HUB_SECRETS_KEY": fresh_key()}) as process:
        yield process


@pytest.fixture
async def client(hub: HubProcess) -> AsyncIterator[Client]:
    """A plain NATS connection to that hub's NATS."""
    async with connected(hub.nats_url) as connection:
        yield connection
