"""Reading what users read: fenced blocks, inline commands, links and tables of a Markdown file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DEPLOY = ROOT / "deploy" / "README.md"

_FENCED = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the language it names, and its text."""

    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its lines that are not empty and not only a comment, joined where one ends with a backslash."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def blocks(document: Path) -> list[Block]:
    """The fenced blocks, in their order."""
    found = [Block(*match) for match in _FENCED.findall(document.read_text(encoding="utf-8"))]
    assert len(found) * 2 == document.read_text(encoding="utf-8").count("```"), f"a block of {document} was not read"
    return found


def prose(document: Path) -> str:
    """The text without its fenced blocks."""
    return _FENCED.sub("", document.read_text(encoding="utf-8"))


def inline(document: Path, program: str) -> list[list[str]]:
    """The arguments of each `program ...` that stands inline."""
    return [match.split() for match in re.findall(rf"`{program}\s+([^`]+)`", prose(document))]


def links(document: Path) -> list[str]:
    """Where its links lead."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", prose(document)))


def rows(document: Path, head: str) -> list[tuple[str, ...]]:
    """The cells of the table whose heading is the line `head`."""
    _, found, rest = document.read_text(encoding="utf-8").partition(f"\n{head}\n")
    assert found, f"{document} has no table {head}"
    lines = rest.split("\n\n")[0].splitlines()[1:]
    return [tuple(cell.strip() for cell in line.strip().strip("|").split(" | ")) for line in lines]
