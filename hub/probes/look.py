"""One look: whatever happens in it is told in a few words, and it ends in time."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from time import monotonic
from typing import Final

from hub.masking import hidden, mask, spellings
from hub.probes.outcome import LONGEST_OUTPUT, Outcome

_LONGEST_READ: Final = 4096
"""Characters of a text that are looked at in order to make it fit; others choose how long theirs are."""
_UNSHOWN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
"""Space and what controls a terminal, a log or the direction of writing."""


class Failed(Exception):
    """What was found is not as expected; the text says what was found."""


class Look:
    """A `Prober` around what looks: an async callable that returns what it found well, or raises.

    Args:
        look: Looks once. It may raise whatever it likes, `Failed` where it knows what to say.
        timeout: Seconds that it may take.
        secrets: What must not be shown, in whatever spelling: passwords.
    """

    __slots__ = ("_look", "_secrets", "_timeout")

    def __init__(self, look: Callable[[], Awaitable[str]], timeout: float, *, secrets: Iterable[str] = ()) -> None:
        self._look = look
        self._timeout = timeout
        self._secrets = spellings(secrets)

    async def __call__(self) -> Outcome:
        """Look once."""
        started = monotonic()
        ok, output = False, ""
        try:
            async with asyncio.timeout(self._timeout) as limit:
                output = await self._look()
                ok = True
        except Failed as failed:
            output = str(failed)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            output = "the connection was given up"  # by the driver: nobody has cancelled the one who looks
        except Exception as error:  # noqa: BLE001  # drivers raise what they like, and a prober must not
            output = f"no answer within {self._timeout:g} s" if limit.expired() else words(error)
        return Outcome(ok, self._fit(output), monotonic() - started)

    def _fit(self, text: str) -> str:
        return _presentable(hidden(text[:_LONGEST_READ], self._secrets))


@lru_cache(maxsize=1024)
def _presentable(text: str) -> str:
    """What may be shown of a text: most looks find what many have found before."""
    return shortened(mask(clean(text)))


def clean(text: str) -> str:
    """The text on one line, without what controls a terminal."""
    return _UNSHOWN.sub(" ", text[:_LONGEST_READ]).strip()


def shortened(text: str, longest: int = LONGEST_OUTPUT) -> str:
    """The text, cut where it is longer."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def words(error: BaseException) -> str:
    """What an error of the network says, in the words of an operator: `connection refused`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or "the certificate is not trusted"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or str(error)  # only those that OpenSSL raised have one
        return f"no TLS: {reason.replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return "the host does not resolve"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, EOFError | ConnectionError):  # IncompleteReadError, and what has no number of the system's
        return "connection closed without an answer"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
