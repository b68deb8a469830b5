"""The SDK against a real hub: registering, discovering, watching, closing."""

from __future__ import annotations

import asyncio
import os

import pytest
from nats.aio.client import Client

from hub.client import CentralHubClient, Change, Conflict, InvalidRequest, NoInstance, Unavailable
from tests import calls
from tests.clients import consumer, eventually, known, sdk, service, until_known
from tests.hubs import HubProcess
from tests.servers import NatsServer, free_port
from tests.waiting import until


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NATS_URL", raising=False)


async def test_a_service_registers_and_others_find_it(hub: HubProcess, client: Client) -> None:
    mine = sdk(hub.nats_url, "sdk-found", "engine", port=8123, version="1.4.2", tags=["blue"], zone="eu")
    async with mine, consumer(hub.nats_url) as other:
        assert mine.registered
        found = await other.discover("sdk-found")
        assert (found.host, found.port, found.url) == ("127.0.0.1", 8123, "http://127.0.0.1:8123")
        assert found.instance_id == mine.instance_id
        assert found.metadata == {"type": "engine"}
        everyone = await other.discover_all("sdk-found")
        assert len(everyone) == 1
        assert not everyone.stale
        assert not everyone.degraded
        assert everyone.age < 30
        assert [summary.name for summary in await other.services() if summary.name == "sdk-found"] == ["sdk-found"]
        [as_the_hub_says] = (await calls.discover(client, "sdk-found"))["instances"]
        assert as_the_hub_says["instance_id"] == mine.instance_id


async def test_closing_deregisters(hub: HubProcess, client: Client) -> None:
    async with consumer(hub.nats_url) as other:
        mine = service(hub.nats_url, "sdk-closing", "a")
        await mine.register()
        assert (await other.discover("sdk-closing")).instance_id == "a"
        await mine.close()
        await mine.close()
        assert not mine.registered
        assert await calls.ids(client, "sdk-closing") == []
        await until_known(other, "sdk-closing", [])
        with pytest.raises(NoInstance):
            await other.discover("sdk-closing")


async def test_a_service_lives_on_whatever_words_it_finds_for_its_state(hub: HubProcess, client: Client) -> None:
    words = "no such file: \udcff" + "x" * 2000
    checks = [{"type": "ttl", "name": "disk", "ttl": 600.0}]
    async with service(hub.nats_url, "sdk-wordy", "a", ttl=1.0, checks=checks) as mine:
        mine.set_status("warning", words)
        mine.set_check("disk", "warning", words)
        for _ in range(600):
            [report] = (await calls.call(client, "hub.health", {"name": "sdk-wordy"}))["services"]
            [instance] = report["instances"]
            if [instance["status"], *(check["status"] for check in instance["checks"])] == ["warning", "warning"]:
                break
        assert instance["reason"].startswith("reported by the service: no such file: ?xxx")
        assert instance["checks"][0]["output"].startswith("reported by the service: no such file: ?xxx")
        await asyncio.sleep(1.5)
        assert (await calls.discover(client, "sdk-wordy"))["instances"][0]["status"] == "warning"


async def test_a_client_can_deregister_and_register_again(hub: HubProcess, client: Client) -> None:
    async with service(hub.nats_url, "sdk-again", "a") as mine:
        await mine.deregister("maintenance")
        assert not mine.registered
        assert await calls.ids(client, "sdk-again") == []
        await mine.register()
        assert await calls.ids(client, "sdk-again") == ["a"]


async def test_instances_take_turns(hub: HubProcess, client: Client) -> None:
    for number in range(3):
        await calls.register(client, "sdk-turns", f"i{number}")
    async with consumer(hub.nats_url) as other:
        chosen = [(await other.discover("sdk-turns")).instance_id for _ in range(30)]
        assert sorted(set(chosen)) == ["i0", "i1", "i2"]
        assert all(chosen.count(i) == 10 for i in ("i0", "i1", "i2"))
        assert (await other.discover("sdk-turns", exclude=["i0", "i2"])).instance_id == "i1"
        with pytest.raises(NoInstance):
            await other.discover("sdk-turns", exclude=["i0", "i1", "i2"])


async def test_a_cached_discovery_waits_for_nothing(hub: HubProcess, client: Client) -> None:
    await calls.register(client, "sdk-cached", "cached-1")
    async with consumer(hub.nats_url) as other:
        first = await other.discover("sdk-cached")
        with pytest.raises(StopIteration) as returned:
            other.discover("sdk-cached").send(None)
        assert returned.value.value is first


async def test_services_that_nobody_asks_for_any_more_are_let_go(
    hub: HubProcess, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.client.cache.IDLE", 0.1)
    for name in ("idle", "asked", "followed"):
        await calls.register(client, f"sdk-{name}", f"{name}-1")
    async with consumer(hub.nats_url) as other:
        watch = other.watch("sdk-followed")
        assert (await anext(watch)).kind == "added"
        await other.discover("sdk-idle")

        def followed() -> set[str]:
            return {t.get_name().removeprefix("follow-") for t in asyncio.all_tasks() if "follow-" in t.get_name()}

        assert {"sdk-idle", "sdk-followed"} <= followed()

        async def only_what_is_used_is_followed() -> bool:
            await other.discover("sdk-asked")
            return followed() == {"sdk-asked", "sdk-followed"}

        await eventually(only_what_is_used_is_followed, "the idle one is let go")
        assert (await other.discover("sdk-idle")).instance_id == "idle-1"


async def test_filters_and_strategies_choose_as_the_hub_does(hub: HubProcess, client: Client) -> None:
    await calls.register(client, "sdk-choice", "old", version="1.1.0", tags=["blue"], zone="eu", weight=0)
    await calls.register(client, "sdk-choice", "new", version="2.0.0", zone="us", metadata={"capabilities": ["stream"]})
    async with consumer(hub.nats_url, zone="us") as other:
        assert (await other.discover("sdk-choice", tags=["blue"])).instance_id == "old"
        assert (await other.discover("sdk-choice", capabilities=["stream"])).instance_id == "new"
        assert (await other.discover("sdk-choice", version=">=1.2,<3")).instance_id == "new"
        assert (await other.discover("sdk-choice", zone="eu")).instance_id == "old"
        assert (await other.discover("sdk-choice", strategy="nearest")).instance_id == "new"
        assert (await other.discover("sdk-choice", strategy="nearest", zone="eu")).instance_id == "old"
        assert (await other.discover("sdk-choice", strategy="weighted")).instance_id == "new"
        assert await known(other, "sdk-choice") == ["new", "old"]
        assert len(await other.discover_all("sdk-choice", strategy="random", limit=1)) == 1
        for wrong in ({"version": ">=banana"}, {"strategy": "best"}, {"tags": [""]}):
            with pytest.raises(InvalidRequest):
                await other.discover("sdk-choice", **wrong)
    async with consumer(hub.nats_url) as other:
        with pytest.raises(InvalidRequest):
            await other.discover("not a name")


async def test_load_decides_when_it_shall(hub: HubProcess, client: Client) -> None:
    await calls.register(client, "sdk-load", "busy")
    await calls.register(client, "sdk-load", "idle")
    await client.publish("hub.heartbeat.sdk-load.busy", b'{"load": 0.9}')
    await client.publish("hub.heartbeat.sdk-load.idle", b'{"load": 0.1}')
    async with consumer(hub.nats_url) as other:

        async def the_idle_one_is_preferred() -> bool:
            chosen = [await other.discover("sdk-load", strategy="least_loaded") for _ in range(5)]
            return {instance.instance_id for instance in chosen} == {"idle"}

        await eventually(the_idle_one_is_preferred, "the loads are known")
        assert (await other.discover("sdk-load", strategy="least_loaded", exclude=["idle"])).instance_id == "busy"


async def test_a_status_said_by_the_service_reaches_the_caches(hub: HubProcess) -> None:
    async with (
        service(hub.nats_url, "sdk-status", "a") as a,
        service(hub.nats_url, "sdk-status", "b"),
        consumer(hub.nats_url) as other,
    ):
        assert await known(other, "sdk-status") == ["a", "b"]
        a.set_status("warning", "disk nearly full")
        a.set_load(0.4)
        await until_known(other, "sdk-status", ["b"])
        a.set_status("passing")
        await until_known(other, "sdk-status", ["a", "b"])
        with pytest.raises(InvalidRequest) as raised:
            a.set_status("fine")  # type: ignore[arg-type]
        assert raised.value.field == "status"
        with pytest.raises(InvalidRequest):
            a.set_load(-1.0)


async def test_a_watch_tells_what_comes_changes_and_goes(hub: HubProcess) -> None:
    changes: list[Change] = []

    async def follow(other: CentralHubClient) -> None:
        async for change in other.watch("sdk-watched"):
            changes.append(change)  # noqa: PERF401  # each as it comes

    async with consumer(hub.nats_url) as other:
        watching = asyncio.create_task(follow(other))
        async with service(hub.nats_url, "sdk-watched", "a") as mine:
            await until(lambda: [c.kind for c in changes] == ["added"], "the new instance is told")
            mine.set_status("warning", "hm")
            await until(lambda: [c.instance.status for c in changes] == ["passing", "warning"], "the change is told")
        await until(lambda: [c.kind for c in changes] == ["added", "changed", "removed"], "the end is told")
    await watching


async def test_the_same_id_again_takes_over_as_an_update(hub: HubProcess, client: Client) -> None:
    first, second = (service(hub.nats_url, "sdk-over", "a", port=port) for port in (8001, 8002))
    async with first, second:
        [only] = (await calls.discover(client, "sdk-over"))["instances"]
        assert only["port"] == 8002
        assert second.registered


async def test_whoever_is_deregistered_while_alive_registers_again_at_once(hub: HubProcess, client: Client) -> None:
    first = service(hub.nats_url, "sdk-stays", "a", port=8001)
    await first.register()
    async with service(hub.nats_url, "sdk-stays", "a", port=8002) as second, consumer(hub.nats_url) as other:
        await first.close()
        await until(lambda: second.registered, "it has registered again")
        await until_known(other, "sdk-stays", ["a"])
        assert (await other.discover("sdk-stays")).port == 8002


async def test_a_refusal_is_raised_at_once_with_its_code_and_field(hub: HubProcess, client: Client) -> None:
    await calls.register(client, "sdk-owner", "taken-1")
    began = asyncio.get_running_loop().time()
    thief = service(hub.nats_url, "sdk-thief", "taken-1")
    with pytest.raises(Conflict) as raised:
        await thief.register()
    assert (raised.value.code, raised.value.field) == ("conflict", "instance_id")
    assert len(raised.value.request_id) == 32
    assert asyncio.get_running_loop().time() - began < 8, "it was tried again, though that cannot help"
    assert not thief.connected


async def test_five_thousand_instances_are_cached_wholly(hub: HubProcess, client: Client) -> None:
    limit = asyncio.Semaphore(128)

    async def add(number: int) -> None:
        async with limit:
            await calls.register(client, "sdk-many", f"many{number:04}", port=1 + number, timeout=60.0)

    await asyncio.gather(*(add(number) for number in range(5000)))
    async with consumer(hub.nats_url) as other:
        everyone = await other.discover_all("sdk-many")
        assert [i.instance_id for i in everyone] == [f"many{number:04}" for number in range(5000)]
        chosen = {(await other.discover("sdk-many")).port for _ in range(5000)}
        assert len(chosen) == 5000


@pytest.mark.open_only("says what hubs say, which nobody else may where identities are proven")
async def test_a_change_that_was_missed_is_found_and_mended(hub: HubProcess, client: Client) -> None:
    await calls.register(client, "sdk-gap", "gap-1")
    async with consumer(hub.nats_url) as other:
        assert await known(other, "sdk-gap") == ["gap-1"]
        # A deletion that never was, said to follow on a change that was never heard: both must be undone by a reading.
        await client.publish(
            "hub.delta.registry.sdk-gap.gap-1",
            b"",
            headers={
                "Nats-Subject": "$KV.hub-registry.sdk-gap.gap-1",
                "Nats-Sequence": "900000000",
                "Nats-Last-Sequence": "899999999",
                "KV-Operation": "DEL",
            },
        )
        await until_known(other, "sdk-gap", [])
        await until_known(other, "sdk-gap", ["gap-1"])


async def test_what_is_no_change_at_all_does_no_harm(hub: HubProcess, client: Client) -> None:
    await calls.register(client, "sdk-noise", "noise-1")
    async with consumer(hub.nats_url) as other:
        assert await known(other, "sdk-noise") == ["noise-1"]
        where = {"Nats-Subject": "$KV.hub-registry.sdk-noise.noise-1"}
        for payload, headers in (
            (b"not json", None),
            (b"", {"Nats-Sequence": "900000000", "Nats-Last-Sequence": "0"}),
            (b"not json", {**where, "Nats-Sequence": "900000000", "Nats-Last-Sequence": "0"}),
            (b"{}", {**where, "Nats-Sequence": "many", "Nats-Last-Sequence": "0"}),
        ):
            await client.publish("hub.delta.registry.sdk-noise.noise-1", payload, headers=headers)
        await calls.register(client, "sdk-noise", "noise-2")
        await until_known(other, "sdk-noise", ["noise-1", "noise-2"])


async def test_nothing_is_left_after_closing(hub: HubProcess) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with service(hub.nats_url, "sdk-tidy", "warm-up") as mine:
        await mine.discover("sdk-tidy")
    tasks, before = asyncio.all_tasks(), descriptors()
    for number in range(5):
        async with service(hub.nats_url, "sdk-tidy", f"tidy{number}") as mine:
            await mine.discover("sdk-tidy")
            await mine.discover_all("sdk-nobody")
    await until(lambda: asyncio.all_tasks() == tasks, "all tasks have ended")
    await until(lambda: descriptors() <= before, "all descriptors are closed")


async def test_a_cancelled_close_still_closes(hub: HubProcess, client: Client) -> None:
    mine = service(hub.nats_url, "sdk-cancelled", "a")
    await mine.register()
    tasks = asyncio.all_tasks()
    closing = asyncio.create_task(mine.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not mine.connected
    assert await calls.ids(client, "sdk-cancelled") == []
    await until(lambda: len(asyncio.all_tasks()) < len(tasks), "its tasks have ended")


async def test_without_nats_a_start_fails_clearly_and_leaves_nothing() -> None:
    tasks = asyncio.all_tasks()
    port = free_port()
    mine = CentralHubClient("sdk-alone", port=80, nats_url=f"nats://me:secret@127.0.0.1:{port}", start_timeout=0.5)
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}") as raised:
        await mine.register()
    assert "secret" not in str(raised.value)
    await until(lambda: asyncio.all_tasks() == tasks, "all tasks have ended")


async def test_without_a_hub_a_start_fails_clearly_and_leaves_nothing(shared_nats: NatsServer) -> None:
    tasks = asyncio.all_tasks()
    mine = CentralHubClient("sdk-alone", port=80, nats_url=shared_nats.url, start_timeout=0.7)
    with pytest.raises(Unavailable, match="no hub answered"):
        await mine.register()
    assert not mine.connected
    await until(lambda: asyncio.all_tasks() == tasks, "all tasks have ended")
