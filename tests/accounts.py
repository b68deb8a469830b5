"""A NATS server that says who asks: one account for hubs, one for everybody else, with logins of its own for each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from nats.aio.client import Client

from hub.app import Hub, accesskeys
from hub.app.access import Access
from hub.handlers.clock import Clock
from hub.settings import Settings
from hub.settings.access import AccessFile, Allow
from hub.telemetry.metrics import Metrics
from hub.wire.channel import HUB
from hub.wire.channels import CHANNELS
from tests.calls import connected
from tests.servers import NatsServer

PASSWORD = "of-the-tests"


class ProvingServer(NatsServer):
    """One nats-server with such accounts. Who logs in nowhere is the first of the callers.

    Args:
        folder: Where its files live.
        callers: As callers are written: `service:engine`.
    """

    def __init__(self, folder: Path, callers: Iterable[str]) -> None:
        self.callers = tuple(callers)
        self.keys = folder / "access"
        super().__init__(folder, config=_accounts(self.callers, accesskeys.make(self.keys).hub.public))

    def login(self, caller: str) -> dict[str, str]:
        """How a caller logs in, for nats-py."""
        return {"user": caller, "password": PASSWORD}

    def connected(self, caller: str) -> AbstractAsyncContextManager[Client]:
        """A connection of a caller."""
        return connected(self.url, **self.login(caller))


def proven_hub(url: str, keys: Path, settings: Settings) -> Hub:
    """A hub on such a server, whose keys are in that folder. Everybody may discover everything."""
    declared = AccessFile(allow=(Allow(who=("*",), discover=("*",)),))
    access = Access(accesskeys.read(keys), declared, Clock(), name="access.toml")
    return Hub(settings, [url], metrics=Metrics(), access=access)


def _accounts(callers: tuple[str, ...], hub: str) -> str:
    asked = [channel.pattern() for channel in CHANNELS if HUB in channel.subscribers and channel.publishers != (HUB,)]
    users = [_user(caller) for caller in callers]
    exports = [f"{{ service: {json.dumps(subject)}, accounts: [SERVICES] }}" for subject in asked]
    imports = [f"{{ service: {{ account: HUB, subject: {json.dumps(subject)} }}, share: true }}" for subject in asked]
    return "\n".join(
        [
            f"no_auth_user: {json.dumps(callers[0])}",
            "accounts {",
            f"HUB {{ jetstream: enabled, users: [{{ nkey: {hub} }}], exports: [{', '.join(exports)}] }}",
            f"SERVICES {{ users: [{', '.join(users)}], imports: [{', '.join(imports)}] }}",
            "}",
        ]
    )


def _user(name: str) -> str:
    return f"{{ user: {json.dumps(name)}, password: {json.dumps(PASSWORD)} }}"
