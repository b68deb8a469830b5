"""The audit of real hubs that are killed, cut off from NATS and from PostgreSQL; and what is done to it is found."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import APIError

from hub.core.auditchain import read_line
from tests.audit import STREAM, Stored, entries, made_anew, stored, until_entries, verdict
from tests.calls import call, connected, register
from tests.commands import run
from tests.hubs import HubProcess
from tests.postgres_server import PostgresServer
from tests.servers import NatsServer
from tests.waiting import until

_PATIENT = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.05}
QUICK = {"HUB_AUDIT_CHECKPOINT": "0.3"}


def _without(number: int) -> Callable[[list[Stored]], list[Stored]]:
    """Leave an entry of the first chain out."""

    def change(messages: list[Stored]) -> list[Stored]:
        chain = messages[0].subject
        left = [
            Stored(subject, [line for line in lines if subject != chain or _number(line) != number])
            for subject, lines in messages
        ]
        return [message for message in left if message.lines]

    return change


def _altered(number: int) -> Callable[[list[Stored]], list[Stored]]:
    """Have an entry of the first chain name another target."""

    def change(messages: list[Stored]) -> list[Stored]:
        chain = messages[0].subject
        return [
            Stored(
                subject,
                [
                    line.replace(b"victim", b"nobody") if subject == chain and _number(line) == number else line
                    for line in lines
                ],
            )
            for subject, lines in messages
        ]

    return change


def _without_chain(messages: list[Stored]) -> list[Stored]:
    """Leave the first chain out."""
    return [message for message in messages if message.subject != messages[0].subject]


def _number(line: bytes) -> int:
    entry = read_line(line)
    assert entry is not None
    return entry.number


async def test_nothing_can_be_deleted_or_purged_and_what_is_made_anew_without_an_entry_is_found(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hub = HubProcess(tmp_path / "hub", nats_url=server.url, variables=QUICK)
        with hub:
            async with connected(server.url) as client:
                for name in ("one", "victim", "three"):
                    await register(client, name)
                await until_entries(client, 3, subject="hub.register")
                jetstream = client.jetstream()
                with pytest.raises(APIError, match="delete"):
                    await jetstream.delete_msg(STREAM, 1)
                with pytest.raises(APIError, match="purge"):
                    await jetstream.purge_stream(STREAM)
                config = (await jetstream.stream_info(STREAM)).config
                with pytest.raises(APIError):
                    await jetstream.update_stream(config.evolve(deny_delete=False))
                assert (await verdict(server.url))[1]["faults"] == []
            assert hub.stop() == 0
            hub.start()
            async with connected(server.url) as client:
                await until_entries(client, 3, subject="hub.register")
                whole = await stored(client)
                chain = whole[0].subject.removeprefix("hub.audit.chain.")
                [number] = [
                    _number(line) for message in whole for line in message.lines if b'"target":"victim/' in line
                ]
                ends = max(
                    _number(line) for message in whole if message.subject.endswith(chain) for line in message.lines
                )
                for change, kind, first, last in (
                    (_without(number), "missing", number, number),
                    (_altered(number), "altered", number, number),
                    (_without(ends), "cut", ends, ends),
                    (_without_chain, "removed", 1, ends),
                ):
                    changed = change(whole)
                    await made_anew(client, lambda _, changed=changed: changed)  # type: ignore[misc]
                    code, told = await verdict(server.url)
                    found = [each for each in told["faults"] if each["chain"] == chain]
                    assert code == 1
                    assert [(each["kind"], each["number"], each["last"]) for each in found] == [(kind, first, last)]
                shown = await asyncio.to_thread(run, "audit", "verify", nats=server.url)
                assert shown.returncode == 1
                assert "the whole chain is gone" in shown.stdout
                await made_anew(client, lambda _: whole)
                told = (await verdict(server.url))[1]
                assert [each for each in told["faults"] if each["chain"] == chain] == []


async def test_a_head_that_was_kept_finds_what_was_cut_off_before_anybody_vouched_for_it(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        async with connected(hub.nats_url) as client:
            for name in ("one", "two", "three"):
                await register(client, name)
            await until_entries(client, 3, subject="hub.register")
            kept = tmp_path / "head.json"
            kept.write_text((await asyncio.to_thread(run, "audit", "head", "--json", nats=hub.nats_url)).stdout)
            assert await verdict(hub.nats_url, "--head", str(kept)) == (0, (await verdict(hub.nats_url))[1])
            await made_anew(client, _without(4))
            assert (await verdict(hub.nats_url))[0] == 0, "nothing else knew of it"
            code, told = await verdict(hub.nats_url, "--head", str(kept))
            assert (code, [each["kind"] for each in told["faults"]]) == (1, ["cut"])


async def test_hubs_that_are_killed_amid_changes_leave_chains_that_are_whole(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hubs = [HubProcess(tmp_path / f"hub{n}", nats_url=server.url, variables=QUICK) for n in range(2)]
        for hub in hubs:
            stack.enter_context(hub)
        async with connected(server.url, **_PATIENT) as client:
            acknowledged: list[str] = []
            stop = asyncio.Event()

            async def change(worker: int) -> None:
                number = 0
                while not stop.is_set():
                    number += 1
                    name = f"w{worker}-{number}"
                    with contextlib.suppress(Exception):  # whoever was to answer was killed
                        if "revision" in await register(client, name, timeout=1.0):
                            acknowledged.append(name)

            workers = [asyncio.create_task(change(worker)) for worker in range(8)]
            for hub in (hubs[0], hubs[1], hubs[0]):
                await until(_more(acknowledged, 100))
                hub.kill()
                hub.start()
            await until(_more(acknowledged, 50))  # those whose answers had come before the last was killed among them
            since = len(acknowledged)
            await until(_more(acknowledged, 100))
            stop.set()
            await asyncio.gather(*workers)
            for hub in hubs:
                assert hub.stop() == 0
            hubs[0].start()
            code, told = await verdict(server.url)
            assert (code, told["faults"]) == (0, [])
            assert told["chains"] == 6
            audited = {each["target"].partition("/")[0] for each in await entries(client, subject="hub.register")}
            lost = [name for name in acknowledged if name not in audited]
            assert len(lost) <= 3 * 64, "what a killed hub had answered within its last moments, and no more"
            assert not set(lost) & set(acknowledged[since:]), "one that is stopped has written all"


def _more(acknowledged: list[str], count: int) -> Callable[[], bool]:
    """Whether so many more are acknowledged than now."""
    wanted = len(acknowledged) + count
    return lambda: len(acknowledged) >= wanted


async def test_nothing_is_lost_while_nats_is_away_for_a_while(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(tmp_path / "nats"))
        hub = stack.enter_context(HubProcess(tmp_path / "hub", nats_url=server.url, variables=QUICK))
        async with connected(server.url, **_PATIENT) as client:
            names: list[str] = []
            for restart in range(3):
                for number in range(30):
                    names.append(f"r{restart}-{number}")
                    assert "revision" in await register(client, names[-1])
                server.restart()
                deadline = asyncio.get_running_loop().time() + 30
                while "revision" not in (await _try_register(client, f"back-{restart}")):
                    assert asyncio.get_running_loop().time() < deadline, hub.output()
                    await asyncio.sleep(0.05)
            await until_entries(client, 3, target="back-*", outcome="ok")
            audited = [each["target"].partition("/")[0] for each in await entries(client, outcome="ok")]
            assert [name for name in audited if name in names] == names, "each once, and in their order"
            assert await verdict(server.url) == (0, (await verdict(server.url))[1])
            assert 'kind":"lost' not in json.dumps(await entries(client))


async def _try_register(client: Any, name: str) -> Any:
    try:
        return await register(client, name, timeout=2.0)
    except Exception:  # noqa: BLE001  # nobody is there yet
        return {}


async def test_a_stream_that_was_deleted_is_missed_and_the_audit_goes_on(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        async with connected(hub.nats_url) as client:
            await register(client, "before")
            await until_entries(client, 1, subject="hub.register")
            await client.jetstream().delete_stream(STREAM)
            await register(client, "after")
            deadline = asyncio.get_running_loop().time() + 30
            while "after/after-1" not in [each["target"] for each in await _found(client)]:
                assert asyncio.get_running_loop().time() < deadline, hub.output()
                await asyncio.sleep(0.05)
            code, told = await verdict(hub.nats_url)
            assert (code, [each["kind"] for each in told["faults"]]) == (1, ["missing"])
            assert "not as this hub has written it" in hub.output()


async def _found(client: Any) -> list[dict[str, Any]]:
    answer = await call(client, "hub.audit.search", {})
    return answer.get("entries", []) if isinstance(answer, dict) else []


@pytest.mark.xdist_group("archive-faults")
async def test_postgresql_has_each_entry_once_though_it_was_away_and_an_altered_copy_is_found(tmp_path: Path) -> None:
    with PostgresServer() as postgres:
        variables = {**QUICK, "DATABASE_URL": postgres.url, "HUB_HEALTH_DEPENDENCY_INTERVAL": "0.2"}
        with HubProcess(tmp_path / "hub", variables=variables) as hub:
            async with connected(hub.nats_url, **_PATIENT) as client:
                await register(client, "before")
                await _until_rows(postgres, "before/before-1")
                postgres.stop()
                for number in range(20):
                    await register(client, f"meanwhile-{number}")
                found = await until_entries(client, 20, target="meanwhile-*")
                answer = await call(client, "hub.audit.search", {"target": "meanwhile-*"})
                assert not answer["complete"], "older ones may be in PostgreSQL"
                postgres.start()
                await _until_rows(postgres, *(each["target"] for each in found))
                assert await entries(client, target="meanwhile-*") == found
                doubled = "SELECT count(*) - count(DISTINCT (chain, number)) FROM central_hub.audit"
                assert postgres.sql(doubled) == "0"
                code, told = await verdict(hub.nats_url)
                assert (code, told["faults"]) == (0, [])
                assert told["archived"] >= 21
                cut = max(each["number"] for each in found)
                await made_anew(client, _without(cut))
                code, told = await verdict(hub.nats_url)
                assert code == 1
                assert {each["number"] for each in told["faults"] if "PostgreSQL has it" in each["words"]} == {cut}
                postgres.sql("UPDATE central_hub.audit SET entry = replace(entry, 'before', 'behind')")
                code, told = await verdict(hub.nats_url)
                assert code == 1
                assert "altered" in {each["kind"] for each in told["faults"] if "PostgreSQL" in each["words"]}


@pytest.mark.xdist_group("archive-faults")
async def test_a_search_finds_in_postgresql_what_nats_has_let_go_of(tmp_path: Path) -> None:
    with PostgresServer() as postgres:
        variables = {**QUICK, "DATABASE_URL": postgres.url, "HUB_AUDIT_MAX_BYTES": "1048576"}
        with HubProcess(tmp_path / "hub", variables=variables) as hub:
            async with connected(hub.nats_url) as client:
                names = iter([f"{number:04}-" + "x" * 58 for number in range(3_500)])

                async def work() -> None:
                    for name in names:
                        assert "revision" in await register(client, name, name)

                await asyncio.gather(*(work() for _ in range(64)))
                await _until_rows(postgres, f"3499-{'x' * 58}/3499-{'x' * 58}")
                assert (await client.jetstream().stream_info(STREAM)).state.first_seq > 1
                found = await entries(client, subject="hub.register", outcome="ok", limit=1000)
                assert sorted(each["target"][:4] for each in found) == [f"{number:04}" for number in range(3_500)]
                assert [each["number"] for each in found] == sorted(each["number"] for each in found)
                assert len(await entries(client, caller="-", target="00*", since=found[0]["at"], limit=7)) == 100
                assert await entries(client, until=found[0]["at"], subject="hub.register") == []
                assert await entries(client, caller="operator:*") == []
                assert await entries(client, outcome="refused", host="10.0.0.7") == []
                code, told = await verdict(hub.nats_url)
                assert (code, told["faults"]) == (0, [])
                assert told["archived"] > told["entries"]


async def _until_rows(postgres: PostgresServer, *targets: str) -> None:
    """Return once PostgreSQL has an entry of each target."""
    deadline = asyncio.get_running_loop().time() + 30
    there: set[str] = set()
    while not set(targets) <= there:
        assert asyncio.get_running_loop().time() < deadline, there
        await asyncio.sleep(0.05)
        with contextlib.suppress(Exception):  # not there yet
            rows = await asyncio.to_thread(postgres.sql, "SELECT target FROM central_hub.audit")
            there = set(rows.splitlines())
