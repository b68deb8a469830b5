"""The accounts of NATS in which identities are proven: what of the hub's account everybody else sees, and no more.

The hubs are in HUB alone, with JetStream; everybody else is in SERVICES. A subject that callers ask crosses as a
service that is shared, so that the server stamps upon every message who has sent it; a subject that the hub speaks on
crosses as a stream. Made from the table of the contract, so that what is not in it crosses nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from hub.wire import subjects
from hub.wire.channel import HUB
from hub.wire.channels import CHANNELS
from hub.wire.micro import MICRO_CHANNELS

HUB_ACCOUNT: Final = "HUB"
SERVICES_ACCOUNT: Final = "SERVICES"
SYSTEM_ACCOUNT: Final = "SYS"

_DIRECT_GET: Final = "$JS.API.DIRECT.GET."
_INFO: Final = "$JS.API.STREAM.INFO."
_READ: Final = (
    f"{_DIRECT_GET}KV_{subjects.REGISTRY_BUCKET}",
    f"{_DIRECT_GET}KV_{subjects.REGISTRY_BUCKET}.>",
    f"{_DIRECT_GET}KV_{subjects.CONFIG_BUCKET}.>",
    f"{_DIRECT_GET}KV_{subjects.MANIFESTS_BUCKET}.>",
    f"{_DIRECT_GET}OBJ_{subjects.COMPONENTS_STORE}",
    f"{_DIRECT_GET}OBJ_{subjects.COMPONENTS_STORE}.>",
    f"{_DIRECT_GET}{subjects.EVENTS_STREAM}",
)
"""What clients read of the store without a hub. Of the configuration a key at a time: the subject names the scope."""
_ELSEWHERE: Final = "_HUB.STREAM.INFO."
_INFOS: Final = (
    f"{_INFO}KV_{subjects.CONFIG_BUCKET}",
    f"{_INFO}OBJ_{subjects.COMPONENTS_STORE}",
    f"{_INFO}{subjects.EVENTS_STREAM}",
)
"""What they ask JetStream itself. In an account without JetStream the server answers that by a refusal of its own, and
sooner than the account does that has it: such a subject goes another way."""
_WRITTEN: Final = (
    f"$O.{subjects.COMPONENTS_STORE}.C.*",
    f"$O.{subjects.COMPONENTS_STORE}.M.*",
)
"""Where operators put the files that they publish."""


class Crossing(NamedTuple):
    """A subject that crosses from HUB to SERVICES.

    Attributes:
        subject: With wildcards.
        asked: Whether callers ask there; else they listen.
        many: Whether one question has several answers, or an answer of several messages.
        stamped: Whether the server says to the hub who asks. What JetStream answers needs no stamp.
    """

    subject: str
    asked: bool
    many: bool = False
    stamped: bool = True


class PublicKeys(NamedTuple):
    """The public nkeys that the servers are told.

    Attributes:
        issuer: Of the account that signs who is let in.
        hub: By which hubs log in.
        system: By which hubs log in to the system account.
    """

    issuer: str
    hub: str
    system: str


def crossings() -> tuple[Crossing, ...]:
    """Every subject that crosses, in the order of the contract."""
    found: dict[Crossing, None] = {}
    for channel in (*CHANNELS, *MICRO_CHANNELS):
        others = [role for role in (*channel.publishers, *channel.subscribers) if role != HUB]
        if not others:
            continue  # between hubs alone
        asked = HUB in channel.subscribers
        found[Crossing(channel.pattern(), asked, many=channel.kind == "request" and channel.queue is None)] = None
    for subject in (*_READ, *_INFOS, *_WRITTEN):
        found[Crossing(subject, asked=True, many=subject in _READ, stamped=False)] = None
    return tuple(found)


def conf(keys: PublicKeys) -> str:
    """The blocks of a server's configuration that make these accounts, and have hubs say who is let in.

    JetStream itself, where the server listens, and TLS are for the rest of the configuration.
    """
    crossing = crossings()
    exports = "\n".join(f"      {_export(each)}" for each in crossing)
    imports = "\n".join(f"      {_import(each)}" for each in crossing)
    mappings = "\n".join(f'      "{subject}": "{_moved(subject)}"' for subject in _INFOS)
    return f"""system_account: {SYSTEM_ACCOUNT}
accounts {{
  {HUB_ACCOUNT} {{
    jetstream: enabled
    users: [{{ nkey: {keys.hub} }}]
    exports: [
{exports}
    ]
  }}
  {SERVICES_ACCOUNT} {{
    imports: [
{imports}
    ]
    mappings: {{
{mappings}
    }}
  }}
  {SYSTEM_ACCOUNT} {{ users: [{{ nkey: {keys.system} }}] }}
}}
authorization {{
  auth_callout {{
    issuer: {keys.issuer}
    account: {HUB_ACCOUNT}
    auth_users: [{keys.hub}, {keys.system}]
  }}
}}
"""


def across(publish: Iterable[str]) -> tuple[str, ...]:
    """What somebody must be let publish to in the services' account, to use these subjects."""
    return tuple(_moved(subject) if subject in _INFOS else subject for subject in publish)


def _export(each: Crossing) -> str:
    if not each.asked:
        return f'{{ stream: "{each.subject}", accounts: [{SERVICES_ACCOUNT}] }}'
    answers = ", response: stream" if each.many else ""
    return f'{{ service: "{each.subject}"{answers}, accounts: [{SERVICES_ACCOUNT}] }}'


def _import(each: Crossing) -> str:
    source = f'{{ account: {HUB_ACCOUNT}, subject: "{each.subject}" }}'
    if not each.asked:
        return f"{{ stream: {source} }}"
    if each.subject in _INFOS:
        return f'{{ service: {source}, to: "{_moved(each.subject)}" }}'
    return f"{{ service: {source}{', share: true' if each.stamped else ''} }}"


def _moved(subject: str) -> str:
    """Where a question to JetStream stands in the services' account, where no caller may ask by himself."""
    return f"{_ELSEWHERE}{subject.removeprefix(_INFO)}"
