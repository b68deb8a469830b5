"""How an instance is, all things considered: what was heard of it, its checks, what it depends on, what operators want.

The worst decides, and is named, so that nobody has to guess which it was. What operators want stands above all that but
death: an instance in maintenance may well fail its checks, but one that is silent is not there to be maintained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from hub.core.selection import MODES
from hub.errors import InvalidRequest
from hub.wire.checks import OPERATOR, UPSTREAM, Check, CheckState, HttpCheck, TcpCheck, name_of
from hub.wire.names import CRITICAL, PASSING, SUSPECT, WARNING, Status
from hub.wire.record import Desired, Heard, Record
from hub.wire.registration import Register

WELL: Final = Heard(status=PASSING)
"""What is heard of most instances."""
NO_CHECKS: Final[Mapping[str, CheckState]] = MappingProxyType({})
"""What is known of the checks of most instances."""
IMPLIED: Final = "health"
"""What the check is called that follows from a `health_endpoint`, or from nothing but the address."""

_BADNESS: Final = {PASSING: 0, WARNING: 1, SUSPECT: 2, CRITICAL: 3}
_NAMED: Final = 3
"""How many of the services that are missed are named."""


class Finding(NamedTuple):
    """How an instance is, why, and what decided that: a check's name, or one of `hub.wire.checks.RESERVED_CHECKS`."""

    status: Status
    reason: str
    check: str


FINE: Final = Finding(PASSING, "", "")
"""What most come to."""


def judged(heard: Heard, checks: Sequence[CheckState], upstream: Sequence[str], desired: Desired | None) -> Finding:
    """What all that is known comes to.

    Args:
        heard: What was heard of it.
        checks: Its checks, as far as they have been made.
        upstream: The services it depends on that have nobody to choose.
        desired: What operators want of it.
    """
    if heard is WELL and not checks and not upstream and desired is None:
        return FINE
    worst = Finding(heard.status, heard.reason, heard.check)
    if desired is not None and desired.mode is not None and worst.status != CRITICAL:
        return Finding(desired.mode, desired.reason, OPERATOR)
    for state in checks:
        if _BADNESS[state.status] > _BADNESS[worst.status]:
            worst = Finding(state.status, f"{state.name}: {state.output}", state.name)
    if upstream and worst.status == PASSING:
        return Finding(WARNING, f"upstream: {_listed(upstream)} cannot be chosen", UPSTREAM)
    return worst


def heard_of(record: Record) -> Heard:
    """What the record says was heard of the instance; of one without word of it, as much as its status tells."""
    if record.heard is not None:
        return record.heard
    if record.status == PASSING or record.status in MODES:
        return WELL
    return Heard(status=record.status, reason=record.reason, check=record.check)


def told(heard: Heard, finding: Finding) -> Heard | None:
    """What a record has to say of what was heard, beside what was found: None where that is the same."""
    return None if finding is FINE or finding == (heard.status, heard.reason, heard.check) else heard


def declared(request: Register) -> tuple[Check, ...]:
    """The checks that a registration asks for: its own, or the one that follows from `probe` without any.

    Raises:
        InvalidRequest: what it gives as its `health_endpoint` is no path.
    """
    if request.checks or request.liveness != "probe":
        return request.checks
    if request.health_endpoint is None:
        return (TcpCheck(name=IMPLIED),)
    if "://" in request.health_endpoint.partition("?")[0]:
        raise InvalidRequest(
            f"health_endpoint: expected a path as in '/health', got a URL: {request.health_endpoint!r}; what is to be "
            "looked at elsewhere takes a check with a host and a port of its own",
            field="health_endpoint",
        )
    path = request.health_endpoint if request.health_endpoint.startswith("/") else f"/{request.health_endpoint}"
    try:
        return (msgspec.convert({"type": "http", "name": IMPLIED, "path": path}, HttpCheck),)
    except msgspec.ValidationError:
        raise InvalidRequest(
            f"health_endpoint: expected a path that can be asked for as it is, got {path!r}", field="health_endpoint"
        ) from None


def ordered(record: Record, states: Mapping[str, CheckState]) -> tuple[CheckState, ...]:
    """The states of the checks that the record declares, in its order."""
    if not record.checks or not states:
        return ()
    return tuple(states[name] for name in map(name_of, record.checks) if name in states)


def newest(record: Record, known: Mapping[str, CheckState]) -> Mapping[str, CheckState]:
    """What is known of each declared check once a record was read: of two tellings, the one that began later."""
    if not record.checks:
        return NO_CHECKS
    names = set(map(name_of, record.checks))
    found = {state.name: state for state in record.check_states if state.name in names}
    for name in names & known.keys():
        if name not in found or known[name].since >= found[name].since:
            found[name] = known[name]
    return found or NO_CHECKS


def fails(states: Iterable[CheckState]) -> bool:
    """Whether a check says that it is critical."""
    return any(state.status == CRITICAL for state in states)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
