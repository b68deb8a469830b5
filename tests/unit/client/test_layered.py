from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hub.client.layered import NOTHING, Layered, Stored
from hub.wire.config import ConfigRecord


def stored(revision: int, scope: str = "engine", **values: Any) -> Stored:
    return Stored(revision, ConfigRecord(scope=scope, kind="put", at=datetime(2026, 1, 1, tzinfo=UTC), values=values))


def test_a_service_runs_at_the_higher_revision_of_both_scopes() -> None:
    assert Layered().revision == 0
    assert Layered(own=stored(3), shared=stored(5)).revision == 5
    assert Layered(own=stored(6), shared=stored(5)).revision == 6
    assert Layered(own=Stored(9), shared=stored(5)).revision == 5, "what was deleted is run with by nobody"


def test_its_own_values_lie_over_those_that_all_share() -> None:
    layered = Layered(own=stored(1, n=1), shared=stored(2, n=2, m=2))
    assert layered.values(None) == {"n": 1, "m": 2}
    assert layered.origins(None) == {"/n": "service", "/m": "all"}


def test_nothing_stored_and_everything_deleted_are_both_empty() -> None:
    assert Layered().is_empty
    assert Layered(own=Stored(4)).is_empty
    assert not Layered(shared=stored(1)).is_empty


def test_a_reading_is_older_where_either_scope_is() -> None:
    known = Layered(own=stored(3), shared=stored(5))
    assert not known.is_older_than(known)
    assert Layered(own=stored(2), shared=stored(9)).is_older_than(known)
    assert Layered(own=stored(9)).is_older_than(known)
    assert not Layered(own=stored(9), shared=stored(5)).is_older_than(known)


def test_what_was_heard_meanwhile_wins_over_a_reading_only_where_it_is_newer() -> None:
    heard = Layered(own=stored(4, n=4), shared=stored(5, m="heard"))
    read = Layered(own=stored(3, n=3), shared=stored(5, m="read"))
    assert read.over(heard).values(None) == {"n": 4, "m": "read"}
    assert read.over(Layered(own=NOTHING, shared=NOTHING)) == read
