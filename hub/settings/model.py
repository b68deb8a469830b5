"""Everything that can be set, with its type, its bounds and its default. config/hub.toml says what each is for."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from hub.errors import SettingsError
from hub.masking import MASK, mask

DEFAULT_PATH: Final = Path("config/hub.toml")
"""Read when it is there and no other is named."""

_PORT = r"[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_NATS_URL = rf"^(nats|tls)://([^@]+@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:({_PORT}))?/?$"
_HTTP_URL = r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$"

Text = Annotated[str, Meta(min_length=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]
NatsUrl = Annotated[str, Meta(pattern=_NATS_URL)]
NEVER_SHOWN: Final = frozenset({"secrets.key"})
"""Settings that are secrets themselves. They come from the environment alone."""
Network = Annotated[str, Meta(min_length=1)]
"""An address, or a range of them as in `10.0.0.0/8`."""

_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:([1-9][0-9]{0,4}))?")
_USUAL_PORTS: Final = {"http": "80", "https": "443"}
ANY_ORIGIN: Final = "*"


class _Section(Struct, frozen=True, kw_only=True):
    """Settings that belong together. Shown without the secrets in them."""

    def __repr__(self) -> str:
        section = type(self).__name__.lower()
        values = ", ".join(
            f"{name}={MASK if f'{section}.{name}' in NEVER_SHOWN else shown(getattr(self, name))}"
            for name in self.__struct_fields__
        )
        return f"{type(self).__name__}({values})"


def _check_pair(section: Struct, cert: str, key: str) -> None:
    """A certificate comes with its key."""
    for one, other in ((cert, key), (key, cert)):
        _check_needs(section, one, other)


def _check_needs(section: Struct, one: str, other: str) -> None:
    given, needed = (getattr(section, name.rpartition(".")[2]) for name in (one, other))
    if given is not None and needed is None:
        raise SettingsError(f"{other}: expected a file, since {one} is given, got nothing", field=other)


def _check_origin(key: str, origin: str) -> None:
    """As browsers spell it, or it would never be the same."""
    found = _ORIGIN.fullmatch(origin)
    if origin == ANY_ORIGIN or (found and found[5] != _USUAL_PORTS[found[1]] and int(found[5] or 0) <= 65535):
        return
    raise SettingsError(
        f'{key}: expected "*" or origins as browsers send them, such as https://app.example or http://localhost:3000 '
        f"(in lower case, without a path, and without the port that goes without saying), got {shown(origin)}",
        field=key,
    )


class Nats(_Section, frozen=True, kw_only=True):
    """Which NATS to work on, and how to run one's own."""

    url: Annotated[tuple[NatsUrl, ...], Meta(min_length=1)] = ("nats://127.0.0.1:4222",)
    system_url: NatsUrl | None = None
    credentials: Text | None = None
    replicas: Annotated[int, Meta(ge=0, le=5)] = 0
    host: Text = "127.0.0.1"
    port: Port = 4222
    server: Text | None = None
    sync: Literal["always", "interval"] = "always"
    tls_ca: Text | None = None
    tls_cert: Text | None = None
    tls_key: Text | None = None
    listen_cert: Text | None = None
    listen_key: Text | None = None
    listen_client_ca: Text | None = None

    def __post_init__(self) -> None:
        _check_pair(self, "nats.tls_cert", "nats.tls_key")
        _check_pair(self, "nats.listen_cert", "nats.listen_key")
        _check_needs(self, "nats.listen_client_ca", "nats.listen_cert")


class Http(_Section, frozen=True, kw_only=True):
    """The HTTP face."""

    host: Text = "127.0.0.1"
    port: Port = 7000
    max_connections: Annotated[int, Meta(ge=16, le=100_000)] = 2048
    watchers: Annotated[int, Meta(ge=0, le=10_000)] = 200
    tls_cert: Text | None = None
    tls_key: Text | None = None
    tls_client_ca: Text | None = None
    tls_client: Literal["required", "optional"] = "required"
    cors_origins: tuple[Text, ...] = ()
    cors_credentials: bool = False
    metrics_networks: tuple[Network, ...] = ()

    def __post_init__(self) -> None:
        for network in self.metrics_networks:
            _check_network("http.metrics_networks", network)
        _check_pair(self, "http.tls_cert", "http.tls_key")
        _check_needs(self, "http.tls_client_ca", "http.tls_cert")
        for origin in self.cors_origins:
            _check_origin("http.cors_origins", origin)
        if self.cors_credentials and ANY_ORIGIN in self.cors_origins:
            raise SettingsError(
                'http.cors_credentials: expected false while http.cors_origins has "*", got true: with credentials, '
                "name the origins",
                field="http.cors_credentials",
            )


class Access(_Section, frozen=True, kw_only=True):
    """Who is let in, and by which keys that is told."""

    mode: Literal["auto", "open", "enforced"] = "auto"
    file: Text = "config/static/access.toml"
    keys: Text | None = None


class Log(_Section, frozen=True, kw_only=True):
    """What is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    slow_request: Annotated[float, Meta(ge=0)] = 1.0


class Tracing(_Section, frozen=True, kw_only=True):
    """Where spans go, and of how many requests."""

    endpoint: Annotated[str, Meta(pattern=_HTTP_URL)] = ""
    ratio: Annotated[float, Meta(ge=0, le=1)] = 1.0


class Registry(_Section, frozen=True, kw_only=True):
    """Liveness of instances that do not say otherwise."""

    default_ttl: Annotated[float, Meta(ge=0.5, le=86_400.0)] = 6.0
    default_deregister_after: Annotated[float, Meta(ge=1, le=2_592_000.0)] = 60.0
    probe_deregister_after: Annotated[float, Meta(ge=1, le=2_592_000.0)] = 1800.0
    health_interval: Seconds = 10.0
    removal_share: Annotated[float, Meta(gt=0, le=1)] = 0.15
    protect_threshold: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Micro(_Section, frozen=True, kw_only=True):
    """The services that speak only the micro protocol of NATS."""

    adopt: bool = True
    interval: Annotated[float, Meta(ge=0.2, le=3600)] = 5.0


class Config(_Section, frozen=True, kw_only=True):
    """The configuration of services."""

    folder: Text = "config/hot-reload"
    static_folder: Text = "config/static"


class Archive(_Section, frozen=True, kw_only=True):
    """The history that is kept in PostgreSQL, where `platform.database_url` names one."""

    enabled: bool = True
    schema: Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "central_hub"
    log_max_age: Annotated[float, Meta(ge=60, le=31_536_000)] = 2_592_000.0
    log_max_bytes: Annotated[int, Meta(ge=1_048_576, le=1_099_511_627_776)] = 268_435_456


class Audit(_Section, frozen=True, kw_only=True):
    """The record of who changed what, and who was refused."""

    enabled: bool = True
    max_age: Annotated[float, Meta(ge=60, le=315_360_000)] = 7_776_000.0
    max_bytes: Annotated[int, Meta(ge=1_048_576, le=1_099_511_627_776)] = 536_870_912
    checkpoint: Annotated[float, Meta(ge=0.1, le=3600)] = 60.0


class Secrets(_Section, frozen=True, kw_only=True):
    """What the secrets that configurations refer to are encrypted with."""

    key_file: Text | None = None
    key: Text | None = None
    """The key itself, or several, from HUB_SECRETS_KEY."""
    plaintext: bool = False


class Components(_Section, frozen=True, kw_only=True):
    """The files that services share."""

    folder: Text = "config/components"
    settle: Annotated[float, Meta(ge=0.05, le=60)] = 1.0
    max_file_bytes: Annotated[int, Meta(ge=1, le=1_073_741_824)] = 16 * 1024 * 1024
    max_total_bytes: Annotated[int, Meta(ge=1, le=17_179_869_184)] = 256 * 1024 * 1024
    max_files: Annotated[int, Meta(ge=1, le=10_000)] = 10_000


class Health(_Section, frozen=True, kw_only=True):
    """How the hub looks at itself and at what it depends on."""

    dependency_interval: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0
    dependency_timeout: Annotated[float, Meta(ge=0.1, le=60)] = 2.0
    certificate_warning: Annotated[float, Meta(ge=0, le=31_536_000.0)] = 1_209_600.0


class Leader(_Section, frozen=True, kw_only=True):
    """The lease of the one hub that writes expiries down."""

    ttl: Annotated[int, Meta(ge=0, le=3600)] = 0


class Limits(_Section, frozen=True, kw_only=True):
    """How much the hub takes on."""

    in_flight: Annotated[int, Meta(ge=1)] = 1024


Rate = Annotated[float, Meta(gt=0, le=1_000_000)]
Burst = Annotated[int, Meta(ge=1, le=1_000_000)]


class Ratelimits(_Section, frozen=True, kw_only=True):
    """How often each caller may ask: `<class>_rate` times a second, `<class>_burst` times at once after a pause."""

    enabled: bool | None = None
    on_cache_loss: Literal["open", "closed"] = "open"
    discover_rate: Rate = 200.0
    discover_burst: Burst = 1000
    register_rate: Rate = 50.0
    register_burst: Burst = 500
    heartbeat_rate: Rate = 10.0
    heartbeat_burst: Burst = 50
    config_rate: Rate = 50.0
    config_burst: Burst = 500
    secrets_rate: Rate = 20.0
    secrets_burst: Burst = 200
    admin_rate: Rate = 20.0
    admin_burst: Burst = 100


def _check_network(key: str, network: str) -> None:
    try:
        ip_network(network)
    except ValueError:
        expected = "expected addresses and ranges of them such as 10.0.0.0/8 or fe80::/10"
        raise SettingsError(f"{key}: {expected}, got {network!r}", field=key) from None


class Probes(_Section, frozen=True, kw_only=True):
    """How, and where, the hub may look when it checks instances."""

    concurrency: Annotated[int, Meta(ge=1, le=10_000)] = 256
    forbidden: tuple[Network, ...] = (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::/32",
        "fd20:ce::254/128",
    )
    allowed: tuple[Network, ...] = ()
    tls_ca: Text | None = None

    def __post_init__(self) -> None:
        for name in ("forbidden", "allowed"):
            for network in getattr(self, name):
                _check_network(f"probes.{name}", network)


class Platform(_Section, frozen=True, kw_only=True):
    """What the platform's services already configure by environment."""

    database_url: Text | None = None
    cache_url: Text | None = None
    tls_ca: Text | None = None
    kafka_brokers: tuple[Text, ...] = ()
    node_env: Literal["development", "production", "test"] = "development"
    hot_reload_enabled: bool = True
    component_watch_enabled: bool = True
    performance_metrics: bool = True


class Settings(_Section, frozen=True, kw_only=True):
    """Everything that can be set. `load` makes one; the bare class is all defaults.

    Attributes:
        data_dir: Where a hub with a NATS of its own keeps everything.
        drain_timeout: Seconds that requests in flight have to be answered in when the hub stops.
        origins: Where each value that is not a default came from, by dotted key.
        file: The file that was read; None where there was none.
    """

    data_dir: Text = ".hub"
    drain_timeout: Seconds = 3.0
    nats: Nats = Nats()
    http: Http = Http()
    access: Access = Access()
    log: Log = Log()
    tracing: Tracing = Tracing()
    registry: Registry = Registry()
    micro: Micro = Micro()
    config: Config = Config()
    archive: Archive = Archive()
    audit: Audit = Audit()
    secrets: Secrets = Secrets()
    components: Components = Components()
    health: Health = Health()
    leader: Leader = Leader()
    limits: Limits = Limits()
    ratelimits: Ratelimits = Ratelimits()
    probes: Probes = Probes()
    platform: Platform = Platform()
    origins: dict[str, str] = {}
    file: str | None = None

    def origin(self, key: str) -> str:
        """Where the value of a dotted key came from, in words: `default`, the file, the variable, the command line."""
        return self.origins.get(key, "default")

    def explain(self) -> dict[str, str]:
        """Every dotted key that is not at its default: the value without its secrets, and where it came from."""
        return {
            key: f"{MASK if key in NEVER_SHOWN else shown(self.value(key))} ({origin})"
            for key, origin in sorted(self.origins.items())
        }

    @property
    def access_keys(self) -> Path:
        """The folder with the keys by which identities are proven."""
        return Path(self.access.keys) if self.access.keys else Path(self.data_dir) / "access"

    def value(self, key: str) -> Any:
        """The value of a dotted key."""
        section, _, name = key.rpartition(".")
        return getattr(getattr(self, section) if section else self, name)


def shown(value: object) -> str:
    """A setting's value as it may be shown: without the passwords in it."""
    if isinstance(value, Struct):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    if isinstance(value, str) and "@" in value and "://" not in value:  # a login without a scheme
        return repr(f"{MASK}@{value.rpartition('@')[2]}")
    return mask(repr(value))
