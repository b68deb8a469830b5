"""How long to wait before trying again: doubling, and never all at once."""

from __future__ import annotations

import random

FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubling from 0.1 to 5, each half fixed and half by chance."""
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, 16))
    return longest * random.uniform(0.5, 1.0)
