"""NATS over TLS: hub, command and SDK speak it, verify it, and say what is wrong with it."""

from __future__ import annotations

import hashlib
import re
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.client import CentralHubClient, Untrusted
from hub.transport.connection import close, connect
from hub.transport.tls import Tls
from hub.wire.roles import inbox_prefix_for
from tests.certificates.making import Ca, Files
from tests.commands import run
from tests.documents import ROOT
from tests.hubs import HubProcess
from tests.servers import NatsServer, free_port
from tests.waiting import until

_END = "-----END CERTIFICATE-----"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    return Ca(tmp_path_factory.mktemp("ca"))


def speaking(files: Files, client_ca: str = "") -> str:
    """What a nats-server is configured with."""
    more = f', ca_file: "{client_ca}", verify: true' if client_ca else ""
    return f'tls {{ cert_file: "{files.cert}", key_file: "{files.key}"{more} }}'


def secure(server: NatsServer, host: str = "127.0.0.1") -> str:
    return f"tls://{host}:{server.port}"


@pytest.fixture(scope="module")
def server(ca: Ca, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("tls"), config=speaking(ca.issue("nats"))) as running:
        yield running


async def refused(url: str, tls: Tls) -> str:
    with pytest.raises(Untrusted) as caught:
        await connect(url, name="test", tls=tls, timeout=1.0)
    return caught.value.message


async def test_a_connection_is_made_over_tls_by_url_or_by_ca(server: NatsServer, ca: Ca) -> None:
    for url in (secure(server), server.url, secure(server, "localhost")):
        client = await connect(url, name="test", tls=Tls(ca=ca.file))
        transport: Any = client._transport
        assert transport._io_writer.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")
        await close(client)


async def test_a_certificate_that_is_not_good_is_refused_and_what_is_wrong_is_told(
    ca: Ca, server: NatsServer, tmp_path: Path
) -> None:
    other = Ca(tmp_path, "other")
    for tls in (Tls(), Tls(ca=other.file)):
        assert "from a CA that is not trusted here" in await refused(secure(server), tls)
    assert "from a CA that is not trusted here" in await refused(server.url, Tls())
    expired = ca.issue("expired", good_for=timedelta(days=-1))
    elsewhere = ca.issue("elsewhere", hosts=("elsewhere.example",))
    for files, said in ((expired, "has expired"), (elsewhere, "is made out to another host")):
        with NatsServer(tmp_path / said.replace(" ", "-"), jetstream=False, config=speaking(files)) as bad:
            assert said in await refused(secure(bad), Tls(ca=ca.file))


async def test_tls_that_was_asked_for_is_had_or_nothing_is_sent(nats_server: NatsServer, ca: Ca) -> None:
    for url, tls in ((secure(nats_server), Tls()), (nats_server.url, Tls(ca=ca.file))):
        assert "the server speaks none" in await refused(url, tls)


async def test_who_must_show_a_certificate_and_shows_none_or_a_wrong_one_is_told_so(ca: Ca, tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", jetstream=False, config=speaking(ca.issue("mutual"), ca.file)) as server:
        assert "wants a certificate of the client" in await refused(secure(server), Tls(ca=ca.file))
        wrong = Ca(tmp_path, "other").issue("stranger")
        said = await refused(secure(server), Tls(ca=ca.file, cert=wrong.cert, key=wrong.key))
        assert "does not t" in said, said
        right = ca.issue("right")
        client = await connect(secure(server), name="test", tls=Tls(ca=ca.file, cert=right.cert, key=right.key))
        shown = ssl.PEM_cert_to_DER_cert(Path(right.cert).read_text().partition("-----END")[0] + _END)
        own = inbox_prefix_for(hashlib.sha256(shown).hexdigest())
        assert client.new_inbox().startswith(f"{own}."), "its inbox is that of its certificate"
        await close(client)


async def test_files_that_cannot_be_used_are_told_before_anybody_waits(tmp_path: Path, ca: Ca) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    files, other = ca.issue("one"), ca.issue("two")
    for tls, said in (
        (Tls(ca=str(tmp_path / "none.pem")), "cannot be read"),
        (Tls(ca=str(tmp_path / "junk.pem")), "expected certificates of CAs"),
        (Tls(cert=str(tmp_path / "junk.pem"), key=files.key), "expected a certificate and its key"),
        (Tls(cert=files.cert, key=other.key), "is not that of the certificate"),
        (Tls(key=files.key), "no certificate that it is for"),
    ):
        assert said in await refused("tls://127.0.0.1:1", tls)


async def test_a_renewed_ca_and_certificate_are_used_at_the_next_connection(ca: Ca, tmp_path: Path) -> None:
    mine = Ca(tmp_path / "a")
    files = mine.issue("nats")
    with NatsServer(tmp_path / "nats", jetstream=False, config=speaking(files)) as server:
        client = await connect(secure(server), name="test", tls=Tls(ca=mine.file))
        mine = Ca(tmp_path / "a")  # the same files, another CA
        mine.issue("nats")
        server.restart()
        await until(lambda: client.is_connected and client.stats["reconnects"] == 1, "it is connected again")
        await close(client)


def test_a_hub_serves_on_nats_over_tls_and_the_command_asks_it(server: NatsServer, ca: Ca, tmp_path: Path) -> None:
    with HubProcess(tmp_path, nats_url=secure(server), variables={"NATS_CA": ca.file}) as hub:
        assert hub.nats_url == secure(server)
        asked = run("services", nats=secure(server), NATS_CA=ca.file)
        assert asked.returncode == 0, asked.stderr
        assert run("services", "--tls-ca", ca.file, nats=secure(server)).returncode == 0
        untrusted = run("services", nats=secure(server))
        assert untrusted.returncode == 1
        assert "not trusted here" in untrusted.stderr
        assert "--tls-ca" in untrusted.stderr


def test_a_hub_that_does_not_trust_its_nats_ends_and_says_which_setting_to_mend(
    server: NatsServer, tmp_path: Path
) -> None:
    hub = HubProcess(tmp_path, nats_url=secure(server))
    hub.start(wait=False)
    assert hub.wait() == 1
    assert "not trusted here" in hub.output()
    assert "nats.tls_ca" in hub.output()


async def test_the_sdk_registers_over_tls_and_says_what_is_wrong(
    server: NatsServer, ca: Ca, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = secure(server)
    with HubProcess(tmp_path, nats_url=url, variables={"NATS_CA": ca.file}):
        async with CentralHubClient("secure", port=8000, host="127.0.0.1", nats_url=url, tls_ca=ca.file) as client:
            assert client.registered
        client = CentralHubClient("secure", nats_url=url, start_timeout=1.0)
        with pytest.raises(Untrusted, match="not trusted here"):
            await client.connect()
        monkeypatch.setenv("NATS_CA", ca.file)
        async with CentralHubClient("secure", nats_url=url) as client:
            assert client.connected


def test_the_nats_server_of_hub_up_speaks_tls_and_takes_a_renewed_certificate(ca: Ca, tmp_path: Path) -> None:
    files, person = ca.issue("listening"), ca.issue("person")
    variables = {
        "HUB_NATS_LISTEN_CERT": files.cert,
        "HUB_NATS_LISTEN_KEY": files.key,
        "HUB_NATS_LISTEN_CLIENT_CA": ca.file,
        "NATS_CA": ca.file,
        "NATS_CERT": person.cert,
        "NATS_KEY": person.key,
    }
    own = {name: value for name, value in variables.items() if name.startswith("NATS_")}
    with HubProcess(tmp_path / "hub", variables=variables) as hub:
        assert hub.nats_url.startswith("tls://127.0.0.1:")
        assert run("services", nats=hub.nats_url, **own).returncode == 0
        assert run("services", nats=hub.nats_url, NATS_CA=ca.file).returncode == 1
        ca.issue("listening")
        log = hub.data_dir / "nats" / "server.log"
        _wait(lambda: "Reloaded: tls" in log.read_text())
        assert run("services", nats=hub.nats_url, **own).returncode == 0


def test_three_servers_by_the_example_are_a_cluster_that_hubs_use(ca: Ca, tmp_path: Path) -> None:
    example = (ROOT / "deploy" / "nats" / "cluster-tls.conf").read_text()
    files = ca.issue("member")
    routes = [free_port() for _ in range(3)]
    servers = []
    for number, port in enumerate(routes):
        text = re.sub(r"(?m)^(server_name|host|port):.*\n", "", example)
        text = re.sub(r"jetstream \{.*?\n\}\n", "", text, flags=re.DOTALL)
        text = re.sub(r'host: "0.0.0.0"\n  port: 6222', f'host: "127.0.0.1"\n  port: {port}', text)
        text = re.sub(r"nats-(\d).example:6222", lambda found: f"127.0.0.1:{routes[int(found[1]) - 1]}", text)
        for name, path in (("nats.pem", files.cert), ("nats-key.pem", files.key), ("ca.pem", ca.file)):
            text = text.replace(f"certs/{name}", path)
        servers.append(NatsServer(tmp_path / f"node{number}", config=text))
    try:
        for each in servers:
            each.start(wait=False)
        for each in servers:
            each.wait_ready()
        urls = ",".join(secure(each) for each in servers)
        with HubProcess(tmp_path / "hub", nats_url=urls, variables={"NATS_CA": ca.file}):
            registered = run("register", "some", "--host", "127.0.0.1", "--port", "1", nats=urls, NATS_CA=ca.file)
            assert registered.returncode == 0, registered.stderr
    finally:
        for each in servers:
            each.kill()


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
