"""Servers for tests: one that tests share and leave alone, one that a test may do anything to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import enforcing
from tests.servers import NatsServer

# How long an example takes says more of the machine than of the code.
settings.register_profile("central-hub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("central-hub")

_INTEGRATION = Path(__file__).parent / "integration"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """In enforced mode nothing is looked at but the tests of `tests/integration`."""
    away = _INTEGRATION not in (collection_path, *collection_path.parents)
    outside = away and collection_path not in _INTEGRATION.parents
    return True if enforcing.ENFORCED and outside else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In enforced mode only those stay that talk to a hub of the fixtures, and are not `open_only`."""
    if not enforcing.ENFORCED:
        return
    kept = [each for each in items if _is_for_enforced(each)]
    config.hook.pytest_deselected(items=[each for each in items if each not in set(kept)])
    items[:] = kept


def _is_for_enforced(item: pytest.Item) -> bool:
    return "hub" in getattr(item, "fixturenames", ()) and item.get_closest_marker("open_only") is None


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
