"""One route: what it is translated to, what it takes, and what it answers. All that is said of it is made of this."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from hub.sidecar.feed import Feed
from hub.sidecar.login import Login, LoginRule
from hub.sidecar.ports import Hub
from hub.sidecar.replies import JSON
from hub.sidecar.translation import placed
from hub.wire.channel import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What answers requests.

    Attributes:
        hub: The hub that is asked.
        feed: What changes, for those who watch.
        table: Every route.
        waiting: The requests that wait for news, to be called off when the sidecar ends.
        login: What tells who asks; None where nobody has to prove it.
    """

    hub: Hub
    feed: Feed
    table: tuple[Row, ...]
    waiting: set[asyncio.Task[Any]] = field(default_factory=set)
    login: Login | None = None


Handle = Callable[[Serving, "Row", Request], Awaitable[Response]]
"""Answers a request on a row. Raises the `HubError` that the request is refused with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One route.

    Attributes:
        method: The HTTP method; HEAD goes where GET goes.
        path: The path, with `{places}`.
        audience: Whom it is for.
        answers: What it answers, in a few words.
        handle: What answers.
        channel: The subject that it is translated to; None for what the sidecar shows by itself.
        like: The subject whose rules of who may ask hold for it, where it is translated to none; None where it says
            nothing of this very hub that not everybody may know.
        query: The message whose fields the places and the parameters are; None where there are none.
        body: The message that the body is, but for what the path says of it; None where there is none.
        reply: What the body of a response is, where that is JSON.
        media_type: Of the response.
        events: What the events of a stream are, by name; empty where the response is none.
        status: Of a success.
        refusals: Which errors it may answer with, beside those that follow from the rest and those of the hub itself.
        conditional: Whether it has an `ETag`.
        translate: What makes the message of the body and the places of the path.
        example: The arguments of `curl` for it, behind the address.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    audience: str
    answers: str
    handle: Handle
    channel: Channel | None = None
    like: Channel | None = None
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    reply: type[Struct] | None = None
    media_type: str = JSON
    events: Mapping[str, type[Struct]] = field(default_factory=dict, hash=False)
    status: int = 200
    refusals: tuple[int, ...] = ()
    conditional: bool = False
    translate: Callable[[bytes, Mapping[str, str]], bytes] = placed
    example: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the places in the path, in their order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def login(self) -> LoginRule:
        """Whether who asks has to prove who he is, where that is asked for."""
        if self.channel is None and self.like is None:
            return "welcome" if self.audience == "monitors" else "none"
        return "network" if self.audience == "Prometheus" else "needed"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters that the query may have."""
        return tuple(name for name in self.query.__struct_fields__ if name not in self.places) if self.query else ()
