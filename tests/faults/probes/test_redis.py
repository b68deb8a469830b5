"""Redis, theirs and our own: with a password, frozen, killed, full, and what only pretends to be one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from hub.probes import redis_url
from hub.wire.checks import RedisCheck
from tests.faults.probes.conftest import LookAt
from tests.faults.probes.peers import flooding, hanging, saying, serving
from tests.redis_server import RedisServer
from tests.waiting import until

SOON = 0.4
PASSWORD = "s3cr3t/@:%?&Pä"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", password=PASSWORD) as server:
        yield server


def url(server: RedisServer, password: str) -> str:
    return f"redis://:{quote(password, safe='')}@127.0.0.1:{server.port}/0"


async def test_a_server_that_answers_passes(look_at: LookAt, server: RedisServer) -> None:
    assert (await look_at(RedisCheck(), server.port))[:2] == (True, "PONG")
    assert (await redis_url(server.url)())[:2] == (True, "PONG")


async def test_that_a_login_is_asked_for_is_an_answer_to_a_check(look_at: LookAt, locked: RedisServer) -> None:
    assert (await look_at(RedisCheck(), locked.port))[:2] == (True, "asks for a login")


async def test_our_own_login_is_made(locked: RedisServer) -> None:
    assert (await redis_url(url(locked, PASSWORD))())[:2] == (True, "PONG")
    wrong = await redis_url(url(locked, "wr0ng-one"))()
    assert wrong[:2] == (False, "invalid username-password pair or user is disabled.")
    missing = await redis_url(f"redis://127.0.0.1:{locked.port}")()
    assert missing[:2] == (False, "Authentication required.")


async def test_a_frozen_server_fails_in_time(look_at: LookAt, server: RedisServer) -> None:
    server.pause()
    assert (await look_at(RedisCheck(timeout=SOON), server.port))[:2] == (False, f"no answer within {SOON} s")
    assert (await redis_url(server.url, timeout=SOON)())[:2] == (False, f"no answer within {SOON} s")


async def test_a_killed_server_fails_until_it_is_back(look_at: LookAt, server: RedisServer) -> None:
    look = redis_url(server.url)
    server.kill()
    assert (await look_at(RedisCheck(), server.port))[:2] == (False, "connection refused")
    assert (await look())[:2] == (False, "connection refused")
    server.start()
    assert (await look_at(RedisCheck(), server.port)).ok
    assert (await look()).ok


async def test_a_server_that_takes_no_more_clients_fails(look_at: LookAt, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "full", config=["--maxclients", "1"]) as full:
        writer = await _admitted(full.port)
        outcome = await look_at(RedisCheck(), full.port)
        assert outcome[:2] == (False, "ERR max number of clients reached")
        assert not (await redis_url(full.url)()).ok
        writer.transport.abort()


async def _admitted(port: int) -> asyncio.StreamWriter:
    """A connection that the server has taken in; the one that it was found ready with may still count."""
    async with asyncio.timeout(30):
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"PING\r\n")
            if await reader.readline() == b"+PONG\r\n":
                return writer
            writer.transport.abort()


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "LOADING Redis is loading the dataset in memory"),
        (b"HTTP/1.1 400 Bad Request\r\n", "the answer is not Redis's"),
        (b"\0\xff\x1b]0;title\r\n", "the answer is not Redis's"),
    ],
)
async def test_any_other_answer_fails(look_at: LookAt, words: bytes, output: str) -> None:
    async with serving(saying(words)) as peer:
        assert (await look_at(RedisCheck(), peer.port))[:2] == (False, output)


async def test_a_line_that_does_not_end_is_not_read_to_the_end(look_at: LookAt) -> None:
    async with serving(flooding(b"+" * 65536, times=1600, ask=False)) as peer:
        assert (await look_at(RedisCheck(), peer.port))[:2] == (False, "the answer is not Redis's")
    assert peer.sent < 16 * 1024 * 1024


@pytest.mark.parametrize(
    "bad", ["cache.example", "http://:hunter2@127.0.0.1", "redis://:hunter2@127.0.0.1:99999", "redis://u:hunter2@[::1"]
)
async def test_a_url_that_is_none_fails_without_being_shown(bad: str) -> None:
    assert (await redis_url(bad)())[:2] == (False, "the URL is not one of Redis")


async def test_a_name_that_nobody_knows_fails() -> None:
    outcome = await redis_url("redis://:hunter2@nowhere.invalid")()
    assert outcome[:2] == (False, "the host does not resolve")


async def test_no_password_is_ever_shown(
    locked: RedisServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    caplog.set_level("DEBUG")
    echo = f"-ERR you said {PASSWORD} or {quote(PASSWORD, safe='')}\r\n".encode()
    async with serving(saying(echo)) as parrot:
        for port in (parrot.port, locked.port, 1):
            look = redis_url(f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0?password=x{port}y", timeout=SOON)
            said += [(await look()).output, repr(look)]
    told = "\n".join([*said, caplog.text, *capfd.readouterr()])
    assert "you said *** or ***" in told
    assert PASSWORD not in told
    assert quote(PASSWORD, safe="") not in told


async def test_looks_that_fail_leave_no_file_descriptors(look_at: LookAt, locked: RedisServer) -> None:
    good, wrong = url(locked, PASSWORD), url(locked, "wrong")

    async with serving(hanging) as silent:

        async def all_ways() -> None:
            await asyncio.gather(
                *(redis_url(each)() for each in (good, wrong)),
                redis_url(f"redis://127.0.0.1:{silent.port}", timeout=SOON)(),
                look_at(RedisCheck(timeout=SOON), silent.port),
                look_at(RedisCheck(), locked.port),
            )

        await all_ways()
        await until(lambda: not silent.busy)
        before = len(os.listdir("/dev/fd"))
        await asyncio.gather(*(all_ways() for _ in range(20)))
        await until(lambda: len(os.listdir("/dev/fd")) <= before, "all connections are closed")
