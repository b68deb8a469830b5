"""The benchmarks run; what they measure in passing is not looked at."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import TOPICS
from tests.benchmarks.report import Bar, Row
from tests.benchmarks.rounds import quantile, ratio

ROOT = Path(__file__).parent.parent.parent
ROWS = {
    "discover": 2,
    "register": 5,
    "cache": 1,
    "flags": 3,
    "heartbeats": 1,
    "failover": 4,
    "startup": 2,
    "memory": 6,
    "probes": 1,
    "http": 4,
    "probing": 6,
    "rollout": 2,
    "logins": 1,
    "limits": 2,
}


@pytest.mark.parametrize("topic", TOPICS)
async def test_every_row_of_a_quick_run_is_there_and_sane(topic: str, tmp_path: Path) -> None:
    written = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--only", topic, "--json", str(written)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    told = json.loads(written.read_text())
    assert told["machine"]["cores"] >= 1
    assert len(told["rows"]) == ROWS[topic]
    for row in told["rows"]:
        assert row["ours"] > 0
        assert (row["ratio"] is None) == (row["baseline"] is None)
        assert row["ratio"] is None or (row["ratio"] > 0 and math.isfinite(row["ratio"]))
    assert any(row["bar"] for row in told["rows"])


def test_the_ratio_is_the_median_of_the_rounds_own() -> None:
    assert ratio([10, 4, 9], [10, 8, 10]) == 0.9


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 201)]
    assert quantile(values, 0.99) == 198
    assert quantile(values[:20], 0.99) == 20
    assert quantile([5.0], 0.5) == 5


def test_a_bar_is_on_the_ratio_or_on_the_figure() -> None:
    assert Row.compared("a", "/s", [8.0], [10.0], Bar(">=", 0.8)).met
    assert not Row.compared("a", "/s", [7.9], [10.0], Bar(">=", 0.8)).met
    assert Row(name="b", unit="s", ours=2.0, bar=Bar("<=", 2, of="figure")).met
    assert Row(name="c", unit="s", ours=2.0).met is None
