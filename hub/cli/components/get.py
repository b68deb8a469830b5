from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import BinaryIO

import click

from hub.cli import output
from hub.cli.components import asking
from hub.cli.options import connection
from hub.cli.session import connected, run
from hub.errors import InvalidRequest, NotFound
from hub.transport import blobs
from hub.transport.requests import Requester
from hub.wire.components import ComponentFile


@click.command()
@click.argument("path")
@click.option(
    "--output",
    "-o",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save it there, whole or not at all, instead of printing it.",
)
@asking.of_revision
@connection()
def get(urls: list[str], timeout: float, path: str, target: Path | None, revision: int) -> None:
    """Print the file PATH of the newest version, or of an earlier one, byte by byte as it was published.

    It is read from JetStream and verified. When there is no such file the exit code is 3.
    """
    run(_get(urls, timeout, path, target, revision))


async def _get(urls: list[str], timeout: float, path: str, target: Path | None, revision: int) -> None:
    async with connected(urls, timeout) as session, Requester(session.client) as requester:
        version = await asking.whole(session, revision)
        file = next((file for file in version.files if file.path == path), None)
        if file is None:
            raise NotFound(f"{path}: is not in revision {version.revision} of the components")
        if target is None:
            await _print(requester, file)
        else:
            await _save(requester, file, target)
            output.note(f"{target}: {file.size:,} bytes of revision {version.revision}")


async def _print(requester: Requester, file: ComponentFile) -> None:
    async for chunk in blobs.chunks(requester, file.sha256, largest=file.size):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


async def _save(requester: Requester, file: ComponentFile, target: Path) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as out:
            await _write(requester, file, out)
        part.chmod(0o755 if file.executable else 0o644)
        part.replace(target)
    except OSError as error:
        raise InvalidRequest(f"{target}: cannot be written ({error.strerror})") from None
    finally:
        part.unlink(missing_ok=True)


async def _write(requester: Requester, file: ComponentFile, out: BinaryIO) -> None:
    async for chunk in blobs.chunks(requester, file.sha256, largest=file.size):
        await asyncio.to_thread(out.write, chunk)
    out.flush()
    os.fsync(out.fileno())
