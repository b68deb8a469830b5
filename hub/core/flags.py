"""Feature flags, ready to be evaluated: which value has a flag for a context, and why."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from itertools import accumulate
from math import ceil
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from msgspec import UNSET

from hub.core.flagtests import Context, Holds, lookup
from hub.wire.config import Violation
from hub.wire.flags import FlagDefinition, FlagError, FlagKind, FlagReason

Wanted: TypeAlias = Literal["boolean", "string", "integer", "number", "object"]
"""What whoever asks can take. An integer is a number without a fraction."""

POINTS: Final = 2**32
"""Into how many points a split deals."""


class Decision(NamedTuple):
    """What a flag comes to for one context."""

    reason: FlagReason
    value: Any = UNSET
    """UNSET for what whoever asks has as default."""
    variant: str | None = None
    """None where there is none."""
    rule: int | None = None
    """Which rule decided, from 0, as in the place of it; None for none."""
    error: FlagError | None = None
    message: str = ""
    """What is wrong, in words."""


class Split:
    """Deals contexts among variants by one attribute; see `FlagDefinition` for how.

    Args:
        salt: Keeps it apart from other splits.
        by: The attribute.
        shares: Percentages by variant, together 100, and what is decided for each.
    """

    def __init__(self, salt: str, by: str, shares: Mapping[str, tuple[float, Decision]]) -> None:
        ordered = [shares[variant] for variant in sorted(shares)]
        sums = accumulate(Fraction(repr(percentage)) for percentage, _ in ordered)
        self.by = by
        self._prefix = salt.encode(errors="surrogatepass") + b"\0"
        self._lookup = lookup(by)
        self._bounds = [ceil(each * POINTS / 100) for each in sums]
        self._decisions = [decision for _, decision in ordered]

    def decide(self, context: Context) -> Decision | None:
        """Which variant; None where the attribute is not there as an integer or a text that is not empty."""
        point = self.point(context)
        return None if point is None else self._decisions[bisect_right(self._bounds, point)]

    def point(self, context: Context) -> int | None:
        """Where the context lies; None as above."""
        key = self._lookup(context)
        if not isinstance(key, str):
            if not isinstance(key, int) or isinstance(key, bool) or not -(POINTS**2) < key < POINTS**2:
                return None
            key = str(key)
        elif not key:
            return None
        return int.from_bytes(sha256(self._prefix + key.encode("utf-8", "surrogatepass")).digest()[:4], "big")


class Rule(NamedTuple):
    """A rule: whom it is for, and what is decided for them."""

    when: tuple[Holds, ...]
    unless: tuple[Holds, ...]
    outcome: Decision | Split

    def decide(self, context: Context) -> Decision | None:
        """What it decides; None where it does not match."""
        for holds in self.when:
            if not holds(context):
                return None
        for holds in self.unless:
            if holds(context):
                return None
        outcome = self.outcome
        return outcome.decide(context) if isinstance(outcome, Split) else outcome


class Flag(NamedTuple):
    """One flag."""

    name: str
    kind: FlagKind
    definition: FlagDefinition | None
    """None for a plain value, which is the same for everybody."""
    rules: tuple[Rule, ...]
    otherwise: Decision
    """What is decided where no rule does."""

    def decide(self, context: Context) -> Decision:
        """What it comes to."""
        for rule in self.rules:
            decision = rule.decide(context)
            if decision is not None:
                return decision
        return self.otherwise


class Flags(NamedTuple):
    """The flags of one configuration."""

    flags: Mapping[str, Flag]
    broken: Mapping[str, str]
    """Flags that cannot be evaluated, and why."""
    violations: Sequence[Violation]
    """All that is wrong with the broken ones, with its places in the configuration."""

    def decide(self, name: str, wanted: Wanted, context: Context) -> Decision:
        """What a flag comes to. Never raises for a flag, nor for what JSON can say in a context.

        Args:
            name: The flag.
            wanted: What whoever asks can take: anything else is a TYPE_MISMATCH.
            context: The attributes of whom or what is asked about.
        """
        flag = self.flags.get(name)
        if flag is None:
            return self._none(name)
        kind = flag.kind
        if kind != wanted and (kind != "number" or wanted != "integer"):
            return _mismatch(name, wanted, f"its values are of type {kind}")
        decision = flag.decide(context)
        value = decision.value
        if wanted == "integer":
            if isinstance(value, float):
                if not value.is_integer():
                    return _mismatch(name, wanted, f"its value is {value!r}")
                return decision._replace(value=int(value))
        elif wanted == "number" and isinstance(value, int):
            return decision._replace(value=float(value))
        return decision

    def _none(self, name: str) -> Decision:
        broken = self.broken.get(name)
        if broken is not None:
            return Decision("ERROR", error="PARSE_ERROR", message=broken)
        return Decision("ERROR", error="FLAG_NOT_FOUND", message=f"there is no flag {name!r}")


NONE: Final = Flags({}, {}, ())


def differing(before: Flags, after: Flags) -> list[str]:
    """The names of the flags that are not defined alike in both, sorted."""
    return sorted(
        name
        for name in {*before.flags, *before.broken, *after.flags, *after.broken}
        if before.broken.get(name) != after.broken.get(name) or _said(before, name) != _said(after, name)
    )


def _said(flags: Flags, name: str) -> Any:
    """All that a flag is made from; `repr` tells `true` from 1."""
    flag = flags.flags.get(name)
    return None if flag is None else repr((flag.kind, flag.definition, flag.otherwise))


def _mismatch(name: str, wanted: Wanted, but: str) -> Decision:
    return Decision("ERROR", error="TYPE_MISMATCH", message=f"flag {name!r}: {wanted} expected, {but}")
