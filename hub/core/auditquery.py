"""Whether an entry of the audit is one that was searched for."""

from __future__ import annotations

from typing import Final

from hub.wire.audit import AuditEntry, SearchAudit

NOBODY: Final = "-"
REFUSED: Final = "refused"
OK: Final = "ok"


def matches(entry: AuditEntry, query: SearchAudit) -> bool:
    """Whether it is as the query says."""
    return (
        (not query.caller or _is_caller(entry.caller, query.caller))
        and (not query.host or entry.host == query.host)
        and (not query.subject or _is_like(entry.subject, query.subject))
        and (not query.target or _is_like(entry.target, query.target))
        and (not query.outcome or _is_outcome(entry.outcome, query.outcome))
        and (query.since is None or entry.at >= query.since)
        and (query.until is None or entry.at < query.until)
    )


def _is_caller(caller: str | None, wanted: str) -> bool:
    return caller is None if wanted == NOBODY else caller is not None and _is_like(caller, wanted)


def _is_like(text: str, wanted: str) -> bool:
    return text.startswith(wanted[:-1]) if wanted.endswith("*") else text == wanted


def _is_outcome(outcome: str, wanted: str) -> bool:
    return outcome not in ("", OK) if wanted == REFUSED else outcome == wanted
