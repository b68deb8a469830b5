"""Versions of the components, stored as a hub stores them; with no hub there."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from hub.core.components import UNBOUNDED, encoded_tree
from hub.store.folder import Folder
from hub.store.ledger import JetStreamLedger
from hub.store.objects import ObjectStore
from hub.store.publication import upload
from hub.store.streams import COMPONENTS, MANIFESTS, ensure
from hub.transport.connection import close, connect
from hub.transport.requests import Requester
from hub.wire import subjects
from hub.wire.codec import encode
from hub.wire.components import ComponentFile, ComponentsRecord


class Publisher:
    """Publishes on the NATS of an open connection."""

    def __init__(self, client: Client, requester: Requester) -> None:
        self.client = client
        self.requester = requester
        self.objects = ObjectStore(client, requester)
        self.ledger = JetStreamLedger(client, requester, MANIFESTS)

    async def ensure(self) -> None:
        """Make bucket and object store exist."""
        await ensure(self.requester, MANIFESTS)
        await ensure(self.requester, COMPONENTS)

    async def publish(self, files: Mapping[str, str | bytes], *, executable: tuple[str, ...] = ()) -> int:
        """Publish these files as the newest version; returns its revision."""
        with tempfile.TemporaryDirectory() as temporary:
            for path, content in files.items():
                target = Path(temporary) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.encode() if isinstance(content, str) else content)
                os.chmod(target, 0o755 if path in executable else 0o644)
            folder = Folder(Path(temporary), UNBOUNDED)
            scan = folder.scan()
            assert not scan.listing.refused
            tree = await upload(self.objects, folder, scan.files)
        return await self.record(tree, scan.files)

    async def publish_tree(self, *files: ComponentFile) -> int:
        """Publish a list of files, whatever it says, and whether they are there or not."""
        tree, name = encoded_tree(files)
        await self.objects.put_bytes(name, tree, await self.objects.inventory())
        return await self.record(name, files)

    async def record(self, tree: str, files: tuple[ComponentFile, ...], **given: Any) -> int:
        """Make this tree the newest version."""
        record = ComponentsRecord(
            kind="publish",
            at=datetime.now(UTC),
            tree=tree,
            files=len(files),
            bytes=sum(file.size for file in files),
            **given,
        )
        return await self.ledger.put(subjects.MANIFESTS_KEY, encode(record))

    async def content(self, text: str) -> str:
        """Put one content in; returns its name."""
        name = sha256(text)
        await self.objects.put_bytes(name, text.encode(), await self.objects.inventory())
        return name


def sha256(text: str) -> str:
    """The name of a content."""
    return hashlib.sha256(text.encode()).hexdigest()


@asynccontextmanager
async def publishing(url: str) -> AsyncIterator[Publisher]:
    """A publisher, on a NATS where everything that it needs is there."""
    client = await connect(url, name="publisher")
    try:
        async with Requester(client) as requester:
            publisher = Publisher(client, requester)
            await publisher.ensure()
            yield publisher
    finally:
        await close(client)


def contents(folder: Path) -> dict[str, str]:
    """All that is in a folder, by path."""
    resolved = folder.resolve()
    files = sorted(path for path in resolved.rglob("*") if path.is_file())
    return {path.relative_to(resolved).as_posix(): path.read_text() for path in files}
