"""The graph of services, asked of a real hub: declared, observed by beats and by requests, with how everybody is."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.calls import call, connected_as, discover, refusal, register
from tests.clients import eventually, service
from tests.enforcing import HUB
from tests.hubs import HubProcess
from tests.raw import published, send


async def graph(client: Client, **asked: Any) -> Any:
    """A graph, put together from its pages."""
    page = await call(client, "hub.graph", asked)
    whole = page
    while page["next"] is not None:
        page = await call(client, "hub.graph", {**asked, "after": page["next"]})
        whole = {**whole, **{key: whole[key] + page[key] for key in ("services", "edges", "cycles")}}
    return whole


def edges(found: Any, kind: str = "declared") -> set[tuple[str, str]]:
    return {(edge["source"], edge["target"]) for edge in found["edges"] if edge[kind]}


async def until_observed(client: Client, source: str, target: str) -> dict[str, Any]:
    """Return the edge once it is observed."""
    found: list[dict[str, Any]] = []

    async def observed() -> bool:
        answer = await call(client, "hub.graph", {"name": source})
        found[:] = [e for e in answer["edges"] if (e["source"], e["target"], e["observed"]) == (source, target, True)]
        return bool(found)

    await eventually(observed, f"{source} is seen to discover {target}")
    return found[0]


async def test_what_is_declared_is_told_with_how_everybody_is(client: Client) -> None:
    await register(client, "shop", "shop-1", depends_on=["shop-stock", "shop-bank"])
    await register(client, "shop", "shop-2", port=8001, depends_on=["shop-mail"])
    await register(client, "shop-stock")
    await client.publish("hub.heartbeat.shop.shop-2", b'{"status":"warning","message":"queue is long"}')

    async def warned() -> bool:
        found = await graph(client, name="shop")
        reason = next(row["reason"] for row in found["services"] if row["name"] == "shop")
        return bool(reason == "shop-1: upstream: shop-bank cannot be chosen (and 1 more)")

    await eventually(warned, "the shop misses the bank alone, and the other of it says that it is not well")
    found = await graph(client, name="shop")
    assert {row["name"]: (row["status"], row["instances"], row["passing"]) for row in found["services"]} == {
        "shop": ("warning", 2, 0),
        "shop-bank": ("critical", 0, 0),
        "shop-mail": ("critical", 0, 0),
        "shop-stock": ("passing", 1, 1),
    }
    assert edges(found) == {("shop", "shop-bank"), ("shop", "shop-mail"), ("shop", "shop-stock")}
    assert found["cycles"] == []
    upwards = await graph(client, name="shop-bank", direction="dependants")
    assert [row["name"] for row in upwards["services"]] == ["shop", "shop-bank"]


async def test_an_edge_goes_with_the_last_instance_that_declares_it(client: Client) -> None:
    await register(client, "brief", depends_on=["brief-needed"])
    assert edges(await graph(client, name="brief")) == {("brief", "brief-needed")}
    await call(client, "hub.deregister", {"name": "brief", "instance_id": "brief-1"})
    found = await graph(client, name="brief")
    assert (found["services"], found["edges"]) == ([], [])


async def test_services_that_need_each_other_are_a_cycle(client: Client) -> None:
    await register(client, "ring-a", depends_on=["ring-b"])
    await register(client, "ring-b", depends_on=["ring-c"])
    await register(client, "ring-c", depends_on=["ring-a", "ring-end"])
    found = await graph(client, name="ring-end")
    assert found["cycles"] == [["ring-a", "ring-b", "ring-c"]]


async def test_what_a_client_discovers_is_observed_and_what_it_only_keeps_at_hand_is_not(
    hub: HubProcess, client: Client
) -> None:
    await register(client, "seen-engine")
    await register(client, "seen-ledger")
    async with service(hub.nats_url, "seen-gate", "sg-1", ttl=1.0, depends_on=["seen-ledger"]) as gate:
        await gate.discover("seen-engine")
        edge = await until_observed(client, "seen-gate", "seen-engine")
        assert edge["declared"] is False
        assert edge["last_seen"].endswith("Z")
        found = await graph(client, name="seen-gate")
        assert edges(found) == {("seen-gate", "seen-ledger")}
        assert edges(found, "observed") == {("seen-gate", "seen-engine")}
        assert edges(await graph(client, name="seen-gate", observed=False)) == {("seen-gate", "seen-ledger")}
        await gate.discover_all("seen-ledger")
        assert (await until_observed(client, "seen-gate", "seen-ledger"))["declared"] is True


async def test_beats_stay_empty_but_for_the_news_of_what_is_used(hub: HubProcess, client: Client) -> None:
    await register(client, "quiet-engine")
    beats: list[bytes] = []

    async def on_beat(message: Msg) -> None:
        beats.append(message.data)

    async with connected_as(HUB, hub.nats_url) as ear, service(hub.nats_url, "quiet", "q-1", ttl=0.5) as quiet:
        await ear.subscribe("hub.heartbeat.quiet.*", cb=on_beat)
        await ear.flush()
        await quiet.discover("quiet-engine")
        await until_observed(client, "quiet", "quiet-engine")

        async def many() -> bool:
            return len(beats) >= 12

        await eventually(many, "it goes on beating")
    assert len([beat for beat in beats if beat]) <= 2, "once when it is new, and once more if a registration came after"


@pytest.mark.open_only("who asks is who was proven to, whatever name it says")
async def test_who_says_its_name_when_it_asks_is_observed(client: Client) -> None:
    registered = await register(client, "named-engine")
    await discover(client, "named-engine", min_revision=registered["revision"], wait=5)
    payload = b'{"name":"named-engine"}'
    reply = await client.request("hub.discover", payload, timeout=10, headers={"Hub-Service": "named-script"})
    plain = await client.request("hub.discover", payload, timeout=10)
    assert reply.data == plain.data
    await until_observed(client, "named-script", "named-engine")
    found = await graph(client, name="named-engine")
    (script,) = [row for row in found["services"] if row["name"] == "named-script"]
    assert (script["status"], script["instances"]) == ("warning", 0)


@pytest.mark.parametrize("name", ["Bad Name", "with.dot", "hub", "", "x" * 64, ">", "*"])
async def test_an_absurd_name_in_the_header_is_answered_all_the_same_and_not_believed(
    client: Client, name: str
) -> None:
    await register(client, "absurd-engine")
    reply = await client.request(
        "hub.discover", b'{"name":"absurd-engine"}', timeout=10, headers={"Hub-Service": name} if name else {"X": "y"}
    )
    assert b'"absurd-engine-1"' in reply.data
    found = await graph(client, name="absurd-engine")
    assert found["edges"] == []


async def test_an_absurd_question_with_a_header_is_refused_as_one_without(client: Client) -> None:
    for payload in (b"{", b'{"name":"Bad Name"}', b"[]"):
        reply = await client.request("hub.discover", payload, timeout=10, headers={"Hub-Service": "sane"})
        assert (reply.headers or {})["Nats-Service-Error-Code"] == "400"
    found = await graph(client, name="sane")
    assert found["services"] == []


@pytest.mark.open_only("what strangers may not publish at all is refused by the server")
async def test_rubbish_on_the_hubs_own_subject_and_from_strangers_changes_nothing(
    hub: HubProcess, client: Client
) -> None:
    await register(client, "rubbish-engine")
    wild = b'{"by":"h","edges":[{"source":"*","target":"rubbish-engine"}]}'
    bad = (b"{", wild, b"\xff", b'{"by":"h","edges":5}', b"x" * 100_000)
    await send(hub.nats_url, *(published(b"hub.observed", payload) for payload in bad))
    many = b",".join([b'{"source":"a","target":"rubbish-engine"}'] * 257)
    await send(hub.nats_url, published(b"hub.observed", b'{"by":"a-stranger","edges":[%b]}' % many))
    await send(hub.nats_url, published(b"hub.heartbeat.nobody.n1", b'{"uses":["rubbish-engine"]}'))
    assert (await graph(client, name="rubbish-engine"))["edges"] == []
    assert len((await discover(client, "rubbish-engine"))["instances"]) == 1


async def test_a_hostile_question_is_cheap_or_refused(client: Client) -> None:
    unknown = await graph(client, name="graph-nobody", depth=100_000, limit=100_000, after="~" * 128)
    assert (unknown["services"], unknown["edges"], unknown["cycles"]) == ([], [], [])
    for message, field in (
        ({"depth": 10**12}, "depth"),
        ({"depth": -1}, "depth"),
        ({"name": "no.name"}, "name"),
        ({"direction": "up"}, "direction"),
        ({"limit": 10**9}, "limit"),
        ({"after": "x" * 129}, "after"),
    ):
        assert (await refusal(client, "hub.graph", message))["field"] == field


async def test_a_thousand_services_come_page_by_page_and_fast(client: Client) -> None:
    size = 1000
    for start in range(0, size, 250):
        await asyncio.gather(
            *(
                register(
                    client, f"big-{n:04}", f"b{n}", depends_on=[f"big-{(n + s) % size:04}" for s in (1, 2)], timeout=30
                )
                for n in range(start, start + 250)
            )
        )
    began = time.monotonic()
    found = await graph(client, name="big-0000", limit=100)
    took = time.monotonic() - began
    assert [row["name"] for row in found["services"]] == [f"big-{n:04}" for n in range(size)]
    assert len(edges(found)) == 2 * size
    assert [len(cycle) for cycle in found["cycles"]] == [256]
    assert took < 10, "ten pages, each within milliseconds on a machine that has nothing else to do"


async def test_the_edges_are_counted(client: Client) -> None:
    await register(client, "counted", depends_on=["counted-needed"])
    text = (await client.request("hub.metrics", b"", timeout=10)).data.decode()
    counts = dict(line.split(" ") for line in text.splitlines() if line.startswith("hub_graph_edges{"))
    assert float(counts['hub_graph_edges{kind="declared"}']) >= 1
    assert 'hub_graph_edges{kind="observed"}' in counts
