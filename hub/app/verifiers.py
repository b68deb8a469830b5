"""What verifies tokens and certificates, as `access.toml` declares whom to believe."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hub.core.condition import Condition, together
from hub.errors import StartupError
from hub.handlers.clock import Clock
from hub.identity.proof import Verifier
from hub.settings.access import AccessFile, Issuer
from hub.transport.loops import Loop
from hub.transport.tls import Unusable, read_ca

if TYPE_CHECKING:
    from hub.handlers.jwks import IssuerKeys


class Verifiers:
    """The verifiers of tokens and of certificates, and what keeps the keys of the former.

    It may be made in any thread. The libraries behind them are loaded only where somebody is declared.

    Args:
        access: Who is declared.
        clock: Where to read the time.

    Attributes:
        tokens: To be asked before what knows API keys; None where no issuer is declared.
        certificates: To be asked last; None where no certificate is declared.

    Raises:
        SettingsError: what is declared makes no sense; names the entry and the key.
    """

    def __init__(self, access: AccessFile, clock: Clock) -> None:
        self.tokens: Verifier | None = None
        self.certificates: Verifier | None = None
        self._ca_files = [each.jwks_ca for each in access.issuer if each.jwks_ca is not None]
        self._keys: list[IssuerKeys] = []
        self._stack = contextlib.AsyncExitStack()
        if access.issuer:
            from hub.handlers.tokenverifier import TokenVerifier
            from hub.identity.issuers import check

            check(access.issuer)
            self._keys = [self._keys_of(issuer, clock) for issuer in access.issuer]
            self.tokens = TokenVerifier(zip(access.issuer, self._keys, strict=True))
        if access.certificate:
            from hub.identity.certificates import CertificateVerifier

            self.certificates = CertificateVerifier(access.certificate)

    async def start(self) -> None:
        """Read the keys that are in files. Issuers that cannot be reached keep no hub from starting.

        Raises:
            StartupError: the file with the keys of an issuer, or with the CAs to trust there, is no good.
        """
        try:
            for path in self._ca_files:
                await asyncio.to_thread(read_ca, path)
        except Unusable as error:
            raise StartupError(f"{error}; mend jwks_ca of the issuer") from None
        for keys in self._keys:
            await keys.start()

    async def aclose(self) -> None:
        """End what is waited for. Its loops must have ended."""
        await self._stack.aclose()

    def loops(self) -> Iterator[tuple[str, Loop]]:
        """What reads keys again, by the name of the task: one for each issuer, in the order of the file."""
        for number, keys in enumerate(self._keys, start=1):
            yield f"issuer-keys-{number}", keys.watch

    @property
    def condition(self) -> Condition:
        """Whose keys cannot be had, or are not all good."""
        return together(keys.condition for keys in self._keys)

    def ages(self) -> Mapping[str, float]:
        """Seconds since the keys of each issuer were read last; where it is declared twice, since the older were."""
        ages: dict[str, float] = {}
        for keys in self._keys:
            ages[keys.issuer] = max(keys.age, ages.get(keys.issuer, 0.0))
        return ages

    def _keys_of(self, issuer: Issuer, clock: Clock) -> IssuerKeys:
        from hub.handlers.jwks import IssuerKeys
        from hub.handlers.keysources import FileSource, UrlSource
        from hub.identity.issuers import is_url
        from hub.identity.keyset import parsed, shared

        if issuer.secret_file is not None:
            return IssuerKeys(issuer.issuer, FileSource(Path(issuer.secret_file), private=True), shared, clock)
        assert issuer.jwks is not None  # or it was refused
        if not is_url(issuer.jwks):
            return IssuerKeys(issuer.issuer, FileSource(Path(issuer.jwks), private=False), parsed, clock)
        source = UrlSource(issuer.jwks, ca=issuer.jwks_ca)
        self._stack.push_async_exit(source.fetcher)
        return IssuerKeys(issuer.issuer, source, parsed, clock)
