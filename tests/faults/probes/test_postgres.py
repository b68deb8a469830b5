"""PostgreSQL, theirs and our own: wrong logins, frozen, killed, full, and what only pretends to be one."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Iterator
from urllib.parse import quote

import asyncpg
import pytest

from hub.probes import postgres_url
from hub.wire.checks import PostgresCheck
from tests.faults.probes.conftest import LookAt
from tests.faults.probes.peers import Peer, flooding, hanging, saying, serving
from tests.postgres_server import PostgresServer
from tests.waiting import until

SOON = 0.4
PASSWORD = "s3cr3t/@:%?&Pä"


@pytest.fixture(scope="module")
def shared() -> Iterator[PostgresServer]:
    """One that is left alone."""
    with PostgresServer(password=PASSWORD) as server:
        yield server


@pytest.fixture
def own() -> Iterator[PostgresServer]:
    """One that a test may do anything to."""
    with PostgresServer(config=["max_connections=4", "superuser_reserved_connections=0"]) as server:
        yield server


def error(code: str, message: str) -> bytes:
    """An ErrorResponse."""
    body = f"SFATAL\0VFATAL\0C{code}\0M{message}\0\0".encode()
    return b"E" + struct.pack("!I", len(body) + 4) + body


async def test_a_server_that_takes_logins_passes_and_logs_nothing(look_at: LookAt, shared: PostgresServer) -> None:
    before = shared.log.read_text()
    for _ in range(3):
        assert (await look_at(PostgresCheck(), shared.port))[:2] == (True, "takes logins")
    assert (await postgres_url(shared.url)()).ok
    assert shared.log.read_text() == before


async def test_a_server_that_lets_everybody_in_passes_and_logs_nothing(look_at: LookAt, own: PostgresServer) -> None:
    own.sql('CREATE ROLE "central-hub" LOGIN')
    own.sql('CREATE DATABASE "central-hub"')
    (own.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
    own.restart()
    before = own.log.read_text()
    for _ in range(5):
        assert (await look_at(PostgresCheck(), own.port))[:2] == (True, "takes logins")
    own.sql("SELECT 1")
    assert own.log.read_text() == before


async def test_our_own_login_is_made_and_used(shared: PostgresServer) -> None:
    assert (await postgres_url(shared.url)())[:2] == (True, "login and query answered")
    wrong = await postgres_url(shared.url_for("hub", "wr0ng-one"))()
    assert wrong[:2] == (False, 'password authentication failed for user "hub"')
    missing = await postgres_url(shared.url_for("hub", PASSWORD, database="nothing"))()
    assert missing[:2] == (False, 'database "nothing" does not exist')


async def test_a_frozen_server_fails_in_time(look_at: LookAt, own: PostgresServer) -> None:
    own.pause()
    assert (await look_at(PostgresCheck(timeout=SOON), own.port))[:2] == (False, f"no answer within {SOON} s")
    assert (await postgres_url(own.url, timeout=SOON)())[:2] == (False, f"no answer within {SOON} s")


async def test_a_killed_server_fails_until_it_is_back(look_at: LookAt, own: PostgresServer) -> None:
    look = postgres_url(own.url)
    own.kill()
    assert (await look_at(PostgresCheck(), own.port))[:2] == (False, "connection refused")
    assert (await look())[:2] == (False, "connection refused")
    own.start()
    assert (await look_at(PostgresCheck(), own.port)).ok
    assert (await look()).ok


async def test_a_server_that_is_full_fails(look_at: LookAt, own: PostgresServer) -> None:
    held = [await asyncpg.connect(own.url) for _ in range(4)]
    try:
        for outcome in (await look_at(PostgresCheck(), own.port), await postgres_url(own.url)()):
            assert outcome[:2] == (False, "sorry, too many clients already")
    finally:
        for connection in held:
            connection.terminate()


@pytest.mark.parametrize(
    ("words", "ok", "output"),
    [
        (error("57P03", "the database system is starting up"), False, "the database system is starting up"),
        (error("57P01", "terminating connection"), False, "terminating connection"),
        (error("28000", "no entry for you"), True, "takes logins (refused this one: no entry for you)"),
        (b"R\0\0\0\x08\0\0\0\0", True, "takes logins"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "the answer is not PostgreSQL's"),
        (b"E\0\0\0\0", True, "takes logins (refused this one: error without a message)"),
    ],
)
async def test_it_is_the_kind_of_answer_that_counts(look_at: LookAt, words: bytes, ok: bool, output: str) -> None:
    async with serving(saying(words)) as peer:
        assert (await look_at(PostgresCheck(), peer.port))[:2] == (ok, output)


async def test_an_answer_of_any_length_is_read_to_its_beginning_only(look_at: LookAt) -> None:
    start = b"E\xff\xff\xff\xff" + b"C57P03\0M"
    async with serving(flooding(b"x" * 65536, start, times=1600, ask=False)) as peer:
        outcome = await look_at(PostgresCheck(), peer.port)
    assert not outcome.ok
    assert outcome.output.endswith("xxx...")
    assert len(outcome.output) == 256
    assert peer.sent < 16 * 1024 * 1024


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "mysql://u:hunter2@127.0.0.1/x",
        "postgresql://u:hunter2@127.0.0.1:port/x",
        "postgresql://u:hunter2/@127.0.0.1/x",
    ],
)
async def test_a_url_that_is_none_fails_without_being_shown(bad: str) -> None:
    outcome = await postgres_url(bad)()
    assert not outcome.ok
    assert outcome.output.startswith("the URL is not one of PostgreSQL")
    assert "hunter" not in outcome.output


async def test_a_name_that_nobody_knows_fails() -> None:
    outcome = await postgres_url("postgresql://u:hunter2@nowhere.invalid/x")()
    assert outcome[:2] == (False, "the host does not resolve")


async def test_no_password_is_ever_shown(
    shared: PostgresServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    spelled = quote(PASSWORD, safe="")
    said: list[str] = []

    async def repeating(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        await peer.send(writer, b"N")  # no TLS
        await reader.read(4096)
        await peer.send(writer, error("28000", f"you said {PASSWORD} or {spelled}"))

    async with serving(repeating) as parrot:
        for port in (parrot.port, shared.port, 1):
            look = postgres_url(f"postgresql://nobody:{spelled}@127.0.0.1:{port}/x", timeout=3)
            said += [(await look()).output, repr(look)]
    told = "\n".join([*said, caplog.text, *capfd.readouterr()])
    assert "you said *** or ***" in told
    assert PASSWORD not in told
    assert spelled not in told


async def test_looks_that_fail_leave_no_file_descriptors(look_at: LookAt, shared: PostgresServer) -> None:
    async with serving(hanging) as silent:

        async def all_ways() -> None:
            await asyncio.gather(
                postgres_url(shared.url)(),
                postgres_url(shared.url_for("hub", "wrong"))(),
                postgres_url(f"postgresql://hub:x@127.0.0.1:{silent.port}/x", timeout=SOON)(),
                look_at(PostgresCheck(timeout=SOON), silent.port),
                look_at(PostgresCheck(), shared.port),
            )

        await all_ways()
        await until(lambda: not silent.busy)
        before = len(os.listdir("/dev/fd"))
        for _ in range(4):
            await asyncio.gather(*(all_ways() for _ in range(5)))
        await until(lambda: len(os.listdir("/dev/fd")) <= before, "all connections are closed")
