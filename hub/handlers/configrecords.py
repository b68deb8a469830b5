"""`hub.config.records` and `hub.config.list`: what is stored, as it is stored, and of whom there is anything."""

from __future__ import annotations

from hub.core.configlist import listed
from hub.core.configs import Configs
from hub.errors import PayloadTooLarge
from hub.handlers.endpoint import Respond
from hub.wire import subjects
from hub.wire.codec import Decoder, encode
from hub.wire.config import (
    EVERYBODY,
    ConfigRecords,
    GetConfigRecords,
    ListConfigs,
    StoredConfig,
)


class StoredConfigs:
    """Answers from memory, as far as this hub has heard.

    Args:
        configs: What is known.
        max_bytes: The largest reply.

    Attributes:
        subjects: What it answers, and how.
    """

    def __init__(self, configs: Configs, *, max_bytes: int) -> None:
        self._configs = configs
        self._max_bytes = max_bytes
        self._decode_records = Decoder(GetConfigRecords)
        self._decode_list = Decoder(ListConfigs)
        self.subjects: dict[str, Respond] = {
            subjects.CONFIG_RECORDS: self.records,
            subjects.CONFIG_LIST: self.listed,
        }

    def records(self, payload: bytes) -> bytes:
        """The encoded `ConfigRecords`.

        Raises:
            PayloadTooLarge: NATS takes no such reply here.
        """
        service = self._decode_records(payload).service
        encoded = encode(ConfigRecords(service=service, own=self._stored(service), shared=self._stored(EVERYBODY)))
        if len(encoded) > self._max_bytes:
            raise PayloadTooLarge(
                f"reply: expected at most {self._max_bytes} bytes, as NATS takes them here, got {len(encoded)}"
            )
        return encoded

    def listed(self, payload: bytes) -> bytes:
        """The encoded `ConfigList`."""
        return encode(listed(self._configs, self._decode_list(payload), max_bytes=self._max_bytes))

    def _stored(self, scope: str) -> StoredConfig:
        known = self._configs.own(scope)
        if known is None:
            return StoredConfig(revision=0, record=None)
        return StoredConfig(revision=known.revision, record=known.record)
