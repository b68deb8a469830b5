"""Every service that this client has asked for, kept at hand; those it asks for no more are let go."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Iterator
from itertools import cycle

from hub.client.follower import Follower
from hub.client.instances import Instances
from hub.client.link import Link
from hub.client.replica import Known
from hub.client.tasks import Tasks
from hub.core.selection import Selection, matching, pick
from hub.errors import InvalidRequest, NoInstance
from hub.wire.codec import Decoder, encode
from hub.wire.discovery import Discover, Instance
from hub.wire.names import is_service_name

IDLE = 600.0
"""Seconds, up to twice as many, after which a service that nobody asks for is followed no more."""

_check = Decoder(Discover)


class Cache:
    """Answers discoveries from memory.

    Args:
        link: The connection.
        tasks: Owns the background tasks.
    """

    def __init__(self, link: Link, tasks: Tasks) -> None:
        self.rings: dict[str, Iterator[Instance]] = {}
        """For each service asked for, its best instances in turn, for ever; made anew when they change."""
        self._link = link
        self._tasks = tasks
        self._followers: dict[str, Follower] = {}
        self._random = random.Random()

    def start(self) -> None:
        """Begin to let go of idle services."""
        self._tasks.spawn(self._let_go_of_idle(), "cache-idle")

    async def follow(self, service: str, timeout: float) -> Follower:
        """The follower of a service, once it knows something.

        Raises:
            InvalidRequest: the name is none.
            Unavailable: the service is not known yet, and nobody could be asked.
        """
        follower = self._follower(service)
        follower.used = follower.discovered = True
        await follower.loaded(timeout)
        return follower

    async def warm(self, service: str, timeout: float) -> None:
        """Have a service at hand before anybody asks for it. Raises as `follow` does."""
        await self._follower(service).loaded(timeout)

    def used(self) -> tuple[str, ...]:
        """The services that somebody has asked for of late, sorted."""
        return tuple(sorted(name for name, follower in self._followers.items() if follower.discovered))

    async def next(self, service: str, timeout: float) -> Instance:
        """The next instance of a service in turn, from its best ones. Afterwards `rings` has the same, at once.

        Raises:
            NoInstance: nobody may be chosen.
            Unavailable: the service is not known yet, and nobody could be asked.
        """
        follower = await self.follow(service, timeout)
        chosen = [known.instance for known in follower.replica.select(Discover(name=service)).chosen]
        if not chosen:
            raise NoInstance(f"{service}: no instance may be chosen")
        first = follower.turn % len(chosen)
        follower.turn += 1
        ring = self.rings[service] = cycle(chosen[first:] + chosen[:first])
        return next(ring)

    async def choose(self, query: Discover, exclude: Collection[str], timeout: float) -> Instance:
        """One instance, as the query wants it. Raises as `next` does, and `InvalidRequest` for an invalid query."""
        follower = await self.follow(query.name, timeout)
        selection = _select(follower, query, exclude)
        chosen = pick(selection.chosen, query, turn=follower.turn, random=self._random)
        follower.turn += 1
        if not chosen:
            raise NoInstance(f"{query.name}: no instance may be chosen for what was asked")
        return chosen[0].instance

    async def all(self, query: Discover, exclude: Collection[str], timeout: float) -> Instances:
        """All instances that match. Raises as `choose` does, save for `NoInstance`."""
        follower = await self.follow(query.name, timeout)
        selection = _select(follower, query, exclude)
        chosen = pick(selection.chosen, query, turn=follower.turn, random=self._random)
        return Instances(
            name=query.name,
            instances=tuple(known.instance for known in chosen),
            degraded=selection.degraded,
            revision=follower.replica.revision,
            age=follower.age,
            stale=follower.stale,
        )

    def resync(self) -> None:
        """Read every service anew, since changes may have been missed."""
        for follower in self._followers.values():
            follower.resync()

    async def aclose(self) -> None:
        """Follow nothing any more."""
        self.rings.clear()
        await asyncio.gather(*(follower.aclose() for follower in self._followers.values()))
        self._followers.clear()

    def _follower(self, service: str) -> Follower:
        follower = self._followers.get(service)
        if follower is None:
            if not is_service_name(service):
                raise InvalidRequest(f"name: expected a DNS label, got {service!r}", field="name")

            def forget_ring() -> None:
                self.rings.pop(service, None)

            follower = self._followers[service] = Follower(self._link, service, self._tasks, forget_ring)
        return follower

    async def _let_go_of_idle(self) -> None:
        """Taking a ring away makes the next discovery come through `follow`, which is how use shows at no cost."""
        while True:
            await asyncio.sleep(IDLE)
            for name, follower in list(self._followers.items()):
                if not follower.used and not follower.watched:
                    del self._followers[name]
                    await follower.aclose()
            for follower in self._followers.values():
                follower.used = False
            self.rings.clear()


def _select(follower: Follower, query: Discover, exclude: Collection[str]) -> Selection[Known]:
    replica = follower.replica
    if not replica.remembers(query):
        _check(encode(query))
    if not exclude:
        return replica.select(query)
    return matching((known for known in replica.all() if known.instance.instance_id not in exclude), query)
