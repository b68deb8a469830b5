"""Which certificates a hub shows, by its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hub.app.nats import tls_of
from hub.errors import StartupError
from hub.handlers.certificates import Certificates, Shown
from hub.handlers.clock import Clock
from hub.settings import Settings
from hub.settings.model import Http
from hub.transport.tls import Chain, Unusable, serving


def http_chain(http: Http) -> Chain | None:
    """What the HTTP face shows; None where it speaks no TLS. Raises StartupError where it cannot be used."""
    if http.tls_cert is None or http.tls_key is None:
        return None
    try:
        return Chain(http.tls_cert, http.tls_key, client_ca=http.tls_client_ca, required=http.tls_client == "required")
    except Unusable as error:
        raise StartupError(f"{error}; mend http.tls_cert, http.tls_key or http.tls_client_ca") from None


def certificates(settings: Settings, http: Chain | None, reload_nats: Callable[[], None] | None) -> Certificates:
    """All of them.

    Args:
        settings: Which files they are in.
        http: What the HTTP face shows.
        reload_nats: Has the hub's own nats-server read its certificate again; None where there is no such server.
    """
    within = settings.health.certificate_warning
    return Certificates(_shown(settings, http, reload_nats), Clock(), warn_within=within)


def _shown(settings: Settings, http: Chain | None, reload_nats: Callable[[], None] | None) -> Iterator[Shown]:
    if http is not None and settings.http.tls_cert is not None:
        others = _given(settings.http.tls_key, settings.http.tls_client_ca)
        yield Shown("http", settings.http.tls_cert, others, http.take)
    if settings.nats.tls_cert is not None:  # read anew whenever the hub connects; here it is only looked at
        tls = tls_of(settings)
        yield Shown("nats_client", settings.nats.tls_cert, _given(tls.key, tls.ca), tls.check)
    if reload_nats is not None and settings.nats.listen_cert is not None:
        yield _of_nats(settings.nats.listen_cert, settings, reload_nats)


def _of_nats(cert: str, settings: Settings, reload_nats: Callable[[], None]) -> Shown:
    key, client_ca = settings.nats.listen_key or cert, settings.nats.listen_client_ca

    def take() -> None:
        serving(cert, key, client_ca=client_ca)  # the server would only tell its log
        reload_nats()

    return Shown("nats_server", cert, _given(key, client_ca), take)


def _given(*paths: str | None) -> tuple[str, ...]:
    return tuple(path for path in paths if path is not None)
