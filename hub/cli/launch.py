"""What `hub up` and `hub serve` have in common: their options, turned into settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hub.settings import Settings, load

F = TypeVar("F", bound=Callable[..., Any])


def common_options(command: F) -> F:
    """Add the options of every hub process."""
    options = [
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="HUB_CONFIG",
            show_envvar=True,
            help="The settings file [default: config/hub.toml, where there is one].",
        ),
        click.option("--http-port", type=click.IntRange(0, 65535), help="HTTP port, 0 = any free one [default: 7000]."),
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
            help="What is logged [default: info].",
        ),
        click.option(
            "--log-format",
            type=click.Choice(["auto", "console", "json"]),
            help="For eyes or for machines [default: auto, which is json where NODE_ENV=production].",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def settings_from(config: Path | None, overrides: dict[str, Any]) -> Settings:
    """The settings, with those options that were given on the command line on top.

    Raises:
        SettingsError: one of them is wrong; the message says which and where it stands.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    settings = load(config, os.environ, given)
    os.environ.pop("HUB_SECRETS_KEY", None)  # which no process that the hub starts has any use for
    return settings
