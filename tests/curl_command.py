"""What README.md asks of `curl`, said through Python, for machines without it: a URL, and `--json` for a POST."""

from __future__ import annotations

import sys
from urllib.request import Request, urlopen


def main(arguments: list[str]) -> int:
    """Ask, and print what is answered."""
    *options, url = arguments
    if options and (len(options) != 2 or options[0] != "--json"):
        sys.exit(f"this stand-in for curl knows --json alone, not {options}")
    body = options[1].encode() if options else None
    with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=30) as reply:
        sys.stdout.write(reply.read().decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
