"""Measures every performance bar beside its raw baseline, on this machine, now.

Usage: python -m tests.benchmarks [--quick] [--only NAME] [--json PATH] [--readme PATH]
The exit code is 1 where a bar was missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import uvloop
from rich.console import Console

from tests.benchmarks import (
    cache,
    discovery,
    failover,
    flags,
    heartbeats,
    http,
    limits,
    logins,
    machine,
    memory,
    probes,
    probing,
    registration,
    rollout,
    startup,
)
from tests.benchmarks.report import Row, as_json, as_markdown, as_table
from tests.benchmarks.rounds import FULL, QUICK, Pace, Say

TOPICS: dict[str, Callable[[Path, Pace, Say], Awaitable[list[Row]]]] = {
    "discover": discovery.measure,
    "register": registration.measure,
    "cache": cache.measure,
    "flags": flags.measure,
    "heartbeats": heartbeats.measure,
    "failover": failover.measure,
    "startup": startup.measure,
    "memory": memory.measure,
    "probes": probes.measure,
    "http": http.measure,
    "probing": probing.measure,
    "rollout": rollout.measure,
    "logins": logins.measure,
    "limits": limits.measure,
}


def main(arguments: Sequence[str]) -> int:
    """Measure, show, write down; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure every performance bar.")
    parser.add_argument("--quick", action="store_true", help="short rounds that judge nothing: does it work at all?")
    parser.add_argument("--only", choices=list(TOPICS), action="append", help="measure this alone (may be repeated)")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="PATH", help="default: bench.json")
    parser.add_argument("--readme", type=Path, metavar="PATH", help="put the table into this document, too")
    options = parser.parse_args(arguments)
    pace = QUICK if options.quick else FULL
    console = Console(width=None if sys.stdout.isatty() else 160)
    began = monotonic()

    def say(words: str) -> None:
        console.print(f"[dim]{monotonic() - began:6.1f} s[/]  {words}", highlight=False, soft_wrap=True)

    facts = machine.facts()
    rows = uvloop.run(_measure(options.only or list(TOPICS), pace, say))
    options.json.write_text(json.dumps(as_json(rows, facts, judged=pace.judged), indent=2) + "\n")
    console.print(as_table(rows, facts, judged=pace.judged))
    say(f"written to {options.json}")
    if options.readme is not None:
        _document(options.readme, as_markdown(rows, facts, datetime.now(UTC).date()))
        say(f"written to {options.readme}")
    return int(pace.judged and any(row.met is False for row in rows))


def _document(path: Path, table: str) -> None:
    """Put the table between the document's markers."""
    before, begin, rest = path.read_text().partition("<!-- measured:begin -->\n")
    _, end, after = rest.partition("<!-- measured:end -->")
    if not (begin and end):
        sys.exit(f"{path}: expected the markers <!-- measured:begin --> and <!-- measured:end -->")
    path.write_text(f"{before}{begin}{table}\n{end}{after}")


async def _measure(topics: Sequence[str], pace: Pace, say: Say) -> list[Row]:
    rows: list[Row] = []
    for topic in topics:
        with tempfile.TemporaryDirectory(prefix="central-hub-bench-") as folder:
            rows += await TOPICS[topic](Path(folder), pace, say)
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
