"""Room for connections: each takes a file descriptor, of which a process may open 1024 by default."""

from __future__ import annotations

import resource
from typing import Final

import structlog

log = structlog.get_logger(__name__)

RESERVED: Final = 256
"""Descriptors that are left to the hub itself: NATS, probes, files, and what is just being closed."""
LEAST: Final = 16


def make_room(connections: int) -> int:
    """Raise the limit of this process, as far as that is needed and allowed; returns how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
        except (ValueError, OSError) as error:
            log.warning("limit of file descriptors could not be raised", limit=soft, reason=str(error))
    fit = connections if soft == resource.RLIM_INFINITY else max(LEAST, min(connections, soft - RESERVED))
    if fit < connections:
        log.warning("fewer HTTP connections fit than are set: raise `ulimit -n`", fit=fit, set=connections, limit=soft)
    return fit
