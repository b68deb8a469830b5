"""HTTPS: certificates exchanged while it serves, callers who must show one, and those who never shake hands."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.certificates import expires
from hub.sidecar import replies
from hub.sidecar.table import TABLE
from tests.certificates.making import Ca, Files
from tests.http import address
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import until

_LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
EVERY_ROUTE = [row.path.format(name="some", instance_id="i1", service="some") for row in TABLE if row.method == "GET"]


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@asynccontextmanager
async def serving(nats: NatsServer, folder: Path, files: Files, **variables: str) -> AsyncIterator[HubProcess]:
    """A hub that shows these."""
    given = {"HUB_HTTP_TLS_CERT": files.cert, "HUB_HTTP_TLS_KEY": files.key, **variables}
    with HubProcess(folder / "hub", nats_url=nats.url, variables=given) as hub:
        yield hub


def trusting(ca: Ca, shown: Files | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca.file)
    if shown is not None:
        context.load_cert_chain(*shown)
    return context


def browser(hub: HubProcess, ca: Ca, shown: Files | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=hub.http_url, verify=trusting(ca, shown), timeout=20.0)


def shown_by(hub: HubProcess, ca: Ca) -> str:
    """The serial number of the certificate that a new connection is met with."""
    with (
        closing(socket.create_connection(address(hub), timeout=20)) as plain,
        trusting(ca).wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        peer = secured.getpeercert()
        assert peer is not None
        return str(peer["serialNumber"])


async def health(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/health")).json()
    return found


async def test_a_renewed_certificate_is_taken_without_a_restart_and_open_connections_go_on(
    nats: NatsServer, tmp_path: Path
) -> None:
    ca = Ca(tmp_path)
    files = ca.issue("http")
    async with serving(nats, tmp_path, files) as hub, browser(hub, ca) as kept:
        assert hub.http_url.startswith("https://127.0.0.1:")
        first, pid = shown_by(hub, ca), hub.pid
        async with kept.stream("GET", "/discovery/watch") as watching:
            assert watching.status_code == 200
            ca.issue("http")
            await until(lambda: shown_by(hub, ca) != first, "new connections are met with the new one")
        assert (await kept.get("/livez")).status_code == 200
        assert hub.pid == pid
        assert "certificate taken" in hub.output()


async def test_a_connection_that_was_open_before_is_answered_after_the_exchange(
    nats: NatsServer, tmp_path: Path
) -> None:
    ca = Ca(tmp_path)
    async with serving(nats, tmp_path, ca.issue("http")) as hub:
        reader, writer = await asyncio.open_connection(*address(hub), ssl=trusting(ca))
        first = shown_by(hub, ca)
        ca.issue("http")
        await until(lambda: shown_by(hub, ca) != first)
        writer.write(_LIVEZ)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.parametrize("broken", ["key of another", "no certificate", "gone"])
async def test_a_broken_pair_leaves_the_one_before_in_use_and_is_told_until_it_is_mended(
    nats: NatsServer, tmp_path: Path, broken: str
) -> None:
    ca = Ca(tmp_path)
    files = ca.issue("http")
    async with serving(nats, tmp_path, files) as hub, browser(hub, ca) as http:
        first = shown_by(hub, ca)
        match broken:
            case "key of another":
                Path(files.key).write_bytes(Path(ca.issue("another").key).read_bytes())
            case "no certificate":
                Path(files.cert).write_text("no certificate")
            case _:
                Path(files.cert).unlink()
        await until(lambda: "certificate refused" in hub.output(), "it is told in the log")
        told = await health(http)
        assert told["checks"]["hub"] == "degraded"
        assert "certificate for http: TLS: " in told["details"]["reason"]
        assert "the one before stays in use" in told["details"]["reason"]
        assert shown_by(hub, ca) == first
        ca.issue("http")
        await until(lambda: shown_by(hub, ca) != first, "it is mended")
        assert "certificate" not in (await health(http))["details"]["reason"]


async def test_how_long_a_certificate_is_good_is_measured_and_told_before_it_ends(
    nats: NatsServer, tmp_path: Path
) -> None:
    ca = Ca(tmp_path)
    files = ca.issue("http", good_for=timedelta(days=3, minutes=30))
    async with serving(nats, tmp_path, files) as hub, browser(hub, ca) as http:
        [line] = [each for each in (await http.get("/metrics")).text.splitlines() if each.startswith("hub_tls_")]
        name, _, seconds = line.partition(" ")
        assert name == 'hub_tls_expires_seconds{use="http"}'
        assert 3 * 86_400 < float(seconds) < 3 * 86_400 + 1801
        reason = (await health(http))["details"]["reason"]
        assert "certificate for http" in reason
        assert f"expires in 3 days, {expires(Path(files.cert).read_bytes()):%Y-%m-%d}" in reason
    async with serving(nats, tmp_path, files, HUB_HEALTH_CERTIFICATE_WARNING="86400") as hub, browser(hub, ca) as http:
        assert "certificate" not in (await health(http))["details"]["reason"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_only_tls_of_this_day_is_spoken_and_nothing_in_the_clear(nats: NatsServer, tmp_path: Path) -> None:
    ca = Ca(tmp_path)
    async with serving(nats, tmp_path, ca.issue("http")) as hub:
        for version, taken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
            context = trusting(ca)
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = version
            try:
                _, writer = await asyncio.open_connection(*address(hub), ssl=context)
            except (ssl.SSLError, ConnectionError):
                assert not taken
            else:
                assert taken
                writer.close()
        with closing(socket.create_connection(address(hub), timeout=20)) as plain:
            plain.sendall(_LIVEZ)
            assert b"200" not in plain.recv(1024)
        assert "Traceback" not in hub.output()


@pytest.mark.parametrize("demanded", ["required", "optional"])
async def test_callers_show_a_certificate_of_the_ca_that_is_set(
    nats: NatsServer, tmp_path: Path, demanded: str
) -> None:
    ca, other = Ca(tmp_path), Ca(tmp_path, "other")
    more = {"HUB_HTTP_TLS_CLIENT_CA": ca.file, "HUB_HTTP_TLS_CLIENT": demanded}
    async with serving(nats, tmp_path, ca.issue("http"), **more) as hub:
        async with browser(hub, ca, ca.issue("caller")) as http:
            assert (await http.get("/livez")).status_code == 200
        async with browser(hub, ca) as http:
            if demanded == "optional":
                assert (await http.get("/livez")).status_code == 200
            else:
                with pytest.raises(httpx.TransportError):
                    await http.get("/livez")
        async with browser(hub, ca, other.issue("stranger")) as http:
            with pytest.raises(httpx.TransportError):
                await http.get("/livez")


async def test_who_never_shakes_hands_makes_room_and_is_closed_in_time(nats: NatsServer, tmp_path: Path) -> None:
    ca = Ca(tmp_path)
    more = {"HUB_HTTP_MAX_CONNECTIONS": "16"}
    async with serving(nats, tmp_path, ca.issue("http"), **more) as hub, browser(hub, ca) as http:
        before = len(os.listdir(f"/proc/{hub.pid}/fd"))
        silent = [await asyncio.open_connection(*address(hub)) for _ in range(200)]
        assert (await http.get("/livez")).status_code == 200
        assert len(os.listdir(f"/proc/{hub.pid}/fd")) < before + 40
        ended = await asyncio.wait_for(
            asyncio.gather(*(reader.read() for reader, _ in silent), return_exceptions=True), 30
        )
        assert all(each == b"" or isinstance(each, OSError) for each in ended)
        for _, writer in silent:
            writer.transport.abort()
        metrics = (await http.get("/metrics")).text
        assert "hub_http_connections 1.0" in metrics
        assert "Traceback" not in hub.output()


async def test_who_leaves_within_the_handshake_or_talks_nonsense_leaves_nothing_behind(
    nats: NatsServer, tmp_path: Path
) -> None:
    ca = Ca(tmp_path)
    async with serving(nats, tmp_path, ca.issue("http")) as hub, browser(hub, ca) as http:
        for sent in (b"", b"\x16\x03\x01", os.urandom(600), b"\x16\x03\x01\x02\x00\x01" + os.urandom(100)):
            for _ in range(20):
                _, writer = await asyncio.open_connection(*address(hub))
                writer.write(sent)
                writer.transport.abort() if sent else writer.close()
        for _ in range(100):
            if "hub_http_connections 1.0" in (await http.get("/metrics")).text:
                break
            await asyncio.sleep(0.1)
        assert "hub_http_connections 1.0" in (await http.get("/metrics")).text
        assert "Traceback" not in hub.output()


async def test_requests_sent_with_the_end_of_the_handshake_are_answered(nats: NatsServer, tmp_path: Path) -> None:
    ca = Ca(tmp_path)
    async with serving(nats, tmp_path, ca.issue("http")) as hub:

        async def ask() -> bytes:
            reader, writer = await asyncio.open_connection(*address(hub), ssl=trusting(ca))
            writer.write(_LIVEZ)
            line = await reader.readline()
            writer.close()
            return line

        answers = await asyncio.gather(*(ask() for _ in range(100)))
    assert {answer.rstrip() for answer in answers} == {b"HTTP/1.1 200 OK"}


async def test_every_answer_has_the_headers_of_security_and_that_of_tls_only_over_it(
    nats: NatsServer, tmp_path: Path
) -> None:
    ca = Ca(tmp_path)
    async with serving(nats, tmp_path, ca.issue("http")) as hub, browser(hub, ca) as http:
        for path in [*EVERY_ROUTE, "/nothing/there", "/discovery/services/UPPER"]:
            async with http.stream("GET", path) as response:
                for name in (*replies.SECURITY, replies.STRICT_TRANSPORT):
                    assert response.headers.get_list(name), (path, name)
                assert "server" not in response.headers
                assert not [name for name in response.headers if name.startswith("access-control-")]
        page = await http.get("/docs")
        assert "https://127.0.0.1:7000/" in page.text
        assert "http://127.0.0.1" not in page.text
    with HubProcess(tmp_path / "plain", nats_url=nats.url) as hub:
        async with httpx.AsyncClient(base_url=hub.http_url) as http:
            response = await http.get("/livez")
            assert replies.STRICT_TRANSPORT not in response.headers
            assert set(replies.SECURITY) <= set(response.headers)


@pytest.mark.parametrize("wrong", ["none", "mismatch", "no ca"])
async def test_a_pair_that_cannot_be_used_ends_the_start_and_names_the_setting(
    nats: NatsServer, tmp_path: Path, wrong: str
) -> None:
    ca = Ca(tmp_path)
    files, other = ca.issue("http"), ca.issue("other")
    (tmp_path / "junk.pem").write_text("junk")
    variables = {
        "none": {"HUB_HTTP_TLS_CERT": str(tmp_path / "none.pem"), "HUB_HTTP_TLS_KEY": files.key},
        "mismatch": {"HUB_HTTP_TLS_CERT": files.cert, "HUB_HTTP_TLS_KEY": other.key},
        "no ca": {
            "HUB_HTTP_TLS_CERT": files.cert,
            "HUB_HTTP_TLS_KEY": files.key,
            "HUB_HTTP_TLS_CLIENT_CA": str(tmp_path / "junk.pem"),
        },
    }[wrong]
    hub = HubProcess(tmp_path / "hub", nats_url=nats.url, variables=variables)
    hub.start(wait=False)
    assert hub.wait() == 1
    assert "mend http.tls_cert" in hub.output()
    assert "Traceback" not in hub.output()


async def test_a_hub_over_tls_stops_in_time_whatever_is_open(nats: NatsServer, tmp_path: Path) -> None:
    ca = Ca(tmp_path)
    async with serving(nats, tmp_path, ca.issue("http")) as hub:
        half = [await asyncio.open_connection(*address(hub)) for _ in range(20)]
        _, whole = await asyncio.open_connection(*address(hub), ssl=trusting(ca))
        assert await asyncio.to_thread(hub.stop) == 0
        for _, writer in half:
            writer.transport.abort()
        whole.transport.abort()
    assert json.dumps(hub.output()).count("Traceback") == 0
