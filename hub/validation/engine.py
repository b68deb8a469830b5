"""jsonschema-rs, held so that nothing that a schema or a value says can hurt: no network, no files, no backtracking."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError, meta

from hub.errors import InvalidRequest

PATTERN_BYTES: Final = (16 * 1024, 64 * 1024, 256 * 1024)
"""Sizes of a compiled pattern, small to largest allowed."""
PATTERN_WORK: Final = (150, 600, 2400)
"""What matching one character costs at most by a pattern of such a size, in steps of about 10 ns, as measured."""

_LONGEST = 200

Finding = ValidationError
"""One complaint of the engine: `instance_path`, `schema_path` and `kind`."""


def check_by_its_own_schema(schema: dict[str, Any]) -> None:
    """Check that a schema is one.

    Raises:
        Refused: it is not.
    """
    with _held(_as_refused):
        meta.validate(schema)


class Rules:
    """One compiled schema."""

    def __init__(self, schema: dict[str, Any] | bool, pattern_bytes: int = PATTERN_BYTES[-1]) -> None:
        options = RegexOptions(size_limit=pattern_bytes, dfa_size_limit=pattern_bytes)
        with _held(_as_refused):
            self._validator = Draft202012Validator(schema, pattern_options=options, offline=True)

    def is_valid(self, value: Any) -> bool:
        """Whether the value is as the schema wants it.

        Raises:
            InvalidRequest: the engine broke down over it.
        """
        with _held(_as_invalid):
            return self._validator.is_valid(value)

    def findings(self, value: Any, limit: int | None) -> list[Finding]:
        """What is wrong: the first so many, or everything. All of it is looked for; the limit spares its conversion.

        Raises:
            InvalidRequest: the engine broke down over it.
        """
        with _held(_as_invalid):
            return list(islice(self._validator.iter_errors(value), limit))


class Refused(Exception):
    """The engine does not take the schema; where, and why."""

    def __init__(self, place: tuple[str, ...], why: str) -> None:
        super().__init__(why)
        self.place = place
        self.why = why


class Pattern:
    """One regular expression of a schema."""

    def __init__(self, text: str) -> None:
        """Compile it to the smallest size that it fits.

        Raises:
            Refused: it is no regular expression, or needs backtracking, or is too large.
        """
        schema = {"pattern": text}
        for size, work in zip(PATTERN_BYTES, PATTERN_WORK, strict=True):
            try:
                self._rules = Rules(schema, size)
            except Refused:
                if size == PATTERN_BYTES[-1]:
                    raise
            else:
                self.work = work
                return

    def matches(self, text: str) -> bool:
        """Whether it is found anywhere in the text."""
        return self._rules.is_valid(text)


@contextmanager
def _held(translate: Callable[[BaseException], Exception]) -> Generator[None, None, None]:
    """Make errors of ours from those of the engine; also from a panic in it, which is no `Exception`."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, it is about what was given
        raise translate(error) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise translate(error) from None


def _as_refused(error: BaseException) -> Refused:
    if isinstance(error, ValidationError):
        return Refused(tuple(str(step) for step in error.instance_path), error.message[:_LONGEST])
    return Refused((), str(error)[:_LONGEST])


def _as_invalid(_: BaseException) -> InvalidRequest:
    """Without the engine's words, in which there may be values."""
    return InvalidRequest("values: expected values that can be checked by the schema, got some that cannot")
