"""HTTP checks of servers that do what they should, and of those that do not."""

from __future__ import annotations

import asyncio
import gzip
import os
import tracemalloc

import pytest

from hub.errors import Unsupported
from hub.probes import Probes, unsupported
from hub.probes.http import MAX_BODY
from hub.version import __version__
from hub.wire.checks import HttpCheck
from tests.faults.probes.conftest import LookAt
from tests.faults.probes.peers import answer, answering, closing, flooding, hanging, saying, serving, trickling
from tests.servers import free_port
from tests.waiting import until

SOON = 0.4
"""Seconds that a look gets when it is to run into its timeout."""
_MB = 1024 * 1024
_HELD_BY_THE_SYSTEM = 16 * _MB
"""What sockets may hold on their way, at most; all beside it was read."""


async def test_a_good_answer_passes_and_is_told(look_at: LookAt) -> None:
    async with serving(answering(answer(body=b"fine"))) as peer:
        outcome = await look_at(HttpCheck(path="/health?deep=1"), peer.port)
    assert outcome.ok
    assert outcome.output == "200 OK"
    assert 0 < outcome.seconds < 3
    head = peer.requests[0].decode().lower()
    assert head.startswith("get /health?deep=1 http/1.1\r\n")
    assert f"\r\nhost: 127.0.0.1:{peer.port}\r\n" in head
    assert f"\r\nuser-agent: central-hub/{__version__}\r\n" in head
    assert "\r\nconnection: close\r\n" in head


async def test_the_path_is_sent_as_it_was_given(look_at: LookAt) -> None:
    async with serving(answering(answer())) as peer:
        assert (await look_at(HttpCheck(path="//other.example/%2e%2e/a?b=%20"), peer.port)).ok
    assert peer.requests[0].startswith(b"GET //other.example/%2e%2e/a?b=%20 HTTP/1.1\r\n")


async def test_an_error_fails_with_its_own_words(look_at: LookAt) -> None:
    async with serving(answering(answer("503 \x1b[31mSee http://evil.example"))) as peer:
        outcome = await look_at(HttpCheck(), peer.port)
    assert outcome[:2] == (False, "503 Service Unavailable")


@pytest.mark.parametrize(
    ("status", "expected", "ok", "output"),
    [
        ("204 No Content", "204", True, "204 No Content"),
        ("200 OK", "204", False, "200 OK, expected 204"),
        ("404 Not Found", "400-499", True, "404 Not Found"),
        ("599 Odd one", "200-299", False, "599 Odd one"),
        ("302 Found", "300-399", True, "302 Found, not followed"),
    ],
)
async def test_it_is_the_check_that_says_which_status_is_good(
    look_at: LookAt, status: str, expected: str, ok: bool, output: str
) -> None:
    async with serving(answering(answer(status))) as peer:
        outcome = await look_at(HttpCheck(expect_status=expected), peer.port)
    assert outcome[:2] == (ok, output)


async def test_a_redirect_is_not_followed(look_at: LookAt) -> None:
    async with serving(answering(answer())) as other:
        elsewhere = answer("302 Found", b"", f"Location: http://127.0.0.1:{other.port}/")
        async with serving(answering(elsewhere)) as peer:
            outcome = await look_at(HttpCheck(), peer.port)
    assert outcome[:2] == (False, "302 Found, not followed")
    assert other.connections == 0


async def test_the_expected_text_is_found_where_it_is_split(look_at: LookAt) -> None:
    async with serving(trickling(b"so far so good", start=answer(body=b"").replace(b": 0", b": 14"))) as peer:
        assert (await look_at(HttpCheck(expect_body="o go"), peer.port)).ok


async def test_a_body_without_the_expected_text_fails(look_at: LookAt) -> None:
    async with serving(answering(answer(body=b"starting"))) as peer:
        outcome = await look_at(HttpCheck(expect_body="ok"), peer.port)
    assert outcome[:2] == (False, "expected 'ok' in the body")


async def test_a_body_that_ends_too_soon_fails(look_at: LookAt) -> None:
    async def behave(peer, reader, writer):  # type: ignore[no-untyped-def]
        await peer.heard(reader)
        await peer.send(writer, answer(body=b"").replace(b": 0", b": 100") + b"half")

    async with serving(behave) as peer:
        outcome = await look_at(HttpCheck(expect_body="ok"), peer.port)
    assert outcome[:2] == (False, "the body ended too soon")


async def test_a_server_that_says_nothing_fails_in_time(look_at: LookAt) -> None:
    async with serving(hanging) as peer:
        outcome = await look_at(HttpCheck(timeout=SOON), peer.port)
    assert outcome[:2] == (False, f"no answer within {SOON} s")
    assert outcome.seconds > SOON - 0.01  # the loop counts in milliseconds, the look in fractions of them


@pytest.mark.parametrize("start", [b"H", b"HTTP/1.1 200 OK\r\nX-Endless: ", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_an_answer_that_trickles_in_fails_in_time(look_at: LookAt, start: bytes) -> None:
    async with serving(trickling(b"TTP/1.1 200 OK", start=start)) as peer:
        outcome = await look_at(HttpCheck(timeout=SOON, expect_body="ok"), peer.port)
    assert outcome[:2] == (False, f"no answer within {SOON} s")


@pytest.mark.parametrize("framing", ["Content-Length: 104857600", "Transfer-Encoding: chunked", "X-Until: closed"])
async def test_no_more_than_the_beginning_of_a_huge_body_is_read(look_at: LookAt, framing: str) -> None:
    chunk = b"x" * MAX_BODY
    if "chunked" in framing:
        chunk = b"%x\r\n%b\r\n" % (len(chunk), chunk)
    start = f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode()
    async with serving(flooding(chunk, start, times=1600)) as peer:
        outcome = await look_at(HttpCheck(expect_body="ok"), peer.port)
    assert outcome[:2] == (False, "expected 'ok' in the first 64 KiB of the body")
    assert peer.sent < _HELD_BY_THE_SYSTEM


async def test_a_huge_body_that_nobody_asked_about_is_not_waited_for(look_at: LookAt) -> None:
    start = b"HTTP/1.1 200 OK\r\n\r\n"
    async with serving(flooding(b"x" * MAX_BODY, start, times=1600)) as peer:
        assert (await look_at(HttpCheck(), peer.port)).ok
    assert peer.sent < _HELD_BY_THE_SYSTEM


@pytest.mark.parametrize("header", [b"X-More: of them\r\n", b"x" * 4096])
async def test_endless_headers_fail(look_at: LookAt, header: bytes) -> None:
    async with serving(flooding(header, b"HTTP/1.1 200 OK\r\n", times=10_000_000)) as peer:
        outcome = await look_at(HttpCheck(timeout=10), peer.port)
    assert outcome[:2] == (False, "the headers are too large")
    assert peer.sent < _HELD_BY_THE_SYSTEM


_ENDLESS = [
    (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, b""),
    (b"1;" + b"x" * 4000 + b"\r\nx\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    (b"X-More: of them\r\n" * 100, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
]


@pytest.mark.parametrize(("more", "start"), _ENDLESS, ids=["interim answers", "chunk extensions", "trailers"])
async def test_whatever_else_does_not_end_is_cut_off(look_at: LookAt, more: bytes, start: bytes) -> None:
    async with serving(flooding(more, start, times=10_000_000)) as peer:
        outcome = await look_at(HttpCheck(timeout=10, expect_body="ok"), peer.port)
    assert not outcome.ok
    assert outcome.seconds < 10
    assert peer.sent < _HELD_BY_THE_SYSTEM


async def test_a_bomb_is_not_unpacked(look_at: LookAt) -> None:
    bomb = gzip.compress(b"\0" * 64 * _MB)
    async with serving(answering(answer("200 OK", bomb, "Content-Encoding: gzip"))) as peer:
        tracemalloc.start()
        try:
            outcome = await look_at(HttpCheck(expect_body="ok"), peer.port)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert not outcome.ok
    assert most < 4 * _MB


_GARBAGE = [b"\0\1\2\3" * 300, b"SSH-2.0-OpenSSH_9.6\r\n", b"220 mail.example ESMTP\r\n\r\n", b"HTTP/1.1 \xff\r\n\r\n"]


@pytest.mark.parametrize("garbage", _GARBAGE)
async def test_an_answer_that_is_not_http_fails(look_at: LookAt, garbage: bytes) -> None:
    async with serving(answering(garbage)) as peer:
        outcome = await look_at(HttpCheck(), peer.port)
    assert outcome[:2] == (False, "the answer is not HTTP")


@pytest.mark.parametrize("garbage", _GARBAGE)
async def test_a_server_that_speaks_first_does_not_speak_http(look_at: LookAt, garbage: bytes) -> None:
    async with serving(saying(garbage)) as peer:
        outcome = await look_at(HttpCheck(), peer.port)
    assert outcome[:2] in [(False, "the answer is not HTTP"), (False, "connection closed without an answer")]


async def test_a_server_that_leaves_without_an_answer_fails(look_at: LookAt) -> None:
    async with serving(closing) as peer:
        outcome = await look_at(HttpCheck(), peer.port)
    assert outcome[:2] == (False, "connection closed without an answer")


async def test_a_port_that_nobody_listens_on_fails(look_at: LookAt) -> None:
    assert (await look_at(HttpCheck(), free_port()))[:2] == (False, "connection refused")


async def test_every_look_has_a_connection_of_its_own_and_no_cookies(look_at: LookAt) -> None:
    async with serving(answering(answer("200 OK", b"", "Set-Cookie: session=1", "Connection: keep-alive"))) as peer:
        for _ in range(3):
            assert (await look_at(HttpCheck(), peer.port)).ok
    assert peer.connections == 3
    assert not any(b"cookie" in head.lower() for head in peer.requests)


async def test_no_proxy_of_the_environment_is_used(look_at: LookAt, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(answer())) as proxy, serving(answering(answer())) as peer:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await look_at(HttpCheck(), peer.port)).ok
    assert proxy.connections == 0


async def test_headers_of_the_check_are_sent(look_at: LookAt) -> None:
    async with serving(answering(answer())) as peer:
        check = HttpCheck(headers={"host": "virtual.example", "X-Probe": "ä\tb", "user-agent": "mine"})
        assert (await look_at(check, peer.port)).ok
    head = peer.requests[0].decode()
    assert head.lower().count("\r\nhost:") == head.lower().count("\r\nuser-agent:") == 1
    assert "virtual.example\r\n" in head
    assert "X-Probe: ä\tb\r\n" in head


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1\r\nX-B: 2"},
        {"X-A": "1\nX-B: 2"},
        {"X-A": "\0"},
        {"X-A: 1\r\nX-B": "2"},
        {"": "2"},
        {"X A": "2"},
        {"Transfer-Encoding": "chunked"},
        {"content-length": "5"},
    ],
)
async def test_headers_that_would_be_more_than_headers_are_refused(probes: Probes, headers: dict[str, str]) -> None:
    check = HttpCheck(headers=headers)
    why_not = unsupported(check)
    assert why_not is not None
    assert why_not.startswith("headers: ")
    assert why_not.isprintable()
    with pytest.raises(Unsupported):
        probes.prober(check, host="127.0.0.1", port=80, protocol="http")


@pytest.mark.parametrize("host", ["a:b", "...", "%", ":::::", "-", "a..b", "x" * 253])
async def test_a_host_that_is_none_fails(look_at: LookAt, host: str) -> None:
    outcome = await look_at(HttpCheck(), 80, host=host)
    assert not outcome.ok
    assert "does not resolve" in outcome.output or "not one that HTTP can be spoken to" in outcome.output


async def test_a_look_that_is_cancelled_is_over(probes: Probes) -> None:
    async with serving(hanging) as peer:
        prober = probes.prober(HttpCheck(interval=60, timeout=60), host="127.0.0.1", port=peer.port, protocol="http")
        looking = asyncio.create_task(_once(prober))
        await until(lambda: peer.connections == 1)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking


async def _once(prober) -> None:  # type: ignore[no-untyped-def]
    await prober()


async def test_looks_that_fail_leave_no_file_descriptors(look_at: LookAt) -> None:
    async with serving(hanging) as silent, serving(closing) as hasty, serving(saying(b"junk\r\n\r\n")) as odd:
        await asyncio.gather(*(look_at(HttpCheck(timeout=0.1), each.port) for each in (silent, hasty, odd)))
        await until(lambda: not silent.busy and not hasty.busy and not odd.busy)
        before = len(os.listdir("/dev/fd"))
        ports = [silent.port, hasty.port, odd.port, free_port()]
        outcomes = await asyncio.gather(*(look_at(HttpCheck(timeout=SOON), port) for port in ports * 50))
        assert not any(outcome.ok for outcome in outcomes)
        await until(lambda: len(os.listdir("/dev/fd")) <= before, "all connections are closed")
