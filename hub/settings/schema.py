"""The settings one by one: dotted key, type, default, and the environment variables that set it."""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from hub.settings.model import NEVER_SHOWN, Settings

PLATFORM_NAMES: Final = {
    "NATS_URL": "nats.url",
    "NATS_CA": "nats.tls_ca",
    "NATS_CERT": "nats.tls_cert",
    "NATS_KEY": "nats.tls_key",
    "DATABASE_URL": "platform.database_url",
    "CACHE_URL": "platform.cache_url",
    "KAFKA_BROKERS": "platform.kafka_brokers",
    "NODE_ENV": "platform.node_env",
    "LOG_LEVEL": "log.level",
    "HOT_RELOAD_ENABLED": "platform.hot_reload_enabled",
    "COMPONENT_WATCH_ENABLED": "platform.component_watch_enabled",
    "ENABLE_PERFORMANCE_METRICS": "platform.performance_metrics",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "tracing.endpoint",
}
"""What the platform's services are configured by already. A `HUB_` name for the same setting goes before it."""

ABOUT: Final = frozenset({"origins", "file"})
"""What `Settings` says of where it came from, and nobody sets."""

_WORDS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
_SPELLINGS: Final = {"log.level": {"warn": "warning"}}


class Refused(Exception):
    """A value is not what its setting takes; the text says what it takes."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set."""

    key: str
    kind: Any
    default: Any

    @property
    def variable(self) -> str:
        """The environment variable of its own."""
        return "HUB_" + self.key.replace(".", "_").upper()

    @property
    def variables(self) -> list[str]:
        """Every environment variable that sets it; a later one wins over an earlier."""
        return [*(name for name, key in PLATFORM_NAMES.items() if key == self.key), self.variable]

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return _describe(inspect.type_info(self.kind))

    def convert(self, value: object) -> Any:
        """A value of its type, from one that a TOML file or a command line holds.

        Raises:
            Refused: it is not what the setting takes.
        """
        if isinstance(value, str) and isinstance(_bare(inspect.type_info(self.kind)), inspect.LiteralType):
            value = value.strip().lower()
            value = _SPELLINGS.get(self.key, {}).get(value, value)
        try:
            converted = msgspec.convert(value, self.kind)
        except msgspec.ValidationError:
            raise Refused(self.expected) from None
        if value is None or (isinstance(converted, float) and not math.isfinite(converted)):
            raise Refused(self.expected)
        return converted

    def parse(self, text: str) -> Any:
        """A value of its type, from the text of an environment variable: lists are separated by commas.

        Raises:
            Refused: it is not what the setting takes.
        """
        bare = _bare(inspect.type_info(self.kind))
        value: object = text.strip()
        if isinstance(bare, inspect.BoolType):
            value = _WORDS.get(text.strip().lower(), text)
        elif isinstance(bare, inspect.VarTupleType):
            value = [part.strip() for part in text.split(",") if part.strip()]
        elif isinstance(bare, inspect.IntType | inspect.FloatType):
            try:
                value = int(text) if isinstance(bare, inspect.IntType) else float(text)
            except ValueError:
                raise Refused(self.expected) from None
        return self.convert(value)


@cache
def settings() -> dict[str, Setting]:
    """Every setting by its dotted key."""
    found: dict[str, Setting] = {}
    _collect(Settings, "", found)
    return found


def sections() -> dict[str, type[msgspec.Struct]]:
    """Every section by its name."""
    return {
        name: kind
        for name, kind in typing.get_type_hints(Settings).items()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    }


def _collect(section: type[msgspec.Struct], prefix: str, found: dict[str, Setting]) -> None:
    kinds = typing.get_type_hints(section, include_extras=True)
    blank = section()
    for name in section.__struct_fields__:
        kind = kinds[name]
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            _collect(kind, f"{prefix}{name}.", found)
        elif (prefix or name not in ABOUT) and prefix + name not in NEVER_SHOWN:
            found[prefix + name] = Setting(prefix + name, kind, getattr(blank, name))


def _bare(kind: inspect.Type) -> inspect.Type:
    """The type behind `| None` and annotations."""
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        return next(_bare(each) for each in kind.types if not isinstance(each, inspect.NoneType))
    return kind


def _describe(kind: inspect.Type) -> str:
    bare = _bare(kind)
    if isinstance(bare, inspect.LiteralType):
        return "one of " + ", ".join(f'"{value}"' for value in sorted(bare.values, key=str))
    if isinstance(bare, inspect.BoolType):
        return "true or false"
    if isinstance(bare, inspect.VarTupleType):
        least = " (at least one)" if bare.min_length else ""
        return f"a list{least} of which each is {_describe(bare.item_type)}"
    if isinstance(bare, inspect.IntType):
        return _bounded("an integer", bare)
    if isinstance(bare, inspect.FloatType):
        return _bounded("a number", bare)
    if isinstance(bare, inspect.StrType) and bare.pattern:
        if "https?" in bare.pattern:
            return "a URL such as http://host:4318"
        if bare.pattern.startswith("^[a-z_]"):
            return "a name of small letters, digits and _"
        return "a URL such as nats://host:4222 or tls://host:4222"
    return "a string that is not empty"


def _bounded(what: str, kind: inspect.IntType | inspect.FloatType) -> str:
    low = f"at least {kind.ge:g}" if kind.ge is not None else f"more than {kind.gt:g}" if kind.gt is not None else ""
    high = f"at most {kind.le:.10g}" if kind.le is not None else ""
    bounds = " and ".join(filter(None, (low, high)))
    return f"{what}, {bounds}" if bounds else what
