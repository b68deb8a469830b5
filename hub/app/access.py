"""Who is let in, and what each may: made from the settings, the keys and `access.toml`, for NATS and for HTTP alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from hub.app import accesskeys
from hub.app.accesskeys import FIRST_OPERATOR, AccessKeys
from hub.app.credentials import Credentials
from hub.app.verifiers import Verifiers
from hub.core.permissions import Permissions, permissions
from hub.core.policy import Policy
from hub.handlers.authenticator import Authenticator
from hub.handlers.clock import Clock
from hub.handlers.gate import Gate, Guard, Witness
from hub.handlers.policyguard import PolicyGuard
from hub.identity.nkeyverifier import NkeyVerifier
from hub.identity.proof import Proof, Verifier
from hub.settings import Settings
from hub.settings.access import AccessFile
from hub.settings.accessfile import load
from hub.settings.exposure import mode_of
from hub.wire.roles import Caller

log = structlog.get_logger(__name__)

_WELCOME: Final = (
    "Who asks must prove who it is from now on. The first operator's key is {seed}: take it to a safe place, it is "
    "needed nowhere here. With it: hub services --nkey {seed}"
)


class Access:
    """What proves who asks, and says what each may.

    Args:
        keys: The keys of the hub.
        file: What `access.toml` declares.
        clock: Where to read the time.
        name: How the file is called.

    Attributes:
        keys: The keys of the hub.
        verifiers: What knows tokens and certificates.
        credentials: What knows API keys, and what was revoked.
        authenticator: Knows who presents what.
        gate: What every request passes.
    """

    def __init__(self, keys: AccessKeys, file: AccessFile, clock: Clock, *, name: str) -> None:
        self.keys = keys
        first = None if keys.operator is None else (keys.operator, FIRST_OPERATOR)
        self.verifiers = Verifiers(file, clock)
        nkeys = NkeyVerifier(file.identity, first)
        known: list[Verifier] = [nkeys]
        known += [each for each in (self.verifiers.tokens, self.verifiers.certificates) if each is not None]
        self._policy = Policy(file, file=name)
        guards: list[Guard] = [PolicyGuard(self._policy)]
        witnesses: list[Witness] = []
        self.credentials = Credentials(clock)
        self.credentials.recognise(known)
        self.credentials.also(nkeys.ended)
        self.authenticator: Authenticator = self.credentials.authenticator
        self.gate = Gate(guards, witnesses)

    def permit(self, proof: Proof, caller: Caller, inboxes: tuple[str, ...]) -> Permissions:
        """The subjects of NATS that a caller may use (see `Permit`)."""
        return permissions(caller, proof.scopes, self._policy.sight(caller), inboxes=inboxes)


def access_of(settings: Settings, *, embedded: bool, say: Callable[[str], None]) -> Access | None:
    """What proves who asks; None where whoever reaches the hub may do everything. Blocks.

    A hub with a NATS of its own makes the keys when there are none, and says how the first operator gets in.

    Raises:
        SettingsError: it is to be open to others than this machine; or `access.toml` is not as expected.
        StartupError: the keys are missing, or cannot be used.
    """
    mode = mode_of(settings, embedded=embedded)
    declared = load(settings.access.file)
    if mode == "open":
        if declared != AccessFile():
            log.warning(
                "nobody has to prove who he is, whatever the file declares", file=settings.access.file, mode=mode
            )
        return None
    folder = settings.access_keys
    if embedded and not accesskeys.exist(folder):
        keys = accesskeys.make(folder)
        say(_WELCOME.format(seed=folder / accesskeys.OPERATOR))
    else:
        keys = accesskeys.read(folder)
    log.info(
        "identities are proven",
        keys=str(folder),
        file=settings.access.file if Path(settings.access.file).exists() else None,
        identities=len(declared.identity),
    )
    return Access(keys, declared, Clock(), name=settings.access.file)
