"""The rendered files: which there are, writing them, and finding those that say something else than the code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hub.contract import asyncapi, permissions, tables, yaml
from hub.wire.messages import SHAPES
from hub.wire.roles import CALLER_ROLES
from hub.wire.schemas import schema

ASYNCAPI: Final = "subjects/asyncapi.yaml"
SCHEMAS: Final = "schemas/v1"
_NOTICE: Final = "# Rendered from hub/wire by `hub contract --write`; change it there.\n"
_MARKED: Final = {"README.md": tables.overview, "subjects/README.md": tables.rights}
"""Files written by hand, in which one table is rendered."""


def render() -> dict[str, str]:
    """Every file that is rendered as a whole: its text by its path below the project's folder, with `/`."""
    files = {ASYNCAPI: _NOTICE + yaml.document(asyncapi.document())}
    files |= {path: _NOTICE + text for path, text in permissions.render().items()}
    for name, kind in SHAPES.items():
        files[f"{SCHEMAS}/{name}.json"] = json.dumps(schema(name, kind), indent=2, ensure_ascii=False) + "\n"
    return files


def write(root: Path) -> None:
    """Make the files below the project's folder say what the code says; schemas of nothing are deleted."""
    for path, text in render().items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
    for superfluous in list(_superfluous(root)):
        superfluous.unlink()
    for name, table in _MARKED.items():
        before = _read(root / name)
        filled = None if before is None else tables.placed(before, table())
        if filled is not None and filled != before:
            (root / name).write_text(filled, encoding="utf-8", newline="\n")


def check(root: Path) -> list[str]:
    """The files below the project's folder that do not say what the code says, each with what is the matter."""
    found: list[str] = []
    for path, text in render().items():
        there = _read(root / path)
        if there != text:
            found.append(f"{path} ({'missing' if there is None else 'drifted'})")
    found += [f"{path.relative_to(root).as_posix()} (superfluous)" for path in _superfluous(root)]
    for name, table in _MARKED.items():
        before = _read(root / name)
        if before is None:
            continue
        filled = tables.placed(before, table())
        if filled is None:
            found.append(f"{name} (has no `{tables.BEGIN}` and `{tables.END}`)")
        elif filled != before:
            found.append(f"{name} (table of subjects drifted)")
    return found


def _superfluous(root: Path) -> Iterator[Path]:
    """Schemas and permissions that belong to nothing."""
    yield from (path for path in sorted((root / SCHEMAS).glob("*.json")) if path.stem not in SHAPES)
    yield from (path for path in sorted((root / permissions.FOLDER).glob("*.conf")) if path.stem not in CALLER_ROLES)


def _read(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8", errors="replace") if path.is_file() else None
