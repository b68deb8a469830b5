"""Asking a hub for the flags of a service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

from hub.cli.config.asking import present
from hub.core import flagreading
from hub.core.flags import Flags
from hub.wire.flags import FLAGS
from hub.wire.names import is_instance_id

F = TypeVar("F", bound=Callable[..., Any])


class Found(NamedTuple):
    """The flags of a service, and the revision of the configuration that they stand in."""

    flags: Flags
    revision: int


def flags_of(urls: list[str], timeout: float, service: str, instance: str | None) -> Found:
    """What a service has, or one instance of it; of `_all`, what all services share."""
    config = present(urls, timeout, service, instance)
    return Found(flagreading.read(config.values.get(FLAGS)), config.revision)


def for_instance(command: F) -> F:
    """Add `--instance`: parameter `instance` (str or None)."""
    return click.option(
        "--instance",
        metavar="ID",
        callback=_instance_id,
        help="For this instance, which may be one that tries a canary.",
    )(command)


def _instance_id(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_instance_id(value):
        raise click.BadParameter(f"expected the id of an instance, got {value!r}")
    return value
