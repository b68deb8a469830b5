"""As much of a list as a reply can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def fitting(shown: Sequence[T], encoded: Callable[[list[T], bool], bytes], *, limit: int, max_bytes: int) -> bytes:
    """The encoded list, cut to what may be told at a time.

    Args:
        shown: All that there is to tell.
        encoded: Encodes what is told; given that there is more, it says where to go on.
        limit: How many at most; 0 for as many as the reply can hold.
        max_bytes: The largest reply.
    """
    kept = list(shown[:limit] if limit else shown)
    while True:
        reply = encoded(kept, bool(kept) and len(kept) < len(shown))
        if len(reply) <= max_bytes or len(kept) <= 1:
            return reply
        kept = kept[: len(kept) // 2]
