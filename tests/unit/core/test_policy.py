"""Who may do what: by role, by who it is, and by what is declared."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.asking import row_of
from hub.core.permissions import EVERYTHING, USUAL, Sight
from hub.core.policy import Decision, Policy, right_of
from hub.errors import InvalidRequest, PayloadTooLarge
from hub.settings.access import AccessFile, Allow
from hub.wire.channel import HUB
from hub.wire.channels import CHANNELS
from hub.wire.claims import CLAIMS
from hub.wire.roles import CALLER_ROLES, parse_caller

NOTHING = Policy(AccessFile())
DECLARED = Policy(
    AccessFile(
        allow=(
            Allow(who=("service:api-*", "external:partner"), discover=("trading-*", "ledger"), config=("ledger",)),
            Allow(who=("service:monitor",), discover=("*",)),
            Allow(who=("service:worker",), lease=("orders",)),
            Allow(who=("*:everybody",), discover=("*",), config=("*",)),
        )
    )
)


def decide(policy: Policy, who: str, subject: str, message: Any = None) -> Decision:
    payload = message if isinstance(message, bytes) else b"" if message is None else json.dumps(message).encode()
    return policy.decide(parse_caller(who), subject, payload)


REGISTER = {"name": "api", "host": "h", "port": 1, "instance_id": "a1"}


@pytest.mark.parametrize(
    ("who", "subject", "message", "expected"),
    [
        ("service:api", "hub.register", REGISTER, True),
        ("service:api/a1", "hub.register", REGISTER, True),
        ("service:api/a2", "hub.register", REGISTER, "instance_id"),
        ("service:api/a1", "hub.register", {"name": "api", "host": "h", "port": 1}, "instance_id"),
        ("service:ledger", "hub.register", REGISTER, "name"),
        ("service:ledger", "hub.register", {}, "name"),
        ("operator:ada", "hub.register", REGISTER, True),
        ("service:api", "hub.deregister", {"name": "api", "instance_id": "a2"}, True),
        ("service:api/a1", "hub.deregister", {"name": "api", "instance_id": "a1"}, True),
        ("service:api/a1", "hub.deregister", {"name": "api", "instance_id": "a2"}, "instance_id"),
        ("service:api", "hub.deregister", {"name": "ledger", "instance_id": "a2"}, "name"),
        ("operator:ada", "hub.deregister", {"name": "ledger", "instance_id": "a2"}, True),
        ("service:api", "hub.discover", {"name": "ledger"}, True),
        ("service:api", "hub.discover", {}, True),
        ("service:api", "hub.discover", {"capabilities": ["trading"]}, True),
        ("service:api", "hub.services", {}, True),
        ("service:api", "hub.graph", {}, True),
        ("service:api", "hub.health", {}, True),
        ("service:api", "hub.config.get", {"service": "api"}, True),
        ("service:api", "hub.config.get", {"service": "_all"}, True),
        ("service:api", "hub.config.get", {"service": "ledger"}, "service"),
        ("service:api", "hub.config.records", {"service": "ledger"}, "service"),
        ("service:api", "hub.config.status", {"service": "ledger"}, "service"),
        ("service:api", "hub.config.validate", {"service": "ledger", "values": {}}, "service"),
        ("service:api", "hub.config.schema.get", {"service": "ledger"}, "service"),
        ("service:api", "hub.config.schema.put", {"service": "api", "schema": None}, True),
        ("service:api", "hub.config.schema.put", {"service": "ledger", "schema": None}, "service"),
        ("service:api", "hub.secret.resolve", {"service": "api", "names": ["x"]}, True),
        ("service:api/a1", "hub.secret.resolve", {"service": "api", "names": ["x"]}, True),
        (
            "service:api/a1",
            "hub.secret.resolve",
            {"service": "api", "names": ["x"], "instance_id": "a2"},
            "instance_id",
        ),
        ("service:api", "hub.secret.resolve", {"service": "ledger", "names": ["x"]}, "service"),
        ("operator:ada", "hub.secret.resolve", {"service": "api", "names": ["x"]}, False),
        ("service:api", "hub.secret.put", {}, False),
        ("service:api", "hub.admin.drain", {"name": "api"}, False),
        ("service:api", "hub.metrics", None, False),
        ("service:api", "hub.components.get", {}, True),
        ("service:api", "hub.heartbeat.api.a1", None, True),
        ("service:api/a2", "hub.heartbeat.api.a1", None, "instance"),
        ("service:api", "hub.heartbeat.ledger.a1", None, "service"),
        ("service:api", "hub.delta.config.api", None, True),
        ("service:api", "hub.delta.config._all", None, True),
        ("service:api", "hub.delta.config.ledger", None, "scope"),
        ("service:api", "hub.delta.config.>", None, "scope"),
        ("service:api", "hub.delta.registry.>", None, True),
        ("service:api", "hub.events.service.registered", None, True),
        ("service:api", "hub.observed", None, False),
        ("service:api", "hub.replica.hub-1", None, False),
        ("service:api", "hub.nothing", None, False),
        ("service:api", "_INBOX.service.api.x", None, True),
        ("service:api", "_INBOX.service.ledger.x", None, False),
        ("service:api", "$JS.API.DIRECT.GET.KV_hub-registry", None, True),
        ("service:api", "$JS.API.STREAM.DELETE.KV_hub-registry", None, False),
        ("external:partner", "hub.discover", {"name": "ledger"}, "name"),
        ("external:partner", "hub.register", REGISTER, False),
        ("reader:screen", "hub.discover", {}, True),
        ("reader:screen", "hub.config.get", {"service": "ledger"}, True),
        ("reader:screen", "hub.config.put", {}, False),
        ("reader:screen", "$SRV.PING", None, True),
        ("service:api", "$SRV.INFO.central-hub.hub-1", None, False),
        ("bridge:kafka", "hub.events.service.registered", None, True),
        ("bridge:kafka", "hub.discover", {}, False),
        ("prometheus:main", "hub.metrics", None, True),
        ("prometheus:main", "hub.services", {}, False),
    ],
)
def test_where_nothing_is_declared_services_discover_all_and_speak_for_themselves(
    who: str, subject: str, message: Any, expected: bool | str
) -> None:
    decision = decide(NOTHING, who, subject, message)
    assert decision.allowed is (expected is True), decision
    assert decision.field == (expected if isinstance(expected, str) else None)


@pytest.mark.parametrize(
    ("who", "subject", "message", "expected"),
    [
        ("service:api-gw", "hub.discover", {"name": "trading-engine"}, True),
        ("service:api-gw", "hub.discover", {"name": "ledger"}, True),
        ("service:api-gw/a1", "hub.discover", {"name": "ledger"}, True),
        ("service:api-gw", "hub.discover", {"name": "api-gw"}, True),
        ("service:api-gw", "hub.discover", {"name": "other"}, False),
        ("service:api-gw", "hub.discover", {}, False),
        ("service:api-gw", "hub.discover", {"tags": ["x"]}, False),
        ("service:api-gw", "hub.health", {"name": "ledger"}, True),
        ("service:api-gw", "hub.health", {}, False),
        ("service:api-gw", "hub.services", {}, False),
        ("service:api-gw", "hub.services", {"": "ledger"}, False),
        ("service:api-gw", "hub.graph", {"name": "ledger"}, False),
        ("service:api-gw", "hub.config.get", {"service": "ledger"}, True),
        ("service:api-gw", "hub.config.get", {"service": "trading-engine"}, False),
        ("service:api-gw", "hub.delta.registry.ledger.*", None, True),
        ("service:api-gw", "hub.delta.registry.other.*", None, False),
        ("service:api-gw", "hub.events.>", None, False),
        ("service:other", "hub.discover", {"name": "ledger"}, False),
        ("service:other", "hub.discover", {"name": "other"}, True),
        ("service:other", "hub.config.get", {"service": "other"}, True),
        ("service:monitor", "hub.discover", {}, True),
        ("service:monitor", "hub.services", {}, True),
        ("service:monitor", "hub.config.get", {"service": "ledger"}, False),
        ("external:partner", "hub.discover", {"name": "ledger"}, True),
        ("external:partner", "hub.config.get", {"service": "ledger"}, True),
        ("external:partner", "hub.config.get", {"service": "_all"}, False),
        ("external:other", "hub.discover", {"name": "ledger"}, False),
        ("external:everybody", "hub.services", {}, True),
        ("operator:ada", "hub.services", {}, True),
        ("reader:screen", "hub.discover", {"name": "other"}, True),
    ],
)
def test_what_is_declared_is_all_that_services_and_those_from_outside_see(
    who: str, subject: str, message: Any, expected: bool
) -> None:
    assert decide(DECLARED, who, subject, message).allowed is expected


def test_the_instances_that_come_with_a_registration_are_discovered_like_all_others() -> None:
    message = {**REGISTER, "name": "api-gw", "depends_on": ["ledger", "other"]}
    assert decide(DECLARED, "service:api-gw", "hub.register", message).allowed, "to depend on it tells nothing of it"
    decision = decide(DECLARED, "service:api-gw", "hub.register", {**message, "include": ["dependencies"]})
    assert (decision.allowed, decision.field) == (False, "depends_on[1]")
    assert "may not discover 'other'" in decision.reason


@pytest.mark.parametrize(
    ("who", "subject", "message", "rule", "reason"),
    [
        (
            "service:api-gw",
            "hub.discover",
            {"name": "trading-x"},
            "access.toml: [[allow]] 1, discover 'trading-*'",
            "it lets service:api-*, external:partner have the instances of trading-x",
        ),
        (
            "service:api-gw",
            "hub.discover",
            {"name": "other"},
            "access.toml: [[allow]] 1: none has it",
            "name: service:api-gw may not discover 'other'",
        ),
        (
            "service:other",
            "hub.services",
            {},
            "access.toml: none of 4 [[allow]] is for this caller",
            "hub.services: it tells of all services, and service:other may not discover all of them",
        ),
        (
            "external:x",
            "hub.register",
            {},
            "role external",
            "hub.register is not for the role external, but for operator, service",
        ),
        ("reader:x", "hub.observed", {}, "role reader", "hub.observed is not for the role reader, but for hubs alone"),
        (
            "service:api/a1",
            "hub.deregister",
            {"name": "api", "instance_id": "a2"},
            "its own",
            "instance_id: expected 'a1', the one instance that the login is of, got 'a2'",
        ),
    ],
)
def test_a_decision_says_by_which_rule_and_why(who: str, subject: str, message: Any, rule: str, reason: str) -> None:
    decision = decide(DECLARED, who, subject, message)
    assert (decision.rule, decision.reason) == (rule, reason)


def test_connections_to_databases_are_for_whom_it_is_declared_and_nobody_else() -> None:
    worker, monitor = parse_caller("service:worker"), parse_caller("service:monitor")
    assert DECLARED.may(worker, "lease", "orders").allowed
    assert not DECLARED.may(worker, "lease", "worker").allowed
    assert not DECLARED.may(monitor, "lease", "orders").allowed
    assert not NOTHING.may(worker, "lease", "orders").allowed


def test_what_is_seen_is_told_to_nats_as_it_is_decided() -> None:
    assert NOTHING.sight(parse_caller("service:api")) == USUAL
    assert NOTHING.sight(parse_caller("external:x")) == Sight()
    assert NOTHING.sight(parse_caller("reader:x")) == EVERYTHING
    assert DECLARED.sight(parse_caller("service:api-gw")) == Sight(discover=("trading-*", "ledger"), config=("ledger",))
    assert DECLARED.sight(parse_caller("service:other")) == Sight()


@pytest.mark.parametrize("payload", [b"{", b'{"name":3}', b"[]", b"\xff", b"[" * 3000])
def test_a_message_that_does_not_say_whom_it_is_about_is_refused_as_such(payload: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decide(NOTHING, "service:api", "hub.discover", payload)


def test_a_message_that_is_too_large_is_not_read() -> None:
    with pytest.raises(PayloadTooLarge):
        decide(NOTHING, "service:api", "hub.discover", b" " * 70_000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("api", max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(["name", "service", "instance_id", "names", "n\\u0061me", "s\\u0065rvice", "Name", ""])
VALUES = st.sampled_from(['"api"', '"ledger"', '"a1"', '["x"]', '"\\u0061pi"', "null"]) | JSON.map(json.dumps)
CLAIMED = [
    channel
    for channel in CHANNELS
    if channel.name in CLAIMS and channel.payload and not channel.parameters and CLAIMS[channel.name].service
]


@given(st.sampled_from(CLAIMED), st.lists(st.tuples(KEYS, VALUES), max_size=6))
def test_the_name_that_is_judged_is_the_name_that_is_acted_upon(channel: Any, members: list[tuple[str, str]]) -> None:
    """However a message is written, with a key twice or with escapes: two readings of it never differ."""
    payload = ("{" + ",".join(f'"{key}":{value}' for key, value in members) + "}").encode()
    claim, row = CLAIMS[channel.name], row_of(channel.address)
    try:
        whole = msgspec.json.decode(payload, type=channel.payload)
    except msgspec.ValidationError:
        return
    assert row is not None
    assert row.named is not None
    named = row.named(payload)
    assert named.service == getattr(whole, claim.service)
    assert not claim.instance or named.instance == getattr(whole, claim.instance)


@given(st.sampled_from(CHANNELS), st.sampled_from(CALLER_ROLES))
def test_a_role_that_the_table_does_not_name_is_refused_whatever_it_says(channel: Any, role: str) -> None:
    sides = channel.publishers if HUB in channel.subscribers else channel.subscribers
    subject = channel.address.replace("{type}", "service.registered").replace("{", "").replace("}", "")
    if role not in sides:
        assert not decide(DECLARED, f"{role}:everybody", subject, b"\xff").allowed


def test_a_subject_belongs_to_a_right() -> None:
    assert right_of("hub.register") == "register"
    assert right_of("hub.delta.registry.a.b") == "discover"
    assert right_of("hub.admin.drain") == "admin"
    assert right_of("hub.secret.resolve") == "secrets"
    assert right_of("hub.nothing") is None


def test_many_callers_do_not_fill_the_memory() -> None:
    policy = Policy(AccessFile())
    for number in range(10_050):
        policy.decide(parse_caller(f"service:s{number}"), "hub.discover", b'{"name":"x"}')
    assert len(policy._known) <= 10_000


def test_names_that_nobody_can_have_are_refused_in_short_and_not_remembered() -> None:
    policy = Policy(AccessFile(allow=(Allow(who=("service:api",), discover=("ledger",)),)))
    for who in ("service:api", "external:partner"):
        for subject, field in (("hub.discover", "name"), ("hub.config.get", "service"), ("hub.register", "name")):
            if who.startswith("external") and subject == "hub.register":
                continue
            decision = decide(policy, who, subject, {field: "x" * 60_000})
            assert not decision.allowed
            assert len(decision.reason) < 400, subject
    depends = {**REGISTER, "include": ["dependencies"], "depends_on": ["y" * 60_000]}
    refused = decide(policy, "service:api", "hub.register", depends)
    assert not refused.allowed
    assert len(refused.reason) < 400
    assert policy._known == {}
