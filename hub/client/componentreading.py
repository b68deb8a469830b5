"""Reading which version of the components is the newest, straight from the bucket: with every hub down, too."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from hub.client.link import Link
from hub.errors import Unavailable
from hub.wire import subjects
from hub.wire.components import ComponentsRecord

TIMEOUT: Final = 2.0
"""Seconds that the request may take."""

_STREAM: Final = f"KV_{subjects.MANIFESTS_BUCKET}"
_DIRECT_GET: Final = f"$JS.API.DIRECT.GET.{_STREAM}.$KV.{subjects.MANIFESTS_BUCKET}.{subjects.MANIFESTS_KEY}"
_decode_record = msgspec.json.Decoder(ComponentsRecord).decode


class Version(NamedTuple):
    """A version as stored."""

    revision: int
    record: ComponentsRecord


async def newest(link: Link) -> Version | None:
    """The newest version; None where nothing is stored.

    Raises:
        Unavailable, DeadlineExceeded: it cannot be read, or not understood.
    """
    answer = await link.requester.request(_DIRECT_GET, timeout=TIMEOUT)
    headers = answer.headers or {}
    status = headers.get("Status")
    if status == "404" or (status is None and ("KV-Operation" in headers or "Nats-Marker-Reason" in headers)):
        return None
    if status is not None:
        raise Unavailable(f"components: not readable ({status} {headers.get('Description', '')})")
    try:
        return Version(int(headers["Nats-Sequence"]), _decode_record(answer.data))
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise Unavailable(f"components: what is stored is not understood ({error!r})") from None
