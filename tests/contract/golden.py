"""The golden messages of schemas/examples: hand-written, and the same for readers in every language."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import Struct

from hub.wire.messages import SHAPES

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "schemas" / "examples" / "v1"


@dataclass(frozen=True, slots=True)
class Golden:
    """One file: a message called `<message>[.<variant>]`."""

    path: Path

    @property
    def message(self) -> str:
        return self.path.stem.partition(".")[0]

    @property
    def variant(self) -> str:
        return self.path.stem.partition(".")[2]

    @property
    def kind(self) -> type[Struct]:
        return SHAPES[self.message]

    @property
    def content(self) -> Any:
        return json.loads(self.path.read_text(encoding="utf-8"))


VALID = [Golden(path) for path in sorted(EXAMPLES.glob("*.json"))]
INVALID = [Golden(path) for path in sorted((EXAMPLES / "invalid").glob("*.json"))]


def name_of(golden: Golden) -> str:
    """The name of the test of one file."""
    return golden.path.stem
