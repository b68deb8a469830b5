"""The options by which a change is tried by some instances before it is put for all."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar

import click
import msgspec

from hub.core.canary import check
from hub.errors import InvalidRequest
from hub.wire.canary import DEFAULT_BAKE, MAX_BAKE, CanaryPlan, CanaryRules, CanaryTarget

F = TypeVar("F", bound=Callable[..., Any])

_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|)")
_LISTS: Final = {"instance": "instances", "zone": "zones", "tag": "tags"}
_KINDS: Final = "all, percent=N, instance=ID, zone=NAME, tag=NAME or version=RANGE"


def tried(command: F) -> F:
    """Add `--canary`, `--bake` and `--tolerate`: parameter `canary` (CanaryPlan or None)."""

    @click.option(
        "--canary",
        "targets",
        multiple=True,
        metavar="TARGET",
        help=f"Let only some instances try it first: {_KINDS}. May be repeated: instances and zones are one of those "
        "named, all else must hold.",
    )
    @click.option(
        "--bake",
        metavar="TIME",
        help=f"With --canary: how long it is tried before it is put for all, as 90s, 10m or 2h ({DEFAULT_BAKE:g}s).",
    )
    @click.option(
        "--tolerate",
        multiple=True,
        type=click.Choice(["refused", "critical"]),
        help="With --canary: do not take it back because an instance refused it, or became critical.",
    )
    @wraps(command)
    def planned(*args: Any, targets: tuple[str, ...], bake: str | None, tolerate: tuple[str, ...], **given: Any) -> Any:
        if not targets and (bake is not None or tolerate):
            raise click.UsageError("--bake and --tolerate go with --canary: say who is to try it.")
        plan = None
        if targets:
            plan = CanaryPlan(
                target=target(targets),
                bake=DEFAULT_BAKE if bake is None else seconds(bake),
                rules=CanaryRules(refused="refused" not in tolerate, critical="critical" not in tolerate),
            )
        return command(*args, canary=plan, **given)

    return planned  # type: ignore[return-value]  # it takes what the command line gives in place of `canary`


def target(given: tuple[str, ...]) -> CanaryTarget:
    """Who is to try it. Raises BadParameter where that is not understood."""
    found: dict[str, Any] = {}
    for each in given:
        kind, _, value = each.partition("=")
        if each == "all":
            continue
        if not value:
            raise _wrong(each)
        if kind in _LISTS:
            found.setdefault(_LISTS[kind], []).append(value)
        elif kind == "version" and kind not in found:
            found[kind] = value
        elif kind == "percent" and kind not in found:
            try:
                found[kind] = float(value.removesuffix("%"))
            except ValueError:
                raise _wrong(each) from None
        else:
            raise _wrong(each)
    try:
        wanted = msgspec.convert(found, CanaryTarget)
        check(wanted)
    except (msgspec.ValidationError, InvalidRequest) as error:
        raise click.BadParameter(str(error), param_hint="--canary") from None
    return wanted


def seconds(text: str) -> float:
    """A time such as 90s, 10m or 2h in seconds. Raises BadParameter where it is none."""
    found = _DURATION.fullmatch(text)
    if found is None or float(found[1]) * _UNITS[found[2]] > MAX_BAKE:
        raise click.BadParameter(
            f"expected a time of at most {MAX_BAKE / 86_400:g}d, such as 90s, 10m or 2h, got {text!r}",
            param_hint="--bake",
        )
    return float(found[1]) * _UNITS[found[2]]


def _wrong(given: str) -> click.BadParameter:
    return click.BadParameter(f"expected {_KINDS}, got {given!r}", param_hint="--canary")
