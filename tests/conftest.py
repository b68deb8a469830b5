"""Servers for tests: one that tests share and leave alone, one that a test may do anything to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import enforcing
from tests.servers import NatsServer

# How long an example takes says more of the machine than of the code.
settings.register_profile("central-hub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("central-hub")

_INTEGRATION = Path(__file__).parent / "integration"
_WAITING = (Path(__file__).parent / "faults", _INTEGRATION)
"""Whose tests wait for servers most of the time; all others need a processor."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """In enforced mode nothing is looked at but the tests of `tests/integration`."""
    away = _INTEGRATION not in (collection_path, *collection_path.parents)
    outside = away and collection_path not in _INTEGRATION.parents
    return True if enforcing.ENFORCED and outside else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In enforced mode only those stay that talk to a hub of the fixtures, and are not `open_only`.

    Else tests that wait and tests that compute take turns, file by file: in parallel they take the least time so.
    """
    if not enforcing.ENFORCED:
        items[:] = _mixed(items)
        return
    kept = [each for each in items if _is_for_enforced(each)]
    config.hook.pytest_deselected(items=[each for each in items if each not in set(kept)])
    items[:] = kept


def _mixed(items: list[pytest.Item]) -> list[pytest.Item]:
    files = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    waiting = [file for file in files if not set(_WAITING).isdisjoint(file[0].path.parents)]
    computing = [file for file in files if set(_WAITING).isdisjoint(file[0].path.parents)]
    placed: list[tuple[float, list[pytest.Item]]] = []
    for kind in (waiting, computing):
        before, whole = 0, sum(map(len, kind))
        for file in kind:
            placed.append((before / whole, file))
            before += len(file)
    return [item for _, file in sorted(placed, key=itemgetter(0)) for item in file]


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
