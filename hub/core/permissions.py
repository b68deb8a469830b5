"""The NATS subjects that one caller may use: what its role may by `CHANNELS`, for its own service and instance alone.

Nothing is allowed that is not named here: never all inboxes, all of JetStream's API, or all keys of a bucket that holds
what is private to others. What NATS cannot tell apart, since it stands in the message, the hub decides itself (see
`hub.core.policy`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from msgspec import Struct

from hub.wire import subjects
from hub.wire.channel import PARAMETERS, Channel
from hub.wire.channels import CHANNELS
from hub.wire.claims import CLAIMS
from hub.wire.config import EVERYBODY
from hub.wire.micro import MICRO_CHANNELS
from hub.wire.roles import Caller, inbox_prefix, parse_caller

ANY: Final = "*"
"""The pattern that every service goes by, and the wildcard of NATS for one token."""

_DIRECT: Final = "$JS.API.DIRECT.GET."
_INFO: Final = "$JS.API.STREAM.INFO."


class Sight(Struct, frozen=True, kw_only=True):
    """Which services a caller sees besides itself, in patterns with `*` for any characters.

    Attributes:
        discover: Those that it may discover and see the health of.
        config: Those whose configuration it may read.
    """

    discover: tuple[str, ...] = ()
    config: tuple[str, ...] = ()


class Permissions(Struct, frozen=True, kw_only=True):
    """Subjects of NATS, with its wildcards; all others are denied.

    Neither list is ever empty: NATS takes an empty one for everything.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


EVERYTHING: Final = Sight(discover=(ANY,), config=(ANY,))
USUAL: Final = Sight(discover=(ANY,))
"""What a service sees where nothing else is said: all services, and the configuration of none but itself."""
_UNTOLD: Final = {"service": USUAL, "external": Sight()}


def permissions(
    caller: Caller,
    scopes: Collection[str] | None = None,
    sight: Sight | None = None,
    *,
    inboxes: tuple[str, ...] = (),
) -> Permissions:
    """What a caller may publish and subscribe to.

    NATS knows wildcards for whole tokens alone: of a sight like `api-*` nothing comes true here, and such a caller asks
    the hub, which knows better.

    Args:
        caller: Who it is.
        scopes: The rights that its credential is good for; None is all of them.
        sight: What it sees (`hub.core.policy.Policy.sight`); None for what its role sees where nothing is said.
        inboxes: Prefixes of further inboxes of its own.

    Raises:
        ValueError: it is called as no caller is.
    """
    if parse_caller(str(caller), host=caller.host) != caller:
        raise ValueError(f"expected a caller as one is written, got {caller}")
    seen = sight if sight is not None else _UNTOLD.get(caller.role, EVERYTHING)
    publish: dict[str, None] = {}
    own_inboxes = [f"{prefix}.>" for prefix in (inbox_prefix(caller), *inboxes)]
    subscribe = dict.fromkeys(own_inboxes)
    for channel in (*CHANNELS, *MICRO_CHANNELS):
        if scopes is not None and channel.right not in scopes:
            continue
        if caller.role in channel.publishers:
            publish.update(dict.fromkeys(_subjects(channel, caller, seen)))
            publish.update(dict.fromkeys(_WRITTEN.get(channel.name, ())))
        if caller.role in channel.subscribers:
            heard = _subjects(channel, caller, seen)
            subscribe.update(dict.fromkeys(heard))
            publish.update(dict.fromkeys(_stored(channel, heard)))
    return Permissions(publish=tuple(publish or own_inboxes), subscribe=tuple(subscribe))


def covers(pattern: str, subject: str) -> bool:
    """Whether a subject, which may have wildcards itself, is all within a pattern of NATS."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    if len(wanted) != len(given) or ">" in given:
        return False
    return all(each in (ANY, token) for each, token in zip(wanted, given, strict=True))


def _subjects(channel: Channel, caller: Caller, sight: Sight) -> list[str]:
    """The subjects of a channel that are for the caller, each with the wildcards that are left to it."""
    if not channel.parameters:
        return [channel.address]
    claim = CLAIMS.get(channel.name)
    if claim is None or caller.role != "service":
        return [_address(channel, {})]
    if claim.meaning == "everything":
        return [_address(channel, {})] if ANY in sight.discover else []
    if claim.meaning == "own":
        own = {claim.service: caller.name, claim.instance: caller.instance or ANY}
        return [_address(channel, own)]
    patterns = sight.discover if claim.meaning == "discover" else sight.config
    if ANY in patterns:
        return [_address(channel, {})]
    shared = (EVERYBODY,) if claim.meaning == "config" else ()
    names = dict.fromkeys((caller.name, *shared, *(name for name in patterns if ANY not in name)))
    return [_address(channel, {claim.service: name}) for name in names]


def _address(channel: Channel, filled: dict[str, str]) -> str:
    """The address with some of its places filled. Free places at its end, of several tokens, become one `>`."""
    tokens = channel.address.split(".")
    free = [token.startswith("{") and filled.get(token[1:-1], ANY) == ANY for token in tokens]
    kept = len(tokens)
    while kept and free[kept - 1]:
        kept -= 1
    width = sum(PARAMETERS[token[1:-1]].tokens for token in tokens[kept:])
    head = [filled.get(token[1:-1], ANY) if token.startswith("{") else token for token in tokens[:kept]]
    return ".".join([*head, *([] if width == 0 else [ANY] if width == 1 else [">"])])


# --- what is stored, read past the hub so that it can be read while no hub runs

_REGISTRY: Final = f"{_DIRECT}KV_{subjects.REGISTRY_BUCKET}"
_CONFIG: Final = f"{_DIRECT}KV_{subjects.CONFIG_BUCKET}.$KV.{subjects.CONFIG_BUCKET}."
_CONFIG_INFO: Final = f"{_INFO}KV_{subjects.CONFIG_BUCKET}"
_MANIFEST: Final = f"{_DIRECT}KV_{subjects.MANIFESTS_BUCKET}.$KV.{subjects.MANIFESTS_BUCKET}.{subjects.MANIFESTS_KEY}"
_BLOBS: Final = f"{_DIRECT}OBJ_{subjects.COMPONENTS_STORE}"
_BLOB: Final = f"{_BLOBS}.$O.{subjects.COMPONENTS_STORE}.M.*"
_EVENTS: Final = (f"{_DIRECT}{subjects.EVENTS_STREAM}", f"{_INFO}{subjects.EVENTS_STREAM}")

_WRITTEN: Final[dict[str, tuple[str, ...]]] = {
    "publish-components": (
        f"$O.{subjects.COMPONENTS_STORE}.C.*",
        f"$O.{subjects.COMPONENTS_STORE}.M.*",
        f"{_INFO}OBJ_{subjects.COMPONENTS_STORE}",
    ),
}
"""Where the files lie that a request of that channel speaks of."""


def _stored(channel: Channel, heard: list[str]) -> Iterator[str]:
    """Where that can be read which the channel tells the changes of, as far as these may be heard."""
    if channel.name == "registry-delta" and f"{subjects.REGISTRY_DELTA_PREFIX}>" in heard:
        yield _REGISTRY  # of which services, stands in the message: it is for those alone who see them all
    elif channel.name == "config-delta" and heard:
        yield from (_CONFIG + subject.removeprefix(subjects.CONFIG_DELTA_PREFIX) for subject in heard)
        yield _CONFIG_INFO
    elif channel.name == "components-delta":
        yield from (_MANIFEST, _BLOBS, _BLOB)
    elif channel.name == "events" and heard:
        yield from _EVENTS
