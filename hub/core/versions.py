"""Version ranges such as `>=1.2,<2`, compared by the precedence rules of Semantic Versioning 2.0.0.

More lenient than the standard in one way: a version may have up to eight numeric parts, so that `1.2` and `2024.1.5.3`
compare too (missing parts count as 0). A version that does not begin with a number matches no range.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import TypeAlias

from hub.errors import InvalidRequest

Parsed: TypeAlias = tuple[tuple[int, ...], tuple[tuple[int, int, str], ...]]

MAX_CLAUSES = 16
_VERSION = re.compile(
    r"v?(?P<numbers>\d{1,9}(?:\.\d{1,9}){0,7})(?:-(?P<pre>[0-9A-Za-z.-]{1,64}))?(?:\+[0-9A-Za-z.-]{1,64})?"
)
_CLAUSE = re.compile(r"\s*(?P<operator>>=|<=|==|!=|>|<|=|~=|\^)?\s*(?P<version>\S+)\s*")
_COMPARE: dict[str, Callable[[Parsed, Parsed], bool]] = {
    ">=": ge, "<=": le, "==": eq, "=": eq, "!=": ne, ">": gt, "<": lt,
}  # fmt: skip
_RELEASE: tuple[tuple[int, int, str], ...] = ((2, 0, ""),)  # sorts after every pre-release identifier


@lru_cache(maxsize=4096)
def parse(version: str) -> Parsed | None:
    """The version as something that compares, or None where it is no version."""
    found = _VERSION.fullmatch(version.strip())
    if found is None:
        return None
    numbers = [int(part) for part in found["numbers"].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    pre = found["pre"]
    return tuple(numbers), tuple(_identifier(part) for part in pre.split(".")) if pre else _RELEASE


def _identifier(part: str) -> tuple[int, int, str]:
    """A pre-release identifier: numeric ones sort by number and below the others, which sort as text."""
    return (0, int(part), "") if part.isdigit() else (1, 0, part)


class VersionRange:
    """Comma-separated clauses, all of which must hold: `>=1.2,<2`, `1.4.2`, `~=1.4` (>=1.4,<2), `^1.4.1` (<2)."""

    def __init__(self, text: str) -> None:
        """Parse a range.

        Raises:
            InvalidRequest: no clause, too many, or one that is no comparison with a version.
        """
        clauses = text.split(",")
        if len(clauses) > MAX_CLAUSES:
            raise _refuse(f"at most {MAX_CLAUSES} clauses", f"{len(clauses)}")
        self._clauses = [bound for clause in clauses for bound in _bounds(clause)]

    def __contains__(self, version: str) -> bool:
        parsed = parse(version)
        return parsed is not None and all(compare(parsed, bound) for compare, bound in self._clauses)


@lru_cache(maxsize=256)
def version_range(text: str) -> VersionRange:
    """A parsed range, remembered, since the same few are asked for again and again. Raises as `VersionRange` does."""
    return VersionRange(text)


def _bounds(clause: str) -> list[tuple[Callable[[Parsed, Parsed], bool], Parsed]]:
    found = _CLAUSE.fullmatch(clause)
    bound = parse(found["version"]) if found else None
    if found is None or bound is None:
        raise _refuse("comparisons such as '>=1.2,<2'", repr(clause[:80]))
    operator = found["operator"] or "=="
    if operator in ("~=", "^"):
        given = _VERSION.fullmatch(found["version"])
        parts = given["numbers"].split(".") if given else []
        kept = max(1, len(parts) - 1) if operator == "~=" else 1
        numbers = [int(part) for part in parts[:kept]]
        numbers[-1] += 1
        return [(ge, bound), (lt, (tuple(numbers), ((-1, 0, ""),)))]
    return [(_COMPARE[operator], bound)]


def _refuse(expected: str, got: str) -> InvalidRequest:
    return InvalidRequest(f"version: expected {expected}, got {got}", field="version")
