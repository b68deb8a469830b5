"""An entry of the configuration as a row of the table `config_history`, and back."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from hub.core.incarnations import moment
from hub.store.ports import Entry, Logged
from hub.wire.config import ConfigRecord

_LONGEST_SCOPE: Final = 512
_UNKNOWN: Final = "\ufffd"
_record = msgspec.json.Decoder(ConfigRecord)
_anything = msgspec.json.Decoder()


class Row(NamedTuple):
    """A row, without its feed. Of an entry that is a deletion, `record` and `raw` are None."""

    revision: int
    scope: str
    changed: datetime
    kind: str | None = None
    author: str | None = None
    reason: str | None = None
    record: str | None = None
    raw: bytes | None = None

    def uninterpreted(self) -> Row:
        """The same with what was stored as bytes, for a database that does not take it as anything else."""
        raw = self.raw if self.record is None else self.record.encode()
        return Row(self.revision, self.scope[:_LONGEST_SCOPE], self.changed, raw=raw)


def row_of(logged: Logged) -> Row:
    """The row of an entry, whatever it holds: others than the hub may have written it."""
    entry = logged.entry
    row = Row(entry.revision, _text(entry.key), moment(logged.at))
    if entry.value is None:
        return row
    try:
        text = entry.value.decode()
        _anything.decode(entry.value)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        return row._replace(raw=entry.value)
    row = row._replace(record=text)
    try:
        record = _record.decode(entry.value)
    except (msgspec.MsgspecError, RecursionError):
        return row
    return row._replace(
        changed=record.at, kind=_text(record.kind), author=_text(record.author), reason=_text(record.reason)
    )


def entry_of(scope: str, revision: int, record: str | None, raw: bytes | None) -> Entry:
    """The entry that was put into a row."""
    return Entry(scope, raw if record is None else record.encode(), revision)


def _text(value: str) -> str:
    """The text as PostgreSQL takes it: without NUL, and without half characters."""
    return value.replace("\0", _UNKNOWN).encode(errors="replace").decode()
