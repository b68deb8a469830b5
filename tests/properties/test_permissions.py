"""The subjects of callers: all that a role may use and nothing else, and nothing private in two hands."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hub.core.permissions import EVERYTHING, USUAL, Permissions, Sight, covers, permissions
from hub.wire.channel import HUB, PARAMETERS, Channel
from hub.wire.channels import CHANNELS
from hub.wire.claims import CLAIMS
from hub.wire.names import is_service_name
from hub.wire.roles import CALLER_ROLES, RIGHTS, Caller, CallerRole

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True).filter(is_service_name)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True)
PATTERNS = st.text("ab-*", min_size=1, max_size=4)
SERVICES = st.builds(
    lambda name, instance: Caller(role="service", name=name, instance=instance), NAMES, st.none() | IDS
)
OTHERS = st.builds(
    lambda role, name: Caller(role=role, name=name),
    st.sampled_from([role for role in CALLER_ROLES if role != "service"]),
    st.text("abc.*>$é_-", min_size=1, max_size=8),
)
CALLERS = SERVICES | OTHERS
SCOPES = st.none() | st.sets(st.sampled_from(RIGHTS)).map(tuple)
CONFIG_GET = "$JS.API.DIRECT.GET.KV_hub-config.$KV.hub-config."
PRIVATE = (
    "hub.heartbeat.",
    "hub.reregister.",
    "hub.config.remind.",
    "hub.delta.config.",
    CONFIG_GET,
    "_INBOX.",
)
SHARED = ("hub.delta.config._all", f"{CONFIG_GET}_all")


def overlap(one: str, other: str) -> bool:
    """Whether there is a subject that goes by both patterns of NATS."""
    left, right = one.split("."), other.split(".")
    for place in range(max(len(left), len(right))):
        if place >= len(left) or place >= len(right):
            return False
        if ">" in (left[place], right[place]):
            return True
        if "*" not in (left[place], right[place]) and left[place] != right[place]:
            return False
    return True


def private(granted: Permissions) -> list[str]:
    return [
        pattern
        for pattern in (*granted.publish, *granted.subscribe)
        if pattern.startswith(PRIVATE) and pattern not in SHARED
    ]


def example(channel: Channel, caller: Caller) -> str:
    """A subject of a channel: of what is the caller's own, its own."""
    name = caller.name if caller.role == "service" else "engine"
    own = {"service": name, "scope": name, "instance": caller.instance or "i-1"}
    others = {
        "component": "ledger",
        "secret": "db_password",
        "hub": "hub-1",
        "chain": "hub-1",
        "type": "service.registered",
    }
    filled = {**own, **others}
    return re.sub(r"\{(\w+)\}", lambda place: filled[place[1]], channel.address)


@given(SERVICES, SERVICES, st.builds(Sight, discover=st.lists(PATTERNS, max_size=3).map(tuple)))
def test_two_services_share_no_beat_no_configuration_and_no_inbox(one: Caller, other: Caller, sight: Sight) -> None:
    assume(one.name != other.name)
    for left in private(permissions(one, sight=sight)):
        for right in private(permissions(other)):
            assert not overlap(left, right), (left, right)


@given(NAMES, IDS, IDS)
def test_two_bound_instances_of_a_service_share_no_beat_and_no_inbox(name: str, one: str, other: str) -> None:
    assume(one != other)
    left, right = (permissions(Caller(role="service", name=name, instance=each)) for each in (one, other))
    kept = ("hub.delta.config.", CONFIG_GET)  # that is the service's
    for mine in private(left):
        for theirs in private(right):
            assert mine.startswith(kept) or not overlap(mine, theirs), (mine, theirs)


@given(CALLERS, CALLERS)
def test_no_two_callers_share_an_inbox_unless_one_speaks_for_the_other(one: Caller, other: Caller) -> None:
    assume((one.role, one.name) != (other.role, other.name))
    inboxes = [[each for each in permissions(who).subscribe if each.startswith("_INBOX")] for who in (one, other)]
    assert not any(overlap(left, right) for left in inboxes[0] for right in inboxes[1])


@given(CALLERS, SCOPES)
def test_nobody_may_use_what_would_be_everything(caller: Caller, scopes: tuple[str, ...] | None) -> None:
    granted = permissions(caller, scopes)
    assert granted.publish
    assert granted.subscribe, "an empty list would be everything"
    forbidden = (
        "$JS.API.STREAM.DELETE.KV_hub-registry",
        "$JS.API.STREAM.PURGE.KV_hub-config",
        "$JS.API.STREAM.MSG.GET.KV_hub-secrets",
        "$JS.API.CONSUMER.CREATE.HUB_EVENTS",
        "$JS.API.DIRECT.GET.KV_hub-config",
        "$JS.API.DIRECT.GET.KV_hub-secrets",
        "$JS.API.DIRECT.GET.KV_hub-secrets.$KV.hub-secrets.x",
        "$JS.API.DIRECT.GET.KV_hub-desired",
        "$KV.hub-registry.engine.e1",
        "$KV.hub-config.engine",
        "$SYS.REQ.SERVER.PING",
        "_INBOX.x",
        "anything.else",
    )
    for pattern in (*granted.publish, *granted.subscribe):
        assert not any(covers(pattern, each) for each in forbidden), pattern


@pytest.mark.parametrize("role", CALLER_ROLES)
def test_a_role_may_use_every_channel_that_the_table_gives_it_and_no_other(role: CallerRole) -> None:
    caller = Caller(role=role, name="engine", instance="e1" if role == "service" else None)
    granted = permissions(caller, sight=EVERYTHING)
    for channel in CHANNELS:
        sides = ((channel.publishers, granted.publish), (channel.subscribers, granted.subscribe))
        for roles, patterns in sides:
            subject = example(channel, caller)
            assert any(covers(pattern, subject) for pattern in patterns) == (role in roles), subject
            if role not in roles:
                assert not any(overlap(pattern, channel.pattern()) for pattern in patterns), subject


@given(CALLERS, SCOPES)
def test_a_credential_opens_the_channels_of_its_rights_alone(caller: Caller, scopes: tuple[str, ...] | None) -> None:
    granted, whole = permissions(caller, scopes, EVERYTHING), permissions(caller, None, EVERYTHING)
    rights = RIGHTS if scopes is None else scopes
    assert set(granted.publish) <= {*whole.publish, *granted.subscribe}
    assert set(granted.subscribe) <= set(whole.subscribe)
    for channel in CHANNELS:
        subject = example(channel, caller)
        for roles, patterns in ((channel.publishers, granted.publish), (channel.subscribers, granted.subscribe)):
            able = caller.role in roles and channel.right in rights
            assert any(covers(pattern, subject) for pattern in patterns) == able, subject


@given(NAMES, st.lists(NAMES, max_size=3), st.lists(PATTERNS.filter(lambda text: text.strip("*")), max_size=3), NAMES)
def test_who_sees_some_services_hears_of_those_alone(name: str, seen: list[str], more: list[str], asked: str) -> None:
    sight = Sight(discover=(*seen, *more), config=tuple(seen))
    granted = permissions(Caller(role="service", name=name), sight=sight)
    named = {name, *seen, *(each for each in more if "*" not in each)}
    for subject in (f"hub.delta.registry.{asked}.i1", f"hub.health.{asked}"):
        assert any(covers(pattern, subject) for pattern in granted.subscribe) == (asked in named)
    for pattern, able in (
        (f"{CONFIG_GET}{asked}", asked in {name, *seen}),
        ("$JS.API.DIRECT.GET.KV_hub-registry", False),
    ):
        assert any(covers(each, pattern) for each in granted.publish) == able
    assert "hub.events.>" not in granted.subscribe


@pytest.mark.parametrize(
    ("name", "instance"), [("*", None), ("a.b", None), (">", None), ("a", "*"), ("a", "b.>"), ("a", "")]
)
def test_a_name_that_would_be_a_wildcard_is_nobody(name: str, instance: str | None) -> None:
    with pytest.raises(ValueError, match="expected"):
        permissions(Caller(role="service", name=name, instance=instance))


def test_where_nothing_is_said_a_service_sees_all_and_who_comes_from_outside_nothing() -> None:
    engine = Caller(role="service", name="engine")
    assert permissions(engine) == permissions(engine, sight=USUAL)
    assert permissions(Caller(role="external", name="x")).subscribe == ("_INBOX.external.x.>",)


def test_every_channel_that_is_not_between_hubs_belongs_to_a_right_and_all_rights_but_one_are_in_use() -> None:
    used = {channel.right for channel in CHANNELS if {*channel.publishers, *channel.subscribers} != {HUB}}
    assert used | {"lease"} == set(RIGHTS)


def test_a_channel_that_names_a_service_says_what_that_means_to_those_who_are_confined() -> None:
    """Of each that is for services or for whoever comes from outside it was decided whom it is about."""
    about_nobody = {"secret-delta", "components-delta", "get-components"}
    confined = {
        channel.name for channel in CHANNELS if {"service", "external"} & {*channel.publishers, *channel.subscribers}
    }
    assert confined == set(CLAIMS) | about_nobody
    for channel in CHANNELS:
        claim = CLAIMS.get(channel.name)
        if claim is None or not claim.service:
            continue
        fields = channel.parameters or (channel.payload.__struct_fields__ if channel.payload else ())
        named = [each for each in (claim.service, claim.instance, claim.others, claim.where) if each]
        assert set(named) <= set(fields), channel.name


def test_every_place_of_an_address_is_named_in_the_table_of_places() -> None:
    assert all(place in PARAMETERS for channel in CHANNELS for place in channel.parameters)


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a.*", True),
        ("a.*", "a.>", False),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a.>", True),
        ("a.>", "a", False),
        ("a.b", "a.*", False),
        ("*.b", "*.b", True),
        ("*.b", ">", False),
        (">", ">", True),
    ],
)
def test_a_pattern_covers_what_is_all_within_it(pattern: str, subject: str, expected: bool) -> None:
    assert covers(pattern, subject) is expected
