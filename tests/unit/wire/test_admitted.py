"""What users of connections are called: whoever they are can be told from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.wire.admitted import Admitted, credential_name, parse_user, user_name
from hub.wire.roles import Caller, parse_caller

ENGINE = Caller(role="service", name="engine", instance="a1")


@pytest.mark.parametrize(
    ("caller", "credential", "expires", "written"),
    [
        (ENGINE, "nkey:UABC", None, "service:engine/a1 nkey:UABC"),
        (
            ENGINE,
            "jwt:https://id.example/ada lovelace",
            1795645364.2,
            "service:engine/a1 jwt:https://id.example/ada%20lovelace 1795645365",
        ),
        (Caller(role="external", name="partner"), "key:a1B2c3D4e5", None, "external:partner key:a1B2c3D4e5"),
    ],
)
def test_a_user_is_called_by_who_it_is_what_proved_it_and_until_when(
    caller: Caller, credential: str, expires: float | None, written: str
) -> None:
    assert user_name(caller, credential, expires) == written
    found = parse_user(written)
    assert (found.caller, found.credential) == (caller, credential_name(credential))
    assert found.expires == (None if expires is None else 1795645365)


def test_a_user_of_whom_the_caller_alone_is_known_is_understood() -> None:
    assert parse_user("operator:ada", host="10.0.0.7") == Admitted(
        caller=Caller(role="operator", name="ada", host="10.0.0.7")
    )


@pytest.mark.parametrize(
    "text", ["", " key:x", "engine", "service:a b", "service:a key:x soon", "service:a key:x 1 2", "service:a key:x -1"]
)
def test_what_is_no_such_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_user(text)


@given(st.text(min_size=1, max_size=600), st.one_of(st.none(), st.floats(min_value=0, max_value=4e9)))
def test_whatever_a_credential_is_called_it_can_be_told_and_is_short(text: str, expires: float | None) -> None:
    written = user_name(ENGINE, f"jwt:{text.encode(errors='replace').decode()}", expires)
    assert len(written) < 260
    found = parse_user(written)
    assert found.caller == ENGINE
    assert found.credential == credential_name(f"jwt:{text.encode(errors='replace').decode()}")
    assert (found.expires is None) == (expires is None)


def test_long_credentials_that_differ_at_their_end_stay_apart() -> None:
    names = {credential_name(f"jwt:{'x' * 400}{end}") for end in "ab"}
    assert len(names) == 2
    assert all(name.startswith("sha256:") for name in names)


def test_the_caller_is_who_the_first_word_says() -> None:
    assert parse_user("external:partner key:a1B2c3D4e5 7").caller == parse_caller("external:partner")
