"""A reader for the YAML that `hub.contract.yaml` writes, and for nothing else: an independent look at it."""

from __future__ import annotations

import json
from typing import Any


def read(text: str) -> Any:
    """The document: nested mappings, lists of JSON values, JSON scalars; comments only on lines of their own."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    value, rest = _block(lines, 0)
    assert not rest, f"not read: {rest[0]!r}"
    return value


def _block(lines: list[str], depth: int) -> tuple[Any, list[str]]:
    """The mapping or list at `depth`, and the lines behind it."""
    mapping: dict[str, Any] = {}
    items: list[Any] = []
    while lines and _depth(lines[0]) == depth:
        line, lines = lines[0].strip(), lines[1:]
        if line.startswith("- "):
            items.append(json.loads(line[2:]))
            continue
        key, _, value = line.partition(": ") if ": " in line else (line.removesuffix(":"), "", "")
        key = json.loads(key) if key.startswith('"') else key
        assert key not in mapping, f"{key!r} stands there twice"
        if value:
            mapping[key] = json.loads(value)
        else:
            mapping[key], lines = _block(lines, depth + 2)
    assert not (mapping and items), "a list within a mapping's own lines"
    return (items or mapping), lines


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
