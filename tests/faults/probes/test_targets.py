"""Whoever registers cannot make the hub connect where it must not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest
from nats.aio.client import Client

from hub.probes import Probes
from hub.probes.names import AddressInfo
from hub.settings.model import Probes as ProbeSettings
from hub.wire.checks import GrpcCheck, HttpCheck, PostgresCheck, Probe, RedisCheck, TcpCheck
from tests.faults.probes.conftest import LookAt
from tests.faults.probes.peers import answer, answering, serving

ADDRESSED: list[Probe] = [HttpCheck(), TcpCheck(), GrpcCheck(), RedisCheck(), PostgresCheck()]
METADATA = "169.254.169.254"


class Answers:
    """A resolver that gives one answer after the other, and the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[AddressInfo]:
        self.asked += 1
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 0, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))
            for address in found
        ]


@pytest.mark.parametrize("check", ADDRESSED, ids=lambda check: type(check).__name__)
async def test_no_probe_connects_to_a_forbidden_address(look_at: LookAt, check: Probe) -> None:
    outcome = await look_at(check, host=METADATA)
    assert outcome[:2] == (False, f"target {METADATA} is forbidden by probes.forbidden")


@pytest.mark.parametrize(
    "host",
    [
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.16689662",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "fe80::1%1",
        "fd00:ec2::254",
        "0.0.0.0",
        "0",
        "::",
        "::ffff:0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
    ],
)
async def test_a_forbidden_address_is_known_in_every_spelling(look_at: LookAt, host: str) -> None:
    outcome = await look_at(HttpCheck(timeout=10, interval=10), host=host)
    assert not outcome.ok
    assert outcome.output.endswith("is forbidden by probes.forbidden")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "127.1", "::ffff:127.0.0.1"])
async def test_services_on_this_machine_are_looked_at(look_at: LookAt, host: str) -> None:
    async with serving(answering(answer())) as peer:
        assert (await look_at(HttpCheck(), peer.port, host=host)).ok


@pytest.mark.parametrize("check", ADDRESSED, ids=lambda check: type(check).__name__)
async def test_a_name_that_nobody_knows_fails(look_at: LookAt, check: Probe) -> None:
    outcome = await look_at(check, host="nowhere.invalid")
    assert outcome[:2] == (False, "nowhere.invalid does not resolve")


async def test_a_name_that_changes_its_mind_gains_nothing(nats_client: Client) -> None:
    names = Answers(["127.0.0.1"], [METADATA])
    async with (
        serving(answering(answer())) as peer,
        Probes(ProbeSettings(), nats_client, resolve=names) as probes,
    ):
        prober = probes.prober(HttpCheck(), host="fickle.test", port=peer.port, protocol="http")
        assert (await prober()).ok
        assert names.asked == 1, "what was judged is what was connected to"
        assert (await prober()).output == f"target {METADATA} is forbidden by probes.forbidden"
    assert peer.connections == 1


async def test_of_several_addresses_only_those_that_may_be_are_connected_to(nats_client: Client) -> None:
    names = Answers([METADATA, "fe80::1", "127.0.0.1"])
    async with (
        serving(answering(answer())) as peer,
        Probes(ProbeSettings(), nats_client, resolve=names) as probes,
    ):
        assert (await probes.prober(HttpCheck(), host="many.test", port=peer.port, protocol="http")()).ok


async def test_the_next_address_is_tried_where_one_does_not_answer(nats_client: Client) -> None:
    names = Answers(["127.0.0.3", "127.0.0.1"])
    async with (
        serving(answering(answer())) as peer,
        Probes(ProbeSettings(), nats_client, resolve=names) as probes,
    ):
        assert (await probes.prober(HttpCheck(), host="many.test", port=peer.port, protocol="http")()).ok


async def test_operators_say_what_is_forbidden_and_what_is_not(nats_client: Client) -> None:
    settings = ProbeSettings(forbidden=("127.0.0.0/8", "::1"), allowed=("127.0.0.1",))
    async with serving(answering(answer())) as peer, Probes(settings, nats_client) as probes:
        assert (await probes.prober(HttpCheck(), host="127.0.0.1", port=peer.port, protocol="http")()).ok
        assert (await probes.prober(HttpCheck(), host="::ffff:127.0.0.1", port=peer.port, protocol="http")()).ok
        for host in ("127.0.0.2", "::ffff:127.0.0.2", "::1"):
            outcome = await probes.prober(HttpCheck(), host=host, port=peer.port, protocol="http")()
            assert outcome.output == f"target {host} is forbidden by probes.forbidden"
    assert peer.connections == 2


async def test_a_check_may_name_another_host_and_port_than_the_instances(look_at: LookAt) -> None:
    async with serving(answering(answer())) as peer:
        assert (await look_at(HttpCheck(host="127.0.0.1", port=peer.port), host="nowhere.invalid")).ok
        assert (await look_at(HttpCheck(host=METADATA), peer.port)).output.endswith("probes.forbidden")


async def test_a_resolver_that_does_not_answer_is_not_asked_again_and_again(nats_client: Client) -> None:
    asked: list[str] = []
    answered = asyncio.Event()

    async def slow(host: str, port: int) -> Sequence[AddressInfo]:
        asked.append(host)
        await answered.wait()
        return await Answers(["127.0.0.1"])(host, port)

    async with serving(answering(answer())) as peer, Probes(ProbeSettings(), nats_client, resolve=slow) as probes:
        hasty = probes.prober(HttpCheck(timeout=0.2), host="slow.test", port=peer.port, protocol="http")
        for _ in range(2):
            outcomes = await asyncio.gather(*(hasty() for _ in range(10)))
            assert {outcome[:2] for outcome in outcomes} == {(False, "no answer within 0.2 s")}
        assert asked == ["slow.test"]
        answered.set()
        patient = probes.prober(HttpCheck(), host="slow.test", port=peer.port, protocol="http")
        assert (await patient()).ok
        assert (await patient()).ok
        assert asked == ["slow.test"] * 2, "an answer is not kept"


async def test_closing_does_not_wait_for_the_resolver(nats_client: Client) -> None:
    async def never(host: str, port: int) -> Sequence[AddressInfo]:
        await asyncio.Event().wait()
        return ()

    before = asyncio.all_tasks()
    async with Probes(ProbeSettings(), nats_client, resolve=never) as probes:
        outcome = await probes.prober(TcpCheck(timeout=0.1), host="slow.test", port=1, protocol="http")()
        assert outcome[:2] == (False, "no answer within 0.1 s")
    assert asyncio.all_tasks() == before
