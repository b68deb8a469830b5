"""API keys: made, read, and verified; what is stored of one is of no use to whoever reads it."""

from __future__ import annotations

import hmac
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Unauthenticated, Unavailable
from hub.identity import apikeys
from hub.identity.apikeys import ApiKeyVerifier, Minted, mint, parse
from hub.identity.proof import Presented, Proof
from hub.masking import mask
from hub.wire.keys import KeyRecord
from hub.wire.roles import Caller

NOW = 1_800_000_000.0


def record_of(minted: Minted, **given: Any) -> KeyRecord:
    plain: dict[str, Any] = {"name": "partner", "role": "external", **given}
    return KeyRecord(id=minted.id, digest=minted.digest, created=datetime.fromtimestamp(NOW - 9, UTC), **plain)


class Known:
    """The keys that a verifier knows, and which of them were used."""

    def __init__(self, *records: KeyRecord, complete: bool = True) -> None:
        self.records = {record.id: record for record in records}
        self.used: list[tuple[str, float]] = []
        self.verifier = ApiKeyVerifier(
            self.records.get, lambda: complete, lambda key_id, at: self.used.append((key_id, at))
        )

    async def verify(self, token: str | None, **given: Any) -> Proof | None:
        return await self.verifier.verify(Presented(via="nats", token=token, **given), NOW)


def test_a_key_is_its_prefix_an_id_and_32_random_bytes() -> None:
    made = [mint() for _ in range(50)]
    for minted in made:
        parts = parse(minted.text)
        assert parts is not None
        assert parts[0] == minted.id
        assert (len(minted.id), len(parts[1]), len(minted.digest)) == (10, 43, 32)
        assert apikeys.digest(parts[1]) == minted.digest
        assert parts[1] not in repr(minted)
        assert mask(f"got {minted.text} here") == f"got hk_{minted.id}_*** here"
    assert len({minted.text for minted in made}) == len({minted.id for minted in made}) == 50


@given(st.text(max_size=80))
def test_what_is_no_key_is_none(text: str) -> None:
    assert parse(text) is None
    assert parse(f"hk_{text}") is None or len(text) == 54


async def test_a_key_proves_whose_it_is_and_what_it_is_good_for() -> None:
    minted = mint()
    known = Known(record_of(minted, scopes=("discover",), expires=datetime.fromtimestamp(NOW + 60, UTC)))
    proof = await known.verify(minted.text, host="10.0.0.7")
    assert proof == Proof(
        caller=Caller(role="external", name="partner", host="10.0.0.7"),
        credential=f"key:{minted.id}",
        expires=NOW + 60,
        scopes=("discover",),
    )
    assert known.used == [(minted.id, NOW)]


async def test_a_key_of_a_service_may_be_bound_to_an_instance() -> None:
    minted = mint()
    proof = await Known(record_of(minted, name="engine/a1", role="service")).verify(minted.text)
    assert proof is not None
    assert proof.caller == Caller(role="service", name="engine", instance="a1")


@pytest.mark.parametrize("token", [None, "", "eyJ.x.y", "SUACSSL3", "hk"])
async def test_other_credentials_are_left_to_others(token: str | None) -> None:
    assert await Known().verify(token) is None


async def test_a_wrong_secret_an_unknown_id_an_old_key_and_half_a_key_prove_nothing() -> None:
    minted, other = mint(), mint()
    over = mint()
    known = Known(record_of(minted), record_of(over, expires=datetime.fromtimestamp(NOW, UTC)))
    secret = other.text.rpartition(f"{other.id}_")[2]
    wrong = {
        f"hk_{minted.id}_{secret}": "not its secret",
        other.text: "unknown",
        over.text: "expired",
        minted.text[:-1]: "expected hk_",
        f"{minted.text}x": "expected hk_",
        "hk_": "expected hk_",
    }
    for token, why in wrong.items():
        with pytest.raises(Unauthenticated, match=why) as caught:
            await known.verify(token)
        assert secret not in caught.value.message
        assert minted.text.rpartition("_")[2] not in caught.value.message
    assert known.used == []


async def test_an_unknown_key_is_compared_as_a_known_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    really = hmac.compare_digest

    def compare(ours: bytes, theirs: bytes) -> bool:
        compared.append((len(ours), len(theirs)))
        return really(ours, theirs)

    minted = mint()
    known = Known(record_of(minted))
    monkeypatch.setattr("hub.identity.apikeys.hmac.compare_digest", compare)
    for token in (mint().text, f"hk_{minted.id}_{mint().text[14:]}"):
        with pytest.raises(Unauthenticated):
            await known.verify(token)
    assert compared == [(32, 32)] * 2, "one comparison each, of as much"


async def test_a_hub_that_does_not_know_the_keys_yet_refuses_none_for_good() -> None:
    minted = mint()
    with pytest.raises(Unavailable):
        await Known(complete=False).verify(minted.text)
    assert await Known(record_of(minted), complete=False).verify(minted.text) is not None


def test_the_secret_has_no_fewer_bits_than_it_says() -> None:
    seen = {char for _ in range(200) for char in mint().text.rpartition("_")[2][:20]}
    assert len(seen) >= 60, "every character of base64 occurs"
    assert math.log2(64) * 43 >= 256
