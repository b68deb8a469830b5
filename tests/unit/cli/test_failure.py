from __future__ import annotations

import json

import pytest

from hub import errors
from hub.cli import failure


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidRequest("x"), 1),
        (errors.Conflict("x"), 1),
        (errors.Unavailable("a hub that says so is there"), 1),
        (errors.DeadlineExceeded("a hub that says so is there"), 1),
        (errors.StartupError("x"), 1),
        (errors.Unauthenticated("x"), 1),
        (errors.NotFound("x"), 3),
        (errors.NoInstance("x"), 3),
        (failure.NobodyAnswers("x"), 4),
        (failure.AnsweredTooLate("x"), 4),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(error: errors.HubError, code: int) -> None:
    assert failure.exit_code(error) == code


def test_a_person_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    failure.tell(errors.NotFound("no\nsuch \x1b[31mthing"), as_json=False)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "hub: no such \\x1b[31mthing\n"


def test_a_machine_is_told_in_the_shape_of_an_error_reply(capsys: pytest.CaptureFixture[str]) -> None:
    failure.tell(errors.InvalidRequest("port: expected 1..65535, got 0", field="port"), as_json=True)
    assert json.loads(capsys.readouterr().err) == {
        "error": {
            "code": "invalid_request",
            "message": "port: expected 1..65535, got 0",
            "field": "port",
            "retryable": False,
        }
    }
