"""What a hub knows of credentials: a proof holds as long as what is stored of its key says, even where that changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from hub.app.credentials import Credentials
from hub.errors import Unauthenticated
from hub.handlers.clock import Clock
from hub.identity.apikeys import mint
from hub.identity.proof import Presented
from hub.wire.keys import KeyRecord


async def test_what_a_key_has_proven_ends_with_the_key_where_that_is_rotated_or_goes_meanwhile() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def wall() -> datetime:
        return now

    known, minted = Credentials(Clock(wall=wall)), mint()
    record = KeyRecord(id=minted.id, name="grafana", role="reader", digest=minted.digest, created=now)
    known.keys.learn(record, 1)
    known.keys.complete = True
    given = Presented(via="http", token=minted.text, host="10.0.0.1")
    proof = await known.authenticator.prove(given)
    assert proof.expires is None
    known.keys.learn(msgspec.structs.replace(record, expires=now + timedelta(seconds=60), replaced_by="other"), 2)
    assert known.authenticator.holds(proof), "the overlap is not over"
    now += timedelta(seconds=61)
    assert not known.authenticator.holds(proof), "as on NATS, where its connections are closed"
    with pytest.raises(Unauthenticated, match="expired"):
        await known.authenticator.prove(given)
    known.keys.learn(record, 3)
    assert known.authenticator.holds(proof)
    known.keys.forget(minted.id, 4)
    assert known.authenticator.holds(proof), "another replica may have stored it this moment"
    now += timedelta(seconds=10)
    assert not known.authenticator.holds(proof)
