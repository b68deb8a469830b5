"""The tables of subjects that READMEs show between two markers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hub.wire.channel import HUB, Channel
from hub.wire.channels import CHANNELS
from hub.wire.messages import message_name

BEGIN: Final = "<!-- subjects:begin -->"
END: Final = "<!-- subjects:end -->"


def overview() -> str:
    """For the project's README: what there is, and for whom."""
    rows = []
    for channel in CHANNELS:
        others = [role for role in (*channel.publishers, *channel.subscribers) if role != HUB]
        rows.append((f"`{_address(channel)}`", _several(others or [HUB]), channel.kind, channel.description))
    return _table(("subject", "for", "kind", "what"), rows)


def rights() -> str:
    """For subjects/README.md: who may publish and subscribe, and what is said, with links to the schemas."""
    rows = [
        (
            f"`{_address(channel)}`",
            channel.kind + (f", queue group `{channel.queue}`" if channel.queue else ""),
            _several(channel.publishers),
            _several(channel.subscribers),
            "" if (channel.publishers, channel.subscribers) == ((HUB,), (HUB,)) else f"`{channel.right}`",
            _said(channel),
        )
        for channel in CHANNELS
    ]
    return _table(("subject", "kind", "publish", "subscribe", "right", "payload → reply"), rows)


def _address(channel: Channel) -> str:
    return channel.address.replace("{", "<").replace("}", ">")


def _several(roles: Iterable[str]) -> str:
    return ", ".join(roles)


def _said(channel: Channel) -> str:
    payload = _link(message_name(channel.payload)) if channel.payload else "empty"
    if channel.text:
        return f"{payload} → `{channel.text}`"
    return f"{payload} → {_link(message_name(channel.reply))}" if channel.reply else payload


def _link(message: str) -> str:
    return f"[{message}](../schemas/v1/{message}.json)"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    lines.insert(1, "|---" * len(head) + "|")
    return "\n".join(lines) + "\n"


def placed(text: str, table: str) -> str | None:
    """The text with the table between its markers; None where it has no markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{table}{end}{after}" if begin and end else None
