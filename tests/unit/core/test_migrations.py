from __future__ import annotations

import pytest

from hub.core.migrations import Migration, SchemaRefused, pending

ONE, TWO, THREE = (Migration(number, f"step_{number}", f"sum{number}") for number in (1, 2, 3))


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_what_was_not_taken_is_to_be_taken_in_order(taken: int) -> None:
    assert list(pending((ONE, TWO, THREE), (ONE, TWO, THREE)[:taken])) == [ONE, TWO, THREE][taken:]


def test_a_database_that_is_newer_is_refused_whatever_else_is_wrong() -> None:
    with pytest.raises(SchemaRefused, match=r"version 3 \(step_3\), and this hub knows them up to 2: run a newer hub"):
        pending((ONE, TWO), (ONE._replace(checksum="other"), TWO, THREE))


@pytest.mark.parametrize("field", ["name", "checksum"])
def test_a_step_that_was_changed_after_it_was_taken_is_refused(field: str) -> None:
    with pytest.raises(SchemaRefused, match="migration 2: expected step_2"):
        pending((ONE, TWO, THREE), (ONE, TWO._replace(**{field: "other"})))  # type: ignore[arg-type]


def test_a_step_that_is_missing_between_is_refused() -> None:
    with pytest.raises(SchemaRefused, match="migration 2"):
        pending((ONE, TWO, THREE), (ONE, THREE))
