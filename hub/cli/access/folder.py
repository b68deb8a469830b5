"""Which folder has the keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def keys_folder(command: F) -> F:
    """Add the option that names it, as `folder`."""
    return click.option(
        "--dir",
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="HUB_ACCESS_KEYS",
        default=Path(".hub/access"),
        show_default=True,
        show_envvar=True,
        help="The folder with the keys, as access.keys names it.",
    )(command)
