"""Prometheus's own tool takes what the hub tells, and what deploy/ asks of it. Debian has it in `prometheus`."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from nats.aio.client import Client

from tests.calls import connected, refusal, register
from tests.contract.test_monitoring import ALERT_TESTS, SCRAPING, queries
from tests.http import browsing
from tests.hubs import HubProcess

pytestmark = pytest.mark.system


def promtool(*arguments: str, given: str = "", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What promtool says."""
    found = shutil.which("promtool")
    assert found, "this test needs promtool: put it on PATH (.ci/run shows how)"
    return subprocess.run(
        [found, *arguments], input=given, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def assert_well(done: subprocess.CompletedProcess[str]) -> None:
    """It found nothing to complain of."""
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_metrics_of_a_busy_hub_are_as_prometheus_wants_them(hub: HubProcess) -> None:
    async with connected(hub.nats_url) as client:
        await register(client, "measured")
        await refusal(client, "hub.register", {"name": "measured"})
        on_nats = await client.request("hub.metrics", b"", timeout=10)
    async with browsing(hub) as http:
        over_http = await http.get("/metrics")
    for text in (on_nats.data.decode(), over_http.text):
        done = promtool("check", "metrics", given=text)
        assert_well(done)
        assert done.stdout + done.stderr == ""


async def test_the_metrics_of_ten_thousand_services_are_too(tmp_path: Path) -> None:
    slots = asyncio.Semaphore(64)

    async def add(client: Client, number: int) -> None:
        async with slots:
            await register(client, f"s{number}", tags=[f"t{number}"], timeout=60)

    with HubProcess(tmp_path / "hub") as hub:
        async with connected(hub.nats_url) as client, httpx.AsyncClient(timeout=30) as http:
            await asyncio.gather(*(add(client, number) for number in range(10_000)))
            done = promtool("check", "metrics", given=(await http.get(f"{hub.http_url}/metrics")).text)
    assert_well(done)
    assert done.stdout + done.stderr == ""


def test_promtool_would_complain_of_metrics_that_are_not_so() -> None:
    assert promtool("check", "metrics", given="# TYPE hub_things counter\nhub_things 1\n").returncode != 0


def test_the_scrape_configuration_is_valid() -> None:
    assert_well(promtool("check", "config", str(SCRAPING)))


def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    assert_well(promtool("test", "rules", ALERT_TESTS.name, folder=ALERT_TESTS.parent))


def test_the_queries_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    path = tmp_path / "queries.yml"
    recorded = [
        {"record": f"query:{number}", "expr": re.sub(r"\$__rate_interval", "5m", expression)}
        for number, (_, expression) in enumerate(queries())
    ]
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert_well(promtool("check", "rules", str(path)))
