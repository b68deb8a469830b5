"""What every archive does: the real one and its twin in memory. Then what only PostgreSQL can do."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hub.core.incarnations import incarnation, nanoseconds
from hub.core.migrations import SchemaRefused
from hub.errors import DeadlineExceeded, HubError, Unavailable
from hub.store.memoryarchive import MemoryArchive
from hub.store.ports import Archive, Entry, Logged, Mark, Shelf
from hub.store.postgres import Database, PostgresArchive, PostgresAudit
from hub.store.postgres.migrating import steps
from tests.postgres_server import PostgresServer
from tests.proxy import Proxy
from tests.waiting import until

ROOT = Path(__file__).parents[2]
STAMP = "2026-01-31T09:02:11.482913001Z"
FIRST, SECOND = incarnation(STAMP), incarnation("2026-02-01T00:00:00Z")
LOG = "2026-01-31T09:02:12.000000001Z"
LARGE = b'"' + b"x" * 60_000 + b'"'


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server that the tests of this module share, each with a schema of its own."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
async def schema() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def tables(postgres: PostgresServer, schema: str) -> AsyncIterator[PostgresArchive]:
    """An empty archive in PostgreSQL."""
    database = Database(postgres.url)
    found = PostgresArchive(database, "KV_hub-config", schema)
    await found.open()
    yield found
    await database.aclose()


@pytest.fixture(params=["postgres", "memory"])
async def archive(request: pytest.FixtureRequest) -> AsyncIterator[Archive]:
    """An empty archive, once of each kind."""
    if request.param == "memory":
        yield MemoryArchive()
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    database = Database(postgres.url)
    found = PostgresArchive(database, "KV_hub-config", f"test_{uuid.uuid4().hex[:12]}")
    await found.open()
    yield found
    await database.aclose()


def logged(key: str, revision: int, value: bytes | None = b"{}") -> Logged:
    return Logged(Entry(key, value, revision), nanoseconds(STAMP) + revision * 1000)


def upto(revision: int) -> Mark:
    return Mark(revision, LOG, revision)


async def test_what_is_appended_is_there_in_order_and_once_however_often_it_is_appended(archive: Archive) -> None:
    for _ in range(3):
        await archive.append(FIRST, [logged("a", 1), logged("b", 2), logged("a", 3)], upto(3))
    await archive.append(FIRST, [logged("a", 3), logged("a", 4)], upto(4))
    history = await archive.history(FIRST, "a")
    assert history == Shelf([Entry("a", b"{}", revision) for revision in (4, 3, 1)], False, upto(4))
    assert await archive.mark(FIRST) == upto(4)


async def test_what_is_there_stays_as_it_is(archive: Archive) -> None:
    await archive.append(FIRST, [logged("a", 1, b"1")], upto(1))
    await archive.append(FIRST, [logged("a", 1, b"2")], upto(1))
    assert await archive.at(FIRST, "a", 1) == Entry("a", b"1", 1)


async def test_how_far_it_has_come_never_goes_back(archive: Archive) -> None:
    assert await archive.mark(FIRST) == Mark()
    await archive.append(FIRST, [], upto(7))
    await archive.append(FIRST, [logged("a", 3)], upto(3))
    assert await archive.mark(FIRST) == upto(7)
    another = "2026-02-02T00:00:00Z"
    await archive.append(FIRST, [], Mark(5, another, 2))
    assert await archive.mark(FIRST) == Mark(7, another, 2), "a log that was made anew has sequences of its own"


async def test_a_history_is_read_in_parts(archive: Archive) -> None:
    await archive.append(FIRST, [logged("a", revision) for revision in range(1, 251)], upto(250))
    before, found = 0, []
    while True:
        shelf = await archive.history(FIRST, "a", before=before, limit=120)
        found += [entry.revision for entry in shelf.entries]
        if not shelf.more:
            break
        before = found[-1]
    assert found == list(range(250, 0, -1))
    assert (await archive.history(FIRST, "a", before=1)).entries == []


@pytest.mark.parametrize(
    "value", [b'{"n":1}', b"\x00\xff", b"", b"not json", b'{"a":"\\u0000"}', b'"\\ud800"', b"1e999"]
)
async def test_a_value_is_given_back_byte_for_byte(archive: Archive, value: bytes) -> None:
    await archive.append(FIRST, [logged("a", 1, value)], upto(1))
    assert await archive.at(FIRST, "a", 1) == Entry("a", value, 1)
    assert (await archive.history(FIRST, "a")).entries == [Entry("a", value, 1)]


async def test_a_deletion_is_kept_beside_what_was_before(archive: Archive) -> None:
    await archive.append(FIRST, [logged("a", 1), logged("a", 2, None), logged("a", 3)], upto(3))
    assert [entry.value for entry in (await archive.history(FIRST, "a")).entries] == [b"{}", None, b"{}"]
    assert await archive.at(FIRST, "a", 2) == Entry("a", None, 2)


async def test_incarnations_are_apart(archive: Archive) -> None:
    await archive.append(FIRST, [logged("a", 1, b"1")], upto(1))
    await archive.append(SECOND, [logged("a", 1, b"2"), logged("a", 2, b"3")], upto(2))
    assert await archive.at(FIRST, "a", 1) == Entry("a", b"1", 1)
    assert [entry.value for entry in (await archive.history(SECOND, "a")).entries] == [b"3", b"2"]
    assert (await archive.mark(FIRST), await archive.mark(SECOND)) == (upto(1), upto(2))


async def test_an_entry_of_another_key_or_of_no_revision_is_none(archive: Archive) -> None:
    await archive.append(FIRST, [logged("a", 1)], upto(1))
    assert await archive.at(FIRST, "b", 1) is None
    assert await archive.at(FIRST, "a", 2) is None
    assert await archive.at(FIRST, "a", 0) is None
    assert await archive.at(FIRST, "a", 2**64) is None
    assert await archive.at(SECOND, "a", 1) is None


# --- PostgreSQL alone


async def test_records_can_be_asked_for_in_sql(tables: PostgresArchive, postgres: PostgresServer, schema: str) -> None:
    record = {"scope": "a", "kind": "put", "at": STAMP, "values": {"n": 7}, "author": "ada", "reason": "why not"}
    odd = {**record, "author": "ada\0", "reason": "why\0not"}
    entries = [
        logged("a", 1, json.dumps(record).encode()),
        logged("a", 2, None),
        logged("b", 3, json.dumps(odd).encode()),
    ]
    await tables.append(FIRST, entries, upto(3))
    columns = "scope, revision, kind, author, reason, record #>> '{values,n}', changed at time zone 'utc'"
    rows = postgres.sql(f"SELECT {columns} FROM {schema}.config_history WHERE scope = 'a' ORDER BY revision")
    assert rows.splitlines() == [
        "a|1|put|ada|why not|7|2026-01-31 09:02:11.482913",
        "a|2|||||2026-01-31 09:02:11.482915",
    ]
    assert (
        postgres.sql(f"SELECT author, reason FROM {schema}.config_history WHERE scope = 'b'")
        == "ada\ufffd|why\ufffdnot"
    )


async def test_a_value_that_postgresql_does_not_take_keeps_neither_the_others_nor_itself_out(
    tables: PostgresArchive, postgres: PostgresServer, schema: str
) -> None:
    postgres.sql("ALTER DATABASE postgres SET max_stack_depth = '100kB'")
    deep = b"[" * 900 + b"]" * 900
    entries = [logged("a", 1), logged("a", 2, deep), logged("x" * 3000, 3), logged("a", 4)]
    try:
        database = Database(postgres.url)
        shallow = PostgresArchive(database, "KV_hub-config", schema)
        await shallow.append(FIRST, entries, upto(4))
        assert [entry.value for entry in (await tables.history(FIRST, "a")).entries] == [b"{}", deep, b"{}"]
        assert postgres.sql(f"SELECT revision FROM {schema}.config_history WHERE raw IS NOT NULL") == "2"
        assert await tables.mark(FIRST) == upto(4)
        await database.aclose()
    finally:
        postgres.sql("ALTER DATABASE postgres RESET max_stack_depth")


async def test_an_answer_is_cut_where_records_are_large(tables: PostgresArchive) -> None:
    await tables.append(FIRST, [logged("a", revision, LARGE) for revision in range(1, 201)], upto(200))
    shelf = await tables.history(FIRST, "a", limit=1000)
    assert 70 <= len(shelf.entries) <= 150
    assert shelf.more
    assert shelf.entries[-1].revision == 201 - len(shelf.entries)


async def test_hubs_that_start_at_once_make_the_tables_once(postgres: PostgresServer, schema: str) -> None:
    databases = [Database(postgres.url) for _ in range(8)]
    archives = [PostgresArchive(database, "KV_hub-config", schema) for database in databases]
    await asyncio.gather(*(each.open() for each in archives))
    taken = postgres.sql(f"SELECT number, name, checksum FROM {schema}.schema_migrations ORDER BY number")
    assert taken.splitlines() == ["|".join(map(str, step.migration)) for step in steps()]
    await asyncio.gather(*(database.aclose() for database in databases))


async def test_tables_that_are_newer_than_the_hub_are_refused_and_left_alone(
    postgres: PostgresServer, tables: PostgresArchive, schema: str
) -> None:
    newer = len(steps()) + 1
    postgres.sql(f"INSERT INTO {schema}.schema_migrations VALUES ({newer}, 'from_the_future', 'c')")
    database = Database(postgres.url)
    with pytest.raises(SchemaRefused, match=rf"schema {schema} .*version {newer} \(from_the_future\).*a newer hub"):
        await PostgresArchive(database, "KV_hub-config", schema).open()
    await database.aclose()


async def test_tables_that_came_about_in_another_way_are_refused(
    postgres: PostgresServer, tables: PostgresArchive, schema: str
) -> None:
    postgres.sql(f"UPDATE {schema}.schema_migrations SET checksum = 'other' WHERE number = 1")
    database = Database(postgres.url)
    with pytest.raises(SchemaRefused, match="migration 1: expected config_history with checksum"):
        await PostgresArchive(database, "KV_hub-config", schema).open()
    await database.aclose()


async def test_a_login_that_may_only_use_the_tables_is_enough_once_they_are_there(
    postgres: PostgresServer, tables: PostgresArchive, schema: str
) -> None:
    postgres.sql(f"CREATE ROLE {schema}_user LOGIN PASSWORD 'drowssap'")
    postgres.sql(f"GRANT USAGE ON SCHEMA {schema} TO {schema}_user")
    postgres.sql(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} TO {schema}_user")
    database = Database(postgres.url_for(f"{schema}_user", "drowssap"))
    limited = PostgresArchive(database, "KV_hub-config", schema)
    await limited.open()
    await limited.append(FIRST, [logged("a", 1)], upto(1))
    assert await limited.mark(FIRST) == upto(1)
    await database.aclose()


async def test_a_login_that_may_make_no_schema_is_told_so(postgres: PostgresServer, schema: str) -> None:
    postgres.sql(f"CREATE ROLE {schema}_none LOGIN PASSWORD 'drowssap'")
    database = Database(postgres.url_for(f"{schema}_none", "drowssap"))
    with pytest.raises(Unavailable, match="permission denied for database"):
        await PostgresArchive(database, "KV_hub-config", schema).open()
    await database.aclose()


async def test_a_database_that_comes_back_empty_gets_its_tables_again(
    postgres: PostgresServer, tables: PostgresArchive, schema: str
) -> None:
    await tables.append(FIRST, [logged("a", 1)], upto(1))
    postgres.sql(f"DROP SCHEMA {schema} CASCADE")
    with pytest.raises(Unavailable, match="does not exist"):
        await tables.mark(FIRST)
    with pytest.raises(Unavailable, match="made anew"):  # once, so that what was known of them is forgotten
        await tables.open()
    await tables.open()
    assert await tables.mark(FIRST) == Mark()


async def test_tables_that_another_part_made_anew_are_not_written_to_as_if_they_were_the_old_ones(
    postgres: PostgresServer, tables: PostgresArchive, schema: str
) -> None:
    other = PostgresAudit(tables._database, "HUB_AUDIT", schema)
    await other.open()
    await tables.append(FIRST, [logged("a", 1)], upto(1))
    postgres.sql(f"DROP SCHEMA {schema} CASCADE")
    with pytest.raises(Unavailable, match="does not exist"):
        await other.mark(FIRST)
    with pytest.raises(Unavailable, match="made anew"):
        await other.open()
    await other.open()
    with pytest.raises(Unavailable, match="made anew"):
        await tables.append(FIRST, [logged("a", 2)], upto(2))
    await tables.open()
    assert await tables.mark(FIRST) == Mark()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hub:hidden-word@127.0.0.1:1/x",
        "postgresql://hub:hidden-word@127.0.0.1:{port}/x",
        "postgresql://hub:hidden%2Dword@127.0.0.1:{port}/nowhere",
        "postgresql://hub:hidden-word@[::1:{port}/x",
        "postgresql://127.0.0.1:{port}/x?user=hub&password=hidden-word&sslmode=nonsense",
        "mysql://hub:hidden-word@127.0.0.1:{port}/x",
        "hub:hidden-word@127.0.0.1",
    ],
)
async def test_no_error_shows_the_password(postgres: PostgresServer, schema: str, url: str) -> None:
    database = Database(url.format(port=postgres.port))
    with pytest.raises(HubError) as caught:
        await PostgresArchive(database, "KV_hub-config", schema).open()
    assert caught.value.message.startswith("PostgreSQL: ")
    assert caught.value.retryable
    for text in (str(caught.value), repr(caught.value), repr(caught.value.__cause__)):
        assert "hidden" not in text
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    await database.aclose()


async def test_while_it_is_known_to_be_away_reads_fail_at_once(schema: str) -> None:
    with PostgresServer() as server:
        async with Proxy(server.port) as proxy:
            url = server.url.replace(str(server.port), proxy.url.rpartition(":")[2])
            database = Database(url)
            archive = PostgresArchive(database, "KV_hub-config", schema)
            with pytest.raises(Unavailable, match="not looked at yet"):
                await archive.at(FIRST, "a", 1)
            await archive.open()
            await archive.append(FIRST, [logged("a", 1)], upto(1))
            proxy.stall()
            with pytest.raises(DeadlineExceeded, match=r"no answer within 1\.5 s"):
                await archive.at(FIRST, "a", 1)
            loop = asyncio.get_running_loop()
            started = loop.time()
            for _ in range(20):
                with pytest.raises(DeadlineExceeded):
                    await archive.history(FIRST, "a")
            assert loop.time() - started < 1
            proxy.resume()
            assert await archive.mark(FIRST) == upto(1), "whoever looks whether it is back, is told"
            assert await archive.at(FIRST, "a", 1) is not None
            await database.aclose()


async def test_a_connection_that_the_server_closed_is_made_anew(schema: str) -> None:
    with PostgresServer() as server:
        database = Database(server.url)
        archive = PostgresArchive(database, "KV_hub-config", schema)
        await archive.open()
        await archive.append(FIRST, [logged("a", 1)], upto(1))
        server.restart()

        async def reached() -> bool:
            try:
                return await archive.mark(FIRST) == upto(1)
            except HubError:
                return False

        for _ in range(5):
            if await reached():
                break
        assert await reached()
        server.stop()
        with pytest.raises(Unavailable, match=r"cannot be reached|was closed"):
            await archive.mark(FIRST)
        with pytest.raises(Unavailable, match="cannot be reached \\(connection refused\\)"):
            await archive.mark(FIRST)
        await database.aclose()


async def test_whoever_is_cancelled_leaves_no_connection_in_use(tables: PostgresArchive) -> None:
    for _ in range(10):
        reading = asyncio.create_task(tables.mark(FIRST))
        await asyncio.sleep(0.002)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    done: list[Mark] = []
    reads = [asyncio.create_task(tables.mark(FIRST)) for _ in range(8)]
    for read in reads:
        read.add_done_callback(lambda task: done.append(task.result()))
    await until(lambda: len(done) == 8)


def test_the_wheel_has_the_migrations(tmp_path: Path) -> None:
    built = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith(".sql")}
    folder = ROOT / "hub" / "store" / "postgres" / "migrations"
    assert packed == {f"hub/store/postgres/migrations/{file.name}" for file in folder.iterdir()}
    assert len(packed) == len(steps())


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    assert [step.migration.number for step in steps()] == list(range(1, len(steps()) + 1))
