"""Health reports: whole where they fit, and never larger than a message."""

from __future__ import annotations

import msgspec
import pytest

from hub.core.catalog import Catalog
from hub.core.reports import report
from hub.wire.health import HealthReport
from tests.unit.core.making import record


def catalog_of(count: int, troubled: int, reason: str) -> Catalog:
    catalog = Catalog()
    for number in range(count):
        status, why = ("critical", reason) if number >= count - troubled else ("passing", "")
        catalog.apply(record(instance_id=f"i{number:05}", port=1 + number, status=status, reason=why), number + 1)
    return catalog


@pytest.mark.parametrize("max_bytes", [3_000, 30_000, 300_000])
@pytest.mark.parametrize("troubled", [0, 40, 900])
def test_a_report_never_outgrows_a_message_and_those_in_trouble_come_first(max_bytes: int, troubled: int) -> None:
    catalog = catalog_of(3000, troubled, 'said "' + "é" * 500)
    encoded = report(catalog.services["engine"], max_bytes=max_bytes)
    assert len(encoded) <= max_bytes
    told = msgspec.json.decode(encoded, type=HealthReport)
    assert len(told.instances) + told.omitted == 3000
    assert told.status == ("passing" if not troubled else "warning")
    statuses = [instance.status for instance in told.instances]
    assert statuses == sorted(statuses), "'critical' sorts before 'passing'"
    assert len(statuses) >= 2, "as many as fit"


def test_a_report_that_fits_is_whole() -> None:
    told = msgspec.json.decode(
        report(catalog_of(3000, 3, "x").services["engine"], max_bytes=1 << 20), type=HealthReport
    )
    assert (len(told.instances), told.omitted) == (3000, 0)
