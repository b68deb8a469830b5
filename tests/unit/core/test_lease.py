from __future__ import annotations

import pytest

from hub.core.lease import MARGIN, Tenure


def test_a_lease_never_taken_is_not_held() -> None:
    tenure = Tenure(10.0)
    assert not tenure.held(0.0)
    assert tenure.remaining(0.0) == 0.0
    assert tenure.term == 0


@pytest.mark.parametrize(
    ("now", "held"),
    [(100.0, True), (108.9, True), (109.0, False), (110.0, False), (1e9, False)],
)
def test_a_lease_is_held_until_shortly_before_the_store_may_let_it_go(now: float, held: bool) -> None:
    tenure = Tenure(10.0)
    tenure.begin(100.0, 7)
    assert tenure.held(now) is held


def test_the_deadline_counts_from_the_sending_however_late_the_answer_came() -> None:
    tenure = Tenure(10.0)
    tenure.begin(sent=100.0, revision=7)  # the answer may have come at 108: that changes nothing
    assert tenure.remaining(108.0) == pytest.approx(10.0 * (1 - MARGIN) - 8.0)


def test_a_renewal_prolongs_the_term_and_keeps_its_fencing_token() -> None:
    tenure = Tenure(10.0)
    tenure.begin(100.0, 7)
    tenure.renew(105.0, 9)
    assert tenure.held(113.9)
    assert not tenure.held(114.0)
    assert (tenure.term, tenure.revision) == (7, 9)


def test_an_answer_to_a_renewal_sent_too_long_ago_does_not_revive_the_lease() -> None:
    tenure = Tenure(10.0)
    tenure.begin(100.0, 7)
    tenure.renew(sent=105.0, revision=9)
    assert not tenure.held(130.0)


def test_an_ended_lease_is_not_held() -> None:
    tenure = Tenure(10.0)
    tenure.begin(100.0, 7)
    tenure.end()
    assert not tenure.held(100.0)
    assert (tenure.term, tenure.revision) == (0, 0)


def test_a_new_term_has_a_new_fencing_token() -> None:
    tenure = Tenure(10.0)
    tenure.begin(100.0, 7)
    tenure.end()
    tenure.begin(200.0, 12)
    assert tenure.term == 12
