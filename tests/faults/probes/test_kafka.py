"""Kafka: which of the brokers can be reached, and answer."""

from __future__ import annotations

import asyncio
import os

import pytest

from hub.probes import kafka_brokers
from tests.faults.probes.peers import closing, hanging, saying, serving
from tests.kafka_mock import MockKafka
from tests.servers import free_port
from tests.waiting import until

SOON = 0.5


async def test_brokers_that_answer_pass() -> None:
    with MockKafka(3) as kafka:
        outcome = await kafka_brokers(kafka.brokers)()
    assert outcome[:2] == (True, "3 of 3 brokers answer")


async def test_one_that_answers_is_enough_and_the_others_are_told() -> None:
    gone = f"127.0.0.1:{free_port()}"
    with MockKafka() as kafka:
        outcome = await kafka_brokers([gone, *kafka.brokers])()
    assert outcome[:2] == (True, f"1 of 2 brokers answer ({gone}: connection refused)")


async def test_a_cluster_that_is_gone_fails() -> None:
    with MockKafka() as kafka:
        look = kafka_brokers(kafka.brokers)
        assert (await look()).ok
    gone = (False, f"0 of 1 brokers answer ({kafka.brokers[0]}: connection refused)")
    async with asyncio.timeout(30):  # the mock cluster closes its sockets in a thread of its own
        while (await look())[:2] != gone:
            pass


async def test_a_broker_that_does_not_answer_does_not_hide_one_that_does() -> None:
    async with serving(hanging) as silent:
        with MockKafka() as kafka:
            outcome = await kafka_brokers([f"127.0.0.1:{silent.port}", *kafka.brokers], timeout=SOON)()
        await until(lambda: not silent.busy, "the connections are closed")
    assert outcome.ok
    assert outcome.output.startswith(f"1 of 2 brokers answer (127.0.0.1:{silent.port}: no answer within")


@pytest.mark.parametrize("broker", ["kafka:", ":9092", "kafka:port", "kafka:99999", "", "nowhere.invalid:9092"])
async def test_a_broker_that_is_none_fails(broker: str) -> None:
    outcome = await kafka_brokers([broker])()
    assert not outcome.ok
    assert "expected host:port" in outcome.output or "does not resolve" in outcome.output


async def test_what_does_not_speak_kafka_fails_and_leaves_no_file_descriptors() -> None:
    async with serving(saying(b"\0\0\0\4junk")) as odd, serving(closing) as hasty:
        brokers = [f"127.0.0.1:{peer.port}" for peer in (odd, hasty)]
        look = kafka_brokers(brokers, timeout=SOON)
        assert not (await look()).ok
        await until(lambda: not odd.busy and not hasty.busy)
        before = len(os.listdir("/dev/fd"))
        outcomes = await asyncio.gather(*(look() for _ in range(20)))
        assert not any(outcome.ok for outcome in outcomes)
        await until(lambda: len(os.listdir("/dev/fd")) <= before, "all connections are closed")
