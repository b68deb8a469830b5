"""The stream `HUB_AUDIT`: one chain written to, all of them read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from nats.aio.client import Client

from hub.core.auditchain import read_line
from hub.core.incarnations import moment, nanoseconds
from hub.errors import DeadlineExceeded, HubError, Unavailable
from hub.store.api import PREFIX, WRONG_LAST_SEQUENCE, JetStreamApi, PubAck, StreamInfo, refused
from hub.store.ports import AuditMessage
from hub.store.reading import read_page
from hub.store.streams import StreamSpec, ensure
from hub.transport.requests import DEFAULT_TIMEOUT, Requester
from hub.wire import subjects
from hub.wire.audit import AuditEntry

HEADS: Final = 512
"""Chains that heads are told of: those that began last."""
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_ack = msgspec.json.Decoder(PubAck)


class Messages(NamedTuple):
    """Some of the stream, oldest first, and whether there is more."""

    messages: list[AuditMessage]
    more: bool


class Foreign(HubError):
    """Somebody else has written to a chain, or it was taken away. `sequence` is what is newest on its subject now."""

    code = "foreign"
    retryable = True

    def __init__(self, message: str, sequence: int) -> None:
        super().__init__(message)
        self.sequence = sequence


class AuditLog:
    """The stream. Every call raises `Unavailable` or `DeadlineExceeded` where JetStream does not answer.

    Args:
        client: The connection.
        requester: An open requester on it.
        spec: The stream; it must exist.
        timeout: Seconds that one request may take.
    """

    def __init__(
        self, client: Client, requester: Requester, spec: StreamSpec, *, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        self._client = client
        self._requester = requester
        self._api = JetStreamApi(requester, timeout=timeout)
        self._spec = spec
        self._timeout = timeout
        self._heads: dict[str, tuple[int, AuditEntry]] = {}

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return self._spec.stream

    @property
    def stream(self) -> str:
        """The name of the stream."""
        return self._spec.stream

    @property
    def prefix(self) -> str:
        """What precedes the name of a chain in its subjects."""
        return subjects.AUDIT_PREFIX

    async def append(self, chain: str, lines: Sequence[bytes], name: str, *, after: int) -> int:
        """Write entries as one message, once, and return its sequence.

        Args:
            chain: Their chain.
            lines: The entries.
            name: What to call this message; the same for every attempt to write it.
            after: The sequence of the message before it on the chain; 0 for the first.

        Raises:
            Foreign: the newest message of the chain is another one.
            HubError: it is refused for good.
        """
        if not self._client.is_connected:
            raise Unavailable("audit: NATS is away")  # else the connection would keep it, and write it unasked
        subject, headers = subjects.audit_chain(chain), {"Nats-Msg-Id": name, _EXPECTED: str(after)}
        reply = await self._requester.request(subject, b"\n".join(lines), headers=headers, timeout=self._timeout)
        try:
            ack = _ack.decode(reply.data)
        except msgspec.MsgspecError as error:
            raise DeadlineExceeded(f"audit: unreadable acknowledgement ({error})") from None
        if ack.error is None:
            return ack.seq
        if ack.error.err_code not in WRONG_LAST_SEQUENCE:
            raise refused(f"writing to {self.name}", ack.error)
        newest = await self._newest(chain)
        if newest is not None and newest.lines == list(lines):
            return newest.sequence  # an attempt before was stored, and its acknowledgement lost
        raise Foreign(f"{chain}: something else was written to the chain", 0 if newest is None else newest.sequence)

    async def restore(self) -> None:
        """Make the stream exist. Raises where that cannot be."""
        await ensure(self._requester, self._spec, patience=0)

    async def info(self) -> StreamInfo:
        """The stream as it is. Raises `StreamMissing` where there is none."""
        return await self._api.stream(self.stream)

    async def read(self, *, after: int, most: int, size: int, chain: str = "*") -> Messages:
        """Messages behind a sequence, oldest first.

        Args:
            after: That sequence.
            most: How many at most.
            size: After how many bytes the page ends.
            chain: Of which chain; all, where none is given.
        """
        page = await read_page(self._client, self, chain, after=after, timeout=self._timeout, most=most, size=size)
        found = [
            AuditMessage(entry.revision, _stored(headers), entry.key, (entry.value or b"").split(b"\n"))
            for entry, headers in zip(page.entries, page.headers, strict=True)
        ]
        return Messages(found, page.more > 0)

    async def since(self, at: datetime) -> int:
        """The sequence before the first message that was stored at that time or later; the newest, where none was."""
        request = {"next_by_subj": f"{self.prefix}*", "start_time": at}
        reply = await self._requester.request(
            f"{PREFIX}DIRECT.GET.{self.stream}", msgspec.json.encode(request), timeout=self._timeout
        )
        headers = reply.headers or {}
        if headers.get("Status") == "404":
            return (await self.info()).state.last_seq
        try:
            return int(headers["Nats-Sequence"]) - 1
        except (KeyError, ValueError):
            raise Unavailable(f"{self.name}: cannot be read ({headers.get('Description', 'no answer')})") from None

    async def heads(self, but: str = "") -> dict[str, AuditEntry]:
        """The newest entry of every chain but one, of the last `HEADS` to begin.

        Only chains that have gone on since the call before are read. What is no entry is left out: a verification
        tells of it.
        """
        chains = await self._api.subjects(self.stream, f"{self.prefix}*")
        counts = {name.removeprefix(self.prefix): count for name, count in chains.items()}
        names = [name for name in sorted(counts, key=_began)[-HEADS:] if name != but]
        self._heads = {name: self._heads[name] for name in names if name in self._heads}
        moved = [name for name in names if name not in self._heads or self._heads[name][0] != counts[name]]
        for name, newest in zip(moved, await asyncio.gather(*map(self._newest, moved)), strict=True):
            entry = None if newest is None else read_line(newest.lines[-1])
            if entry is not None and entry.chain == name:
                self._heads[name] = counts[name], entry
        return {name: self._heads[name][1] for name in names if name in self._heads}

    async def _newest(self, chain: str) -> AuditMessage | None:
        found = await self._api.last_message(self.stream, subjects.audit_chain(chain))
        if found is None:
            return None
        return AuditMessage(found.seq, moment(nanoseconds(found.time)), chain, found.data.split(b"\n"))


def _began(chain: str) -> str:
    return chain.rpartition("-")[2]


def _stored(headers: Mapping[str, str]) -> datetime:
    return moment(nanoseconds(headers["Nats-Time-Stamp"]))
