"""The request of a NATS server: believed as it was signed, and in no other way; and what is answered to it."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from hub.errors import Unauthenticated
from hub.identity import natsjwt, nkey
from hub.identity.natsjwt import AUDIENCE, LEEWAY, proven_nkey, read_request, response, user
from hub.identity.nkey import Nkey

NOW = 1_795_645_402.0
SERVER, ISSUER, USER, CLIENT = (Nkey.fresh(kind) for kind in ("server", "account", "user", "user"))
NONCE = "mTlyBGMMNAFBWjo"


def claims(**changes: Any) -> dict[str, Any]:
    return {
        "iss": SERVER.public,
        "sub": ISSUER.public,
        "aud": AUDIENCE,
        "exp": NOW + 2,
        "nats": {
            "server_id": {"id": SERVER.public, "name": "s1", "version": "2.15.1"},
            "user_nkey": USER.public,
            "client_info": {"host": "10.0.0.7", "id": 11, "name": "engine.a1", "nonce": NONCE},
            "connect_opts": {"name": "engine.a1", "nkey": CLIENT.public, "sig": signature(CLIENT), "protocol": 1},
            "type": "authorization_request",
            "version": 2,
        },
        **changes,
    }


def signature(key: Nkey, nonce: str = NONCE) -> str:
    return base64.b64encode(key.sign(nonce.encode())).decode()


def within(**changes: Any) -> dict[str, Any]:
    """The claims with changes in their innermost part."""
    return claims(nats={**claims()["nats"], **changes})


def signed(said: dict[str, Any], key: Nkey = SERVER, header: dict[str, str] | None = None) -> bytes:
    parts = [part(header or {"typ": "JWT", "alg": "ed25519-nkey"}), part(said)]
    text = b".".join(parts)
    return text + b"." + base64.urlsafe_b64encode(key.sign(text)).rstrip(b"=")


def part(value: Any) -> bytes:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=")


def read(token: bytes, now: float = NOW) -> natsjwt.AuthorizationRequest:
    return read_request(token, issuer=ISSUER.public, now=now)


def test_what_a_server_signed_is_read() -> None:
    request = read(signed(claims()))
    assert request.server_id.id == SERVER.public
    assert request.client_info.host == "10.0.0.7"
    assert proven_nkey(request) == CLIENT.public


def test_a_request_whose_words_were_changed_is_refused() -> None:
    head, _, signature_ = signed(claims()).split(b".")
    with pytest.raises(Unauthenticated, match="signature"):
        read(b".".join([head, part(claims(exp=NOW + 100)), signature_]))


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (signed(claims(), Nkey.fresh("server")), "signature"),
        (signed(claims(iss=CLIENT.public), CLIENT), "signature"),
        (signed(claims(iss=ISSUER.public), ISSUER), "signature"),
        (signed(claims(), header={"typ": "JWT", "alg": "none"}), "ed25519-nkey"),
        (signed(claims(aud="somebody")), "made for somebody else"),
        (signed(claims(sub=Nkey.fresh("account").public)), "another issuer"),
        (signed(claims(exp=NOW - LEEWAY - 1)), "expired"),
        (signed(within(server_id={"id": Nkey.fresh("server").public})), "another server"),
        (signed(within(user_nkey=ISSUER.public)), "names no user"),
        (signed(within(type="authorization_response")), "is none"),
        (b"", "is none"),
        (b"a.b.c", "is none"),
        (b"\xff.\xff.\xff", "is none"),
        (signed(claims()) + b"A" * natsjwt.MAX_BYTES, "at most"),
    ],
)
def test_what_no_server_says_of_itself_and_now_is_refused(token: bytes, why: str) -> None:
    with pytest.raises(Unauthenticated, match=why):
        read(token)


def test_clocks_may_differ_a_little() -> None:
    assert read(signed(claims(exp=NOW - LEEWAY + 1)))


@pytest.mark.parametrize(
    "options",
    [
        {"nkey": CLIENT.public, "sig": signature(USER)},
        {"nkey": CLIENT.public, "sig": signature(CLIENT, "another nonce")},
        {"nkey": CLIENT.public, "sig": ""},
        {"nkey": CLIENT.public, "sig": "not base64!"},
        {"nkey": "", "sig": signature(CLIENT)},
        {"nkey": CLIENT.public[:-1] + "A", "sig": signature(CLIENT)},
        {"nkey": SERVER.public, "sig": signature(SERVER)},
    ],
)
def test_an_nkey_whose_signature_of_the_nonce_is_not_right_proves_nothing(options: dict[str, str]) -> None:
    request = read(signed(within(connect_opts=options)))
    with pytest.raises(Unauthenticated, match="nonce"):
        proven_nkey(request)


def test_a_signature_of_no_nonce_proves_nothing() -> None:
    options = {"nkey": CLIENT.public, "sig": signature(CLIENT, "")}
    with pytest.raises(Unauthenticated):
        proven_nkey(read(signed(within(connect_opts=options, client_info={"host": "10.0.0.7"}))))


def test_who_presents_no_nkey_has_none() -> None:
    assert proven_nkey(read(signed(within(connect_opts={"auth_token": "t"})))) is None


def opened(token: str | bytes) -> dict[str, Any]:
    text = token if isinstance(token, bytes) else token.encode()
    told, _, signed_by = text.rpartition(b".")
    assert nkey.verify(ISSUER.public, told, base64.urlsafe_b64decode(signed_by + b"=="))
    body = told.partition(b".")[2]
    return dict(msgspec.json.decode(base64.urlsafe_b64decode(body + b"==")))


def test_the_answer_is_for_the_server_that_asked_and_the_user_that_it_named() -> None:
    request = read(signed(claims()))
    jwt = user(request, ISSUER, account="SERVICES", name="service:engine/a1", publish=["a"], subscribe=["b"], now=NOW)
    said = opened(response(request, ISSUER, now=NOW, user_jwt=jwt))
    assert (said["aud"], said["sub"], said["iss"]) == (SERVER.public, USER.public, ISSUER.public)
    let_in = opened(said["nats"]["jwt"])
    assert (let_in["aud"], let_in["name"], let_in["sub"]) == ("SERVICES", "service:engine/a1", USER.public)
    assert (let_in["nats"]["pub"], let_in["nats"]["sub"]) == ({"allow": ["a"]}, {"allow": ["b"]})
    assert "exp" not in let_in, "clients of nats-py would be closed for good when it expires"


def test_who_may_nothing_is_forbidden_all_and_not_allowed_all() -> None:
    request = read(signed(claims()))
    said = opened(user(request, ISSUER, account="SERVICES", name="reader:x", publish=(), subscribe=(), now=NOW))
    assert (said["nats"]["pub"], said["nats"]["sub"]) == ({"deny": [">"]}, {"deny": [">"]})


def test_a_refusal_has_no_user_in_it() -> None:
    said = opened(response(read(signed(claims())), ISSUER, now=NOW, refusal="refused"))
    assert said["nats"] == {"error": "refused", "type": "authorization_response", "version": 2}


def test_nothing_that_holds_a_secret_shows_it() -> None:
    request = read(signed(within(connect_opts={"auth_token": "t0p", "pass": "p4ss", "user": "u"})))
    assert request.connect_opts.password == "p4ss"
    assert "t0p" not in repr(request)
    assert "p4ss" not in repr(request)
    assert CLIENT.seed not in repr(CLIENT)


def test_what_is_no_seed_is_refused_without_being_repeated() -> None:
    for text in ("", "SUAsecret", "S" * 58, "\N{SNOWMAN}"):
        with pytest.raises(ValueError, match="seed of an nkey") as refused:
            Nkey(text)
        assert not text or text not in str(refused.value)
