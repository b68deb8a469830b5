"""TLS in front of what is looked at: certificates that are good, and all the ways in which they are not."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from nats.aio.client import Client

from hub.probes import Probes
from hub.probes.names import AddressInfo
from hub.settings.model import Probes as ProbeSettings
from hub.wire.checks import HttpCheck, TcpCheck
from tests.certificates import CA, EXPIRED, GOOD, SELF_SIGNED
from tests.certificates import serving as certified
from tests.faults.probes.conftest import LookAt
from tests.faults.probes.peers import answer, answering, hanging, saying, serving
from tests.waiting import until

SOON = 0.4


async def here(host: str, port: int) -> Sequence[AddressInfo]:
    """Whatever the name, it is this machine."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]


@pytest.mark.parametrize(
    ("tls", "protocol", "secure"),
    [
        (None, "https", True),
        (None, "grpcs", True),
        (None, "http", False),
        (True, "http", True),
        (False, "https", False),
    ],
)
async def test_tls_is_spoken_where_the_check_or_else_the_protocol_says_so(
    look_at: LookAt, tls: bool | None, protocol: str, secure: bool
) -> None:
    async with serving(answering(answer()), tls=certified(GOOD) if secure else None) as peer:
        outcome = await look_at(HttpCheck(tls=tls), peer.port, protocol=protocol)
    assert outcome[:2] == (True, "200 OK")


@pytest.mark.parametrize(
    ("certificate", "output"),
    [(EXPIRED, "certificate has expired"), (SELF_SIGNED, "self-signed certificate"), (GOOD, "")],
)
async def test_a_certificate_that_is_not_good_fails_unless_nobody_minds(
    look_at: LookAt, certificate: Path, output: str
) -> None:
    async with serving(answering(answer()), tls=certified(certificate)) as peer:
        for check in (HttpCheck(tls=True), TcpCheck(tls=True)):
            outcome = await look_at(check, peer.port)
            assert outcome.ok == (not output)
            assert output in outcome.output
        for check in (HttpCheck(tls=True, verify=False), TcpCheck(tls=True, verify=False)):
            assert (await look_at(check, peer.port)).ok


async def test_the_certificate_must_be_made_out_to_the_host_and_not_to_its_address(
    nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    asked_for: list[str | None] = []
    context = certified(GOOD)
    context.sni_callback = lambda _, name, __: asked_for.append(name)
    async with (
        serving(answering(answer()), tls=context) as peer,
        Probes(ProbeSettings(), nats_client, resolve=here) as probes,
    ):
        for host, ok in (("service.test", True), ("Service.Test.", True), ("other.test", False)):
            for check in (HttpCheck(tls=True), TcpCheck(tls=True)):
                outcome = await probes.prober(check, host=host, port=peer.port, protocol="http")()
                assert outcome.ok == ok, outcome
                assert ok or "not valid for 'other.test'" in outcome.output
    assert {name.lower() for name in asked_for if name} == {"service.test", "other.test"}
    assert all(
        f"host: service.test:{peer.port}\r\n".encode() in head.lower().replace(b"test.:", b"test:")
        for head in peer.requests
    )


async def test_a_server_without_tls_fails(look_at: LookAt) -> None:
    async with serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as peer:
        for check in (HttpCheck(tls=True), TcpCheck(tls=True)):
            outcome = await look_at(check, peer.port)
            assert outcome[:2] == (False, "no TLS: wrong version number")


async def test_a_handshake_that_is_never_answered_fails_in_time(look_at: LookAt) -> None:
    async with serving(hanging) as peer:
        for check in (HttpCheck(tls=True, timeout=SOON), TcpCheck(tls=True, timeout=SOON)):
            assert (await look_at(check, peer.port))[:2] == (False, f"no answer within {SOON} s")
        await until(lambda: not peer.busy, "the connections are closed")


async def test_tls_connections_leave_no_file_descriptors(look_at: LookAt) -> None:
    async with (
        serving(hanging, tls=certified(GOOD)) as silent,
        serving(hanging) as deaf,
        serving(answering(answer()), tls=certified(EXPIRED)) as expired,
    ):
        peers = (silent, deaf, expired)
        check = HttpCheck(tls=True, timeout=SOON)
        await asyncio.gather(*(look_at(check, peer.port) for peer in peers))
        await until(lambda: not any(peer.busy for peer in peers))
        before = len(os.listdir("/dev/fd"))
        await asyncio.gather(*(look_at(check, peer.port) for peer in peers * 20))
        await until(lambda: len(os.listdir("/dev/fd")) <= before, "all connections are closed")


async def test_what_was_spoken_is_told(look_at: LookAt) -> None:
    context = certified(GOOD)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(hanging, tls=context) as peer:
        assert (await look_at(TcpCheck(tls=True), peer.port))[:2] == (True, "connected, TLSv1.2")
