"""Logins over HTTP on real sockets: what is read of strangers, certificates of connections, and streams that end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx
import pytest
import uvloop

from hub.settings.model import Http
from hub.sidecar.ports import Hub
from hub.sidecar.server import Sidecar
from hub.telemetry.metrics import Metrics
from hub.transport import tls
from tests.certificates.making import Ca, Files
from tests.http import watching
from tests.unit.core.making import record
from tests.unit.sidecar.proving import ProvingHub, bearer, proof

TIMEOUT = 20.0


@asynccontextmanager
async def serving(hub: ProvingHub, context: Callable[[], ssl.SSLContext] | None = None) -> AsyncIterator[Sidecar]:
    async with Sidecar(cast(Hub, hub), Http(port=0), Metrics(), tls=context) as sidecar:
        yield sidecar


async def said(sidecar: Sidecar, request: bytes) -> bytes:
    """The beginning of what is answered to these bytes, with nothing sent behind them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sidecar.url.rpartition(":")[2]))
    try:
        writer.write(request)
        async with asyncio.timeout(TIMEOUT):
            return await reader.readline()
    finally:
        writer.close()


async def test_of_a_stranger_no_body_is_read_and_of_nobody_one_that_is_too_large() -> None:
    hub = ProvingHub()
    head = b"POST /discovery/register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    async with serving(hub) as sidecar:
        assert b" 401 " in await said(sidecar, head + b"Content-Length: 60000\r\n\r\n")
        assert b" 401 " in await said(sidecar, head + b"Transfer-Encoding: chunked\r\n\r\n")
        wrong = head + b"Authorization: Bearer wrong\r\n"
        assert b" 401 " in await said(sidecar, wrong + b"Content-Length: 60000\r\n\r\n")
        large = b"Content-Length: 70000\r\n\r\n"
        assert b" 413 " in await said(sidecar, head + large)
        assert b" 413 " in await said(sidecar, head + b"Authorization: Bearer service\r\n" + large)
        assert set(hub.known.asked) == {"wrong"}


async def test_what_is_watched_ends_within_a_second_or_so_when_the_caller_is_revoked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = ProvingHub()
    async with serving(hub) as sidecar, httpx.AsyncClient(base_url=sidecar.url, timeout=TIMEOUT) as http:
        async with watching(http, **bearer("reader")) as one, watching(http, **bearer("operator")) as other:
            assert await one.snapshot() == await other.snapshot() == {}
            began = asyncio.get_running_loop().time()
            hub.revoked.add("key:reader")
            with pytest.raises(ConnectionError, match="ended"):
                await one.next()
            assert asyncio.get_running_loop().time() - began < TIMEOUT / 2
            hub.catalog.apply(record("news", "i1"), 1)
            assert (await other.next()).kind == "put"
        assert (await http.get("/discovery/watch", headers=bearer("reader"))).status_code == 401


def trusting(ca: Ca, shown: Files | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca.file)
    if shown is not None:
        context.load_cert_chain(*shown)
    return context


def test_a_certificate_that_tls_has_verified_proves_who_comes_with_it(tmp_path: Path) -> None:
    uvloop.run(_come_with_certificates(tmp_path))  # as the hub's own process does


async def _come_with_certificates(tmp_path: Path) -> None:
    ca, stranger = Ca(tmp_path / "ours"), Ca(tmp_path / "theirs")
    files, mine = ca.issue("http"), ca.issue("mine")
    chain = tls.Chain(files.cert, files.key, client_ca=ca.file, required=False)
    hub = ProvingHub()
    pem = ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(Path(mine.cert).read_text()))
    hub.known.proofs[pem] = proof("operator", "ada")

    async def asked(shown: Files | None, **headers: str) -> int:
        async with httpx.AsyncClient(base_url=sidecar.url, verify=trusting(ca, shown), timeout=TIMEOUT) as http:
            responses = [await http.get("/config", headers=headers) for _ in range(2)]
            assert len({response.status_code for response in responses}) == 1
            return responses[0].status_code

    async with serving(hub, lambda: chain.context) as sidecar:
        assert await asked(mine) == 200
        assert hub.asked == [("operator:ada", "hub.config.list")] * 2
        [presented] = hub.known.presented
        assert (presented.certificate, presented.token, presented.host) == (pem, None, "127.0.0.1")
        assert await asked(None) == 401
        assert await asked(ca.issue("other")) == 401
        assert await asked(mine, **bearer("service")) == 403  # a token in the request is what the request says
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            await asked(stranger.issue("forged"))


async def test_where_no_certificate_is_asked_for_none_counts(tmp_path: Path) -> None:
    ca = Ca(tmp_path)
    files = ca.issue("http")
    chain = tls.Chain(files.cert, files.key)
    hub = ProvingHub()
    async with serving(hub, lambda: chain.context) as sidecar:
        verify = trusting(ca, ca.issue("mine"))
        async with httpx.AsyncClient(base_url=sidecar.url, verify=verify, timeout=TIMEOUT) as http:
            assert (await http.get("/config")).status_code == 401
    assert not hub.known.presented
