"""What was measured on: without it, a figure says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub.version import __version__
from tests.servers import nats_server_binary


def facts() -> dict[str, Any]:
    """Cores, versions, and when."""
    told = subprocess.run([nats_server_binary(), "--version"], capture_output=True, text=True, check=True, timeout=20)
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": list(os.getloadavg()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "nats_server": told.stdout.strip().rpartition("v")[2],
        "central_hub": __version__,
    }


def resident_bytes(pid: int) -> int:
    """The memory that a process has in RAM."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True, timeout=20)
    return int(told.stdout) * 1024
