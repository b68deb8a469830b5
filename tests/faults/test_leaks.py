"""Everything that hubs write or say is searched for what lets somebody in: keys, seeds, tokens, passwords."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import jwt
from nats.aio.msg import Msg

from hub.identity.nkey import Nkey
from tests.access import answer_to, declare, let_in, person
from tests.calls import connected
from tests.commands import run
from tests.faults.test_secrets import found_in
from tests.hubs import HubProcess
from tests.keys import fresh_key
from tests.servers import NatsServer

ENGINE = person("service", "engine")
ISSUER = {"iss": "https://login.example", "aud": "central-hub"}
SHARED = "a-shared-secret-that-was-planted-for-HS256-tokens"
DATABASE = "pl4nted-of-the-database"
NATS = "pl4nted-of-nats"


def token(name: str, secret: str = SHARED) -> str:
    now = int(time.time())
    claims = {**ISSUER, "sub": name, "role": "operator", "iat": now, "exp": now + 600}
    return jwt.encode(claims, secret, algorithm="HS256")


def processes() -> dict[str, bytes]:
    """What anybody on this machine reads of the arguments of hubs and NATS servers."""
    found = {str(path): _read(path) for path in Path("/proc").glob("[0-9]*/cmdline")}
    return {path: line for path, line in found.items() if b"hub" in line or b"nats-server" in line}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has just ended
        return b""


async def test_what_lets_somebody_in_is_in_nothing_that_a_hub_writes_or_says(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.write_text(SHARED)
    shared.chmod(0o600)
    issuer = (
        f'[[issuer]]\nissuer = "{ISSUER["iss"]}"\naudience = "{ISSUER["aud"]}"\nalgorithms = ["HS256"]\n'
        f'roles = ["operator"]\nsecret_file = "{shared}"\n'
    )
    file = declare(tmp_path / "access.toml", ENGINE, more=issuer)
    master = fresh_key()
    variables = {
        "HUB_ACCESS_FILE": str(file),
        "HUB_SECRETS_KEY": master,
        "DATABASE_URL": f"postgresql://hub:{DATABASE}@127.0.0.1:1/hub",
        "HUB_LOG_SLOW_REQUEST": "0.000001",
    }
    good, bad = token("ada"), token("ada", "another-secret-that-is-long-enough-for-HS256")
    planted = [SHARED, DATABASE, master, good, bad, ENGINE.key.seed]
    said: list[bytes] = []
    hub = HubProcess(tmp_path / "hub", arguments=("--secure", "--log-level", "debug"), variables=variables)
    with hub:
        access = hub.data_dir / "access"
        planted += [path.read_text().strip() for path in access.glob("*.nk")]
        operator = Nkey((access / "operator.nk").read_text().strip())
        inside = Nkey((access / "hub.nk").read_text().strip())

        async def hear(message: Msg) -> None:
            if b'"key":"hk_' not in message.data:  # the one answer that tells a key
                said.append(message.data + json.dumps(dict(message.headers or {})).encode())

        async with let_in(hub.nats_url, inside) as hubs, let_in(hub.nats_url, operator) as ada:
            await hubs.client.subscribe("hub.>", cb=hear)
            await hubs.client.flush()

            async def ask(subject: str, message: Any) -> Any:
                reply = await ada.client.request(subject, json.dumps(message).encode(), timeout=10)
                if subject != "hub.key.create":
                    said.append(reply.data + json.dumps(dict(reply.headers or {})).encode())
                return json.loads(reply.data) if reply.data.startswith(b"{") else None

            key = (await ask("hub.key.create", {"name": "partner"}))["key"]
            planted.append(key)
            assert await answer_to(hub.nats_url, auth_token=key) == "PONG"
            assert await answer_to(hub.nats_url, auth_token=good) == "PONG"
            assert "Violation" in await answer_to(hub.nats_url, auth_token=bad)
            assert "Violation" in await answer_to(hub.nats_url, user="ada", password=bad)
            async with let_in(hub.nats_url, ENGINE, "engine.a1"):
                pass
            async with httpx.AsyncClient(base_url=hub.http_url) as http:
                for shown in (good, key):
                    for path in ("/health", "/metrics", "/discovery/services", "/keys", "/config"):
                        answer = await http.get(path, headers={"Authorization": f"Bearer {shown}"})
                        said.append(answer.content + str(answer.headers.multi_items()).encode())
                for shown in (bad, ENGINE.key.seed):
                    answer = await http.get("/keys", headers={"X-API-Key": shown}, timeout=60)
                    assert answer.status_code == 401
                    said.append(answer.content + str(answer.headers.multi_items()).encode())
            for subject in (
                "hub.health",
                "hub.services",
                "hub.config.list",
                "hub.secret.list",
                "hub.key.list",
                "hub.access.list",
                "hub.audit.search",
                "hub.metrics",
                "$SRV.INFO.central-hub",
                "$SRV.STATS.central-hub",
            ):
                await ask(subject, {})
            wrong = {"changes": [{"service": "engine", "values": {"dsn": 1}}], "author": 7}
            await ask("hub.config.put", wrong)
        done = run("backup", str(tmp_path / "kept.zip"), "--nkey", str(access / "hub.nk"), nats=hub.nats_url)
        assert done.returncode == 0, done.stderr
        said.append((done.stdout + done.stderr).encode())
        arguments = processes()
        assert any(b"nats-server" in line for line in arguments.values())
        assert f"/proc/{hub.pid}/cmdline" in arguments
        assert hub.stop() == 0
    assert b"hub_logins_total" in b"".join(said)
    assert "login refused" in hub.output()
    files = [path for path in hub.folder.rglob("*") if path.is_file() and path.parent != access]
    with zipfile.ZipFile(tmp_path / "kept.zip") as kept:
        said += [kept.read(name) for name in kept.namelist()]
    assert hub.log in files
    assert any("KV_hub-access" in str(path) for path in files)
    secrets = tuple(planted)
    found = [each for path in files for each in found_in(str(path), path.read_bytes(), secrets)]
    found += [each for text in said for each in found_in("what was said", text, secrets)]
    found += [each for path, text in arguments.items() for each in found_in(path, text, secrets)]
    assert found == []


async def test_a_password_of_nats_is_in_nothing_that_a_hub_writes_or_says(tmp_path: Path) -> None:
    config = f'authorization {{ users: [ {{ user: hub, password: "{NATS}" }} ] }}'
    with NatsServer(tmp_path / "nats", config=config) as server:
        url = server.url.replace("//", f"//hub:{NATS}@")
        hub = HubProcess(
            tmp_path / "hub", nats_url=server.url, arguments=("--log-level", "debug"), variables={"NATS_URL": url}
        )
        hub._command = lambda: ["serve", "--http-port", "0", "--log-level", "debug"]  # type: ignore[method-assign]
        with hub:
            said: list[bytes] = []
            async with connected(url) as client, httpx.AsyncClient(base_url=hub.http_url) as http:
                subjects = ("hub.metrics", "hub.health", "hub.services", "$SRV.INFO.central-hub")
                said += [(await client.request(subject, b"{}", timeout=10)).data for subject in subjects]
                said += [(await http.get(path)).content for path in ("/health", "/metrics", "/")]
            said += processes().values()
            assert hub.stop() == 0
        said.append(hub.log.read_bytes())
    assert b"hub started" in said[-1]
    assert [each for text in said for each in found_in("what was said", text, (NATS,))] == []
