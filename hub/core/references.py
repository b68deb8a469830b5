"""The references to secrets in a configuration: where they are, and what they stand for put in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hub.core.layers import step
from hub.wire.config import Pointer
from hub.wire.secrets import REFERENCE, is_reference


def references(value: Any, path: Pointer = "") -> Iterator[tuple[Pointer, str]]:
    """Every reference, in lists too: its place, and the name of the secret."""
    if isinstance(value, dict):
        if is_reference(value):
            yield path, value[REFERENCE]
            return
        for name, inner in value.items():
            if isinstance(inner, dict | list):
                yield from references(inner, step(path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if isinstance(inner, dict | list):
                yield from references(inner, step(path, str(number)))


def filled(value: Any, secret: Callable[[str], str]) -> Any:
    """The value with every reference replaced by what `secret` gives for its name."""
    if isinstance(value, dict):
        if is_reference(value):
            return secret(value[REFERENCE])
        return {name: filled(inner, secret) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, secret) for inner in value]
    return value
