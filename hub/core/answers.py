"""Encoded replies to discoveries and lists, cut to what a message may hold.

What can be encoded beforehand is: an instance once per change, an answer once per service and question, so that the
same question again costs one dict access.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from random import Random

import msgspec

from hub.core.catalog import MAX_CACHED_BYTES, MAX_CACHED_QUERIES, Catalog
from hub.core.entry import Entry, Service
from hub.core.selection import matching, pick
from hub.core.versions import version_range
from hub.errors import InvalidRequest
from hub.wire.codec import encode
from hub.wire.discovery import Discover, Services, ServiceSummary
from hub.wire.names import CRITICAL, PASSING

_ENVELOPE_BYTES = 512
"""Room for what surrounds the list in a reply: name, revision, flags, `next`."""


class Answers:
    """Answers questions from a catalog.

    Args:
        catalog: Where the answers come from.
        max_bytes: The largest reply that the NATS server carries; longer lists are cut and carry `next`.
        random: The source of chance for the strategies.

    Attributes:
        hits: Discoveries for which the answer, or what to choose from, was at hand.
        misses: Discoveries for which it was not.
    """

    def __init__(self, catalog: Catalog, *, max_bytes: int, random: Random) -> None:
        self._catalog = catalog
        self.budget = max_bytes - _ENVELOPE_BYTES
        """Bytes that a list in a reply may take."""
        self._random = random
        self.hits = 0
        self.misses = 0
        self._doubted: frozenset[str] = frozenset()

    def doubt(self, services: frozenset[str]) -> None:
        """The services whose answers are degraded because some of their instances are only kept on trust."""
        for name in services ^ self._doubted:
            if service := self._catalog.services.get(name):
                service.forget_answers()
        self._doubted = services

    def satisfied(self, query: Discover) -> bool:
        """Whether the answer would already be as new as the query asks for."""
        return self._revision(self._catalog.services.get(query.name)) >= query.min_revision

    @property
    def kept(self) -> tuple[int, int]:
        """How many encoded answers are kept, and their bytes together. Looks at every service."""
        services = self._catalog.services.values()
        return sum(len(each.answers) for each in services), sum(each.answers_size for each in services)

    def discover(self, query: Discover) -> bytes:
        """The encoded `Discovered`.

        Raises:
            InvalidRequest: neither name nor labels are given, or the version range is none.
        """
        service = self._catalog.services.get(query.name)
        if service is None:
            self.misses += 1
            if not query.name:
                return self._across(query)
            if query.version:
                version_range(query.version)  # an absurd one is refused whoever is asked for
            return self._reply(query, None, [], False, None)
        cached = service.answers.get(query)
        if cached is not None:
            self.hits += 1
            return cached
        if query.strategy != "all":
            return self._picked(query, service)
        self.misses += 1
        selection = matching(service.sorted(), query)
        chosen = selection.chosen
        if query.after:
            chosen = [entry for entry in chosen if entry.record.instance_id > query.after]
        rows, last = self._page(chosen, query.limit)
        following = last.record.instance_id if last else None
        reply = self._reply(query, service, rows, selection.degraded, following)
        _keep(service, query, reply)
        return reply

    def services(self, query: Services) -> bytes:
        """The encoded `ServiceList`, sorted by name."""
        names = self._catalog.names
        start = bisect_right(names, query.after) if query.after else 0
        rows: list[bytes] = []
        size, following, last = 0, None, query.after
        for name in names[start:]:
            row = self._summary(self._catalog.services[name])
            if (query.limit and len(rows) >= query.limit) or size + len(row) + 1 > self.budget:
                following = last
                break
            rows.append(row)
            size += len(row) + 1
            last = name
        cut = b'"' + following.encode() + b'"' if following is not None else b"null"
        return b'{"revision":%d,"services":[%b],"next":%b}' % (self._catalog.revision, b",".join(rows), cut)

    def _picked(self, query: Discover, service: Service) -> bytes:
        selection = service.selections.get(query)
        if selection is not None:
            self.hits += 1
        else:
            self.misses += 1
            if len(service.selections) >= MAX_CACHED_QUERIES:
                service.selections.clear()
            selection = service.selections[query] = matching(service.sorted(), query)
        chosen = pick(selection.chosen, query, turn=service.turn, random=self._random)
        service.turn += len(chosen)
        rows, _ = self._page(chosen, 0)
        return self._reply(query, service, rows, selection.degraded, None)

    def _across(self, query: Discover) -> bytes:
        """Instances of whatever service, found by their labels; in order of their keys, which `next` names."""
        found = [self._catalog.labelled("capability", item) for item in query.capabilities]
        found += [self._catalog.labelled("tag", item) for item in query.tags]
        if not found:
            raise InvalidRequest("name: expected a service name, or tags or capabilities to find one by", field="name")
        fewest = min(found, key=len)
        selection = matching((fewest[key] for key in sorted(fewest)), query)
        chosen = [entry for entry in selection.chosen if entry.key > query.after] if query.after else selection.chosen
        if query.strategy != "all":
            chosen = pick(chosen, query, turn=self._random.randrange(1 << 30), random=self._random)
        rows, last = self._page(chosen, query.limit)
        return self._reply(query, None, rows, selection.degraded, last.key if last else None)

    def _page(self, entries: Iterable[Entry], limit: int) -> tuple[list[bytes], Entry | None]:
        """As many entries, encoded, as `limit` (0: all) and the budget allow, and the last of them if more follow."""
        rows: list[bytes] = []
        size = 0
        last: Entry | None = None
        for entry in entries:
            row = entry.encoded() if len(entry.encoded()) < self.budget else self._shortened(entry)
            if not row:
                continue
            size += len(row) + 1
            if last is not None and ((limit and len(rows) >= limit) or size > self.budget):
                return rows, last
            rows.append(row)
            last = entry
        return rows, None

    def _shortened(self, entry: Entry) -> bytes:
        """An entry that is too large for any reply, without what makes it so; empty where even that is too large.

        It was let in by a server that carries more than this one, or operators added to its metadata.
        """
        row = encode(msgspec.structs.replace(entry.instance, metadata={}))
        return row if len(row) < self.budget else b""

    def _summary(self, service: Service) -> bytes:
        if service.summary is None:
            whole = summarise(service)
            row = encode(whole)
            service.summary = row if len(row) < self.budget else encode(msgspec.structs.replace(whole, versions=()))
        return service.summary

    def _reply(
        self,
        query: Discover,
        service: Service | None,
        rows: list[bytes],
        degraded: bool,
        following: str | None,
    ) -> bytes:
        return b'{"name":"%b","revision":%d,"degraded":%b,"instances":[%b],"next":%b}' % (
            query.name.encode(),
            self._revision(service),
            b"true" if degraded or query.name in self._doubted else b"false",
            b",".join(rows),
            b'"%b"' % following.encode() if following else b"null",
        )

    def _revision(self, service: Service | None) -> int:
        """A service's own revision, so that a blocking query sleeps through changes of others; else the registry's."""
        return service.revision if service is not None else self._catalog.revision


def _keep(service: Service, query: Discover, reply: bytes) -> None:
    if len(service.answers) >= MAX_CACHED_QUERIES or service.answers_size + len(reply) > MAX_CACHED_BYTES:
        service.answers.clear()
        service.answers_size = 0
    service.answers[query] = reply
    service.answers_size += len(reply)


def summarise(service: Service) -> ServiceSummary:
    """How many instances of a service there are, how they are, and which versions run."""
    statuses = [entry.instance.status for entry in service.entries.values()]
    passing, critical = statuses.count(PASSING), statuses.count(CRITICAL)
    return ServiceSummary(
        name=service.name,
        instances=len(statuses),
        passing=passing,
        warning=len(statuses) - passing - critical,
        critical=critical,
        versions=tuple(sorted({entry.record.version for entry in service.entries.values()} - {""}))[:32],
    )
