"""The history in PostgreSQL while PostgreSQL, NATS and hubs fail: every revision is there once, and in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import nats.errors
import pytest
from nats.aio.client import Client

from hub.app import Hub
from hub.errors import StartupError
from hub.settings import load
from hub.telemetry.metrics import Metrics
from tests.calls import call, connected, refusal
from tests.commands import run, run_json
from tests.hubs import HubProcess
from tests.killing import kill_task
from tests.postgres_server import PostgresServer
from tests.proxy import Proxy
from tests.servers import NatsCluster, NatsServer
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("archive-faults")

PASSWORD = "hidden-word"
QUICK = {"HUB_HEALTH_DEPENDENCY_INTERVAL": "0.2", "HUB_HEALTH_DEPENDENCY_TIMEOUT": "1"}
_PATIENT = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.05}
ROWS = "SELECT scope, revision FROM central_hub.config_history JOIN central_hub.feeds ON feed = id"


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server that a test may do anything to."""
    with PostgresServer(password=PASSWORD) as server:
        yield server


@asynccontextmanager
async def archiving(folder: Path, database_url: str, **variables: str) -> AsyncIterator[tuple[HubProcess, Client]]:
    """A hub with a NATS of its own, and a history in this PostgreSQL."""
    with HubProcess(folder / "hub", variables={**QUICK, "DATABASE_URL": database_url, **variables}) as hub:
        async with connected(hub.nats_url, **_PATIENT) as client:
            yield hub, client


def archived(postgres: PostgresServer, scope: str) -> list[int]:
    """The revisions of a scope as they are stored, oldest first, of all buckets there ever were."""
    rows = postgres.sql(f"{ROWS} WHERE scope = '{scope}' ORDER BY began, revision")
    return [int(row.partition("|")[2]) for row in rows.splitlines()]


async def until_archived(postgres: PostgresServer, scope: str, revisions: list[int], within: float = 30) -> None:
    """Return once exactly these are stored."""
    deadline = asyncio.get_running_loop().time() + within
    found: list[int] = []
    while found != revisions:
        assert asyncio.get_running_loop().time() < deadline, f"expected {revisions}, stored {found}"
        await asyncio.sleep(0.05)
        with contextlib.suppress(Exception):  # not there yet
            found = await asyncio.to_thread(archived, postgres, scope)


async def until_archived_whole(postgres: PostgresServer, scope: str, revisions: list[int]) -> None:
    """Return once all these are stored, the only ones of their bucket, and whatever was stored unheard between them."""
    deadline = asyncio.get_running_loop().time() + 60
    while True:
        found = await asyncio.to_thread(archived, postgres, scope)
        if found == list(range(1, len(found) + 1)) and len(found) >= max(revisions):
            return
        missing = sorted(set(range(1, max(revisions) + 1)) - set(found))
        assert asyncio.get_running_loop().time() < deadline, f"missing {missing} up to {max(revisions)}"
        await asyncio.sleep(0.1)


async def put(client: Client, service: str, number: int, *, timeout: float = 10.0) -> int:
    """Put a configuration, and return its revision."""
    changes = [{"service": service, "values": {"n": number}}]
    done = await call(client, "hub.config.put", {"changes": changes, "author": f"a{number}"}, timeout=timeout)
    revision = done["revision"]
    assert isinstance(revision, int)
    return revision


async def put_many(client: Client, service: str, count: int, *, start: int = 0) -> list[int]:
    """Put one after the other."""
    return [await put(client, service, start + number) for number in range(count)]


async def whole_history(client: Client, service: str, limit: int = 0) -> list[int]:
    """The revisions that hubs tell of, page by page, oldest first."""
    found: list[int] = []
    before = 0
    while True:
        page = await call(client, "hub.config.history", {"service": service, "limit": limit, "before": before})
        assert page["complete"], page
        found += [each["revision"] for each in page["revisions"]]
        if page["next"] is None:
            return found[::-1]
        before = page["next"]


async def linked_history(hub: HubProcess, service: str) -> list[int]:
    """The revisions as HTTP links them, page by page, oldest first."""
    found: list[int] = []
    path: str | None = f"/config/{service}/history?limit=40"
    async with httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http:
        while path is not None:
            page = await http.get(path)
            found += [each["revision"] for each in page.json()["revisions"]]
            path = page.links.get("next", {}).get("url")
    return found[::-1]


async def metric(hub: HubProcess, name: str) -> float:
    """A metric of the archive."""
    async with httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http:
        text = (await http.get("/metrics")).text
    found = re.search(rf'^{name}\{{stream="hub-config"\}} (\S+)$', text, re.MULTILINE)
    assert found, name
    return float(found[1])


async def health(hub: HubProcess) -> dict[str, Any]:
    """How the database is, in the words of `/health`."""
    async with httpx.AsyncClient(base_url=hub.http_url, timeout=10) as http:
        found: dict[str, Any] = (await http.get("/health")).json()["details"]["dependencies"]["database"]
    return found


async def test_a_history_goes_on_where_that_of_nats_ends(tmp_path: Path, postgres: PostgresServer) -> None:
    async with archiving(tmp_path, postgres.url) as (hub, client):
        revisions = await put_many(client, "engine", 150)
        await until_archived(postgres, "engine", revisions)
        for limit in (0, 7, 64, 65, 150, 1000):
            assert await whole_history(client, "engine", limit) == revisions
        assert await linked_history(hub, "engine") == revisions
        arguments = ("config", "history", "engine")
        told = await asyncio.to_thread(run_json, *arguments, "--all", nats=hub.nats_url)
        assert [each["revision"] for each in told["revisions"]] == revisions[::-1]
        assert (told["next"], told["complete"]) == (None, True)
        table = await asyncio.to_thread(run, *arguments, nats=hub.nats_url)
        assert f"--before {revisions[-64]} shows them, --all shows everything" in table.stderr
        old, older = revisions[20], revisions[10]
        diff = await call(client, "hub.config.diff", {"service": "engine", "base": older, "target": old})
        assert [(each["before"], each["after"]) for each in diff["differences"]] == [(10, 20)]
        diff = await call(client, "hub.config.diff", {"service": "engine", "target": old})
        assert diff["base"] == revisions[19]
        back = await call(client, "hub.config.rollback", {"service": "engine", "target": older, "author": "ada"})
        assert (await call(client, "hub.config.get", {"service": "engine"}))["values"] == {"n": 10}
        newest = (await call(client, "hub.config.history", {"service": "engine", "limit": 1}))["revisions"][0]
        assert (newest["revision"], newest["kind"], newest["author"]) == (back["revision"], "rollback", "ada")


async def test_nothing_is_lost_while_postgresql_is_away(tmp_path: Path, postgres: PostgresServer) -> None:
    async with archiving(tmp_path, postgres.url) as (hub, client):
        revisions = await put_many(client, "engine", 20)
        other = await put_many(client, "other", 3)
        await until_archived(postgres, "engine", revisions)
        await until_archived(postgres, "other", other)
        postgres.stop()
        revisions += await put_many(client, "engine", 150, start=20)
        answer = await call(client, "hub.config.history", {"service": "engine", "limit": 100})
        assert not answer["complete"], "NATS has 64 of them, and that there are more must be said"
        assert [each["revision"] for each in answer["revisions"]] == revisions[:-65:-1]
        refused = await refusal(client, "hub.config.rollback", {"service": "engine", "target": revisions[3]})
        assert (refused["code"], refused["retryable"]) == ("unavailable", True)
        assert "PostgreSQL" in refused["message"]
        within = await call(client, "hub.config.rollback", {"service": "engine", "target": revisions[-2]})
        revisions.append(within["revision"])
        await becomes(lambda: metric(hub, "hub_archive_lag_messages"), 151.0)
        assert await metric(hub, "hub_archive_lag_seconds") > 0
        table = await asyncio.to_thread(run, "config", "history", "engine", "--all", nats=hub.nats_url)
        assert "there may be older ones in PostgreSQL, which cannot be read now" in table.stderr
        postgres.start()
        await until_archived(postgres, "engine", revisions)
        assert archived(postgres, "other") == other
        await becomes(lambda: whole_history(client, "engine", 1000), revisions)
        await becomes(lambda: metric(hub, "hub_archive_lag_messages"), 0.0)
        assert await metric(hub, "hub_archive_missing_total") == 0
        assert PASSWORD not in hub.output()


async def test_a_postgresql_that_does_not_answer_holds_up_no_change(tmp_path: Path, postgres: PostgresServer) -> None:
    async with Proxy(postgres.port) as proxy:
        url = postgres.url.replace(f":{postgres.port}/", f":{proxy.url.rpartition(':')[2]}/")
        async with archiving(tmp_path, url) as (hub, client):
            revisions = await put_many(client, "engine", 5)
            await until_archived(postgres, "engine", revisions)
            loop = asyncio.get_running_loop()
            proxy.stall()
            took: list[float] = []
            for number in range(200):
                started = loop.time()
                revisions.append(await put(client, "engine", 5 + number))
                took.append(loop.time() - started)
            assert sorted(took)[len(took) // 2] < 0.1
            assert max(took) < 2
            answer = await call(client, "hub.config.history", {"service": "engine", "limit": 1000}, timeout=5)
            assert (len(answer["revisions"]), answer["complete"]) == (64, False)
            proxy.resume()
            await until_archived(postgres, "engine", revisions)
            assert PASSWORD not in hub.output()


async def test_a_hub_killed_before_and_after_the_commit_leaves_every_revision_there_once(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async with archiving(tmp_path, postgres.url) as (hub, client):
        revisions = await put_many(client, "engine", 3)
        await until_archived(postgres, "engine", revisions)
        for statement in (
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); RETURN NULL; END'",
            "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON central_hub.config_history DEFERRABLE INITIALLY "
            "DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()",
        ):
            postgres.sql(statement)
        active = "SELECT count(*) FROM pg_stat_activity WHERE application_name <> 'psql' AND wait_event = 'PgSleep'"
        revisions.append(await put(client, "engine", 3))
        await until(lambda: postgres.sql(active) == "1", "it is at its commit")
        hub.kill()
        await until_archived(postgres, "engine", revisions)  # stored, and nobody has heard of it
        postgres.sql("DROP FUNCTION slow CASCADE")
        hub.start()
        revisions += await put_many(client, "engine", 3, start=4)
        await until_archived(postgres, "engine", revisions)
        holding = asyncio.create_task(
            asyncio.to_thread(
                postgres.sql, "BEGIN; LOCK central_hub.config_history IN EXCLUSIVE MODE; SELECT pg_sleep(3); COMMIT"
            )
        )
        await until(lambda: postgres.sql(active.replace("<>", "=")) == "1", "the table is locked")
        revisions.append(await put(client, "engine", 7))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await until(lambda: postgres.sql(waiting) != "0", "it waits to insert")
        hub.kill()
        await holding
        hub.start()
        revisions += await put_many(client, "engine", 100, start=8)
        await until_archived(postgres, "engine", revisions)


async def test_two_hubs_archive_each_revision_once_whichever_of_them_is_killed(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        variables = {**QUICK, "DATABASE_URL": postgres.url}
        hubs = [
            stack.enter_context(HubProcess(tmp_path / name, nats_url=server.url, variables=variables)) for name in "ab"
        ]
        async with connected(server.url, **_PATIENT) as client:
            revisions: list[int] = []
            for round_ in range(4):
                revisions += await insist_on(client, "engine", 40, start=len(revisions))
                hubs[round_ % 2].kill()
                revisions += await insist_on(client, "engine", 40, start=len(revisions))
                hubs[round_ % 2].start()
            await until_archived_whole(postgres, "engine", revisions)
            await becomes(lambda: whole_history(client, "engine", 1000), archived(postgres, "engine"))


async def test_changes_as_fast_as_hubs_take_them_are_archived_without_a_gap(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async with archiving(tmp_path, postgres.url) as (hub, client):

        async def write(writer: int) -> list[int]:
            return await insist_on(client, "engine", 120, start=1000 * writer)

        revisions = [revision for found in await asyncio.gather(*map(write, range(6))) for revision in found]
        await until_archived_whole(postgres, "engine", revisions)
        assert len(set(revisions)) >= 700
        assert await metric(hub, "hub_archive_missing_total") == 0


@pytest.mark.timeout(300)  # the log may take half a minute to go on
async def test_a_cluster_that_loses_the_server_that_leads_bucket_and_log_leaves_no_gap(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with NatsCluster(tmp_path / "cluster") as cluster:
        variables = {**QUICK, "DATABASE_URL": postgres.url}
        nats_url = ",".join(cluster.urls)
        with HubProcess(tmp_path / "hub", nats_url=nats_url, variables=variables) as hub:
            async with connected(cluster.urls, **_PATIENT) as client:
                revisions = await insist_on(client, "engine", 100)
                for stream in ("KV_hub-config", await log_name(client)):
                    cluster.named(await leader(client, stream)).restart()
                    revisions += await insist_on(client, "engine", 150, start=len(revisions))
                await until_archived_whole(postgres, "engine", revisions)
                assert await metric(hub, "hub_archive_missing_total") == 0


async def test_nats_restarted_amid_changes_leaves_every_revision_there_once(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with NatsServer(tmp_path / "nats") as server:
        variables = {**QUICK, "DATABASE_URL": postgres.url}
        with HubProcess(tmp_path / "hub", nats_url=server.url, variables=variables) as hub:
            async with connected(server.url, **_PATIENT) as client:
                revisions: list[int] = []
                for _ in range(3):
                    revisions += await insist_on(client, "engine", 100, start=len(revisions))
                    server.restart()
                revisions += await insist_on(client, "engine", 100, start=len(revisions))
                await until_archived_whole(postgres, "engine", revisions)
                assert await metric(hub, "hub_archive_missing_total") == 0


async def test_a_bucket_made_anew_has_a_history_of_its_own_and_the_earlier_one_stays(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async with archiving(tmp_path, postgres.url) as (_, client):
        before = await put_many(client, "engine", 70)
        await until_archived(postgres, "engine", before)
        postgres.stop()
        before += await put_many(client, "engine", 70, start=70)
        await client.jetstream().delete_stream("KV_hub-config")

        async def forgotten() -> bool:
            return bool((await call(client, "hub.config.get", {"service": "engine"}))["values"] == {})

        await becomes(forgotten, True)
        await becomes(lambda: log_count(client), 2)
        await asyncio.sleep(1)  # until the new one has begun
        after = await insist_on(client, "engine", 100)
        assert after[0] == 1
        postgres.start()
        await until_archived(postgres, "engine", before + after)
        await becomes(lambda: whole_history(client, "engine", 1000), after)
        await becomes(lambda: log_count(client), 1)  # that of the earlier bucket, once it is archived to its end


async def test_a_database_that_comes_later_is_found_and_filled(tmp_path: Path, postgres: PostgresServer) -> None:
    postgres.stop()
    async with archiving(tmp_path, postgres.url) as (hub, client):
        revisions = await put_many(client, "engine", 100)
        found = await health(hub)
        assert found["status"] == "unhealthy"
        postgres.start()
        await until_archived(postgres, "engine", revisions)
        await becomes(lambda: status(hub), "healthy")
        postgres.sql("DROP SCHEMA central_hub CASCADE")
        revisions += await put_many(client, "engine", 3, start=100)
        await until_archived(postgres, "engine", revisions)


async def test_a_history_begins_with_what_nats_has_when_postgresql_is_configured(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with NatsServer(tmp_path / "nats") as server:
        async with connected(server.url, **_PATIENT) as client:
            with HubProcess(tmp_path / "before", nats_url=server.url):
                revisions = await put_many(client, "engine", 80)
                assert await log_count(client) == 0, "without a database nothing is kept for one"
            variables = {**QUICK, "DATABASE_URL": postgres.url}
            with HubProcess(tmp_path / "after", nats_url=server.url, variables=variables):
                await until_archived(postgres, "engine", revisions[-64:])
                revisions += await put_many(client, "engine", 80, start=80)
                await until_archived(postgres, "engine", revisions[-144:])


async def test_tables_of_a_newer_hub_are_left_alone_and_the_hub_serves_on(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async with archiving(tmp_path, postgres.url) as (hub, client):
        revisions = await put_many(client, "engine", 3)
        await until_archived(postgres, "engine", revisions)
        postgres.sql("INSERT INTO central_hub.schema_migrations VALUES (99, 'from_the_future', 'c')")
        hub.kill()
        hub.start()
        await insist(client, "engine", 3)
        await becomes(lambda: status(hub), "degraded")
        assert "run a newer hub" in (await health(hub))["reason"]
        assert archived(postgres, "engine") == revisions
        assert "from_the_future" in hub.output()


@pytest.mark.parametrize("setting", ["HUB_ARCHIVE_ENABLED", "HUB_ARCHIVE_SCHEMA"])
async def test_it_goes_where_the_settings_say(tmp_path: Path, postgres: PostgresServer, setting: str) -> None:
    given = {"HUB_ARCHIVE_ENABLED": "false", "HUB_ARCHIVE_SCHEMA": "elsewhere"}
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname IN ('central_hub', 'elsewhere')"
    async with archiving(tmp_path, postgres.url, **{setting: given[setting]}) as (hub, client):
        revision = await put(client, "engine", 1)
        await becomes(lambda: status(hub), "healthy")
        if setting == "HUB_ARCHIVE_SCHEMA":
            count = f"SELECT count(*) FROM elsewhere.config_history WHERE revision = {revision}"
            await until(lambda: postgres.sql(schemas) == "elsewhere" and postgres.sql(count) == "1")
        else:
            assert postgres.sql(schemas) == ""
            assert await log_count(client) == 0


async def test_the_task_that_archives_is_started_again_when_it_dies(tmp_path: Path, postgres: PostgresServer) -> None:
    with NatsServer(tmp_path / "nats") as server:
        settings = load(overrides={"nats.url": [server.url], "platform.database_url": postgres.url})
        async with Hub(settings, [server.url], metrics=Metrics()) as hub, connected(server.url) as client:
            revisions = await put_many(client, "engine", 2)
            await until_archived(postgres, "engine", revisions)
            kill_task("config-archive")
            await until(lambda: hub.details()["tasks"]["config-archive"]["restarts"] == 1)
            revisions += await put_many(client, "engine", 2, start=2)
            await until_archived(postgres, "engine", revisions)


async def test_without_the_driver_a_hub_says_at_its_start_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with NatsServer(tmp_path / "nats") as server:
        url = f"postgresql://hub:{PASSWORD}@127.0.0.1:1/x"
        settings = load(overrides={"nats.url": [server.url], "platform.database_url": url})
        with pytest.raises(StartupError, match=r"install central-hub\[databases\], or set archive\.enabled = false"):
            async with Hub(settings, [server.url], metrics=Metrics()):
                pass
        settings = load(overrides={"nats.url": [server.url], "platform.database_url": url, "archive.enabled": False})
        async with Hub(settings, [server.url], metrics=Metrics()) as hub:
            assert hub.ready


async def becomes(look: Callable[[], Awaitable[object]], expected: object, *, within: float = 30) -> None:
    """Return once this is so."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        found: object = None
        with contextlib.suppress(AssertionError, httpx.HTTPError):
            found = await look()
        if found == expected:
            return
        assert asyncio.get_running_loop().time() < deadline, f"expected {expected}, got {found}"
        await asyncio.sleep(0.05)


async def status(hub: HubProcess) -> str:
    """How the database is."""
    return str((await health(hub))["status"])


async def log_names(client: Client) -> list[str]:
    """The logs that there are."""
    answer = json.loads((await client.request("$JS.API.STREAM.NAMES", b"", timeout=5)).data)
    return [name for name in answer["streams"] or () if name.startswith("HUB_CONFIG_LOG_")]


async def log_count(client: Client) -> int:
    """How many of them."""
    return len(await log_names(client))


async def log_name(client: Client) -> str:
    """The only one."""
    (name,) = await log_names(client)
    return name


async def leader(client: Client, stream: str) -> str:
    """The server of a cluster that leads a stream."""
    while True:
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            answer = json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=2)).data)
            if name := answer.get("cluster", {}).get("leader"):
                return str(name)
        await asyncio.sleep(0.1)


async def insist_on(client: Client, service: str, count: int, *, start: int = 0) -> list[int]:
    """Put one after the other, each as often as it takes."""
    return [await insist(client, service, start + number) for number in range(count)]


async def insist(client: Client, service: str, number: int) -> int:
    """Put it as often as it takes; what had been stored unheard is then stored already. Its revision, 0 of that."""
    while True:
        try:
            return await put(client, service, number, timeout=1.0)
        except (nats.errors.Error, TimeoutError, KeyError):
            await asyncio.sleep(0.02)
