"""Kinds of requests, for those who treat them by kind: how much of one is asked says nothing of another."""

from __future__ import annotations

from typing import Final, Literal, get_args

SubjectClass = Literal["discover", "register", "heartbeat", "config", "secrets", "admin"]
"""`discover` are the reads that are answered from memory, `register` changes to the registry, `config` everything about
configuration and components, `secrets` everything about secrets, `admin` what operators want and ask, and whatever is
not named here."""

SUBJECT_CLASSES: Final[tuple[SubjectClass, ...]] = get_args(SubjectClass)

_FAMILIES: Final[dict[str, SubjectClass]] = {
    "hub.discover": "discover",
    "hub.services": "discover",
    "hub.health": "discover",
    "hub.graph": "discover",
    "hub.metrics": "discover",
    "$SRV.PING": "discover",
    "$SRV.INFO": "discover",
    "$SRV.STATS": "discover",
    "hub.register": "register",
    "hub.deregister": "register",
    "hub.heartbeat": "heartbeat",
    "hub.config": "config",
    "hub.components": "config",
    "hub.secret": "secrets",
    "hub.admin": "admin",
    "hub.key": "admin",
    "hub.access": "admin",
    "hub.audit": "admin",
}
"""By the first two tokens of the subject."""


def named_class(subject: str) -> SubjectClass | None:
    """The class that the family of a subject was given; None for a family that has none of its own."""
    return _FAMILIES.get(".".join(subject.split(".", 2)[:2]))


def class_of(subject: str) -> SubjectClass:
    """The class of a subject on which callers ask. A family without one of its own is treated as the rarest are."""
    return _FAMILIES.get(subject) or named_class(subject) or "admin"
