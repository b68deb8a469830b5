"""Servers for tests: one that tests share and leave alone, one that a test may do anything to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import NatsServer

# How long an example takes says more of the machine than of the code.
settings.register_profile("central-hub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("central-hub")


@pytest.fixture(scope="session")
def shared_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server with JetStream that all tests of this process share: use names of your own, and never stop it."""
    with NatsServer(tmp_path_factory.mktemp("shared-nats")) as server:
        yield server


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server with JetStream of the test's own: kill it, freeze it, wipe it."""
    with NatsServer(tmp_path / "nats") as server:
        yield server
