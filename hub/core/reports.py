"""Health reports of services, cut to what a message may hold."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from hub.core.catalog import Catalog
from hub.core.entry import Service
from hub.core.selection import TIERS
from hub.wire.codec import encode
from hub.wire.health import GetHealth, HealthReport, InstanceHealth
from hub.wire.names import CRITICAL, PASSING, WARNING, Status

_SHORTENED = 1000
"""Instances in a report that had to be cut; those in trouble come first."""


def listed(catalog: Catalog, query: GetHealth, *, budget: int) -> bytes:
    """The encoded `HealthList`, of which the list takes at most `budget` bytes."""
    names = [query.name] if query.name else catalog.names
    rows: list[bytes] = []
    size, following, last = 0, None, query.after
    for name in names[bisect_right(names, query.after) if query.after else 0 :]:
        service = catalog.services.get(name)
        if service is None or not service.entries:
            continue
        row = report(service, max_bytes=budget)
        if rows and ((query.limit and len(rows) >= query.limit) or size + len(row) + 1 > budget):
            following = last
            break
        rows.append(row)
        size += len(row) + 1
        last = name
    cut = b'"%b"' % following.encode() if following is not None else b"null"
    return b'{"revision":%d,"services":[%b],"next":%b}' % (catalog.revision, b",".join(rows), cut)


def report(service: Service, *, max_bytes: int, reason: str = "") -> bytes:
    """The encoded report on a service, of at most `max_bytes` bytes."""
    instances = [
        InstanceHealth(
            instance_id=entry.record.instance_id,
            status=entry.instance.status,
            reason=entry.finding.reason,
            since=entry.instance.since,
            check=entry.finding.check,
            checks=entry.check_states,
        )
        for entry in service.sorted()
    ]
    whole = HealthReport(
        service=service.name,
        status=overall([instance.status for instance in instances]),
        revision=service.revision,
        instances=tuple(instances),
        reason=reason or ("" if instances else "no instances"),
    )
    encoded = encode(whole)
    if len(encoded) <= max_bytes:
        return encoded
    instances.sort(key=lambda instance: instance.status == PASSING)
    kept = min(_SHORTENED, len(instances))
    while True:
        cut = msgspec.structs.replace(whole, instances=tuple(instances[:kept]), omitted=len(instances) - kept)
        encoded = encode(cut)
        if len(encoded) <= max_bytes or not kept:
            return encoded
        kept = min(kept - 1, kept * max_bytes // len(encoded))  # the reasons of those in trouble are the longest


def overall(statuses: list[Status]) -> Status:
    """How a service is: as its instances when they agree on passing, critical when none can be chosen, else warning."""
    if not any(status in TIERS for status in statuses):
        return CRITICAL
    return PASSING if all(status == PASSING for status in statuses) else WARNING
