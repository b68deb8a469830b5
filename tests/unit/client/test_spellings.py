"""Secrets are masked however they are spelled."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.client.secrets import ServiceSecrets
from hub.errors import InvalidConfig

SECRET = "pä\"ss wo\\rd/\n'+x=?"


def knowing(*values: str) -> ServiceSecrets:
    secrets = ServiceSecrets("engine", None, 1.0)
    for number, value in enumerate(values):
        secrets._know(f"s{number}", value)
    return secrets


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        repr({"password": [SECRET]}),
        f"postgresql://user:{quote(SECRET, safe='')}@db/x",
    ],
)
def test_a_secret_is_masked_however_it_is_spelled(spelled: str) -> None:
    masked = knowing(SECRET).masked(f"cannot use {spelled} here")
    assert "***" in masked
    assert "wo" not in masked.replace("postgresql://", "").replace("password", "")
    assert masked.startswith("cannot use ")
    assert masked.endswith(" here")


def test_a_secret_that_no_encoding_has_is_masked_too() -> None:
    assert knowing("half a pair: \ud800").masked("x half a pair: \ud800 y") == "x *** y"


def test_a_longer_secret_is_masked_before_one_that_is_part_of_it() -> None:
    assert knowing("abc", "abcdef").masked("abcdef abc") == "*** ***"


def test_a_value_that_was_replaced_is_masked_still() -> None:
    secrets = knowing("first-value")
    secrets._know("s0", "second-value")
    assert secrets.masked("first-value second-value") == "*** ***"


TEXT = st.characters(exclude_characters="*")


@given(st.text(TEXT, min_size=1, max_size=20), st.text(TEXT, max_size=10), st.text(TEXT, max_size=10))
def test_no_text_has_the_secret_in_it_afterwards(value: str, before: str, after: str) -> None:
    masked = knowing(value).masked(f"{before}{value}{after}")
    assert value not in masked


def test_what_was_found_is_cut_off_where_it_may_be_part_of_a_secret() -> None:
    error = InvalidConfig('engine: /db: expected an integer, got "first-va..."', field="/db")
    assert knowing().quiet(error) is error
    quiet = knowing("first-value, got it").quiet(error)
    assert (quiet.message, quiet.field) == ("engine: /db: expected an integer", "/db")
