"""Checks: how the hub should look at an instance, what it found, and what a service reports of itself by name."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from hub.wire.names import Host, Port, Reason, ReportedStatus

MAX_CHECKS: Final = 16
MAX_OUTPUT: Final = 1024
"""Characters of what was found: the longest that a service may report, and what the hub says beside it."""
DEFAULT_INTERVAL: Final = 10.0
DEFAULT_TIMEOUT: Final = 3.0

HEARTBEAT: Final = "heartbeat"
CONNECTION: Final = "connection"
REPORT: Final = "report"
UPSTREAM: Final = "upstream"
OPERATOR: Final = "operator"
RESERVED_CHECKS: Final = frozenset({HEARTBEAT, CONNECTION, REPORT, UPSTREAM, OPERATOR})
"""What decides a status beside declared checks: silence, a lost connection, the instance's own word, a service that it
depends on, an operator. No check may be called so."""

CheckName = Annotated[
    str,
    Meta(
        pattern=r"^([a-z0-9][a-z0-9_-]{0,31})?\Z",
        description="Tells the checks of one instance apart",
        extra={"expected": "1..32 of a-z, 0-9, '_' and '-', beginning with a letter or digit"},
    ),
]
CheckType = Literal["http", "tcp", "nats", "grpc", "redis", "postgres", "ttl"]
InARow = Annotated[int, Meta(ge=1, le=10)]
Header = Annotated[str, Meta(max_length=1024)]
Path = Annotated[
    str,
    Meta(
        max_length=512,
        pattern=r"^/[\x21-\x7e]*\Z",
        extra={"expected": "a path of at most 512 characters, beginning with '/'"},
    ),
]
StatusRange = Annotated[
    str,
    Meta(
        pattern=r"^[1-5][0-9][0-9](-[1-5][0-9][0-9])?\Z",
        extra={"expected": "a status or a range of them, as in '200-299'"},
    ),
]
Subject = Annotated[
    str,
    Meta(
        max_length=256,
        pattern=r"^[$A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z",
        extra={"expected": "a subject without wildcards"},
    ),
]

_NOT_TO_BE_ASKED: Final = ("hub.", "$", "_INBOX.")


class _Check(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What all checks have."""

    name: CheckName = ""
    """What it is called in reports; its type where none is given."""
    severity: Literal["critical", "warning"] = "critical"
    """What the instance is while this check fails."""

    def __post_init__(self) -> None:
        if self.name in RESERVED_CHECKS:
            raise ValueError(f"name: expected a name that is not reserved for the hub itself, got {self.name!r}")


class _Probe(_Check, frozen=True, kw_only=True):
    """What all checks have that the hub makes by itself."""

    interval: Annotated[float, Meta(ge=1, le=3600)] = DEFAULT_INTERVAL
    """Seconds from one look to the next."""
    timeout: Annotated[float, Meta(ge=0.1, le=60)] = DEFAULT_TIMEOUT
    """Seconds that one look may take; no more than the interval."""
    successes_before_passing: InARow = 1
    """How many in a row make it well again."""
    failures_before_critical: InARow = 2
    """How many in a row make it fail."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timeout > self.interval:
            raise ValueError(f"timeout: expected at most the interval ({self.interval:g}), got {self.timeout:g}")


class _AddressProbe(_Probe, frozen=True, kw_only=True):
    """What all checks have that connect to an address."""

    host: Host | None = None
    """Where to look; the instance's own host where none is given."""
    port: Port | None = None
    """Where to look; the instance's own port where none is given."""


class HttpCheck(_AddressProbe, frozen=True, kw_only=True, tag="http"):
    """An HTTP request is answered as expected. A redirect is an answer like any other, and is not followed."""

    path: Path = "/"
    method: Literal["GET", "HEAD"] = "GET"
    tls: bool | None = None
    """Whether to speak HTTPS; as the instance's own protocol says where nothing is given."""
    verify: bool = True
    """Whether the certificate must be one that the hub's machine trusts, made out to the host."""
    headers: Annotated[dict[str, Header], Meta(max_length=16)] = {}
    """What to send besides. They are stored and shown with the registration: no place for secrets."""
    expect_status: StatusRange = "200-299"
    expect_body: Annotated[str, Meta(max_length=256)] = ""
    """A text that the first 64 KiB of the body must contain."""

    def __post_init__(self) -> None:
        super().__post_init__()
        low, _, high = self.expect_status.partition("-")
        if high and high < low:
            raise ValueError(f"expect_status: expected the lower status first, got {self.expect_status!r}")


class TcpCheck(_AddressProbe, frozen=True, kw_only=True, tag="tcp"):
    """A connection is taken."""

    tls: bool = False
    """Whether it must take a TLS handshake, too."""
    verify: bool = True
    """Whether the certificate must be one that the hub's machine trusts, made out to the host."""


class NatsCheck(_Probe, frozen=True, kw_only=True, tag="nats"):
    """A NATS request is answered, and not by an error of the micro protocol."""

    subject: Subject
    """Neither the hub's own nor the server's, save for `$SRV.PING.<name>`: the hub asks with its own rights."""
    payload: Annotated[str, Meta(max_length=1024)] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.subject.startswith(_NOT_TO_BE_ASKED) and not self.subject.startswith("$SRV.PING."):
            raise ValueError(f"subject: expected one that is not the hub's or the server's own, got {self.subject!r}")


class GrpcCheck(_AddressProbe, frozen=True, kw_only=True, tag="grpc"):
    """`grpc.health.v1.Health/Check` says SERVING."""

    service: Annotated[str, Meta(max_length=256)] = ""
    """Of which service; empty for the server as a whole."""
    tls: bool = False
    verify: bool = True
    """Whether the certificate must be one that the hub's machine trusts, made out to the host."""


class RedisCheck(_AddressProbe, frozen=True, kw_only=True, tag="redis"):
    """`PING` is answered; that a login is asked for is an answer, too."""

    tls: bool = False
    verify: bool = True
    """Whether the certificate must be one that the hub's machine trusts, made out to the host."""


class PostgresCheck(_AddressProbe, frozen=True, kw_only=True, tag="postgres"):
    """The server takes logins, as `pg_isready` asks; that this one is refused is an answer, too."""

    tls: bool = False
    verify: bool = True
    """Whether the certificate must be one that the hub's machine trusts, made out to the host."""


class TtlCheck(_Check, frozen=True, kw_only=True, tag="ttl"):
    """The service reports on it by name with its beats, at least once per `ttl`; silence makes it fail."""

    ttl: Annotated[float, Meta(ge=1, le=86_400)] = 30.0
    """Seconds without a report after which it fails."""


Check = HttpCheck | TcpCheck | NatsCheck | GrpcCheck | RedisCheck | PostgresCheck | TtlCheck
Probe = HttpCheck | TcpCheck | NatsCheck | GrpcCheck | RedisCheck | PostgresCheck


def name_of(check: Check) -> str:
    """What a check is called: its name, else its type."""
    return check.name or type_of(check)


def type_of(check: Check) -> str:
    """The `type` of a check."""
    tag = check.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


class CheckReport(Struct, frozen=True, kw_only=True):
    """What a service says of one of its `ttl` checks."""

    status: ReportedStatus = "passing"
    message: Reason = ""


class CheckState(Struct, frozen=True, kw_only=True):
    """What is known of one check."""

    name: str
    status: ReportedStatus
    """`passing`, or the check's severity, or what the service reports."""
    output: Annotated[str, Meta(max_length=MAX_OUTPUT)]
    """What was found, in a few words."""
    since: Annotated[datetime, Meta(tz=True)]
    """When it came to this status."""
    flapping: bool = False
    """Whether it has failed so often of late that it has to succeed for longer before it passes again."""
