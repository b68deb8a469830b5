from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from hub.cli import failure, output
from hub.cli.audit import asking
from hub.cli.bar import progress
from hub.cli.options import connection, json_output
from hub.cli.output import Cell, Column
from hub.cli.session import Session, connected, run
from hub.core.auditchain import Comparison, Fault, Verification
from hub.errors import InvalidRequest
from hub.wire.audit import AuditHeads, Head

_ATTEMPTS = 10
_AGAIN = 0.2
_COLUMNS = (Column("CHAIN"), Column("ENTRY", right=True), Column("AT"), Column("WHAT"), Column("WHY"))


@click.command()
@click.option(
    "--head",
    "head",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `hub audit head --json` said one day: what it names must still be there.",
)
@json_output("what was verified, and each fault, as JSON")
@connection()
@click.pass_context
def verify(ctx: click.Context, urls: list[str], timeout: float, as_json: bool, head: Path | None) -> None:
    """Read the whole audit, and name every entry that was altered, removed, put in or moved since it was written.

    Where the hub keeps history in PostgreSQL, the copy there is verified, too, and compared. The exit code is 1 where
    anything is wrong.
    """
    verification, faults, compared = run(_verify(urls, timeout, _heads(head)))
    if as_json:
        output.print_json(_told(verification, faults, compared))
    else:
        _print(verification, faults, compared)
    if faults:
        ctx.exit(failure.FAILED)


def _heads(path: Path | None) -> dict[str, Head]:
    if path is None:
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=AuditHeads).heads
    except (msgspec.MsgspecError, OSError) as error:
        raise InvalidRequest(f"{path}: expected what `hub audit head --json` says ({error})") from None


async def _verify(urls: list[str], timeout: float, heads: dict[str, Head]) -> tuple[Verification, list[Fault], int]:
    async with connected(urls, timeout) as session:
        with progress("reading") as step:
            verification = Verification(heads)
            first, last = await _read(session, verification, step)
            faults = verification.finish(first=first, last=last)
            copied, more = await _compare(session, verification, faults, step)
    return verification, faults + more, copied


async def _read(session: Session, verification: Verification, step: Callable[[int], None]) -> tuple[int, int]:
    """Read the stream; returns its oldest sequence, and the newest that it had when that began.

    In a cluster a server may answer that is a moment behind: what is not there yet is asked for again.
    """
    first, last = 1, 0
    for _ in range(_ATTEMPTS):
        async for page in asking.messages(session, after=verification.sequence):
            first, last = page.first, last or page.last
            for message in page.messages:
                lines = [line.encode() for line in message.lines]
                verification.take_message(message.sequence, message.stored, message.chain, lines)
                step(len(lines))
        if verification.sequence >= last or last < first:
            break
        await asyncio.sleep(_AGAIN)
    return first, last


async def _compare(
    session: Session, verification: Verification, known: Sequence[Fault], step: Callable[[int], None]
) -> tuple[int, list[Fault]]:
    """Verify the copy in PostgreSQL by itself, and against what NATS has; `known` is what is wrong with that."""
    copy, comparison = Verification(), Comparison(verification)
    async for rows in asking.archived(session):
        for row in rows:
            for line in row.lines:
                copy.take(row.stored, row.chain, line.encode())
                comparison.take(line.encode())
            step(len(rows))
    of_the_copy = [each._replace(words=f"in PostgreSQL: {each.words}") for each in copy.finish(first=2)]
    return copy.entries, comparison.finish(known) + of_the_copy


def _told(verification: Verification, faults: list[Fault], copied: int) -> dict[str, Any]:
    return {
        "entries": verification.entries,
        "chains": verification.chains,
        "first": verification.first,
        "last": verification.last,
        "archived": copied,
        "faults": [fault._asdict() for fault in faults],
    }


def _print(verification: Verification, faults: list[Fault], copied: int) -> None:
    when = ""
    if verification.first is not None and verification.last is not None:
        first, last = (f"{at.astimezone():%Y-%m-%d %H:%M:%S}" for at in (verification.first, verification.last))
        when = f", from {first} to {last}"
    copy = f"; {copied:,} entries in PostgreSQL" if copied else ""
    output.print_line([f"{verification.entries:,} entries in {verification.chains:,} chains{when}{copy}"])
    if not faults:
        output.print_line([Cell("nothing is wrong with them", "green")])
        return
    rows: list[list[Cell | str]] = [
        [
            fault.chain,
            str(fault.number) if fault.number == fault.last else f"{fault.number}..{fault.last}",
            f"{fault.at.astimezone():%Y-%m-%d %H:%M:%S}" if fault.at else "",
            Cell(fault.kind, "bold red"),
            fault.words,
        ]
        for fault in faults
    ]
    output.print_table(_COLUMNS, rows)
