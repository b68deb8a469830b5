"""What those try who were let in to a hub that proves identities, and what becomes of it: `subjects/SECURITY.md`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client import CentralHubClient
from hub.client.tasks import end
from hub.identity.nkey import Nkey
from hub.wire.roles import inbox_prefix_for
from tests.access import Person, answer_to, declare, let_in, person
from tests.calls import call, connected, ids, register
from tests.hubs import HubProcess
from tests.waiting import until

ENGINE = person("service", "engine")
THIEF = person("service", "thief")
READER = person("reader", "grafana")
ADA = person("operator", "ada")
ADDRESS = {"Host": "hub.evil.example:7000"}


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("secure")
    file = declare(folder / "access.toml", ENGINE, THIEF, READER, ADA)
    with HubProcess(folder, arguments=("--secure",), variables={"HUB_ACCESS_FILE": str(file)}) as process:
        yield process


def hubs_key(hub: HubProcess) -> Nkey:
    """The hub's own, by which a test looks into the account where nobody else is."""
    return Nkey((hub.data_dir / "access" / "hub.nk").read_text().strip())


async def listen(client: Client, *subjects: str) -> list[Msg]:
    """What is heard from now on."""
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    for subject in subjects:
        await client.subscribe(subject, cb=hear)
    await client.flush()
    return heard


def walk(service: str) -> bytes:
    """A question to JetStream for what is stored of the instances of a service, one at a time."""
    return json.dumps({"next_by_subj": f"$KV.hub-registry.{service}.*", "seq": 1, "batch": 1}).encode()


REGISTRY = "$JS.API.DIRECT.GET.KV_hub-registry"


async def test_what_is_stored_of_a_thief_does_not_pass_for_an_instance_of_another_service(secure: HubProcess) -> None:
    """He has JetStream answer him where the changes of another's instances are heard. It has all the headers of one."""
    async with let_in(secure.nats_url, THIEF, "thief.t1") as thief, let_in(secure.nats_url, ENGINE) as engine:
        await register(engine.client, "engine", "true", port=8001)
        heard = await listen(engine.client, "hub.delta.registry.engine.*")
        follower = CentralHubClient(
            "engine", port=8002, instance_id="follower", nats_url=secure.nats_url, nkey=ENGINE.key.seed
        )
        async with follower:
            found = {each.instance_id for each in await follower.discover_all("engine")}
            assert found == {"true", "follower"}
            seen: set[str] = set()

            async def watch() -> None:
                async for change in follower.watch("engine"):
                    seen.add(change.instance.instance_id)

            watching = asyncio.create_task(watch())
            assert "error" not in await register(thief.client, "thief", "t1", port=6666), "newer than what was read"
            await thief.client.publish(REGISTRY, walk("thief"), reply="hub.delta.registry.engine.false")
            await until(lambda: any(message.subject.endswith(".false") for message in heard), "NATS has delivered it")
            [forged, *_] = [message for message in heard if message.subject.endswith(".false")]
            assert forged.headers is not None
            assert {"Nats-Sequence", "Nats-Last-Sequence"} <= set(forged.headers)
            assert b"6666" in forged.data
            await register(engine.client, "engine", "later", port=8003)
            await until(lambda: "later" in seen, "what came after it was heard")
            await end(watching)
            assert "false" not in seen
            known = await follower.discover_all("engine")
            assert {each.instance_id for each in known} == {"true", "follower", "later"}


async def test_an_answer_that_is_pointed_at_somebody_else_is_the_askers_own_and_no_more(secure: HubProcess) -> None:
    """No server asks whether one may publish where he has himself answered. What comes there he could have had."""
    inbox = f"{inbox_prefix_for(READER.key.public)}.chosen"
    async with let_in(secure.nats_url, THIEF, "thief.t2") as thief, let_in(secure.nats_url, READER) as reader:
        heard = await listen(reader.client, inbox)
        await thief.client.publish("hub.services", b"{}", reply=inbox)
        await until(lambda: heard, "it is delivered")
        told = json.loads(heard[0].data)
        assert told["services"] == (await call(thief.client, "hub.services"))["services"]
        heard.clear()
        asked = json.dumps({"service": "engine", "names": ["db"]}).encode()
        await thief.client.publish("hub.secret.resolve", asked, reply=inbox)
        await until(lambda: heard, "that is delivered, too")
        assert json.loads(heard[0].data)["error"]["code"] == "forbidden"
        await thief.may_not_publish(inbox)


async def test_an_answer_that_is_pointed_at_the_store_is_never_stored(secure: HubProcess) -> None:
    async with (
        let_in(secure.nats_url, hubs_key(secure)) as inside,
        let_in(secure.nats_url, THIEF, "thief.t3") as thief,
        let_in(secure.nats_url, ADA) as ada,
    ):
        await register(thief.client, "thief", "t3")
        written = await listen(inside.client, "$O.>", "$KV.hub-config.>", "hub.heartbeat.engine.*")
        for reply in (
            "$O.hub-components.M.stolen",
            "$O.hub-components.C.stolen",
            "$KV.hub-config.engine",
            "hub.heartbeat.engine.true",
            "$JS.API.STREAM.PURGE.KV_hub-config",
        ):
            await thief.client.publish("hub.discover", b'{"name":"thief"}', reply=reply)
            await thief.client.publish(REGISTRY, walk("thief"), reply=reply)
        assert await ids(thief.client, "thief"), "all before was answered"
        await ada.client.publish("$O.hub-components.M.of-an-operator", b"{}")
        await until(lambda: written, "what an operator stores is heard")
        assert {message.subject for message in written} == {"$O.hub-components.M.of-an-operator"}
        await thief.may_not_publish("$O.hub-components.M.stolen")


@pytest.mark.parametrize("who", [ENGINE, READER, ADA], ids=lambda who: who.role)
async def test_nobody_but_hubs_hears_or_answers_who_comes(secure: HubProcess, who: Person) -> None:
    async with let_in(secure.nats_url, who) as one:
        for subject in ("$SYS.REQ.USER.AUTH", "$SYS.>", "$SYS.REQ.*.AUTH"):
            await one.may_not_subscribe(subject)
        await one.may_not_publish("$SYS.REQ.USER.AUTH")


async def test_the_question_of_a_server_can_be_asked_by_no_client_again_not_even_a_hub(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, hubs_key(secure)) as inside:
        asked = await listen(inside.client, "$SYS.REQ.USER.AUTH")
        assert await answer_to(secure.nats_url, nkey=ADA.key.public, sign=ADA.key.sign) == "PONG"
        await until(lambda: asked, "the server has asked, and a hub hears it")
        await inside.may_not_publish("$SYS.REQ.USER.AUTH", asked[0].data)
        assert len(asked) == 1


async def test_an_instance_id_that_is_taken_is_not_taken_over(secure: HubProcess) -> None:
    async with let_in(secure.nats_url, THIEF) as thief, let_in(secure.nats_url, ENGINE) as engine:
        await register(engine.client, "engine", "mine")
        refused = await register(thief.client, "thief", "mine")
        assert refused["error"]["code"] == "conflict"
        refused = await call(thief.client, "hub.deregister", {"name": "engine", "instance_id": "mine"})
        assert refused["error"]["code"] == "forbidden"
        refused = await call(thief.client, "hub.deregister", {"name": "thief", "instance_id": "mine"})
        assert refused["error"]["code"] in ("not_found", "conflict")
        assert "mine" in await ids(engine.client, "engine")


@pytest.mark.parametrize("name", ["engine ", "engine\t", "*", ">", "engine.*", "_all", "engine\nlevel=error", "éngine"])
async def test_a_name_that_would_be_more_than_one_is_nobodys(secure: HubProcess, name: str) -> None:
    async with let_in(secure.nats_url, THIEF) as thief:
        for subject, message in (
            ("hub.register", {"name": name, "host": "127.0.0.1", "port": 1}),
            ("hub.deregister", {"name": name, "instance_id": "mine"}),
            ("hub.config.schema.put", {"service": name, "schema": {}}),
            ("hub.secret.resolve", {"service": name, "names": ["db"]}),
        ):
            answer = await call(thief.client, subject, message)
            assert answer["error"]["code"] in ("invalid_request", "forbidden"), (subject, answer)


# --- a hub that is open, on this machine alone


@pytest.fixture(scope="module")
def open_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("open")) as process:
        yield process


async def test_a_page_whose_name_was_led_to_this_machine_is_told_nothing(open_hub: HubProcess) -> None:
    """DNS rebinding: to its browser the hub is the page's own origin, and the name alone tells."""
    own = {**ADDRESS, "Origin": f"http://{ADDRESS['Host']}", "Sec-Fetch-Site": "same-origin"}
    message = {"name": "engine", "host": "127.0.0.1", "port": 1}
    async with httpx.AsyncClient(base_url=open_hub.http_url) as http:
        for answer in (
            await http.get("/discovery/services", headers=own),
            await http.get("/health", headers=ADDRESS),
            await http.get("/metrics", headers=ADDRESS),
            await http.post("/discovery/register", json=message, headers=own),
            await http.post("/config/reload", headers=own),
        ):
            assert (answer.status_code, answer.json()["field"]) == (403, "host"), answer.url
        assert (await http.get("/livez", headers=ADDRESS)).status_code == 200
        assert (await http.get("/discovery/services")).json()["services"] == []


async def test_a_page_cannot_speak_nats_through_a_browser(open_hub: HubProcess) -> None:
    """What a browser sends begins as HTTP does, and the server hangs up before it reads what comes behind."""
    host, _, port = open_hub.nats_url.removeprefix("nats://").partition(":")
    body = (
        'CONNECT {"verbose":false}\r\nPUB hub.register 46\r\n{"name":"page","host":"127.0.0.1","port":1}   \r\nPING\r\n'
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    async with asyncio.timeout(10):
        told = await reader.read()
    writer.close()
    assert b"PONG" not in told
    async with connected(open_hub.nats_url) as client:
        assert await ids(client, "page") == []
