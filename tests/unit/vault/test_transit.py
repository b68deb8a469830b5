"""Answers sealed on their way: open for who asked, as the answer to what was asked, and for nobody else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from hub.vault import transit
from hub.vault.sealing import Broken
from hub.vault.transit import Recipient, answer_to
from hub.wire.secrets import ResolvedSecrets, ResolveSecrets, SealedAnswer

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples" / "v1"
QUESTION = ResolveSecrets(service="trading-engine", names=("db-password", "api-key"), instance_id="a1")
OTHERS = [
    msgspec.structs.replace(QUESTION, service="trading-engine2"),
    msgspec.structs.replace(QUESTION, instance_id=None),
    msgspec.structs.replace(QUESTION, instance_id="a2"),
    msgspec.structs.replace(QUESTION, names=("db-password",)),
    msgspec.structs.replace(QUESTION, names=("api-key", "db-password")),
]
LOW_ORDER = [bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f")]
"""Keys with which every other comes to the same secret, zero."""


@given(st.binary(max_size=500))
def test_an_answer_comes_out_as_it_went_in(plain: bytes) -> None:
    recipient = Recipient()
    key, sealed = transit.seal(recipient.public, plain, answer_to(QUESTION))
    assert recipient.unseal(key, sealed, answer_to(QUESTION)) == plain


def test_nothing_that_travels_has_the_answer_in_it_and_no_two_are_alike() -> None:
    recipient, plain = Recipient(), b"correct horse battery staple"
    first, second = (transit.seal(recipient.public, plain, b"") for _ in range(2))
    assert plain not in first[1]
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert Recipient().public != Recipient().public


@pytest.mark.parametrize("other", OTHERS)
def test_the_answer_to_one_question_is_none_to_another(other: ResolveSecrets) -> None:
    recipient = Recipient()
    key, sealed = transit.seal(recipient.public, b"plain", answer_to(QUESTION))
    with pytest.raises(Broken):
        recipient.unseal(key, sealed, answer_to(other))


def test_an_answer_opens_for_nobody_else_nor_with_another_key_nor_when_it_was_changed() -> None:
    recipient, bound = Recipient(), answer_to(QUESTION)
    key, sealed = transit.seal(recipient.public, b"plain", bound)
    with pytest.raises(Broken):
        Recipient().unseal(key, sealed, bound)
    with pytest.raises(Broken):
        recipient.unseal(Recipient().public, sealed, bound)
    for place in range(len(sealed)):
        with pytest.raises(Broken):
            recipient.unseal(key, sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :], bound)
    for short in (b"", sealed[:-1], sealed[:20]):
        with pytest.raises(Broken):
            recipient.unseal(key, short, bound)


@pytest.mark.parametrize("key", [*LOW_ORDER, b"", bytes(31), bytes(33)])
def test_a_key_that_leads_to_no_secret_is_refused_by_both_sides(key: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the library's, in whatever words
        transit.seal(key, b"plain", b"")
    recipient = Recipient()
    _, sealed = transit.seal(recipient.public, b"plain", b"")
    with pytest.raises(Broken):
        recipient.unseal(key, sealed, b"")


def test_the_golden_answer_opens_for_who_asked_the_golden_question() -> None:
    """The secret half of its `seal_to` is the bytes 0 to 31, for tests of clients in other languages."""
    question = msgspec.json.decode((EXAMPLES / "resolve-secrets.sealed.json").read_bytes(), type=ResolveSecrets)
    answer = msgspec.json.decode((EXAMPLES / "resolved-secrets.sealed.json").read_bytes(), type=ResolvedSecrets)
    private = X25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert question.seal_to == private.public_key().public_bytes_raw()
    assert isinstance(answer.sealed, SealedAnswer)
    recipient = Recipient()
    recipient._private = private  # a real one is fresh each time
    recipient.public = question.seal_to
    plain = recipient.unseal(answer.sealed.key, answer.sealed.ciphertext, answer_to(question))
    assert plain == b'{"secrets":{"db-password":{"revision":13,"value":"correct horse"}}}'


def test_another_language_can_open_an_answer_by_what_the_contract_says() -> None:
    """As `subjects/README.md` tells it, with nothing of ours."""
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    key, sealed = transit.seal(public, b"plain", answer_to(QUESTION))
    shared = private.exchange(X25519PublicKey.from_public_bytes(key))
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"central-hub transit 1" + public + key).derive(
        shared
    )
    bound = b"central-hub secrets 1\nanswer\ntrading-engine\na1\ndb-password\napi-key"
    assert AESGCM(derived).decrypt(sealed[:12], sealed[12:], bound) == b"plain"
