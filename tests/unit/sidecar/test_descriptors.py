"""As many connections as descriptors allow, and the limit raised as far as it may be."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CODE = """
import resource, sys
from hub.sidecar.descriptors import make_room
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(make_room(wanted), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "fit", "raised_to"),
    [
        (1024, 4096, 1000, 1000, 1256),
        (2048, 4096, 1000, 1000, 2048),
        (512, 1024, 1000, 768, 1024),
        (200, 200, 1000, 16, 200),
    ],
)
def test_the_limit_is_raised_as_far_as_is_needed_and_allowed(
    soft: int, hard: int, wanted: int, fit: int, raised_to: int
) -> None:
    arguments = [sys.executable, "-c", _CODE, str(soft), str(hard), str(wanted)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == f"{fit} {raised_to}"
    assert ("fewer HTTP connections fit" in done.stdout + done.stderr) == (fit < wanted)
