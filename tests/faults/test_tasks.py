"""Background tasks of a real hub that die or hang: told on `/health` and `hub.health.hub`, and started again."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from hub.app import Hub
from hub.app.verifiers import Verifiers
from hub.handlers.clock import Clock
from hub.handlers.sweep import Sweep
from hub.settings import load
from hub.settings.access import AccessFile, Issuer
from hub.sidecar.server import Sidecar
from hub.telemetry.metrics import Metrics
from hub.transport.loops import BOUND
from tests.calls import connected, ids, register
from tests.hubs import HubProcess
from tests.keys import key_file
from tests.killing import kill_task
from tests.servers import NatsServer
from tests.waiting import until

JWKS = b'{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
"""That of RFC 8037."""


class Poisonous(Metrics):
    """Metrics that whoever counts a tick of the clock dies of, for as long as they are told to be so."""

    __slots__ = ("_lag", "lethal")

    def __init__(self) -> None:
        self.lethal = False
        super().__init__()

    @property
    def event_loop_lag(self) -> float:
        return self._lag

    @event_loop_lag.setter
    def event_loop_lag(self, seconds: float) -> None:
        if self.lethal:
            raise RuntimeError("poisoned, password=hidden-word")
        self._lag = seconds


class Patient:
    """A hub in this process, with all that it says about itself."""

    def __init__(self, hub: Hub, http: httpx.AsyncClient, client: Client) -> None:
        self.hub = hub
        self.http = http
        self.client = client
        self.told: list[dict[str, Any]] = []

    async def hear(self, message: Msg) -> None:
        self.told.append(json.loads(message.data))

    def task(self, name: str) -> dict[str, Any]:
        """What its details tell of a task."""
        found: dict[str, Any] = self.hub.details()["tasks"][name]
        return found

    async def answers(self) -> dict[str, int]:
        """The status codes of the routes for monitors, and what `/health` says."""
        paths = ("/health", "/livez", "/readyz")
        return {path: (await self.http.get(path)).status_code for path in paths}

    async def says(self) -> str:
        """The status in `/health`."""
        return str((await self.http.get("/health")).json()["status"])


@asynccontextmanager
async def patient(server: NatsServer, metrics: Metrics) -> AsyncIterator[Patient]:
    keys = key_file(server.store.parent / "secrets.keys")
    settings = load(overrides={"nats.url": [server.url], "http.port": 0, "secrets.key_file": str(keys)})
    jwks = server.store.parent / "jwks.json"
    jwks.write_bytes(JWKS)
    issuer = Issuer(issuer="https://issuer.test", audience="hub", algorithms=("EdDSA",), jwks=str(jwks))
    verifiers = Verifiers(AccessFile(issuer=(issuer,)), Clock())
    async with (
        Hub(settings, [server.url], metrics=metrics, verifiers=verifiers) as hub,
        Sidecar(hub, settings.http, metrics) as sidecar,
        httpx.AsyncClient(base_url=sidecar.url, timeout=10) as http,
        connected(server.url) as client,
    ):
        found = Patient(hub, http, client)
        await client.subscribe("hub.health.hub", cb=found.hear)
        await client.flush()
        yield found


def told(seen: Patient, status: str, words: str) -> bool:
    """Whether `hub.health.hub` has said so."""
    return any(report["status"] == status and words in report["reason"] for report in seen.told)


TASKS = (
    *("sweep-time", "sweep-writes", "hearing", "health-changes", "health-rounds", "leader-lease", "event-log"),
    *(
        "requests-sweeper",
        "watch-hub-registry",
        "watch-hub-desired",
        "watch-hub-config",
        "watch-hub-secrets",
        "watch-hub-access",
        "watch-hub-manifests",
        "watch-hub-leader",
        "check-nats",
    ),
    *(
        "probe-requests-sweeper",
        "observed",
        "config-reminders",
        "config-files",
        "static-files",
        "canary-rounds",
        "secret-keys",
        "key-uses",
        "kicking",
    ),
    *("component-files", "component-garbage", "issuer-keys-1", "rate-limits", "audit"),
    *("adoption-rounds", "adoption-intake"),
    *("replicas", "declared-checks", "ttl-checks", "probes", "findings-rounds"),
)


async def test_whichever_task_dies_is_started_again_and_the_hub_serves_on(nats_server: NatsServer) -> None:
    async with patient(nats_server, Metrics()) as seen:
        assert set(seen.hub.details()["tasks"]) == set(TASKS)
        for task in TASKS:
            kill_task(task)
            await until(lambda task=task: seen.task(task)["restarts"] == 1, task)  # type: ignore[misc]
            assert "it was cancelled" in seen.task(task)["last_error"]
            assert (await seen.answers())["/livez"] == 200
            assert "revision" in await register(seen.client, f"after-{task}")
            assert await ids(seen.client, f"after-{task}") == [f"after-{task}-1"]
        await until(lambda: told(seen, "warning", "was restarted"))
        assert await seen.says() == "degraded"
        metrics = (await seen.http.get("/metrics")).text
        for task in TASKS:
            assert f'hub_task_restarts_total{{task="{task}"}} 1.0' in metrics


async def test_a_task_that_keeps_dying_makes_the_hub_unhealthy_until_it_has_lived_again(
    nats_server: NatsServer,
) -> None:
    metrics = Poisonous()
    async with patient(nats_server, metrics) as seen:
        assert await seen.answers() == {"/health": 200, "/livez": 200, "/readyz": 200}
        metrics.lethal = True
        await until(lambda: not seen.hub.alive)
        assert await seen.answers() == {"/health": 503, "/livez": 503, "/readyz": 200}
        assert seen.task("sweep-time")["status"] == "failing"
        await until(lambda: told(seen, "critical", "the task sweep-time keeps failing (RuntimeError: poisoned"))
        assert "hidden-word" not in json.dumps([seen.told, seen.hub.details()])
        assert "revision" in await register(seen.client, "meanwhile"), "what can be done is done"
        metrics.lethal = False
        await until(lambda: seen.hub.alive, within=60)
        assert await seen.answers() == {"/health": 200, "/livez": 200, "/readyz": 200}
        await until(lambda: seen.told[-1]["status"] == "passing")


async def test_a_task_that_hangs_is_found_and_started_again(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, hanging = Sweep._write_states, asyncio.Event()

    async def hang(self: Sweep, beat: Any) -> None:
        if not hanging.is_set():
            hanging.set()
            await asyncio.Event().wait()
        await write(self, beat)

    async with patient(nats_server, Metrics()) as seen:
        await until(lambda: seen.hub.details()["leading"])
        monkeypatch.setattr(Sweep, "_write_states", hang)
        await until(hanging.is_set)
        await register(seen.client, "doomed", liveness="heartbeat", ttl=1)
        await until(lambda: seen.task("sweep-writes")["restarts"] == 1, within=60)
        assert "no sign of life" in seen.task("sweep-writes")["last_error"]
        await until(lambda: told(seen, "warning", "the task sweep-writes was restarted (no sign of life"))
        catalog = seen.hub.registry.catalog
        await until(lambda: catalog.entries["doomed.doomed-1"].instance.status == "critical" and not catalog.unwritten)


async def test_an_event_loop_that_stands_still_is_told_of_for_a_while_and_nothing_is_restarted(
    nats_server: NatsServer,
) -> None:
    async with patient(nats_server, Metrics()) as seen:
        asyncio.get_running_loop().call_later(0, _block)
        await until(lambda: told(seen, "warning", "the event loop stood still for"))
        assert await seen.says() == "degraded"
        assert {task["restarts"] for task in seen.hub.details()["tasks"].values()} == {0}
        await until(lambda: seen.hub.checks()["hub"] == "healthy", within=60)


async def test_a_hub_that_was_frozen_restarts_none_of_its_tasks(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        hub.interrupt(signal.SIGSTOP)
        await asyncio.sleep(BOUND + 2)  # longer than any of them may be silent
        hub.interrupt(signal.SIGCONT)
        async with httpx.AsyncClient(base_url=hub.http_url, timeout=30) as http:
            details = (await http.get("/health")).json()["details"]
            assert "stood still" in details["reason"]
            await asyncio.sleep(1)  # several looks at all of them
            details = (await http.get("/health")).json()["details"]
        assert {task["restarts"] for task in details["tasks"].values()} == {0}
        assert "stuck" not in hub.output()


def _block() -> None:
    time.sleep(1.5)
