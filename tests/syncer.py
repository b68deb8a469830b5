"""A process that keeps a copy of the components: python -m tests.syncer URL PATH [WORD].

Given a word, a handler never comes to an end with a version that has it in the file `0`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hub.client import Synced
from tests.clients import consumer


async def main(url: str, path: Path, word: str) -> None:
    """Keep it until the process is ended."""
    async with consumer(url) as client:

        @client.components.on_change
        async def judge(synced: Synced) -> None:
            if word and word in (synced.folder / "0").read_text():
                await asyncio.Event().wait()

        await client.components.sync(path)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""))
