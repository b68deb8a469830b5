"""Logging in to real nats-servers, being turned away by them, and coming back."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.client import CentralHubClient, Forbidden, InvalidRequest, Unauthenticated, Unavailable
from hub.client.link import Link
from hub.client.tasks import Tasks
from hub.transport.connection import Credentials, Notices, connect
from hub.transport.requests import Requester
from hub.wire.roles import inbox_prefix_for
from tests.commands import run
from tests.hubs import HubProcess
from tests.keys import nkey_pair
from tests.servers import NatsServer, free_port
from tests.waiting import PATIENCE, until

SECRET = "s3cret-that-nobody-shows"


def token_config(token: str) -> str:
    return f'authorization {{ token: "{token}" }}'


def bare(folder: Path, config: str) -> NatsServer:
    """A server without JetStream, which starts sooner."""
    return NatsServer(folder, jetstream=False, config=config)


class Life:
    """Counts what becomes of a connection."""

    def __init__(self) -> None:
        self.lost = self.back = self.closed = 0
        self.errors: list[str] = []

    @property
    def notices(self) -> Notices:
        return Notices(disconnected=self._lost, reconnected=self._back, closed=self._closed, error=self._error)

    async def _lost(self) -> None:
        self.lost += 1

    async def _back(self) -> None:
        self.back += 1

    async def _closed(self) -> None:
        self.closed += 1

    async def _error(self, error: Exception) -> None:
        self.errors.append(str(error))


@asynccontextmanager
async def echoing(client: Client) -> AsyncIterator[Requester]:
    """Requests on a connection that answers its own subject `echo`."""

    async def echo(message: Msg) -> None:
        await message.respond(message.data)

    await client.subscribe("echo", cb=echo)
    async with Requester(client) as requester:
        yield requester


async def test_a_token_that_is_exchanged_on_the_server_is_fetched_anew_and_everything_goes_on(tmp_path: Path) -> None:
    current, asked = "first", 0

    async def source() -> str:
        nonlocal asked
        asked += 1
        return current

    life = Life()
    with bare(tmp_path, token_config("first")) as server:
        client = await connect(server.url, name="t", notices=life.notices, credentials=Credentials(token=source))
        async with echoing(client) as requester:
            for n in range(1, 4):
                current = f"token-{n}"
                server.reload(token_config(current))
                await until(lambda n=n: life.back == n and client.is_connected, "let in with the new token")  # type: ignore[misc]
                assert (await requester.request("echo", b"%d" % n)).data == b"%d" % n
                assert client.new_inbox().startswith(inbox_prefix_for(current) + ".")
        assert life.closed == 0
        assert asked == 4
        await client.close()


async def test_whoever_is_refused_for_a_while_goes_on_trying_ever_more_seldom(tmp_path: Path) -> None:
    current = "right"
    life = Life()
    with bare(tmp_path, token_config("right")) as server:
        client = await connect(
            server.url, name="t", notices=life.notices, credentials=Credentials(token=lambda: current)
        )
        async with echoing(client) as requester:
            server.reload(token_config("other"))
            await until(lambda: sum("Authorization Violation" in each for each in life.errors) >= 4, "refused often")
            assert (life.closed, life.back) == (0, 0)
            current = "other"
            await until(lambda: life.back == 1 and client.is_connected, "let in")
            assert (await requester.request("echo", b"x")).data == b"x"
        assert not any("right" in each or "other" in each for each in life.errors)
        await client.close()


async def test_a_user_who_is_taken_out_and_put_back_comes_back_by_himself(tmp_path: Path) -> None:
    (ada, ada_public), (_, bob_public) = nkey_pair(), nkey_pair()

    def users(*public: str) -> str:
        return f"authorization {{ users: [{', '.join(f'{{ nkey: {each} }}' for each in public)}] }}"

    life = Life()
    with bare(tmp_path, users(ada_public, bob_public)) as server:
        client = await connect(server.url, name="t", notices=life.notices, credentials=Credentials(nkey_seed=ada))
        assert client.new_inbox().startswith(inbox_prefix_for(ada_public) + ".")
        async with echoing(client) as requester:
            server.reload(users(bob_public))
            await until(lambda: any("Authorization Violation" in each for each in life.errors), "refused")
            server.reload(users(ada_public, bob_public))
            await until(lambda: life.back == 1 and client.is_connected, "let in again")
            assert (await requester.request("echo", b"x")).data == b"x"
        assert life.closed == 0
        await client.close()


async def test_an_nkey_that_was_exchanged_in_its_file_is_used_from_the_next_connection_on(tmp_path: Path) -> None:
    (old, old_public), (new, new_public) = nkey_pair(), nkey_pair()
    file = tmp_path / "seed"
    file.write_text(old)
    life = Life()
    with bare(tmp_path / "nats", f"authorization {{ users: [{{ nkey: {old_public} }}] }}") as server:
        client = await connect(server.url, name="t", notices=life.notices, credentials=Credentials(nkey_file=str(file)))
        file.write_text(f"{new}\n")
        server.reload(f"authorization {{ users: [{{ nkey: {new_public} }}] }}")
        await until(lambda: life.back == 1 and client.is_connected, "let in with the new one")
        assert client.new_inbox().startswith(inbox_prefix_for(new_public) + ".")
        assert life.closed == 0
        await client.close()


async def test_whoever_is_thrown_out_comes_back_with_all_that_he_hears(tmp_path: Path) -> None:
    config = """
    accounts {
      APP { users: [ { user: app, password: app } ] }
      SYS { users: [ { user: sys, password: sys } ] }
    }
    system_account: SYS
    """
    life = Life()
    with bare(tmp_path, config) as server:
        client = await connect(server.url.replace("//", "//app:app@"), name="t", notices=life.notices)
        system = await nats.connect(server.url, user="sys", password="sys")
        server_id = json.loads((await system.request("$SYS.REQ.SERVER.PING", timeout=PATIENCE)).data)["server"]["id"]
        async with echoing(client) as requester:
            for n in range(1, 6):
                kick = json.dumps({"cid": client.client_id}).encode()
                await system.request(f"$SYS.REQ.SERVER.{server_id}.KICK", kick, timeout=PATIENCE)
                await until(lambda n=n: life.back == n and client.is_connected, "back")  # type: ignore[misc]
                assert (await requester.request("echo", b"x")).data == b"x"
        assert (life.lost, life.closed) == (5, 0)
        await system.close()
        await client.close()


async def test_a_source_that_fails_is_asked_again_and_the_connection_lives_on(tmp_path: Path) -> None:
    works = True

    async def source() -> str:
        if not works:
            raise ConnectionError(SECRET)
        return "right"

    life = Life()
    with bare(tmp_path, token_config("right")) as server:
        client = await connect(server.url, name="t", notices=life.notices, credentials=Credentials(token=source))
        works = False
        server.restart()
        await until(lambda: sum("it failed (ConnectionError)" in each for each in life.errors) >= 2, "reported")
        works = True
        await until(lambda: life.back == 1 and client.is_connected, "let in again")
        assert life.closed == 0
        assert not any(SECRET in each for each in life.errors)
        await client.close()


@pytest.mark.parametrize("shown", ["nkey", "token", "api_key", "nothing", "url"])
async def test_a_first_login_that_is_refused_is_told_by_what_was_shown_and_never_by_the_secret(
    tmp_path: Path, shown: str
) -> None:
    seed, _ = nkey_pair()
    file = tmp_path / "seed"
    file.write_text(seed)
    file.chmod(0o600)
    _, other = nkey_pair()
    ways: dict[str, dict[str, Any]] = {
        "nkey": {"nkey": file},
        "token": {"token": SECRET},
        "api_key": {"api_key": SECRET},
        "nothing": {},
        "url": {"nats_url": f"nats://ada:{SECRET}@127.0.0.1"},
    }
    given = ways[shown]
    expected = {
        "nkey": f"the nkey in {file} is wrong, expired or revoked, or no hub is there to let anybody in",
        "token": "the token given is wrong",
        "api_key": "the API key given is wrong",
        "nothing": "it asks for one, and none was given",
        "url": "the login in the URL is wrong",
    }[shown]
    with bare(tmp_path / "nats", f"authorization {{ users: [{{ nkey: {other} }}] }}") as server:
        if "nats_url" in given:
            given = {"nats_url": f"{given['nats_url']}:{server.port}"}
        client = CentralHubClient("svc", port=1, start_timeout=0.5, **{"nats_url": server.url, **given})
        with pytest.raises(Unauthenticated) as raised:
            await client.register()
    assert expected in raised.value.message
    assert f"NATS at {server.url} refuses the login" in raised.value.message
    assert SECRET not in raised.value.message
    assert seed not in raised.value.message
    assert not client.connected


async def test_a_first_login_without_its_file_names_the_file(tmp_path: Path) -> None:
    with bare(tmp_path, token_config("right")) as server:
        client = CentralHubClient("svc", nats_url=server.url, token=tmp_path / "absent", start_timeout=0.5)
        with pytest.raises(Unauthenticated, match=f"the token in {tmp_path / 'absent'}: it cannot be read"):
            await client.connect()


async def test_a_server_that_is_away_is_no_refused_login() -> None:
    client = CentralHubClient("svc", nats_url=f"nats://127.0.0.1:{free_port()}", token="t", start_timeout=0.3)
    with pytest.raises(Unavailable):
        await client.connect()


async def test_a_token_is_told_to_no_server_that_does_not_ask_for_it(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.12.0","max_payload":1048576,"headers":true}\r\n')
        heard.append(await reader.readline())
        writer.write(b"PONG\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = await connect(f"nats://127.0.0.1:{port}", name="t", credentials=Credentials(token=SECRET))
        await client.close()
    assert heard[0].startswith(b"CONNECT ")
    assert SECRET.encode() not in heard[0]


def test_two_ways_to_log_in_are_an_error_that_names_both() -> None:
    for given, field in (
        ({"nkey": "/a", "token": "b"}, "token"),
        ({"token": "b", "api_key": "c"}, "api_key"),
        ({"api_key": "c", "credentials": "/d"}, "credentials"),
        ({"nats_url": "nats://ada:pw@127.0.0.1", "nkey": "/a"}, "nkey"),
    ):
        with pytest.raises(InvalidRequest, match="expected one way to log in, got") as raised:
            CentralHubClient("svc", **given)  # type: ignore[arg-type]
        assert raised.value.field == field


def test_the_environment_says_how_to_log_in_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKEN", "t")
    assert CentralHubClient("svc")._credentials == Credentials(token="t")
    assert CentralHubClient("svc", api_key="k")._credentials == Credentials(token="k", kind="API key")
    assert CentralHubClient("svc", nats_url="nats://ada:pw@127.0.0.1")._credentials == Credentials()
    monkeypatch.setenv("NATS_URL", "nats://ada:pw@127.0.0.1")
    with pytest.raises(InvalidRequest, match="NATS_URL and the token given"):
        CentralHubClient("svc")
    monkeypatch.setenv("HUB_NKEY", "/a")
    with pytest.raises(InvalidRequest, match="HUB_NKEY and HUB_TOKEN"):
        CentralHubClient("svc")


def test_a_seed_that_anybody_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "seed"
    file.write_text(nkey_pair()[0])
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING, "hub.client"):
        CentralHubClient("svc", nkey=file)
    assert f"{file}: anybody on this machine may read it" in caplog.text


class Conf(Struct):
    """What the service runs with."""

    limit: int = 1


async def test_a_service_that_is_not_let_in_starts_with_what_it_last_ran_with(tmp_path: Path) -> None:
    current = "right"
    more: dict[str, Any] = {"token": lambda: current, "config_cache": tmp_path / "cache", "start_timeout": 0.5}
    with NatsServer(tmp_path / "nats", config=token_config("right")) as server:
        url = server.url.replace("//", "//right@")
        with HubProcess(tmp_path / "hub", nats_url=url):
            done = run("config", "set", "svc", "limit=7", nats=url)
            assert done.returncode == 0, done.stderr
            async with CentralHubClient("svc", nats_url=server.url, **{**more, "start_timeout": PATIENCE}) as client:
                assert (await client.config.load(Conf)).limit == 7
            current = "wrong"
            async with CentralHubClient("svc", nats_url=server.url, port=1, host="h", **more) as client:
                assert not client.connected
                assert (await client.config.load(Conf)).limit == 7
                current = "right"
                await until(lambda: client.connected and client.registered, "let in, and registered")


# --- what the server does not permit


@pytest.fixture
def limited(tmp_path: Path) -> NatsServer:
    """A server on which nobody may publish to `closed.>`, hear `secret`, nor take replies beside his own inbox."""
    return bare(
        tmp_path,
        f"""authorization {{ users: [{{ nkey: {_PUBLIC}, permissions: {{
          publish: {{ deny: ["closed.>"] }}
          subscribe: {{ deny: ["secret"], allow: ["{inbox_prefix_for(_PUBLIC)}.>", "secret", "open"] }} }} }}] }}""",
    )


_SEED, _PUBLIC = nkey_pair()
_LOGIN = Credentials(nkey_seed=_SEED)


async def _in_time(work: Awaitable[object]) -> None:
    """Wait for what must fail by an answer, and not by the hour that it was given."""
    async with asyncio.timeout(PATIENCE):
        await work


async def test_a_request_that_is_not_permitted_fails_at_once_and_by_its_subject(limited: NatsServer) -> None:
    with limited:
        client = await connect(limited.url, name="t", credentials=_LOGIN)
        async with Requester(client, refusal=Forbidden) as requester:
            with pytest.raises(Forbidden, match=r"closed\.Door: not permitted") as raised:
                await _in_time(requester.request("closed.Door", timeout=3600))
            assert raised.value.field == "closed.Door"
            with pytest.raises(Unavailable, match="nobody listens"):
                await requester.request("open", timeout=PATIENCE)
        async with Requester(client) as hubs_own:
            with pytest.raises(Unavailable, match=r"closed\.Door: not permitted"):
                await _in_time(hubs_own.request("closed.Door", timeout=3600))
        await client.close()


async def test_the_inbox_of_the_credential_is_the_one_that_replies_are_taken_below(limited: NatsServer) -> None:
    with limited:
        client = await connect(limited.url, name="t", credentials=_LOGIN)
        async with Requester(client) as requester:
            client._inbox_prefix = bytearray(b"_INBOX.of.another")
            async with Requester(client, refusal=Forbidden) as deaf:
                with pytest.raises(Forbidden, match="does not permit this login to take replies"):
                    await _in_time(deaf.request("open", timeout=3600))
                with pytest.raises(Forbidden, match="does not permit this login to take replies"):
                    await _in_time(deaf.request("open", timeout=3600))
            with pytest.raises(Unavailable, match="nobody listens"):
                await requester.request("open", timeout=PATIENCE)
        await client.close()


async def test_what_is_not_permitted_is_told_once_in_the_log(
    limited: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def ignore(message: Msg) -> None:
        return None

    tasks = Tasks()
    with limited, caplog.at_level(logging.ERROR, "hub.client"):
        link = Link([limited.url], "svc.a", tasks, lambda: None, credentials=_LOGIN)
        await link.open(within=PATIENCE)
        await link.subscribe("secret", ignore)
        for _ in range(3):
            await link.publish("closed.beat", b"")
        await until(lambda: link.forbids("closed.beat"), "the server has said so")
        with pytest.raises(Forbidden):
            await link.request("closed.beat", timeout=PATIENCE)
        await link.aclose()
        await tasks.aclose()
    assert caplog.text.count("does not permit publishing to closed.beat to the nkey given") == 1
    assert caplog.text.count("does not permit hearing secret to the nkey given") == 1
    assert _SEED not in caplog.text


async def test_a_link_tells_once_why_it_is_turned_away_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    missed: list[bool] = []
    token = "right"
    tasks = Tasks()
    with bare(tmp_path, token_config("right")) as server, caplog.at_level(logging.ERROR, "hub.client"):
        link = Link(
            [server.url], "svc.a", tasks, lambda: missed.append(True), credentials=Credentials(token=lambda: token)
        )
        await link.open(within=PATIENCE)
        server.reload(token_config("other"))

        def told() -> int:
            return caplog.text.count("(Authorization Violation)")

        await until(told, "told of it")
        token = "other"
        await until(lambda: link.connected and missed, "back")
        assert told() == 1
        assert "the login with the token of the source given is refused" in caplog.text
        await link.aclose()
        await tasks.aclose()
