"""Kafka: whether the brokers can be reached, and answer a request for metadata."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from hub.errors import Unsupported
from hub.probes.look import Failed, Look, words

_DEFAULT_PORT: Final = 9092


def kafka_brokers(brokers: Sequence[str], *, timeout: float = 3.0) -> Look:
    """Looks at every broker of a list of `host:port`, all at the same time; one that answers makes it well.

    Raises:
        Unsupported: the driver is not installed.
    """
    try:  # here, and not when looking: it takes its time
        from aiokafka.admin import AIOKafkaAdminClient  # noqa: F401
    except ImportError:
        raise Unsupported("Kafka: its driver is not installed; install central-hub[kafka]") from None

    async def look() -> str:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(_ask(broker, timeout * 0.9)) for broker in brokers]
        troubles = [trouble for trouble in (task.result() for task in asked) if trouble]
        summary = f"{len(brokers) - len(troubles)} of {len(brokers)} brokers answer"
        if troubles:
            summary += f" ({'; '.join(troubles)})"
        if len(troubles) == len(brokers):
            raise Failed(summary)
        return summary

    return Look(look, timeout)


async def _ask(broker: str, timeout: float) -> str:
    """What is wrong with a broker; empty where it answers. It has less than all the time, so that others are heard."""
    try:
        async with asyncio.timeout(timeout):
            await _connect(broker)
            await _metadata(broker, timeout)
    except TimeoutError as error:
        return f"{broker}: {words(error) if error.errno else f'no answer within {timeout:g} s'}"
    except (OSError, Failed) as error:
        return f"{broker}: {words(error) if isinstance(error, OSError) else error}"
    return ""


async def _connect(broker: str) -> None:
    """The driver tells neither why a broker cannot be reached, nor without an error in the log."""
    host, _, port = broker.rpartition(":") if ":" in broker and not broker.endswith("]") else (broker, "", "")
    if not host or (port and not (port.isdecimal() and len(port) <= 5 and int(port) < 65536)):
        raise Failed("expected host:port")
    _, writer = await asyncio.open_connection(host.strip("[]"), int(port or _DEFAULT_PORT))
    writer.transport.abort()


async def _metadata(broker: str, timeout: float) -> None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    client = AIOKafkaAdminClient(bootstrap_servers=broker, request_timeout_ms=max(1, int(timeout * 1000)))
    try:
        await client.start()
        await client.describe_cluster()
    except KafkaError as error:
        raise Failed(str(error) or type(error).__name__) from None
    finally:
        await client.close()
