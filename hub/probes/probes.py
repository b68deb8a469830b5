"""Every probe of instances: what they share, and which one a check asks for."""

from __future__ import annotations

import contextlib
import importlib.util
from types import TracebackType
from typing import Self

from nats.aio.client import Client

from hub.errors import Forbidden, StartupError, Unsupported
from hub.probes.dialing import Dialer
from hub.probes.http import HttpLook, objection
from hub.probes.look import Look
from hub.probes.names import Names, Resolve, resolve_by_system
from hub.probes.nats import NatsLook
from hub.probes.outcome import Prober
from hub.probes.postgres import PostgresLook
from hub.probes.redis import RedisLook
from hub.probes.targets import Targets
from hub.probes.tcp import TcpLook
from hub.settings.model import Probes as ProbeSettings
from hub.transport.loops import Keep, alone
from hub.transport.requests import Requester
from hub.transport.tls import Unusable, read_ca
from hub.wire.checks import Check, GrpcCheck, HttpCheck, NatsCheck, PostgresCheck, Probe, RedisCheck, TcpCheck


class Probes:
    """Makes probers, and owns what they share: they look only while its context is open.

    Args:
        settings: Which addresses may be connected to.
        client: The hub's own NATS connection, which must outlive this.
        resolve: Finds the addresses of a host.
        keep: What runs the loop behind its NATS requests.

    Raises:
        StartupError: the file of CAs that are to be trusted is none.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        client: Client,
        *,
        resolve: Resolve = resolve_by_system,
        keep: Keep = alone,
    ) -> None:
        self._names = Names(resolve)
        targets = Targets(forbidden=settings.forbidden, allowed=settings.allowed, names=self._names)
        self._dialer = Dialer(targets, trusted=_trusted(settings.tls_ca))
        self._client = client
        self._keep = keep
        self._stack = contextlib.AsyncExitStack()
        self._requester: Requester

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._names.aclose)
            self._requester = await stack.enter_async_context(
                Requester(self._client, keep=self._keep, name="probe-requests-sweeper", refusal=Forbidden)
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def prober(self, check: Probe, *, host: str, port: int, protocol: str) -> Prober:
        """What looks as a check asks for. It may be used again and again, also by several at the same time.

        Args:
            check: What to look at.
            host: The instance's own host, for checks that name none.
            port: The instance's own port, for checks that name none.
            protocol: The instance's own protocol, which decides on TLS for checks that do not say.

        Raises:
            Unsupported: what `unsupported` says of it.
        """
        why_not = unsupported(check)
        if why_not is not None:
            raise Unsupported(why_not)
        match check:
            case HttpCheck():
                look = HttpLook(self._dialer, check, host=host, port=port, protocol=protocol)
                return Look(look, check.timeout)
            case TcpCheck():
                return Look(TcpLook(self._dialer, check, host=host, port=port), check.timeout)
            case NatsCheck():
                return Look(NatsLook(self._client, self._requester, check), check.timeout)
            case GrpcCheck():
                from hub.probes.grpc import GrpcLook  # only there is its library imported, which is an extra

                return Look(GrpcLook(self._dialer, check, host=host, port=port), check.timeout)
            case RedisCheck():
                return Look(RedisLook(self._dialer, check, host=host, port=port), check.timeout)
            case PostgresCheck():
                return Look(PostgresLook(self._dialer, check, host=host, port=port), check.timeout)


def _trusted(path: str | None) -> str:
    try:
        return read_ca(path) if path is not None else ""
    except Unusable as error:
        raise StartupError(f"{error}; mend probes.tls_ca") from None


def unsupported(check: Check) -> str | None:
    """Why this hub cannot make a check, in one sentence; None where it can. To be asked before a check is taken."""
    if isinstance(check, GrpcCheck) and importlib.util.find_spec("grpclib") is None:
        return "checks of type grpc need a library that is not installed here; install central-hub[grpc]"
    if isinstance(check, HttpCheck):
        return objection(check)
    return None
