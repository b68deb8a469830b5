"""The HTTP face of a real hub where who asks must be proven."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from hub.app import Hub, accesskeys
from hub.app.access import Access
from hub.embedded import EmbeddedServer
from hub.embedded.config import Login
from hub.handlers.authenticator import Authenticator
from hub.handlers.clock import Clock
from hub.identity.proof import Proof
from hub.settings import load
from hub.settings.access import AccessFile
from hub.sidecar.server import Sidecar
from hub.telemetry.metrics import Metrics
from tests.certificates.making import Ca, Files
from tests.commands import run
from tests.http import TIMEOUT, problem, watching
from tests.hubs import HubProcess
from tests.servers import free_port
from tests.unit.sidecar.proving import Known, bearer, proof
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("http-secure")

ISSUER, AUDIENCE = "https://login.example", "central-hub"
ENGINE = {"name": "engine", "host": "127.0.0.1", "port": 1, "instance_id": "e1", "liveness": "heartbeat"}


class Secure(NamedTuple):
    """A hub that takes tokens of an issuer and certificates of a CA over HTTPS."""

    hub: HubProcess
    folder: Path
    ca: Ca

    def token(self, name: str, *more: str) -> dict[str, str]:
        """The header with a new token."""
        who = ("--issuer", ISSUER, "--audience", AUDIENCE, "--name", name)
        done = run("access", "token", "--key", str(self.folder / "token-key.pem"), *who, *more)
        assert done.returncode == 0, done.stderr
        return bearer(done.stdout.strip())

    def browser(self, shown: Files | None = None) -> httpx.AsyncClient:
        """An HTTP client, that comes with this certificate."""
        context = ssl.create_default_context(cafile=self.ca.file)
        if shown is not None:
            context.load_cert_chain(*shown)
        return httpx.AsyncClient(base_url=self.hub.http_url, verify=context, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("secure")
    assert run("access", "keygen", "--out", str(folder)).returncode == 0
    ca = Ca(folder / "ca")
    files = ca.issue("http")
    file = folder / "access.toml"
    file.write_text(
        f'[[issuer]]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nalgorithms = ["EdDSA"]\n'
        f'jwks = "{folder / "jwks.json"}"\nroles = ["service", "operator"]\n'
        '[[certificate]]\nsan = "*.services.example"\nrole = "service"\n'
    )
    variables = {
        "HUB_ACCESS_FILE": str(file),
        "HUB_HTTP_METRICS_NETWORKS": "127.0.0.0/8",
        "HUB_HTTP_TLS_CERT": files.cert,
        "HUB_HTTP_TLS_KEY": files.key,
        "HUB_HTTP_TLS_CLIENT_CA": ca.file,
        "HUB_HTTP_TLS_CLIENT": "optional",
    }
    with HubProcess(folder / "hub", arguments=("--secure",), variables=variables) as process:
        yield Secure(process, folder, ca)


async def test_a_secure_hub_tells_strangers_over_http_nothing_but_that_it_is_there(secure: Secure) -> None:
    async with secure.browser() as http:
        health = await http.get("/health")
        assert (health.status_code, sorted(health.json())) == (200, ["status", "version"])
        assert (await http.get("/readyz")).json() == {"ready": True}
        for path in ("/discovery/services", "/discovery/watch", "/config", "/config/engine", "/discovery/health"):
            refused = await http.get(path)
            assert (refused.status_code, problem(refused)["code"]) == (401, "unauthenticated")
        message = {"name": "engine", "host": "127.0.0.1", "port": 1, "liveness": "permanent"}
        for headers in ({}, bearer("a-guess"), {"x-api-key": "a-guess"}):
            assert (await http.post("/discovery/register", json=message, headers=headers)).status_code == 401
        assert "hub_" in (await http.get("/metrics")).text
    assert "login refused" in secure.hub.output()
    assert "a-guess" not in secure.hub.output()


async def test_who_brings_a_token_of_an_issuer_is_whom_it_says(secure: Secure) -> None:
    engine, ada = secure.token("engine", "--role", "service"), secure.token("ada", "--role", "operator")
    async with secure.browser() as http:
        assert (await http.post("/discovery/register", json=ENGINE, headers=engine)).status_code == 200
        impostor = await http.post("/discovery/register", json={**ENGINE, "name": "other"}, headers=engine)
        assert (impostor.status_code, problem(impostor)["field"]) == (403, "name")
        change = {"values": {"risk": 3}}
        assert (await http.put("/config/engine", json=change, headers=engine)).status_code == 403
        assert (await http.put("/config/engine", json=change, headers=ada)).status_code == 200
        assert (await http.get("/health", headers=ada)).json()["checks"]["nats"] == "healthy"
        forged = {"authorization": ada["authorization"][:-4] + "AAAA"}
        assert (await http.get("/config", headers=forged)).status_code == 401
        assert (await http.get("/config", headers={**ada, "x-api-key": "some"})).status_code == 400
    assert ada["authorization"].removeprefix("Bearer ") not in secure.hub.output()


async def test_who_comes_with_a_certificate_is_whom_it_is_made_out_to(secure: Secure) -> None:
    async with secure.browser(secure.ca.issue("mine", hosts=("worker.services.example",))) as http:
        worker = {**ENGINE, "name": "worker", "instance_id": "w1"}
        assert (await http.post("/discovery/register", json=worker)).status_code == 200
        assert (await http.post("/discovery/register", json=ENGINE)).status_code == 403
        assert (await http.get("/config")).status_code == 403
        strangers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        assert (await http.delete("/discovery/services/worker/w1", headers=strangers)).status_code == 403
        assert (await http.delete("/discovery/services/worker/w1")).status_code == 200
    async with secure.browser(secure.ca.issue("nobody", hosts=("nobody.example",))) as http:
        assert (await http.get("/discovery/services")).status_code == 401


class Site:
    """A real hub in this process, whose logins over HTTP are known to a test."""

    def __init__(self, hub: Hub, http: httpx.AsyncClient, known: Known, revoked: set[str]) -> None:
        self.hub = hub
        self.http = http
        self.known = known
        self.revoked = revoked


@asynccontextmanager
async def proving(folder: Path) -> AsyncIterator[Site]:
    keys = accesskeys.make(folder / "access")
    settings = load(
        overrides={
            "data_dir": str(folder / "data"),
            "http.port": 0,
            "nats.port": free_port(),
            "access.mode": "enforced",
        }
    )
    known, revoked, metrics = Known(), set[str](), Metrics()
    access = Access(keys, AccessFile(), Clock(), name="access.toml")
    access.authenticator = Authenticator([known], lambda shown: shown.credential in revoked, Clock())
    async with (
        EmbeddedServer(settings, proven=keys.public, system=Login.of(keys.system)) as server,
        Hub(settings, [server.url], metrics=metrics, access=access) as hub,
        Sidecar(hub, settings.http, metrics) as sidecar,
        httpx.AsyncClient(base_url=sidecar.url, timeout=TIMEOUT) as http,
    ):
        yield Site(hub, http, known, revoked)


async def test_services_register_and_operators_decide_over_http_each_as_who_they_are(tmp_path: Path) -> None:
    async with proving(tmp_path) as site:
        site.known.proofs |= {
            "engine": proof("service", "engine"),
            "ada": proof("operator", "ada"),
            "old": Proof(caller=proof("operator", "bob").caller, credential="key:old"),
        }
        http, me, ada = site.http, bearer("engine"), bearer("ada")
        for name in ("gateway", "engine2"):
            impostor = await http.post("/discovery/register", json={**ENGINE, "name": name}, headers=me)
            assert (impostor.status_code, problem(impostor)["field"]) == (403, "name")
        assert (await http.post("/discovery/register", json=ENGINE, headers=me)).status_code == 200
        other = {**ENGINE, "name": "other", "instance_id": "o1"}
        assert (await http.post("/discovery/register", json=other, headers=ada)).status_code == 200

        beat = "/discovery/services/{}/heartbeat"
        assert (await http.put(beat.format("engine/e1"), json={"load": 0.4}, headers=me)).status_code == 204
        assert (await http.put(beat.format("other/o1"), json={"load": 0.4}, headers=me)).status_code == 403
        await until(lambda: site.hub.catalog.entries["engine.e1"].instance.load == 0.4, "the beat is heard")

        change = {"values": {"risk": 3}}
        assert (await http.put("/config/engine", json=change, headers=me)).status_code == 403
        assert (await http.put("/config/engine", json=change, headers=bearer("old"))).status_code == 200
        site.revoked.add("key:old")
        assert (await http.put("/config/engine", json=change, headers=bearer("old"))).status_code == 401
        assert (await http.get("/config/engine", headers=me)).json()["values"] == {"risk": 3}
        assert (await http.get("/config/other", headers=me)).status_code == 403

        async with watching(http, "?name=engine", **me) as events:
            assert list(await events.snapshot()) == ["engine.e1"]
            assert (await http.delete("/discovery/services/engine/e1", headers=me)).status_code == 200
            assert (await events.next()).kind == "delete"
        health = await http.get("/health", headers=ada)
        assert health.json()["checks"]["nats"] == "healthy"
