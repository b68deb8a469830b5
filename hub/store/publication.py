"""Bringing the files of a folder into the object store, so that they can become a version."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from hub.core.components import encoded_tree
from hub.errors import Conflict
from hub.store.folder import Folder, Unsettled
from hub.store.objects import ObjectStore, together
from hub.wire.components import ComponentFile

_AT_ONCE: Final = 4
"""Files on their way."""

Progress = Callable[[int], None]


def _unseen(_: int) -> None:
    return None


async def upload(
    objects: ObjectStore,
    folder: Folder,
    files: Collection[ComponentFile],
    progress: Progress = _unseen,
) -> str:
    """Have the object store hold these files of the folder, and last of all their tree; returns the tree's name.

    Contents that are there already are not sent again.

    Args:
        objects: Where to.
        folder: Where the files are.
        files: Which they are.
        progress: Told of every content that is there.

    Raises:
        Unsettled: a file is not what it was when it was listed.
        Unavailable, DeadlineExceeded: the store cannot be written.
    """
    tree, name = encoded_tree(files)
    inventory = await objects.inventory()
    paths = {file.sha256: file.path for file in files}
    waiting = list(paths)

    async def work() -> None:
        while waiting:
            sha256 = waiting.pop()
            try:
                await objects.put(sha256, folder.content(paths[sha256]), inventory)
            except (Conflict, PermissionError) as error:
                raise Unsettled(f"{paths[sha256]} ({error})") from None
            progress(1)

    await together(*(work() for _ in range(_AT_ONCE)))
    await objects.put_bytes(name, tree, inventory)
    return name
