"""What each role may use of NATS, as the servers read it: for those who let in by files of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hub.core.permissions import permissions
from hub.wire.roles import CALLER_ROLES, Caller, CallerRole

FOLDER: Final = "subjects/permissions"
_NAME: Final = "its-name"
_INSTANCE: Final = "its-id"
_WHOSE: Final = {
    "service": "a service. Write its name in place of <service>, and in place of <instance> the id of the one\n"
    "# instance that logs in so, or * for any of them.",
}
_OTHERS: Final = "whoever logs in with this role. Write what it is called in place of <name>."


def render() -> dict[str, str]:
    """One file for each role, by its path below the project's folder."""
    return {f"{FOLDER}/{role}.conf": conf(role) for role in CALLER_ROLES}


def conf(role: CallerRole) -> str:
    """What stands between the braces of `permissions {}` for a role."""
    instance = _INSTANCE if role == "service" else None
    allowed = permissions(Caller(role=role, name=_NAME, instance=instance))
    return (
        f"# The permissions of {_WHOSE.get(role, _OTHERS)}\n"
        + block("publish", [_placed(subject, role) for subject in allowed.publish])
        + block("subscribe", [_placed(subject, role) for subject in allowed.subscribe])
    )


def block(side: str, subjects: Iterable[str]) -> str:
    """What may be published, or subscribed to, in the words of a server's configuration."""
    lines = "".join(f'    "{subject}"\n' for subject in subjects)
    return f"{side}: {{\n  allow: [\n{lines}  ]\n}}\n"


def _placed(subject: str, role: CallerRole) -> str:
    name = "<service>" if role == "service" else "<name>"
    filled = {_NAME: name, _INSTANCE: "<instance>"}
    return ".".join(filled.get(token, token) for token in subject.split("."))
