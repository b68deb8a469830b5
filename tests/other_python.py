"""Run the unit tests on the newest CPython other than this one that can be found: on PATH, or under pyenv.

Usage: python -m tests.other_python (what `make test-other` does). It uses `.venv-other`, made from the same lock file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
_ROOT = Path(__file__).parent.parent
_VENV = _ROOT / ".venv-other"


def version_of(python: str) -> tuple[int, int] | None:
    """The (major, minor) version of a CPython, or None where it is none or does not run."""
    ask = "import sys; print(sys.implementation.name, *sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    told = answer.stdout.split()
    return (int(told[1]), int(told[2])) if told and told[0] == "cpython" else None


def candidates() -> list[str]:
    """Every python3.N that might run."""
    found = [path for minor in range(11, 30) if (path := shutil.which(f"python3.{minor}"))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found += [str(path) for path in pyenv.glob("3.*/bin/python3") if re.fullmatch(r"3\.\d+\.\d+", path.parts[-3])]
    return found


def main() -> int:
    """Find it, set it up, run the unit tests; 0 also where there is no other Python."""
    versions = {python: version for python in candidates() if (version := version_of(python))}
    others = {python: v for python, v in versions.items() if v >= OLDEST and v != sys.version_info[:2]}
    if not others:
        print("no other CPython >= 3.11 found; the unit tests ran on this one alone")
        return 0
    newest = max(others, key=lambda python: others[python])
    print(f"running the unit tests on CPython {'.'.join(map(str, others[newest]))} ({newest})")
    subprocess.run([newest, "-m", "venv", str(_VENV)], check=True)
    python = str(_VENV / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", "requirements.lock"], cwd=_ROOT, check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", "."], cwd=_ROOT, check=True)
    tests = [python, "-m", "pytest", "-q", "tests/unit", "tests/properties"]
    return subprocess.run(tests, cwd=_ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
