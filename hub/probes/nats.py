"""NATS: whether a request on a subject is answered, and not by an error."""

from __future__ import annotations

from nats.aio.client import Client

from hub.errors import DeadlineExceeded, Forbidden, PayloadTooLarge, Unavailable
from hub.probes.look import Failed
from hub.transport.requests import Requester
from hub.wire.checks import NatsCheck
from hub.wire.fault import CODE_HEADER, TEXT_HEADER


class NatsLook:
    """Sends one request on the hub's own connection, and takes the first reply."""

    def __init__(self, client: Client, requester: Requester, check: NatsCheck) -> None:
        self._client = client
        self._requester = requester
        self._subject = check.subject
        self._payload = check.payload.encode()
        self._timeout = check.timeout

    async def __call__(self) -> str:
        """Look once."""
        if not self._client.is_connected:
            raise Failed("the hub itself is not connected to NATS")
        try:
            reply = await self._requester.request(self._subject, self._payload, timeout=self._timeout)
        except DeadlineExceeded:
            raise Failed(f"no answer within {self._timeout:g} s") from None
        except PayloadTooLarge as error:
            raise Failed(str(error)) from None
        except Forbidden:
            raise Failed(f"the hub itself is not permitted to ask on {self._subject}") from None
        except Unavailable:
            if not self._client.is_connected:
                raise Failed("the hub itself lost its connection to NATS") from None
            raise Failed(f"nobody listens on {self._subject}") from None
        headers = reply.headers or {}
        code, text = headers.get(CODE_HEADER, ""), headers.get(TEXT_HEADER, "")
        if code or text:
            raise Failed(f"{code} {text}".strip())
        return "answered"
