"""Other credentials than nkeys, brought to a real server: tokens and client certificates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from hub.transport.connection import close, connect
from hub.transport.tls import Tls
from hub.wire.roles import inbox_prefix_for
from tests.access import answer_to
from tests.calls import call, register
from tests.certificates.making import Ca, Files
from tests.commands import run
from tests.hubs import HubProcess

ISSUER, AUDIENCE = "https://login.example", "central-hub"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    assert run("access", "keygen", "--out", str(folder)).returncode == 0
    return folder


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("secure")
    file = folder / "access.toml"
    file.write_text(
        f'[[issuer]]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nalgorithms = ["EdDSA"]\n'
        f'jwks = "{keys / "jwks.json"}"\n'
    )
    with HubProcess(folder, arguments=("--secure",), variables={"HUB_ACCESS_FILE": str(file)}) as process:
        yield process


def token(folder: Path, name: str, *more: str) -> str:
    who = ("--issuer", ISSUER, "--audience", AUDIENCE, "--name", name)
    done = run("access", "token", "--key", str(folder / "token-key.pem"), *who, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("as_password", [False, True])
async def test_who_brings_a_token_gets_in_be_it_as_a_token_or_as_a_password(
    secure: HubProcess, keys: Path, as_password: bool
) -> None:
    made = token(keys, "engine")
    shown = {"user": "anybody", "password": made} if as_password else {"token": made}
    client = await nats.connect(
        secure.nats_url,
        name="engine.t1",
        allow_reconnect=False,
        inbox_prefix=inbox_prefix_for(made).encode(),
        **shown,
    )
    try:
        registered = await register(client, "engine", "t1")
        assert registered["instance_id"] == "t1"
        assert "error" in await register(client, "other", "t2"), "it speaks for itself alone"
    finally:
        await client.close()


async def test_a_token_of_others_or_for_others_is_refused(secure: HubProcess, keys: Path, tmp_path: Path) -> None:
    assert run("access", "keygen", "--out", str(tmp_path)).returncode == 0
    forged, operator = token(keys, "engine")[:-4] + "AAAA", token(keys, "ada", "--role", "operator")
    for wrong in (token(tmp_path, "engine"), forged, operator):
        assert await answer_to(secure.nats_url, auth_token=wrong) == "-ERR 'Authorization Violation'"
        assert wrong not in secure.output()
        assert wrong.rpartition(".")[2] not in secure.output()


async def test_who_shows_a_certificate_is_whom_it_is_made_out_to(tmp_path: Path) -> None:
    ca = Ca(tmp_path / "ca")
    server, hub, engine = ca.issue("nats"), ca.issue("hub"), ca.issue("engine", hosts=("engine.services.example",))
    file = tmp_path / "access.toml"
    file.write_text('[[certificate]]\nsan = "*.services.example"\nrole = "service"\n')
    variables = {
        "HUB_ACCESS_FILE": str(file),
        "HUB_NATS_LISTEN_CERT": server.cert,
        "HUB_NATS_LISTEN_KEY": server.key,
        "HUB_NATS_LISTEN_CLIENT_CA": ca.file,
        "HUB_NATS_TLS_CA": ca.file,
        "HUB_NATS_TLS_CERT": hub.cert,
        "HUB_NATS_TLS_KEY": hub.key,
    }
    with HubProcess(tmp_path / "hub", arguments=("--secure",), variables=variables) as process:
        client = await connect(process.nats_url, name="engine.c1", tls=shown(ca, engine))
        try:
            client._inbox_prefix = bytearray(b"_INBOX.service.engine.c1")
            assert (await register(client, "engine", "c1"))["instance_id"] == "c1"
            assert "error" in await call(client, "hub.discover", {}), "and it is no operator"
        finally:
            await close(client)


def shown(ca: Ca, files: Files) -> Tls:
    return Tls(ca=ca.file, cert=files.cert, key=files.key)
