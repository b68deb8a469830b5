"""Which stream a message is of. A stream that was deleted and made anew is another one: its sequences begin again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_STAMP: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z")
_INCARNATION: Final = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{9})Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000_000


def nanoseconds(stamp: str) -> int:
    """A time as JetStream writes it (RFC 3339 in UTC, up to nine digits of a second), since 1970.

    Raises:
        ValueError: it is no such time.
    """
    return _nanoseconds(_STAMP, stamp)


def incarnation(created: str) -> str:
    """The name of a stream that was created then: fit for a stream's name, and in the order of time.

    Raises:
        ValueError: `created` is no time as JetStream writes it.
    """
    found = _STAMP.fullmatch(created)
    if found is None:
        raise ValueError(f"expected a time such as 2026-01-31T09:02:11.482913001Z, got {created[:40]!r}")
    *parts, fraction = found.groups("")
    return "{}{}{}T{}{}{}{}Z".format(*parts, fraction.ljust(9, "0"))


def began(name: str) -> int:
    """When an incarnation of that name began, in nanoseconds since 1970.

    Raises:
        ValueError: it is no such name.
    """
    return _nanoseconds(_INCARNATION, name)


def moment(since: int) -> datetime:
    """Nanoseconds since 1970 as a time, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=since // 1000)


def _nanoseconds(form: re.Pattern[str], text: str) -> int:
    found = form.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a time of JetStream, got {text[:40]!r}")
    *parts, fraction = found.groups("")
    year, month, day, hour, minute, second = map(int, parts)
    whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _EPOCH
    return (whole.days * 86_400 + whole.seconds) * _SECOND + int(fraction.ljust(9, "0"))
