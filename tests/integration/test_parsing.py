"""What is read from a connection is taken apart the same, however it is cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.errors import ProtocolError

from hub.transport.direct import DirectClient, read_headers

Heard = tuple[int, bytes, bytes, bytes, bytes]

_STREAM = (
    b"MSG a.b 1 5\r\nhello\r\n"
    b"PING\r\n"
    b"MSG a.b 12 in.box 0\r\n\r\n"
    b"HMSG a.b 3 18 20\r\nNATS/1.0\r\nA: b\r\n\r\n\r\n\r\n"
    b"HMSG 12 4 34 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"
    b"+OK\r\n"
    b"MSG 7 5 8 9\r\nMSG a 1 0\r\n"
    b"MSG gr\xc3\xbc\xc3\x9fe 6 4\r\n\r\n\r\n\r\n"
    b"PONG\r\n"
    b"MSG a\x0bb 7 1\r\nx\r\n"
    b"MSG last 8 3\r\nend\r\n"
)
_HEARD: list[Heard] = [
    (1, b"a.b", b"", b"hello", b""),
    (12, b"a.b", b"in.box", b"", b""),
    (3, b"a.b", b"", b"\r\n", b"NATS/1.0\r\nA: b\r\n\r\n"),
    (4, b"12", b"34", b"hi", b"NATS/1.0\r\n\r\n"),
    (5, b"7", b"8", b"MSG a 1 0", b""),
    (6, "grüße".encode(), b"", b"\r\n\r\n", b""),
    (7, b"a\xffb", b"", b"x", b""),
    (8, b"last", b"", b"end", b""),
]


class _Client(DirectClient):
    """Notes the messages in place of delivering them; it is not connected."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Heard] = []
        self.pinged = 0

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.heard.append((sid, subject, reply, data, headers or b""))

    async def _process_ping(self) -> None:
        self.pinged += 1

    async def _process_pong(self) -> None:
        self.pinged += 10


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, 64, 10_000])
async def test_pieces_of_any_size_make_the_same_messages(size: int) -> None:
    client = _Client()
    for at in range(0, len(_STREAM), size):
        await client._ps.parse(_STREAM[at : at + size])
    assert client.heard == _HEARD
    assert client.pinged == 11


async def test_a_large_message_is_taken_apart_once_it_is_there() -> None:
    client = _Client()
    payload = bytes(range(256)) * 4096
    stream = b"MSG big 1 %d\r\n%b\r\nMSG small 2 1\r\nx\r\n" % (len(payload), payload)
    for at in range(0, len(stream), 32_768):
        await client._ps.parse(stream[at : at + 32_768])
    assert client.heard == [(1, b"big", b"", payload, b""), (2, b"small", b"", b"x", b"")]


async def test_a_line_that_is_none_of_the_protocol_is_an_error() -> None:
    client = _Client()
    with pytest.raises(ProtocolError):
        await client._ps.parse(b"MSG a 1 1\r\nx\r\nWHAT\r\n")
    assert len(client.heard) == 1


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"NATS/1.0\r\nA: b\r\nC:d: e\r\n\r\n", {"A": "b", "C": "d: e"}),
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503"}),
        (b"NATS/1.0 100 Idle Heartbeat\r\nX: 1\r\n\r\n", {"Status": "100", "Description": "Idle Heartbeat", "X": "1"}),
        (b"NATS/1.0\r\n\r\n", None),
        (b"N", None),
        (b"NATS/1.0 503 \xff\r\n\r\n", None),
        (b"NATS/1.0\r\n\xff: a\r\n\r\n", None),
    ],
)
def test_headers_are_read_when_asked_for(raw: bytes, headers: dict[str, str] | None) -> None:
    assert read_headers(raw) == headers


@given(
    st.lists(st.binary(max_size=12) | st.sampled_from([b"A: b", b"A:\tb ", b" A : b", b"A B: c", b"A\x1c: b", b": b"]))
)
def test_headers_are_those_that_the_library_finds(lines: list[bytes]) -> None:
    block = b"\r\n".join([*lines, b"", b""])
    assert (read_headers(b"NATS/1.0\r\n" + block) or {}) == Client._parse_header_lines(block)
