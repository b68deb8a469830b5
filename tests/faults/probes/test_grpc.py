"""gRPC checks of the health service that gRPC's own library has, and of what only looks like it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from hub.wire.checks import GrpcCheck
from tests.certificates import EXPIRED, GOOD
from tests.faults.probes.conftest import LookAt
from tests.faults.probes.peers import answer, answering, closing, flooding, hanging, saying, serving
from tests.servers import free_port
from tests.waiting import until

SOON = 0.4
_STATUS = health_pb2.HealthCheckResponse
_NO_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
"""The frame that an HTTP/2 server begins with."""
_A_PING = b"\0\0\x08\6\0\0\0\0\0" + b"12345678"


class HealthServer:
    """A gRPC server; with a certificate, over TLS."""

    def __init__(self, *, certificate: Path | None = None, healthy: bool = True) -> None:
        self.status = health.HealthServicer()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=2))
        if healthy:
            health_pb2_grpc.add_HealthServicer_to_server(self.status, self._server)
        if certificate is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            pem = certificate.read_bytes()
            self.port = self._server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(pem, pem)]))
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()


@pytest.fixture
def server() -> Iterator[HealthServer]:
    server = HealthServer()
    yield server
    server.stop()


async def test_a_server_that_serves_passes(look_at: LookAt, server: HealthServer) -> None:
    assert (await look_at(GrpcCheck(), server.port))[:2] == (True, "SERVING")


@pytest.mark.parametrize("service", ["trading.Engine", "x" * 200])
async def test_it_is_the_status_of_the_service_that_counts(look_at: LookAt, server: HealthServer, service: str) -> None:
    server.status.set(service, _STATUS.NOT_SERVING)
    assert (await look_at(GrpcCheck(service=service), server.port))[:2] == (False, "NOT_SERVING")
    assert (await look_at(GrpcCheck(), server.port)).ok
    server.status.set(service, _STATUS.UNKNOWN)
    assert (await look_at(GrpcCheck(service=service), server.port))[:2] == (False, "UNKNOWN")
    server.status.set(service, _STATUS.SERVING)
    assert (await look_at(GrpcCheck(service=service), server.port)).ok


async def test_a_service_that_is_not_there_fails(look_at: LookAt, server: HealthServer) -> None:
    outcome = await look_at(GrpcCheck(service="nobody"), server.port)
    assert outcome[:2] == (False, "service 'nobody' is not known there")


async def test_a_server_without_the_health_service_fails(look_at: LookAt) -> None:
    server = HealthServer(healthy=False)
    try:
        assert (await look_at(GrpcCheck(), server.port))[:2] == (False, "no grpc.health.v1.Health there")
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("certificate", "verify", "output"),
    [(GOOD, True, "SERVING"), (EXPIRED, True, "certificate has expired"), (EXPIRED, False, "SERVING")],
)
async def test_tls_is_checked(look_at: LookAt, certificate: Path, verify: bool, output: str) -> None:
    server = HealthServer(certificate=certificate)
    try:
        outcome = await look_at(GrpcCheck(tls=True, verify=verify), server.port)
        assert outcome[:2] == (output == "SERVING", output)
    finally:
        server.stop()


async def test_a_server_that_is_gone_fails(look_at: LookAt, server: HealthServer) -> None:
    server.stop()
    assert (await look_at(GrpcCheck(), server.port))[:2] == (False, "connection refused")


async def test_a_server_that_says_nothing_fails_in_time(look_at: LookAt) -> None:
    async with serving(hanging) as silent, serving(saying(_NO_SETTINGS)) as slow:
        for peer in (silent, slow):
            outcome = await look_at(GrpcCheck(timeout=SOON), peer.port)
            assert outcome[:2] == (False, f"no answer within {SOON} s")


async def test_a_server_of_another_protocol_fails(look_at: LookAt) -> None:
    async with serving(answering(answer("400 Bad Request"))) as http, serving(closing) as hasty:
        for peer in (http, hasty):
            outcome = await look_at(GrpcCheck(), peer.port)
            assert not outcome.ok
            assert outcome.output.startswith(("the answer is not gRPC's", "connection closed"))


@pytest.mark.parametrize("frame", [_A_PING, _NO_SETTINGS])
async def test_a_flood_is_cut_off(look_at: LookAt, frame: bytes) -> None:
    async with serving(flooding(frame * 1000, _NO_SETTINGS, times=100_000, ask=False)) as peer:
        outcome = await look_at(GrpcCheck(timeout=10), peer.port)
    assert not outcome.ok
    assert outcome.seconds < 10
    assert peer.sent < 16 * 1024 * 1024


async def test_looks_that_fail_leave_no_file_descriptors(look_at: LookAt) -> None:
    async with serving(hanging) as silent, serving(saying(b"junk" * 100)) as odd:
        ports = [silent.port, odd.port, free_port()]
        await asyncio.gather(*(look_at(GrpcCheck(timeout=SOON), port) for port in ports))
        await until(lambda: not silent.busy and not odd.busy)
        before = len(os.listdir("/dev/fd"))
        await asyncio.gather(*(look_at(GrpcCheck(timeout=SOON), port) for port in ports * 30))
        await until(lambda: len(os.listdir("/dev/fd")) <= before, "all connections are closed")
