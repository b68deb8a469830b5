"""The messages of a connection, taken out of what was read: all those that look as usual by one expression each.

The library tries several expressions a message and copies its payload twice, which is much of what a small one costs.
"""

from __future__ import annotations

import re

from nats.errors import ProtocolError
from nats.protocol.parser import AWAITING_CONTROL_LINE

from hub.transport.sturdy import SturdyParser

_LINE_END = b"\r\n"
_USUAL = re.compile(rb"(H)?MSG ([!-~]+) (\d+) (?:([!-~]+) )??(?(1)(\d+) )(\d+)\r\n")
"""Subject, subscription, reply, size of the headers where there are any, size of it all: see the NATS protocol."""


class LeanParser(SturdyParser):
    """Takes usual messages itself, and gives every other line, and what belongs to it, to the library's parser.

    `buf` holds what is not complete yet. A connection that begins anew begins with another one.
    """

    def reset(self) -> None:
        """See `Parser.reset`."""
        super().reset()
        self._wanted = 0

    async def parse(self, data: bytes = b"") -> None:
        """See `Parser.parse`."""
        held = self.buf
        if held:
            held += data
            if len(held) < self._wanted:  # a large message, which would be copied with every piece of it
                return
            data = bytes(held)
            held.clear()
        self._wanted = at = 0
        try:
            while at < len(data) and self.buf is held:
                usual = _USUAL.match(data, at) if self.state == AWAITING_CONTROL_LINE else None
                end = usual.end() + int(usual[6]) + len(_LINE_END) if usual else self._end_of_unusual(data, at)
                if end > len(data):
                    self._wanted = end - at
                    break
                begin, at = at, end
                if usual:
                    headers = usual.end() + int(usual[5] or 0)
                    await self.nc._process_msg(
                        int(usual[3]),
                        usual[2],
                        usual[4] or b"",
                        data[headers : end - len(_LINE_END)],
                        data[usual.end() : headers],
                    )
                else:
                    await self._leave(data[begin:end])
        finally:
            if self.buf is held:
                held += data[at:]

    def _end_of_unusual(self, data: bytes, at: int) -> int:
        """Where a line ends, or the payload of the one before; beyond the data if that is not there yet."""
        if self.state != AWAITING_CONTROL_LINE:
            return at + self.needed + len(_LINE_END)
        end = data.find(_LINE_END, at)
        return end + len(_LINE_END) if end >= 0 else len(data) + 1

    async def _leave(self, part: bytes) -> None:
        """Give a whole line, or a whole payload, to the library."""
        held = self.buf
        held += part
        await super().parse()
        if held and self.buf is held:
            raise ProtocolError("nats: unknown protocol")
