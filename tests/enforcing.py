"""The suite in enforced mode: hubs that let in only who proves who it is, and tests that log in to them by themselves.

With `HUB_TEST_ACCESS=enforced` each `hub up` of the tests is enforced, with every `hub serve` beside it, and believes
the tokens of an issuer that this process is. Whoever connects to such a hub by `tests.calls`, `tests.clients`,
`tests.commands`, `tests.http` or `tests.raw` comes as an operator, a client of the SDK as the service that it is,
unless the test says as whom.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client

from hub.core.asking import places_of, row_of
from hub.identity.tokens import signed
from hub.settings.model import Ratelimits
from hub.wire.roles import CALLER_ROLES, inbox_prefix_for, parse_caller
from tests.unit.identity.making import Signer, jwks

ENFORCED: Final = os.environ.get("HUB_TEST_ACCESS", "") == "enforced"
"""Whether this run is in enforced mode. It is read nowhere else."""

OPERATOR: Final = "operator:tests"
HUB: Final = "hub"
"""As a hub itself, in its account: what no caller may do, such as looking into the buckets."""
SOMEBODY: Final = "service:somebody"
"""Says what only services may say, where the message names none."""

_ISSUER: Final = "tests"
_AUDIENCE: Final = "central-hub"
_UNHURRIED: Final = {
    f"HUB_RATELIMITS_{each.upper()}": "1000000"
    for each in Ratelimits.__struct_fields__
    if each.endswith(("_rate", "_burst"))
}
"""Here one operator asks for all that many would."""
_signer = Signer("EdDSA", Ed25519PrivateKey.generate(), "tests")
_tokens: dict[str, str] = {}
_hubs: dict[int, Path] = {}
"""Where the keys of the hubs are that are enforced, by the ports of their NATS and HTTP."""


# --- hubs


def secured(folder: Path, arguments: tuple[str, ...], variables: Mapping[str, str]) -> dict[str, str]:
    """What `hub up` has in its environment besides, so that it lets in whom these tests send.

    One that says itself who may come in, or where it listens, is left as it is.
    """
    says = any(name.startswith(("HUB_ACCESS_", "HUB_NATS_HOST")) for name in variables)
    if not ENFORCED or says or {"--secure", "--host"} & set(arguments):
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    keys, file = folder / "issuer.json", folder / "access.toml"
    keys.write_bytes(jwks(_signer))
    file.write_text(
        f'[[issuer]]\nissuer = "{_ISSUER}"\naudience = "{_AUDIENCE}"\nalgorithms = ["EdDSA"]\n'
        f"jwks = {json.dumps(str(keys))}\nroles = {json.dumps(CALLER_ROLES)}\n\n"
        '[[allow]]\nwho = ["service:*"]\ndiscover = ["*"]\n'
    )
    return {
        **_UNHURRIED,
        "HUB_ACCESS_MODE": "enforced",
        "HUB_ACCESS_FILE": str(file),
        "HUB_ACCESS_KEYS": str(folder / "keys"),
        "HUB_SECRETS_PLAINTEXT": "true",  # tests resolve secrets without sealing, as services do over TLS
    }


def joining(url: str) -> dict[str, str]:
    """What a further hub on the NATS of an enforced one has in its environment."""
    if not is_enforced(url):
        return {}
    keys = _hubs[_port(url)]
    return {
        **_UNHURRIED,
        "HUB_ACCESS_MODE": "enforced",
        "HUB_ACCESS_FILE": str(keys.parent / "access.toml"),
        "HUB_ACCESS_KEYS": str(keys),
        "HUB_NATS_SYSTEM_URL": url,
        "HUB_SECRETS_PLAINTEXT": "true",
    }


def opened(variables: Mapping[str, str], *urls: str) -> None:
    """Remember that a hub which was `secured` listens there."""
    for url in urls:
        _hubs[_port(url)] = Path(variables["HUB_ACCESS_KEYS"])


def passed_on(port: int, target: int) -> None:
    """Remember that whoever connects to this port comes out at another one."""
    if target in _hubs:
        _hubs[port] = _hubs[target]


def is_enforced(url: str) -> bool:
    """Whether an enforced hub of these tests is there."""
    return ENFORCED and _port(url) in _hubs


# --- logging in


def token(caller: str = OPERATOR) -> str:
    """The token of somebody, such as `operator:tests` or `service:engine/e1`."""
    if caller not in _tokens:
        who = parse_caller(caller)
        now = int(time.time())
        said = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": who.name, "role": who.role, "iat": now, "exp": now + 7200}
        named = {} if who.instance is None else {"instance": who.instance}
        claims = {**said, **named, "jti": caller}
        _tokens[caller] = signed(claims, _signer.private, "EdDSA", _signer.kid)
    return _tokens[caller]


def token_of(name: str) -> str:
    """The token of a service; of `SOMEBODY` where no service can be called so."""
    return token(_service(name))


def options(url: str | list[str], caller: str = OPERATOR) -> dict[str, Any]:
    """With what a plain client of NATS comes as somebody; nothing where anybody is let in."""
    first = url if isinstance(url, str) else url[0]
    if not is_enforced(first):
        return {}
    if caller == HUB:
        return {"nkeys_seed_str": (_hubs[_port(first)] / "hub.nk").read_text().strip()}
    return {"token": token(caller), "inbox_prefix": inbox_prefix_for(token(caller)).encode()}


def as_service(url: str, name: str) -> dict[str, Any]:
    """With what a client of the SDK comes as its service."""
    return {"token": token(f"service:{name}")} if is_enforced(url) else {}


def variables(url: str | None, caller: str = OPERATOR) -> dict[str, str]:
    """The environment in which a command comes as somebody."""
    return {"HUB_TOKEN": token(caller)} if url and is_enforced(url) else {}


def headers(url: str, caller: str = OPERATOR) -> dict[str, str]:
    """The headers with which an HTTP client comes as somebody."""
    return {"Authorization": f"Bearer {token(caller)}"} if is_enforced(url) else {}


def author(said: str) -> str:
    """Whom the records of a change name: the operator that made it, whoever he says he is, where that is proven."""
    return OPERATOR if ENFORCED else said


class Acting(Client):
    """A connection of an operator. What services alone may say, it has the service say that the message is of.

    Each of these services has a connection of its own for that, closed along with this one.
    """

    _url: str

    def __init__(self) -> None:
        super().__init__()
        self._services: dict[str, Client] = {}

    async def publish(self, subject: str, payload: bytes = b"", *args: Any, **given: Any) -> None:
        """Publish as whoever may; what a service says has reached the server before what is said next."""
        service = _speaker(subject, payload)
        if service is None:
            await super().publish(subject, payload, *args, **given)
            return
        other = await self._of(service)
        await other.publish(subject, payload, *args, **given)
        await other.flush()

    async def request(self, subject: str, payload: bytes = b"", *args: Any, **given: Any) -> Any:
        """Ask as whoever may."""
        service = _speaker(subject, payload)
        if service is None:
            return await super().request(subject, payload, *args, **given)
        return await (await self._of(service)).request(subject, payload, *args, **given)

    async def subscribe(self, subject: str, *args: Any, **given: Any) -> Any:
        """Hear as whoever may; from the return on."""
        service = _speaker(subject, b"")
        if service is None:
            return await super().subscribe(subject, *args, **given)
        other = await self._of(service)
        subscription = await other.subscribe(subject, *args, **given)
        await other.flush()
        return subscription

    async def close(self) -> None:
        """Close all of them."""
        for other in self._services.values():
            await other.close()
        await super().close()

    async def _of(self, service: str) -> Client:
        if service not in self._services:
            other = Client()
            await other.connect(self._url, **options(self._url, service))
            self._services[service] = other
        return self._services[service]


async def connect(url: str | list[str], caller: str | None = None, **given: Any) -> Client:
    """A plain connection as somebody; where nobody is said, of an operator that is `Acting`."""
    login = options(url, caller or OPERATOR)
    if not login or caller is not None:
        client = Client()
    else:
        client = Acting()
        client._url = url if isinstance(url, str) else url[0]
    await client.connect(url, **login, **given)
    return client


def _speaker(subject: str, payload: bytes) -> str | None:
    """Which service has to say this; None where an operator may, and where nobody may."""
    row = row_of(subject)
    if row is None or "operator" in row.roles or "service" not in row.roles or row.claim is None:
        return None
    if row.named is None:
        name = places_of(row.channel, subject).get(row.claim.service, "")
    else:
        try:
            name = row.named(payload).service
        except Exception:  # noqa: BLE001  # whatever cannot be read is refused to everybody
            name = ""
    return _service(name)


def _service(name: str) -> str:
    try:
        return str(parse_caller(f"service:{name}"))
    except ValueError:
        return SOMEBODY


def _port(url: str) -> int:
    return urlsplit(url.partition(",")[0]).port or 4222
