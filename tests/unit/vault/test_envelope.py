"""Envelopes: what was sealed for one secret opens for it alone, with a key that is there."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Unsupported
from hub.vault import envelope, sealing
from hub.vault.keys import KeyRing, key_of
from hub.wire.secrets import PutSecret, ResolvedSecret, Sealed, SecretRecord

OLD, NEW = key_of(bytes(range(32))), key_of(bytes(range(1, 33)))
BLANK = SecretRecord(
    name="db-password",
    version="v1",
    at=datetime(2026, 1, 2, tzinfo=UTC),
    readers=("trading-*",),
    sealed=Sealed(key_id="", wrapped=b"", ciphertext=b""),
)
VALUE = "correct horse \U0001f40e"


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@given(st.text(min_size=1, max_size=500))
def test_a_value_comes_out_as_it_went_in(value: str) -> None:
    record = envelope.seal(KeyRing([NEW]), BLANK, value)
    assert envelope.unseal(KeyRing([OLD, NEW]), record) == value


def test_nothing_that_is_stored_has_the_value_or_a_key_in_it() -> None:
    stored = msgspec.json.encode(envelope.seal(KeyRing([NEW]), BLANK, VALUE))
    for hidden in (VALUE.encode(), NEW.secret):
        assert hidden not in stored
        assert base64.b64encode(hidden)[:16] not in stored


def test_the_same_value_is_never_sealed_alike() -> None:
    one, two = (envelope.seal(KeyRing([NEW]), BLANK, VALUE).sealed for _ in range(2))
    assert one.wrapped != two.wrapped
    assert one.ciphertext != two.ciphertext


@pytest.mark.parametrize("changed", [{"name": "other"}, {"version": "v2"}, {"readers": ("*",)}])
def test_what_belongs_to_another_secret_version_or_readers_does_not_open(changed: dict[str, object]) -> None:
    record = envelope.seal(KeyRing([NEW]), BLANK, VALUE)
    with pytest.raises(envelope.Tampered, match="put it again"):
        envelope.unseal(KeyRing([NEW]), msgspec.structs.replace(record, **changed))


@given(st.data())
def test_whatever_bit_is_changed_nothing_opens(data: st.DataObject) -> None:
    record = envelope.seal(KeyRing([NEW]), BLANK, VALUE)
    part = data.draw(st.sampled_from(["wrapped", "ciphertext"]))
    whole: bytes = getattr(record.sealed, part)
    spoilt = flipped(whole, data.draw(st.integers(0, len(whole) - 1)))
    sealed = msgspec.structs.replace(record.sealed, **{part: spoilt})
    with pytest.raises(envelope.Tampered):
        envelope.unseal(KeyRing([NEW]), msgspec.structs.replace(record, sealed=sealed))


@pytest.mark.parametrize("length", [0, 1, 27])
def test_what_is_cut_short_does_not_open(length: int) -> None:
    with pytest.raises(sealing.Broken):
        sealing.unseal(NEW.secret, b"x" * length, b"")


def test_the_value_of_one_and_the_key_of_another_do_not_go_together() -> None:
    one, other = (envelope.seal(KeyRing([NEW]), BLANK, value) for value in ("a", "b"))
    mixed = msgspec.structs.replace(one.sealed, wrapped=other.sealed.wrapped)
    with pytest.raises(envelope.Tampered):
        envelope.unseal(KeyRing([NEW]), msgspec.structs.replace(one, sealed=mixed))


def test_an_unknown_key_is_named_and_may_be_tried_again_elsewhere() -> None:
    record = envelope.seal(KeyRing([NEW]), BLANK, VALUE)
    with pytest.raises(
        envelope.UnknownKey, match=f"the key {NEW.id}, which this hub does not have .it has {OLD.id}"
    ) as e:
        envelope.unseal(KeyRing([OLD]), record)
    assert e.value.retryable
    with pytest.raises(envelope.UnknownKey, match="it has none"):
        envelope.unseal(KeyRing(), record)


def test_a_key_that_only_goes_by_the_right_id_does_not_open() -> None:
    record = envelope.seal(KeyRing([NEW]), BLANK, VALUE)
    with pytest.raises(envelope.Tampered):
        envelope.unseal(KeyRing([OLD._replace(id=NEW.id)]), record)


def test_without_a_key_nothing_is_sealed_and_the_next_step_is_told() -> None:
    with pytest.raises(Unsupported, match="hub secret keygen > FILE"):
        envelope.seal(KeyRing(), BLANK, VALUE)


def test_what_holds_a_value_or_a_key_does_not_show_it() -> None:
    shown = [
        PutSecret(name="a", value=VALUE),
        ResolvedSecret(revision=1, value=VALUE),
        {"it": PutSecret(name="a", value=VALUE)},
    ]
    assert VALUE not in repr(shown)
    assert repr(NEW) == f"Key({NEW.id})"
