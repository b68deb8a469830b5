"""Tokens of an issuer that publishes its keys over HTTPS, as one verifies them who has only its URL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.app import Hub
from hub.app.verifiers import Verifiers
from hub.errors import SettingsError, StartupError, Unauthenticated, Unavailable
from hub.handlers.clock import Clock
from hub.identity.proof import Presented, Proof
from hub.probes.fetch import Fetcher
from hub.probes.look import Failed
from hub.settings import load
from hub.settings.access import AccessFile, Certificate, Issuer
from hub.telemetry.metrics import Metrics
from hub.transport.loops import unheard
from hub.transport.tls import serving
from tests.certificates.making import Ca, Files
from tests.httptarget import HttpTarget, Respond, answer, endless, hanging, redirecting, trickling
from tests.servers import NatsServer, free_port
from tests.unit.identity.making import AUD, ISS, Signer, ed25519, jwks, rsa
from tests.waiting import PATIENCE, end, until

KEYS = "/.well-known/jwks.json"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines are busy."""
    monkeypatch.setattr("hub.handlers.jwks.WAIT", PATIENCE)
    monkeypatch.setattr("hub.handlers.keysources.TIMEOUT", PATIENCE)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    return Ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def files(ca: Ca) -> Files:
    return ca.issue("issuer")


@pytest.fixture
async def web(files: Files) -> AsyncIterator[HttpTarget]:
    async with HttpTarget(serving(files.cert, files.key)) as running:
        yield running


def publish(web: HttpTarget, *keys: Signer) -> None:
    web.behaviours[KEYS] = giving(answer("200 OK", jwks(*keys)))


def giving(content: bytes) -> Respond:
    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(content)

    return respond


def access(url: str, ca: Ca | None) -> AccessFile:
    ca_file = ca.file if ca is not None else None
    issuer = Issuer(issuer=ISS, audience=AUD, algorithms=("EdDSA", "RS256"), jwks=url, jwks_ca=ca_file)
    return AccessFile(issuer=(issuer,))


class Door:
    """What lets people in by their tokens, at a time that tests may put forward."""

    def __init__(self, declared: AccessFile) -> None:
        self.ahead = 0.0
        self.verifiers = Verifiers(declared, Clock(now=lambda: time.monotonic() + self.ahead))

    async def let(self, token: str) -> Proof:
        assert self.verifiers.tokens is not None
        found = await self.verifiers.tokens.verify(Presented(via="http", token=token), time.time())
        assert found is not None
        return found


@asynccontextmanager
async def door(declared: AccessFile) -> AsyncIterator[Door]:
    opened = Door(declared)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(opened.verifiers.aclose)
        await opened.verifiers.start()
        for name, loop in opened.verifiers.loops():
            stack.push_async_callback(end, asyncio.create_task(loop(unheard), name=name))
        yield opened


def token(signer: Signer, **changed: Any) -> str:
    now = time.time()
    return signer.sign(**{"iat": now, "exp": now + 60, **changed})


def url(web: HttpTarget, host: str = "localhost") -> str:
    return f"https://{host}:{web.port}{KEYS}"


async def test_tokens_are_verified_with_keys_from_an_https_url(web: HttpTarget, ca: Ca) -> None:
    publish(web, ed25519(), rsa())
    async with door(access(url(web), ca)) as opened:
        for signer in (ed25519(), rsa()):
            assert str((await opened.let(token(signer))).caller) == "service:engine"
        assert web.count()[KEYS] == 1
        assert opened.verifiers.condition.well
        assert opened.verifiers.ages()[ISS] < 60


async def test_an_issuer_rotates_its_keys_and_nobody_notices(web: HttpTarget, ca: Ca) -> None:
    old, new = ed25519("2026"), ed25519("2027")
    publish(web, old)
    async with door(access(url(web), ca)) as opened:
        assert await opened.let(token(old))
        publish(web, old, new)
        opened.ahead += 5
        found = await asyncio.gather(*(opened.let(token(new)) for _ in range(50)), opened.let(token(old)))
        assert len(found) == 51
        assert web.count()[KEYS] == 2, "one fetch for all of them"
        publish(web, new)
        opened.ahead += 300
        await until(lambda: web.count()[KEYS] == 3)
        await until(lambda: opened.verifiers.ages()[ISS] < 200)
        assert await opened.let(token(new))
        with pytest.raises(Unauthenticated, match="kid: expected one of its keys"):
            await opened.let(token(old))


async def test_an_issuer_that_goes_away_and_comes_back_leaves_its_last_keys(files: Files, ca: Ca) -> None:
    async with HttpTarget(serving(files.cert, files.key)) as web:
        publish(web, ed25519())
        declared = access(url(web), ca)
        async with door(declared) as opened:
            assert await opened.let(token(ed25519()))
            web.behaviours[KEYS] = giving(answer("503 Service Unavailable"))
            opened.ahead += 300
            await until(lambda: web.count()[KEYS] == 2)
            await until(lambda: _failed_again(opened))
            assert "expected status 200, got 503 (the keys read before go on until" in opened.verifiers.condition.reason
            assert await opened.let(token(ed25519()))
            publish(web, ed25519())
            opened.ahead += 15
            await until(lambda: opened.verifiers.condition.well)


def _failed_again(opened: Door) -> bool:
    """Time goes on until operators are told."""
    opened.ahead += 1
    return not opened.verifiers.condition.well


async def test_an_issuer_that_cannot_be_reached_keeps_no_hub_from_starting(ca: Ca) -> None:
    async with door(access(f"https://localhost:{free_port()}{KEYS}", ca)) as opened:
        with pytest.raises(Unavailable):
            await opened.let(token(ed25519()))
        await until(lambda: "its tokens are not accepted" in opened.verifiers.condition.reason)
        assert opened.verifiers.ages() == {ISS: float("inf")}


async def test_a_hub_serves_on_without_an_issuer_and_tells_of_it(shared_nats: NatsServer) -> None:
    verifiers = Verifiers(access(f"http://127.0.0.1:{free_port()}/keys", None), Clock())
    settings = load(overrides={"nats.url": [shared_nats.url], "http.port": 0})
    async with Hub(settings, [shared_nats.url], metrics=Metrics(), verifiers=verifiers) as hub:
        reason = f"issuer {ISS}: connection refused (its tokens are not accepted)"
        await until(lambda: reason in hub.details()["reason"])
        assert hub.checks()["hub"] == "degraded"
        assert hub.alive
        assert hub.ready
        assert f'hub_issuer_keys_age_seconds{{issuer="{ISS}"}} +Inf' in hub.scrape()[0].decode()


async def complaint(url: str, ca: str | None = None, timeout: float = PATIENCE) -> str:
    async with Fetcher(url, ca=ca, most=10_000, timeout=timeout) as fetch:
        with pytest.raises(Failed) as caught:
            await fetch()
    return str(caught.value)


async def test_an_issuer_is_not_believed_that_is_not_who_it_should_be(
    web: HttpTarget, ca: Ca, tmp_path: Path, files: Files
) -> None:
    publish(web, ed25519())
    assert "CA that is not trusted here" in await complaint(url(web)), "the machine knows nothing of our CA"
    assert "CA that is not trusted here" in await complaint(url(web), Ca(tmp_path / "other").file)
    other_name = ca.issue("other", hosts=("other.test",))
    async with HttpTarget(serving(other_name.cert, other_name.key)) as other:
        assert "made out to another host" in await complaint(url(other), ca.file)
    assert web.count()[KEYS] == 0, "not even asked"


async def test_a_redirect_is_not_followed(web: HttpTarget, ca: Ca) -> None:
    web.behaviours[KEYS] = redirecting
    assert await complaint(url(web), ca.file) == "expected status 200, got 302, not followed"
    assert web.count() == {KEYS: 1}


@pytest.mark.parametrize(
    ("respond", "why"),
    [
        (hanging, "no answer within 0.5 s"),
        (trickling, "no answer within 0.5 s"),
        (endless, "expected at most 10000 bytes, got more"),
        (giving(answer("404 Not Found", b"{}")), "expected status 200, got 404"),
        (giving(answer("204 No Content")), "expected status 200, got 204"),
        (giving(b"what?\r\n\r\n"), "the answer is not HTTP"),
        (giving(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"), "the answer ended too soon"),
        (giving(b""), "the answer ended too soon"),
        (giving(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000), "the answer"),
        (giving(b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000), "the answer does not end"),
        (
            giving(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * 40 + b"\r\n{\r\n" * 5_000),
            "the answer",
        ),
    ],
)
async def test_whatever_is_answered_it_ends(web: HttpTarget, ca: Ca, respond: Respond, why: str) -> None:
    web.behaviours[KEYS] = respond
    said = await complaint(url(web), ca.file, timeout=0.5 if respond in (hanging, trickling) else PATIENCE)
    assert why in said


@pytest.mark.parametrize(
    "content",
    [
        answer("200 OK", b'{"keys":[]}'),
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"key\r\n6\r\ns":[]}\r\n0\r\n\r\n',
        b'HTTP/1.0 200 OK\r\n\r\n{"keys":[]}',
        b'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"keys":[]}',
    ],
)
async def test_a_document_is_read_in_whichever_way_it_comes(web: HttpTarget, ca: Ca, content: bytes) -> None:
    web.behaviours["/keys?tenant=a"] = giving(content)
    async with Fetcher(f"https://127.0.0.1:{web.port}/keys?tenant=a", ca=ca.file, most=11, timeout=PATIENCE) as fetch:
        assert await fetch() == b'{"keys":[]}'


async def test_plain_http_goes_to_this_machine_alone_whatever_a_name_resolves_to() -> None:
    async def elsewhere(host: str, port: int) -> list[tuple[Any, ...]]:
        return [(2, 1, 6, "", ("192.0.2.1", port))]

    async with Fetcher("http://localhost:1/keys", ca=None, most=10, timeout=PATIENCE, resolve=elsewhere) as fetch:
        with pytest.raises(Failed, match=r"192\.0\.2\.1 is forbidden"):
            await fetch()
    async with HttpTarget() as plain:
        publish(plain, ed25519())
        async with door(access(f"http://127.0.0.1:{plain.port}{KEYS}", None)) as opened:
            assert await opened.let(token(ed25519()))


async def test_a_file_of_cas_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    declared = AccessFile(
        issuer=(
            Issuer(
                issuer=ISS,
                audience=AUD,
                algorithms=("RS256",),
                jwks="https://issuer.test/",
                jwks_ca=str(tmp_path / "x"),
            ),
        )
    )
    with pytest.raises(StartupError, match="cannot be read"):
        await Verifiers(declared, Clock()).start()


def test_what_is_declared_wrongly_is_told_before_anything_is_started() -> None:
    wrong: tuple[Callable[[], AccessFile], ...] = (
        lambda: access("http://issuer.test/keys", None),
        lambda: AccessFile(certificate=(Certificate(san="**", role="service"),)),
    )
    for declared in wrong:
        with pytest.raises(SettingsError):
            Verifiers(declared(), Clock())


def test_where_nobody_is_declared_there_is_nothing_to_ask() -> None:
    verifiers = Verifiers(AccessFile(), Clock())
    assert verifiers.tokens is verifiers.certificates is None
    assert list(verifiers.loops()) == []
    assert verifiers.condition.well


async def test_verifiers_may_be_made_in_a_thread_that_has_no_event_loop(web: HttpTarget, ca: Ca) -> None:
    publish(web, ed25519())
    declared = await asyncio.to_thread(access, url(web), ca)
    async with AsyncExitStack() as stack:
        verifiers = await asyncio.to_thread(Verifiers, declared, Clock())
        stack.push_async_callback(verifiers.aclose)
        for name, loop in verifiers.loops():
            stack.push_async_callback(end, asyncio.create_task(loop(unheard), name=name))
        assert verifiers.tokens is not None
        assert await verifiers.tokens.verify(Presented(via="nats", token=token(ed25519())), time.time())
