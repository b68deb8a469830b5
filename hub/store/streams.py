"""The streams and buckets of the hub: how each is configured, and bringing them into being."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Protocol

import structlog

from hub.errors import DeadlineExceeded, HubError, StartupError, Unavailable
from hub.store.api import JETSTREAM_OFF, TOO_FEW_SERVERS, ApiRefused, JetStreamApi, StreamMissing
from hub.transport.requests import Requester
from hub.wire import subjects
from hub.wire.components import HISTORY

log = structlog.get_logger(__name__)

MIN_MARKER_TTL: Final = 300.0
_NANOSECONDS: Final = 1_000_000_000
_RETRY_WAIT: Final = 0.25
_PATIENCE: Final = 5.0
_ELECTION: Final = 20.0
"""Seconds in which a cluster whose servers have just started has a leader for JetStream, busy machines included."""
_SWITCH_ON = (
    "start nats-server with `-js`, or with a `jetstream {}` block in its configuration and for the hub's account"
)


class Spec(Protocol):
    """What a stream shall be."""

    @property
    def stream(self) -> str:
        """Its name."""

    @property
    def replicas(self) -> int:
        """Servers that hold it. A stream that already has more keeps them."""

    def config(self) -> dict[str, Any]:
        """Its configuration in the words of JetStream's API; durations in nanoseconds."""


@dataclass(frozen=True, slots=True)
class BucketSpec:
    """A JetStream KV bucket, as the `nats kv` tool understands it.

    Attributes:
        name: The bucket's name.
        history: How many values of a key are kept.
        republish_prefix: Every stored change is also published on `<prefix>.<key>`; None publishes nothing.
        republish_values: Whether the value goes with it; else the headers alone.
        marker_ttl: Seconds that the marker of an expired key stays; at least 5 minutes, so that a watcher that was
            away for less learns of the expiry from the marker.
        max_bytes: Upper bound of the stored bytes; None for none.
        replicas: Servers that hold it. A bucket that already has more keeps them.
        atomic: Whether many keys can be written in one step, all or none.
    """

    name: str
    history: int = 1
    republish_prefix: str | None = None
    republish_values: bool = True
    marker_ttl: float = 600.0
    max_bytes: int | None = None
    replicas: int = 1
    atomic: bool = False

    def __post_init__(self) -> None:
        if self.marker_ttl < MIN_MARKER_TTL:
            raise ValueError(f"marker_ttl: expected at least {MIN_MARKER_TTL:g} s, got {self.marker_ttl:g}")

    @property
    def stream(self) -> str:
        """The name of the stream beneath."""
        return f"KV_{self.name}"

    @property
    def prefix(self) -> str:
        """What precedes a key in the stream's subjects."""
        return f"$KV.{self.name}."

    def config(self) -> dict[str, Any]:
        """The stream's configuration in the words of JetStream's API; durations in nanoseconds."""
        everything = f"{self.prefix}>"
        republish: dict[str, Any] | None = None
        if self.republish_prefix:
            republish = {"src": everything, "dest": f"{self.republish_prefix}.>"}
            if not self.republish_values:
                republish["headers_only"] = True
        return {
            "subjects": [everything],
            "storage": "file",
            "discard": "new",
            "max_msgs_per_subject": self.history,
            "max_bytes": self.max_bytes or -1,
            "num_replicas": self.replicas,
            "deny_delete": True,
            "allow_rollup_hdrs": True,
            "allow_direct": True,
            "allow_msg_ttl": True,
            "allow_atomic": self.atomic,
            "subject_delete_marker_ttl": round(self.marker_ttl * _NANOSECONDS),
            "republish": republish,
        }


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream that keeps messages for a while.

    Attributes:
        stream: Its name.
        subjects: What it stores.
        max_age: Seconds that a message is kept.
        max_bytes: Upper bound of the stored bytes; the oldest go first.
        dedup_window: Seconds within which a message id is taken only once.
        replicas: Servers that hold it. A stream that already has more keeps them.
        for_good: Whether nobody may take a message out before its time: no deletion, and no purge.
    """

    stream: str
    subjects: tuple[str, ...]
    max_age: float = 7 * 86_400.0
    max_bytes: int = 256 * 1024 * 1024
    dedup_window: float = 120.0
    replicas: int = 1
    for_good: bool = False

    def config(self) -> dict[str, Any]:
        """The stream's configuration in the words of JetStream's API; durations in nanoseconds."""
        return {
            "subjects": list(self.subjects),
            "storage": "file",
            "discard": "old",
            "max_age": round(self.max_age * _NANOSECONDS),
            "max_bytes": self.max_bytes,
            "duplicate_window": round(self.dedup_window * _NANOSECONDS),
            "num_replicas": self.replicas,
            "allow_direct": True,
            **({"deny_delete": True, "deny_purge": True} if self.for_good else {}),
        }


@dataclass(frozen=True, slots=True)
class ObjectsSpec:
    """A JetStream object store, as the `nats object` tool understands it (ADR-20).

    Attributes:
        name: Its name.
        replicas: Servers that hold it. One that already has more keeps them.
    """

    name: str
    replicas: int = 1

    @property
    def stream(self) -> str:
        """The name of the stream beneath."""
        return f"OBJ_{self.name}"

    @property
    def prefix(self) -> str:
        """What precedes the name of an object, in base64, in the subjects of the messages that tell of it."""
        return f"$O.{self.name}.M."

    def config(self) -> dict[str, Any]:
        """The stream's configuration in the words of JetStream's API."""
        return {
            "subjects": [f"$O.{self.name}.C.>", f"$O.{self.name}.M.>"],
            "storage": "file",
            "discard": "new",
            "num_replicas": self.replicas,
            "allow_rollup_hdrs": True,
            "allow_direct": True,
        }


REGISTRY: Final = BucketSpec(
    subjects.REGISTRY_BUCKET, republish_prefix=subjects.REGISTRY_DELTA_PREFIX.removesuffix(".")
)
DESIRED: Final = BucketSpec(subjects.DESIRED_BUCKET)
CONFIG: Final = BucketSpec(
    subjects.CONFIG_BUCKET, history=64, republish_prefix=subjects.CONFIG_DELTA_PREFIX.removesuffix("."), atomic=True
)
SECRETS: Final = BucketSpec(
    subjects.SECRETS_BUCKET,
    republish_prefix=subjects.SECRET_DELTA_PREFIX.removesuffix("."),
    republish_values=False,
)
MANIFESTS: Final = BucketSpec(
    subjects.MANIFESTS_BUCKET,
    history=HISTORY,
    republish_prefix=subjects.COMPONENTS_DELTA.removesuffix(f".{subjects.MANIFESTS_KEY}"),
)
ACCESS: Final = BucketSpec(subjects.ACCESS_BUCKET)
COMPONENTS: Final = ObjectsSpec(subjects.COMPONENTS_STORE)
LEADER: Final = BucketSpec(subjects.LEADER_BUCKET)
EVENTS: Final = StreamSpec(subjects.EVENTS_STREAM, (f"{subjects.EVENTS_PREFIX}>",))

AUDIT: Final = StreamSpec(
    subjects.AUDIT_STREAM,
    (f"{subjects.AUDIT_PREFIX}*",),
    max_age=90 * 86_400.0,
    max_bytes=512 * 1024 * 1024,
    for_good=True,
)


class Specs(NamedTuple):
    """What the hub stores in, each held by as many servers as could be had."""

    registry: BucketSpec
    desired: BucketSpec
    config: BucketSpec
    secrets: BucketSpec
    access: BucketSpec
    manifests: BucketSpec
    components: ObjectsSpec
    leader: BucketSpec
    events: StreamSpec
    audit: StreamSpec


async def ensure_all(requester: Requester, *, servers: int, replicas: int, audit: StreamSpec = AUDIT) -> Specs:
    """Make every stream of the hub exist.

    Args:
        requester: An open requester on the connection to use.
        servers: How many servers NATS is known to have.
        replicas: How many of them shall hold each stream. 0 takes up to three, and a single one where a cluster that is
            not whole yet gives no more; a hub that starts later asks for the rest.
        audit: What the stream of the audit shall be.

    Raises:
        StartupError: as `ensure`.
    """
    wanted = wanted_replicas(replicas, servers=servers)
    try:
        return await _ensure_replicated(requester, wanted, audit)
    except TooFewServers as error:
        if replicas or wanted == 1:
            raise
        log.warning("streams cannot be replicated yet; one server holds them", reason=error.message)
        return await _ensure_replicated(requester, 1, audit)


def wanted_replicas(replicas: int, *, servers: int) -> int:
    """How many servers shall hold each stream; see `ensure_all`."""
    return replicas or min(3, servers)


class TooFewServers(StartupError):
    """The cluster has not as many servers as shall hold a stream, or not yet."""


async def _ensure_replicated(requester: Requester, replicas: int, audit: StreamSpec) -> Specs:
    specs = Specs(
        registry=replace(REGISTRY, replicas=replicas),
        desired=replace(DESIRED, replicas=replicas),
        config=replace(CONFIG, replicas=replicas),
        secrets=replace(SECRETS, replicas=replicas),
        access=replace(ACCESS, replicas=replicas),
        manifests=replace(MANIFESTS, replicas=replicas),
        components=replace(COMPONENTS, replicas=replicas),
        leader=replace(LEADER, replicas=replicas),
        events=replace(EVENTS, replicas=replicas),
        audit=replace(audit, replicas=replicas),
    )
    patience = _PATIENCE if replicas == 1 else _ELECTION
    for spec in specs:
        await ensure(requester, spec, patience=patience)
    return specs


async def replicate(requester: Requester, specs: Specs, replicas: int) -> None:
    """Have every stream held by so many servers, if they can be had now: a cluster may become whole after our start."""
    for spec in specs:
        with suppress(HubError):  # not yet: whoever asks will ask again
            await ensure(requester, replace(spec, replicas=replicas), patience=0)


def is_silent(spec: Spec, existing: Mapping[str, Any]) -> bool:
    """Whether the stream should send its changes on by `spec`, and does not as it exists."""
    return bool(spec.config().get("republish")) and not existing.get("republish")


async def ensure(requester: Requester, spec: Spec, *, patience: float = _PATIENCE) -> None:
    """Make the stream exist as `spec` says; safe to call from many processes at once.

    Args:
        requester: An open requester on the connection to use.
        spec: What it shall be. One that differs is changed, as far as NATS allows.
        patience: Seconds to go on trying while JetStream does not answer (a cluster that elects a leader), or has too
            few servers (one that is still coming up).

    Raises:
        TooFewServers: it cannot be held by so many servers.
        StartupError: JetStream is off or stays away, or the stream exists and cannot be changed; says what to do.
    """
    api = JetStreamApi(requester)
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience
    while True:
        try:
            await _bring_about(api, spec)
            return
        except (Unavailable, DeadlineExceeded) as error:
            if loop.time() >= give_up:
                raise StartupError(
                    f"JetStream does not answer for the stream {spec.stream} ({error.message}). "
                    f"If it is switched off: {_SWITCH_ON}"
                ) from None
        except ApiRefused as error:
            if error.err_code not in TOO_FEW_SERVERS or loop.time() >= give_up:
                raise _explain(spec.stream, error) from None
        await asyncio.sleep(_RETRY_WAIT)


async def _bring_about(api: JetStreamApi, spec: Spec) -> None:
    wanted = spec.config()
    try:
        existing = (await api.stream(spec.stream)).config
    except StreamMissing:
        await api.create_stream(spec.stream, wanted)
        return
    wanted["num_replicas"] = max(spec.replicas, int(existing.get("num_replicas", 1)))
    differing = [key for key, value in wanted.items() if (existing.get(key) or None) != (value or None)]
    if not differing:
        return
    try:
        await api.update_stream(spec.stream, {**existing, **wanted})
    except ApiRefused as error:
        if error.err_code in TOO_FEW_SERVERS:
            raise
        was = ", ".join(f"{key} is {existing.get(key)!r}, wanted {wanted[key]!r}" for key in differing)
        raise StartupError(
            f"the stream {spec.stream} exists with other settings ({was}) and NATS does not change them: "
            f"{error.message}. Remove the stream, or give it these settings"
        ) from None


def _explain(stream: str, error: ApiRefused) -> HubError:
    if error.err_code in JETSTREAM_OFF:
        return StartupError(f"JetStream is off on this NATS: {_SWITCH_ON}")
    if error.err_code in TOO_FEW_SERVERS:
        return TooFewServers(f"NATS has too few servers for the stream {stream}: {error.message}")
    return StartupError(f"the stream {stream} cannot be created: {error.message}")
