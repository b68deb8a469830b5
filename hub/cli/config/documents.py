"""Files with configurations: JSON or TOML, of one service, of several, or a folder with a file each."""

from __future__ import annotations

import math
import sys
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from hub.errors import HubError, InvalidRequest
from hub.wire.config import EVERYBODY
from hub.wire.names import is_service_name

STDIN: Final = "-"
_SUFFIXES: Final = (".json", ".toml")
_SHOWN: Final = 10


class Unreadable(HubError):
    """A file cannot be read, or is not what it should be; the message names it."""

    code = "unreadable"
    status = 400


def read(path: str) -> dict[str, Any]:
    """The object in a file; `-` is stdin, which holds JSON.

    Raises:
        Unreadable: it is not there, or is not one JSON object or TOML document.
    """
    if path == STDIN:
        return parsed(sys.stdin.buffer.read(), "stdin")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read ({error.strerror})") from None
    return parsed(content, path, toml=path.endswith(".toml"))


def parsed(content: bytes, where: str, *, toml: bool = False) -> dict[str, Any]:
    """The object that a text says.

    Raises:
        Unreadable: it says none.
    """
    try:
        values = tomllib.loads(content.decode()) if toml else msgspec.json.decode(content)
    except (tomllib.TOMLDecodeError, msgspec.MsgspecError, UnicodeError) as error:
        told = str(error).removeprefix("JSON is malformed: ")
        raise Unreadable(f"{where}: is not {'TOML' if toml else 'JSON'}: {told}{_line(content, told)}") from None
    except RecursionError:
        raise Unreadable(f"{where}: is nested too deeply") from None
    if not isinstance(values, dict):
        raise Unreadable(f"{where}: expected an object, with a key for each value, got {type(values).__name__}")
    _refuse_odd_numbers(values, where)
    return values


class Scopes(NamedTuple):
    """What files say of each service.

    Attributes:
        values: Its values, by its name.
        sections: Of those services that are named within a file, and not by its name: which file. Such a name may be
            meant as a section of values.
    """

    values: dict[str, dict[str, Any]]
    sections: dict[str, str]


def scopes(paths: tuple[str, ...]) -> Scopes:
    """What the files say of each service: a file says `{service: values}`, a folder holds `<service>.json` or `.toml`.

    Raises:
        Unreadable: one cannot be read.
        InvalidRequest: two speak of the same service, or of what is no service.
    """
    found: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    for path in paths:
        for service, values, origin in _of(path):
            if service in found:
                raise InvalidRequest(f"{origin}: {service} is in {origins[service]} too; say it once")
            found[service], origins[service] = _checked(service, values, origin), origin
    if not found:
        raise InvalidRequest(f"nothing to import in {', '.join(paths)}")
    sections = {service: origin for service, origin in origins.items() if origin in paths}
    return Scopes(found, sections)


def refuse_unknown(sections: dict[str, str], known: Collection[str]) -> None:
    """Refuse what may be sections of values, and not services: names of which nothing is known.

    Raises:
        InvalidRequest: there are some; says what to do.
    """
    unknown = sorted(sections.keys() - {*known, EVERYBODY})
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else "")
        raise InvalidRequest(
            f"{sections[unknown[0]]}: no such service is registered or configured: {shown}. If these are sections of "
            "one service's values, name it with --service; if they are new services, say --new"
        )


def _of(path: str) -> list[tuple[str, Any, str]]:
    if path == STDIN or not Path(path).is_dir():
        return [(service, values, path) for service, values in read(path).items()]
    files = sorted(file for file in Path(path).iterdir() if file.suffix in _SUFFIXES and file.is_file())
    return [(file.stem, read(str(file)), str(file)) for file in files]


def _checked(service: str, values: Any, origin: str) -> dict[str, Any]:
    if service != EVERYBODY and not is_service_name(service):
        raise InvalidRequest(
            f"{origin}: {service!r} is not the name of a service: a file says {{service: values}}, "
            "or its values alone where --service names the service"
        )
    if not isinstance(values, dict):
        raise InvalidRequest(
            f"{origin}: {service}: expected an object of values, got {type(values).__name__}; "
            "a file that holds the values of one service goes with --service"
        )
    return values


def _refuse_odd_numbers(values: Any, where: str) -> None:
    """TOML knows numbers that JSON does not."""
    rest = [values]
    while rest:
        value = rest.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise Unreadable(f"{where}: {value} is no number that JSON can say")
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise Unreadable(f"{where}: {value} is beyond the numbers that can be stored; say it as text")
        rest += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _line(content: bytes, told: str) -> str:
    """The line on which JSON goes wrong; the decoder says only the byte."""
    _, found, byte = told.partition("(byte ")
    digits = byte.removesuffix(")")
    if not found or not digits.isdecimal():
        return ""
    line = content[: int(digits)].count(b"\n") + 1
    return f", on line {line}"
