"""The inboxes of callers: each has his own, and no name makes two of them one."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from hub.wire.roles import Caller, inbox_prefix, is_caller_name

NAMES = st.text(min_size=1, max_size=20).filter(is_caller_name)


def operator(name: str) -> str:
    return inbox_prefix(Caller(role="operator", name=name))


def test_an_inbox_names_the_role_the_name_and_the_instance_that_a_caller_is_bound_to() -> None:
    assert inbox_prefix(Caller(role="service", name="engine", instance="a_1")) == "_INBOX.service.engine.a_1"
    assert inbox_prefix(Caller(role="service", name="engine")) == "_INBOX.service.engine"
    assert operator("ada") == "_INBOX.operator.ada"


def test_dots_and_wildcards_in_a_name_do_not_reach_into_the_inboxes_of_others() -> None:
    assert operator("ada.*.>") == "_INBOX.operator.ada_2e_2a_2e_3e"
    assert operator("ada_2e") != operator("ada."), "what stands for a character is no name of its own"


@given(NAMES, NAMES)
def test_two_names_never_have_one_inbox_and_each_is_one_token(one: str, other: str) -> None:
    assert (operator(one) == operator(other)) == (one == other)
    assert re.fullmatch(r"_INBOX\.operator\.[A-Za-z0-9_-]+", operator(one))
