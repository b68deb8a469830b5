"""A Kafka cluster for tests: the one that librdkafka has inside for its own tests, which speaks the real protocol."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient

START_TIMEOUT = 30.0
_QUIET = {"log_level": 0}


class MockKafka:
    """A cluster of brokers on 127.0.0.1, within this process. Leaving its context ends it, and nobody listens there.

    Args:
        brokers: How many brokers it has.
    """

    def __init__(self, brokers: int = 1) -> None:
        self._size = brokers
        self._client: AdminClient | None = None
        self.brokers: list[str] = []
        """Each broker's `host:port`."""

    def __enter__(self) -> Self:
        self._client = AdminClient({**_QUIET, "bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": self._size})
        deadline = time.monotonic() + START_TIMEOUT
        while len(self.brokers) < self._size:
            assert time.monotonic() < deadline, "the mock cluster does not start"
            found = self._client.list_topics(timeout=START_TIMEOUT).brokers
            self.brokers = [f"{broker.host}:{broker.port}" for broker in found.values()]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the cluster."""
        self._client = None
