"""What tests of keys share."""

from __future__ import annotations

import pytest

from tests.unit.identity.issuing import QUICK
from tests.waiting import PATIENCE


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is told, and not waited for: who waits looks often."""
    monkeypatch.setattr("hub.handlers.jwks.IDLE", QUICK)
    monkeypatch.setattr("hub.handlers.jwks.WAIT", PATIENCE)
