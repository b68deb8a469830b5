"""Reading the settings: defaults < file < environment < command line, every error with its place."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from hub.errors import SettingsError
from hub.settings.model import DEFAULT_PATH, Settings, shown
from hub.settings.schema import PLATFORM_NAMES, Refused, Setting, sections, settings

_COMMAND_LINE: Final = "command line"
_CONFIG: Final = "HUB_CONFIG"
_SECRETS_KEY: Final = "HUB_SECRETS_KEY"
_OWN: Final = (_CONFIG, _SECRETS_KEY)
"""Variables that no key of the file stands for."""
_CLIENTS: Final = ("HUB_NKEY", "HUB_TOKEN_FILE", "HUB_TOKEN", "HUB_API_KEY", "HUB_CREDS")
"""How clients log in, which may well stand in the same environment."""
_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")
_SERVICE_LINK = re.compile(
    r"^HUB_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$"
)
_SERVICE_LINK_PORT = re.compile(r"^HUB_(?:\w+_)?PORT$")
_SERVICE_LINK_URL = re.compile(r"^(?:tcp|udp|sctp)://")
"""Kubernetes gives every pod such variables for a Service called `hub` or `hub-...`; nobody meant them for us."""

_Found = dict[str, tuple[Any, str]]


def load(
    config_path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """The settings, from every place they can be given in. Nothing but the file is read.

    Args:
        config_path: The file; None takes the one that HUB_CONFIG names, else config/hub.toml if it is there.
        environ: The environment. A variable that is empty counts as not set.
        overrides: What the command line says, by dotted key; None counts as not given.

    Raises:
        SettingsError: a file that cannot be read, or a key, a variable or a value that is not right. The message names
            the place, what was expected, and what was found, without the passwords in it.
    """
    environ = {name: value for name, value in (environ or {}).items() if value.strip()}
    found: _Found = {}
    path = _file(config_path, environ)
    _take_file(found, path)
    _take_environment(found, environ)
    _take_secrets_key(found, environ)
    _take_overrides(found, overrides or {})
    return _build(found, path)


def _build(found: _Found, path: Path | None) -> Settings:
    values = {key: value for key, (value, _) in found.items()}
    origins = {key: origin for key, (_, origin) in found.items()}
    if values.get("log.format", "auto") == "auto":
        production = values.get("platform.node_env") == "production"
        values["log.format"] = "json" if production else "console"
    parts: dict[str, Any] = {key: value for key, value in values.items() if "." not in key}
    for name, section in sections().items():
        own = {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}
        parts[name] = section(**own)
    return Settings(**parts, origins=origins, file=None if path is None else str(path))


# --- the file


def _file(config_path: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    if config_path is not None:
        return Path(config_path)
    if _CONFIG in environ:
        return Path(environ[_CONFIG])
    return DEFAULT_PATH if DEFAULT_PATH.exists() else None


def _take_file(found: _Found, path: Path | None) -> None:
    if path is None:
        return
    for key, value in _flatten(_read(path), path):
        setting = settings().get(key)
        if setting is None:
            raise SettingsError(f"{path}: unknown key {key}{_suggest(key, settings())}", field=key)
        try:
            found[key] = (setting.convert(value), str(path))
        except Refused as refused:
            raise _wrong(f"{path}: {key}", setting, refused, value) from None


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise SettingsError(f"{path}: no such file; name another with --config or {_CONFIG}")
    return read_toml(path)[0]


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """The tables of a TOML file, and its text.

    Raises:
        SettingsError: it cannot be read, or is none; the message says at which line and column.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: expected UTF-8, got something else at byte {error.start}") from None
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {_explain(str(error), text)}") from None


def _explain(complaint: str, text: str) -> str:
    place = _PLACE.search(complaint)
    if place is None:
        return f"not TOML: {complaint}"
    lines = text.split("\n")
    line, column = place["line"] or len(lines), place["column"] or len(lines[-1]) + 1
    return f"line {line}, column {column}: not TOML: {complaint[: place.start()]}"


def _flatten(table: dict[str, Any], path: Path, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in table.items():
        key = prefix + name
        if not prefix and name in sections():
            if not isinstance(value, dict):
                raise SettingsError(f"{path}: {key}: expected a table ([{key}]), got {shown(value)}", field=key)
            yield from _flatten(value, path, f"{key}.")
        elif isinstance(value, dict) and key not in settings():
            raise SettingsError(f"{path}: unknown section {key}{_suggest(key, sections())}", field=key)
        else:
            yield key, value


# --- environment and command line


def _take_environment(found: _Found, environ: Mapping[str, str]) -> None:
    known = {variable: setting for setting in settings().values() for variable in setting.variables}
    for name, value in environ.items():
        if name in _CLIENTS:
            continue
        if name.startswith("HUB_") and not _is_service_link(name, value) and name not in known and name not in _OWN:
            near = _suggest(name[4:], [each[4:] for each in [*known, *_OWN] if each not in PLATFORM_NAMES], "HUB_")
            raise SettingsError(f"environment: unknown variable {name}{near}", field=name)
    for variable, setting in known.items():
        if variable not in environ or _is_service_link(variable, environ[variable]):
            continue
        try:
            found[setting.key] = (setting.parse(environ[variable]), variable)
        except Refused as refused:
            place = f"environment: {variable} ({setting.key})"
            raise _wrong(place, setting, refused, environ[variable]) from None


def _take_secrets_key(found: _Found, environ: Mapping[str, str]) -> None:
    """The key itself never stands in a file that others read, or on a command line."""
    if _SECRETS_KEY not in environ:
        return
    if "secrets.key_file" in found:
        _, origin = found["secrets.key_file"]
        raise SettingsError(
            f"environment: {_SECRETS_KEY}: expected no key where secrets.key_file names a file ({origin})",
            field="secrets.key_file",
        )
    found["secrets.key"] = (environ[_SECRETS_KEY], _SECRETS_KEY)


def _is_service_link(name: str, value: str) -> bool:
    if _SERVICE_LINK.match(name):
        return True
    return _SERVICE_LINK_PORT.match(name) is not None and _SERVICE_LINK_URL.match(value) is not None


def _take_overrides(found: _Found, overrides: Mapping[str, object]) -> None:
    for key, value in overrides.items():
        if value is None:
            continue
        setting = settings().get(key)
        if setting is None:
            raise SettingsError(f"{_COMMAND_LINE}: unknown key {key}{_suggest(key, settings())}", field=key)
        try:
            converted = setting.parse(value) if isinstance(value, str) else setting.convert(value)
        except Refused as refused:
            raise _wrong(f"{_COMMAND_LINE}: {key}", setting, refused, value) from None
        found[key] = (converted, _COMMAND_LINE)


# --- words


def _wrong(place: str, setting: Setting, refused: Refused, value: object) -> SettingsError:
    return SettingsError(f"{place}: expected {refused}, got {shown(value)}", field=setting.key)


def _suggest(name: str, known: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near and "." not in name:  # perhaps it is only in the wrong place
        near = [key for key in known if key.rpartition(".")[2] == name][:1]
    return f"; did you mean {prefix}{near[0]}?" if near else ""
