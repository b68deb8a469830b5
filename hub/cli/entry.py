"""Where the command `hub` begins."""

from __future__ import annotations

import importlib.util
import io
import sys

_NEEDED = ("click", "rich")


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    if any(importlib.util.find_spec(package) is None for package in _NEEDED):
        print("the hub command needs the server extra: pip install 'central-hub[server]'", file=sys.stderr)
        sys.exit(1)
    from hub.cli.group import hub

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an odd name must not fail on a terminal of another charset
    hub(prog_name="hub")


if __name__ == "__main__":
    main()
