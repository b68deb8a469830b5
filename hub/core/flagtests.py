"""The conditions of feature flags, made into functions that are asked for a context. None of them ever raises.

Operators are a closed set, and none of them takes a pattern: what is asked costs no more than the attribute is long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from hub.core.versions import VersionRange
from hub.wire.flags import Condition, FlagTest

Context: TypeAlias = Mapping[str, Any]
Holds: TypeAlias = Callable[[Context], bool]
_Test: TypeAlias = Callable[[Any], bool]

_LONGEST_VERSION: Final = 128


def lookup(attribute: str) -> Callable[[Context], Any]:
    """A function that finds an attribute in a context: by its name, else along its dots; None where it is not there."""
    if "." not in attribute:
        return lambda context: context.get(attribute)
    steps = attribute.split(".")

    def along(context: Context) -> Any:
        found = context.get(attribute)
        if found is not None:
            return found
        found = context
        for step in steps:
            if not isinstance(found, Mapping):
                return None
            found = found.get(step)
        return found

    return along


def compiled(attribute: str, condition: Condition) -> Holds:
    """A function that tells whether a condition on an attribute holds.

    Raises:
        InvalidRequest: a range of versions is none.
    """
    found = lookup(attribute)
    test = _test(condition)
    if isinstance(condition, FlagTest) and condition.present is False:
        return lambda context: found(context) is None
    return lambda context: test(found(context))


def _test(condition: Condition) -> _Test:
    if isinstance(condition, FlagTest):
        tests = list(_tests(condition))
        return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)
    return _one_of(condition if isinstance(condition, tuple) else (condition,))


def _one_of(values: Iterable[object]) -> _Test:
    """Equality as JSON has it: Python takes `true` for 1."""
    texts = frozenset(value for value in values if isinstance(value, str))
    booleans = frozenset(value for value in values if isinstance(value, bool))
    numbers = frozenset(value for value in values if isinstance(value, int | float) and not isinstance(value, bool))

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return value in texts
        if isinstance(value, bool):
            return value in booleans
        return isinstance(value, int | float) and value in numbers

    return test


def _tests(condition: FlagTest) -> Iterable[_Test]:
    if condition.present is not None:
        yield lambda value: (value is not None) is condition.present
    if condition.starts_with is not None:
        yield _affix(str.startswith, condition.starts_with)
    if condition.ends_with is not None:
        yield _affix(str.endswith, condition.ends_with)
    if condition.contains is not None:
        yield _contains(_texts(condition.contains))
    for bound, within in (
        (condition.gt, float.__gt__),
        (condition.gte, float.__ge__),
        (condition.lt, float.__lt__),
        (condition.lte, float.__le__),
    ):
        if bound is not None:
            yield _compares(within, bound)
    if condition.sem_ver is not None:
        yield _is_version(VersionRange(condition.sem_ver))


def _texts(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return given if isinstance(given, tuple) else (given,)


def _affix(matches: Callable[[str, tuple[str, ...]], bool], given: str | tuple[str, ...]) -> _Test:
    texts = _texts(given)
    return lambda value: isinstance(value, str) and matches(value, texts)


def _contains(texts: tuple[str, ...]) -> _Test:
    def test(value: Any) -> bool:
        if isinstance(value, str):
            return any(text in value for text in texts)
        return isinstance(value, list | tuple | set | frozenset) and any(text in value for text in texts)

    return test


def _compares(within: Callable[[float, float], bool], bound: float) -> _Test:
    def test(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        try:
            return within(float(value), bound)
        except OverflowError:  # an integer beyond all floats
            return within(float("inf") if value > 0 else float("-inf"), bound)

    return test


def _is_version(wanted: VersionRange) -> _Test:
    return lambda value: isinstance(value, str) and len(value) <= _LONGEST_VERSION and value in wanted
