"""Reading what is stored of a service's configuration: from the bucket, with every hub down, else from a hub."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from hub.client.layered import Layered, Stored
from hub.client.link import Link
from hub.core.layers import MAX_DEPTH, too_deep
from hub.errors import DeadlineExceeded, Forbidden, Unavailable
from hub.wire import subjects
from hub.wire.config import (
    EVERYBODY,
    ConfigRecord,
    ConfigRecords,
    GetConfigRecords,
)

log = logging.getLogger("hub.client")

TIMEOUT: Final = 2.0
"""Seconds that one request may take."""

_STREAM: Final = f"KV_{subjects.CONFIG_BUCKET}"
_DIRECT_GET: Final = f"$JS.API.DIRECT.GET.{_STREAM}.$KV.{subjects.CONFIG_BUCKET}."
_STREAM_INFO: Final = f"$JS.API.STREAM.INFO.{_STREAM}"
_STREAM_MISSING: Final = 10059
_TRIES: Final = 5

_decode_record = msgspec.json.Decoder(ConfigRecord).decode


class Delta(NamedTuple):
    """A stored change of one scope, and the revision of the scope before it."""

    scope: str
    stored: Stored
    previous: int
    batch: str
    """Names the atomic change that it is part of; empty where it was made alone."""


class _State(Struct, frozen=True):
    last_seq: int = 0


class _Refusal(Struct, frozen=True):
    err_code: int = 0
    description: str = ""


class _Info(Struct, frozen=True):
    error: _Refusal | None = None
    created: datetime | None = None
    state: _State = _State()


_decode_info = msgspec.json.Decoder(_Info).decode


def delta(message: Msg) -> Delta:
    """The change that a republished message carries.

    Raises:
        ValueError: it is not understood.
    """
    headers = message.headers or {}
    try:
        return Delta(
            scope=message.subject.removeprefix(subjects.CONFIG_DELTA_PREFIX),
            stored=_stored(message.data, headers),
            previous=int(headers["Nats-Last-Sequence"]),
            batch=headers.get("Nats-Batch-Id", ""),
        )
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise ValueError(f"{message.subject}: not a change of a configuration ({error!r})") from None


class Unread(Unavailable):
    """The bucket could not be asked: it does not answer, or we are not permitted to ask it."""


async def read(link: Link, service: str) -> Layered:
    """What is stored for a service; nothing where there is no bucket yet.

    Raises:
        HubError: neither the bucket nor a hub could be read.
    """
    try:
        return await _walk(link, service)
    except Unread as error:
        log.debug("%s: configuration not read (%s); asking the hub", service, error.message)
        try:
            return await _ask(link, service)
        except (Unavailable, DeadlineExceeded, Forbidden) as silence:
            raise Unavailable(f"{error.message}; {silence.message}") from None


async def _walk(link: Link, service: str) -> Layered:
    """Both scopes, one after the other. That the first has not changed meanwhile shows that both were so at once."""
    own = await _scope(link, service)
    for _ in range(_TRIES):
        shared = await _scope(link, EVERYBODY)
        before, own = own, await _scope(link, service)
        if own == before:
            return Layered(own, shared)
    raise Unavailable(f"{service}: the configuration changes faster than it can be read")


async def made_anew(link: Link, known: Layered) -> bool:
    """Whether the bucket is no longer the one that `known` was read from. Its leader is asked, who lags behind nobody.

    Raises:
        Unavailable, DeadlineExceeded: it does not answer.
        Forbidden: we are not permitted to ask it.
    """
    info = await _info(link)
    if info is None:
        return True
    newest = max(known.own.revision, known.shared.revision)
    written = [stored.record.at for stored in (known.own, known.shared) if stored.record is not None]
    return info.state.last_seq < newest or (info.created is not None and any(at < info.created for at in written))


async def _scope(link: Link, scope: str) -> Stored:
    try:
        answer = await link.request(_DIRECT_GET + scope, timeout=TIMEOUT)
    except Unavailable as error:  # nobody listens: JetStream is not there yet, or the bucket is not
        try:
            is_missing = await _info(link) is None
        except (Unavailable, DeadlineExceeded, Forbidden):
            is_missing = False
        if is_missing:
            return Stored()
        raise Unread(error.message) from None
    except (DeadlineExceeded, Forbidden) as error:
        raise Unread(error.message) from None
    headers = answer.headers or {}
    status = headers.get("Status")
    if status == "404":
        return Stored()
    try:
        if status is None:
            return _stored(answer.data, headers)
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise Unavailable(f"{scope}: the stored configuration is not understood ({error!r})") from None
    raise Unavailable(f"{scope}: the configuration is not readable ({status} {headers.get('Description', '')})")


async def _info(link: Link) -> _Info | None:
    """What JetStream says of the bucket; None where it has none."""
    answer = await link.request(_STREAM_INFO, timeout=TIMEOUT)
    try:
        info = _decode_info(answer.data)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"{_STREAM}: the answer is not understood ({error})") from None
    if info.error is None:
        return info
    if info.error.err_code == _STREAM_MISSING:
        return None
    raise Unavailable(f"{_STREAM}: {info.error.description}")


async def _ask(link: Link, service: str) -> Layered:
    """The same from a hub, as far as that one has heard."""
    query = GetConfigRecords(service=service)
    answer = await link.ask_once(subjects.CONFIG_RECORDS, query, ConfigRecords, timeout=TIMEOUT)
    return Layered(
        own=Stored(answer.own.revision, answer.own.record), shared=Stored(answer.shared.revision, answer.shared.record)
    )


def _stored(payload: bytes, headers: Mapping[str, str]) -> Stored:
    """The record in a stored message, at its revision; without one for the marker of a deletion.

    Raises:
        KeyError, ValueError, MsgspecError: it is not understood.
    """
    revision = int(headers["Nats-Sequence"])
    if not payload or "KV-Operation" in headers or "Nats-Marker-Reason" in headers:
        return Stored(revision)
    try:
        record = _decode_record(payload)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if payload.count(b"{") + payload.count(b"[") > MAX_DEPTH and _is_too_deep(record):
        raise ValueError("nested too deeply")
    return Stored(revision, record)


def _is_too_deep(record: ConfigRecord) -> bool:
    tried = record.canary.values if record.canary is not None else {}
    return any(map(too_deep, (record.values, record.file, record.defaults, tried)))
