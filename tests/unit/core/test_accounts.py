"""What crosses from the account of the hubs into that of all others: what somebody may use, and nothing else."""

from __future__ import annotations

import pytest

from hub.core.accounts import PublicKeys, across, conf, crossings
from hub.core.permissions import EVERYTHING, covers, permissions
from hub.wire import subjects
from hub.wire.roles import CALLER_ROLES, Caller, CallerRole

ASKED = [each for each in crossings() if each.asked]
HEARD = [each for each in crossings() if not each.asked]


@pytest.mark.parametrize("role", CALLER_ROLES)
def test_whatever_somebody_may_use_crosses(role: CallerRole) -> None:
    granted = permissions(Caller(role=role, name="engine"), sight=EVERYTHING)
    for subject in granted.publish:
        assert subject.startswith("_INBOX.") or any(covers(each.subject, subject) for each in ASKED), subject
    for subject in granted.subscribe:
        inside = any(covers(each.subject, subject) or covers(subject, each.subject) for each in HEARD)
        assert subject.startswith("_INBOX.") or inside, subject


@pytest.mark.parametrize(
    "subject",
    [
        subjects.OBSERVED,
        subjects.replica("hub-1"),
        subjects.check("engine.a1"),
        "$KV.hub-registry.engine.a1",
        "$JS.API.STREAM.DELETE.KV_hub-registry",
        "$JS.API.STREAM.PURGE.KV_hub-registry",
        "$JS.API.CONSUMER.CREATE.KV_hub-config",
        "$JS.API.DIRECT.GET.KV_hub-config",
        "$JS.API.DIRECT.GET.KV_hub-secrets.$KV.hub-secrets.s",
        "$JS.API.STREAM.INFO.KV_hub-secrets",
        "$SYS.REQ.USER.AUTH",
        "_INBOX.central-hub.micro",
        "hub.anything",
    ],
)
def test_what_is_between_hubs_and_what_writes_to_the_store_does_not_cross(subject: str) -> None:
    assert not any(covers(each.subject, subject) for each in crossings())


def test_the_server_says_of_everything_that_the_hub_answers_who_asks() -> None:
    for each in ASKED:
        assert each.stamped or not each.subject.startswith(("hub.", "$SRV.")), each


def test_what_crosses_is_exported_to_the_services_alone_and_imported_by_them() -> None:
    text = conf(PublicKeys("AISSUER", "UHUB", "USYSTEM"))
    assert text.count("accounts: [SERVICES]") == len(crossings()) == text.count("account: HUB, subject:")
    assert text.count("{") == text.count("}")
    assert 'service: { account: HUB, subject: "hub.register" }, share: true' in text
    assert "auth_users: [UHUB, USYSTEM]" in text


def test_a_question_to_jetstream_goes_where_no_account_answers_before_it() -> None:
    wanted = ("hub.discover", "$JS.API.STREAM.INFO.KV_hub-config")
    assert across(wanted) == ("hub.discover", "_HUB.STREAM.INFO.KV_hub-config")
