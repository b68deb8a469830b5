"""TLS in front of PostgreSQL and Redis, theirs and our own: verified, or not well."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from nats.aio.client import Client

from hub.errors import StartupError, Unavailable
from hub.probes import Probes, postgres_url, redis_url
from hub.settings.model import Probes as ProbeSettings
from hub.store.postgres import Database
from hub.wire.checks import PostgresCheck, RedisCheck, TcpCheck
from tests.certificates import CA, EXPIRED, GOOD, SELF_SIGNED
from tests.certificates import serving as certified
from tests.certificates.making import Ca
from tests.faults.probes.conftest import LookAt
from tests.faults.probes.peers import hanging, saying, serving
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer
from tests.tlsfront import in_front

STRANGER = "unable to get local issuer certificate"
PASSWORD = "s3cr3t/@:%?&Pä"


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer(password=PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), password=PASSWORD) as server:
        yield server


def with_query(port: int, query: str, *, host: str = "localhost") -> str:
    return f"postgresql://hub:{quote(PASSWORD, safe='')}@{host}:{port}/postgres?{query}"


def rediss(port: int, *, host: str = "localhost", query: str = "") -> str:
    return f"rediss://:{quote(PASSWORD, safe='')}@{host}:{port}/0{query}"


async def test_a_check_of_postgresql_asks_for_tls_and_verifies_it(look_at: LookAt, postgres: PostgresServer) -> None:
    async with in_front(postgres.port, certified(GOOD), postgres=True) as port:
        assert (await look_at(PostgresCheck(tls=True), port))[:2] == (True, "takes logins")
        assert (await look_at(PostgresCheck(), port))[:2] == (True, "takes logins")
    for certificate, said in ((EXPIRED, "certificate has expired"), (SELF_SIGNED, "self-signed certificate")):
        async with in_front(postgres.port, certified(certificate), postgres=True) as port:
            outcome = await look_at(PostgresCheck(tls=True), port)
            assert (outcome.ok, outcome.output) == (False, said)
            assert (await look_at(PostgresCheck(tls=True, verify=False), port)).ok


async def test_postgresql_that_speaks_no_tls_fails_a_check_that_asks_for_it(
    look_at: LookAt, postgres: PostgresServer
) -> None:
    assert (await look_at(PostgresCheck(tls=True), postgres.port))[:2] == (False, "no TLS: the server speaks none")
    async with serving(hanging) as silent, serving(saying(b"S")) as leaving:
        assert (await look_at(PostgresCheck(tls=True, timeout=0.4), silent.port)).output == "no answer within 0.4 s"
        assert not (await look_at(PostgresCheck(tls=True), leaving.port)).ok


async def test_what_is_said_before_the_handshake_is_not_taken_for_what_is_said_within_it(look_at: LookAt) -> None:
    """Whoever sits between could else answer in the name of a server that it is not."""
    async with serving(saying(b"S" + b"R\0\0\0\x0c\0\0\0\x0a")) as liar:
        assert not (await look_at(PostgresCheck(tls=True), liar.port)).ok


@pytest.mark.parametrize("query", ["sslmode=verify-full", "sslmode=require", ""])
async def test_our_own_postgresql_is_asked_over_tls_and_verified(postgres: PostgresServer, query: str) -> None:
    async with in_front(postgres.port, certified(GOOD), postgres=True) as port:
        assert (await postgres_url(with_query(port, query), ca=str(CA))()).ok
        named = with_query(port, f"{query or 'sslmode=verify-full'}&sslrootcert={quote(str(CA))}")
        assert (await postgres_url(named)()).ok
        other = await postgres_url(with_query(port, query, host="localhost.localdomain"), ca=str(CA), timeout=2.0)()
        assert not other.ok
    for certificate, said in ((EXPIRED, "certificate has expired"), (SELF_SIGNED, "self-signed certificate")):
        async with in_front(postgres.port, certified(certificate), postgres=True) as port:
            outcome = await postgres_url(with_query(port, query), ca=str(CA))()
            assert (outcome.ok, outcome.output) == (False, said)


@pytest.mark.parametrize("query", ["sslmode=verify-full", "sslmode=require", ""])
async def test_our_own_postgresql_without_the_tls_that_was_asked_for_is_down(
    postgres: PostgresServer, query: str
) -> None:
    outcome = await postgres_url(with_query(postgres.port, query, host="127.0.0.1"), ca=str(CA))()
    assert not outcome.ok
    assert PASSWORD not in outcome.output


async def test_our_own_postgresql_is_not_trusted_by_the_machine_unless_it_is(postgres: PostgresServer) -> None:
    async with in_front(postgres.port, certified(GOOD), postgres=True) as port:
        outcome = await postgres_url(with_query(port, "sslmode=require"))()
        assert (outcome.ok, outcome.output) == (False, STRANGER)


async def test_a_check_of_redis_verifies_its_certificate(look_at: LookAt, redis: RedisServer) -> None:
    async with in_front(redis.port, certified(GOOD)) as port:
        assert (await look_at(RedisCheck(tls=True), port))[:2] == (True, "asks for a login")
    async with in_front(redis.port, certified(EXPIRED)) as port:
        assert (await look_at(RedisCheck(tls=True), port))[:2] == (False, "certificate has expired")


async def test_our_own_redis_is_asked_over_tls_and_verified(redis: RedisServer) -> None:
    async with in_front(redis.port, certified(GOOD)) as port:
        assert (await redis_url(rediss(port), ca=str(CA))())[:2] == (True, "PONG")
        assert (await redis_url(rediss(port, query=f"?ssl_ca_certs={quote(str(CA))}"))())[:2] == (True, "PONG")
        stranger = await redis_url(rediss(port))()
        assert not stranger.ok
        assert STRANGER in stranger.output
    for certificate, said in ((EXPIRED, "certificate has expired"), (SELF_SIGNED, "self-signed certificate")):
        async with in_front(redis.port, certified(certificate)) as port:
            outcome = await redis_url(rediss(port), ca=str(CA))()
            assert not outcome.ok
            assert said in outcome.output


async def test_the_name_of_our_own_redis_is_verified(redis: RedisServer, tmp_path: Path) -> None:
    ca = Ca(tmp_path)
    files = ca.issue("elsewhere", hosts=("elsewhere.test",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    async with in_front(redis.port, context) as port:
        outcome = await redis_url(rediss(port), ca=ca.file)()
        assert not outcome.ok
        assert "not valid for 'localhost'" in outcome.output


async def test_a_ca_from_the_settings_is_trusted_besides_those_of_the_machine(
    nats_client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    ours = Ca(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ours.issue("ours"))
    async with (
        serving(hanging, tls=certified(GOOD)) as theirs,
        serving(hanging, tls=context) as own,
        Probes(ProbeSettings(tls_ca=ours.file), nats_client) as probes,
        Probes(ProbeSettings(), nats_client) as strict,
    ):
        for peer in (theirs, own):
            outcome = await probes.prober(TcpCheck(tls=True), host="127.0.0.1", port=peer.port, protocol="tcp")()
            assert outcome.ok, outcome
        outcome = await strict.prober(TcpCheck(tls=True), host="127.0.0.1", port=own.port, protocol="tcp")()
        assert (outcome.ok, outcome.output) == (False, STRANGER)


async def test_a_ca_that_is_none_ends_the_start(nats_client: Client, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(StartupError, match=r"expected certificates of CAs .* mend probes.tls_ca"):
        Probes(ProbeSettings(tls_ca=str(tmp_path / "ca.pem")), nats_client)


async def test_the_archive_in_postgresql_is_connected_to_over_tls_and_verified(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async def ask(connection: Any) -> str:
        return str(await connection.fetchval("SELECT 'answered'"))

    async with in_front(postgres.port, certified(GOOD), postgres=True) as port:
        database = Database(with_query(port, ""), ca=str(CA))
        assert await database.run(ask, within=5.0) == "answered"
        await database.aclose()
        for url, ca, said in (
            (with_query(port, "sslmode=require"), None, "not trusted here"),
            (with_query(port, ""), str(tmp_path / "none.pem"), "cannot be read"),
            (with_query(postgres.port, ""), str(CA), "PostgreSQL"),
        ):
            database = Database(url, ca=ca)
            with pytest.raises(Unavailable) as caught:
                await database.run(ask, within=5.0)
            assert said in caught.value.message
            await database.aclose()
