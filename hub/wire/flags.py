"""Feature flags: named values of a service that differ by whom they are asked for. They stand in its configuration.

The object `flags` of a configuration has a member for each flag: a plain value, which is the same for everybody, or a
`FlagDefinition`, with variants and rules. So flags have the layers, revisions, validation, history and acknowledgement
of all configuration. They are evaluated where the configuration is, in the service, for a context: attributes of whom
or what is decided about, among them `targetingKey`, which names it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

FLAGS: Final = "flags"
"""The member of a configuration that holds the flags of the service."""
TARGETING_KEY: Final = "targetingKey"
"""The attribute that names whom or what is decided about, as OpenFeature calls it."""
MAX_FLAGS: Final = 1000
MAX_VARIANTS: Final = 32
MAX_RULES: Final = 64
MAX_CONDITIONS: Final = 16
MAX_VALUES: Final = 256
"""Values, or texts, that one condition may list."""

FlagKind = Literal["boolean", "string", "number", "object"]
"""What all variants of a flag are. A list is an object, as OpenFeature has it."""
FlagReason = Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DEFAULT", "DISABLED", "ERROR"]
"""Why a flag has the value that it has, as OpenFeature calls it: it has no rules; the conditions of a rule hold; the
split of a rule decides; no rule matches; it is disabled; it cannot be evaluated."""
FlagError = Literal[
    "FLAG_NOT_FOUND", "TYPE_MISMATCH", "PARSE_ERROR", "INVALID_CONTEXT", "PROVIDER_NOT_READY", "GENERAL"
]
"""Why a flag cannot be evaluated, as OpenFeature calls it."""

FLAG_NAME_WORDS: Final = "1..128 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
_flag_name = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")

VariantName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
        extra={"expected": "1..64 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"},
    ),
]
Attribute = Annotated[str, Meta(min_length=1, max_length=128)]
"""The name of an attribute of the context. Where the context has none by that name, dots lead into objects:
`app.version` is the attribute `app.version`, or else what the object `app` has as `version`."""
Percentage = Annotated[float, Meta(ge=0, le=100)]

_Text = Annotated[str, Meta(max_length=1024)]
_Scalar = bool | int | float | _Text
_Texts = _Text | Annotated[tuple[_Text, ...], Meta(min_length=1, max_length=MAX_VALUES)]


class FlagTest(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an attribute must be like. All that is given must hold; a list of texts holds where one of them does.

    Of an attribute that the context does not have, nothing holds but `present = false`.
    """

    present: bool | None = None
    """Whether the context has it."""
    starts_with: _Texts | None = None
    ends_with: _Texts | None = None
    contains: _Texts | None = None
    """A text that it has in it; a list has it as an element."""
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None
    sem_ver: _Text | None = None
    """A range of versions such as `>=1.2,<2`, with `~=1.4` (at least 1.4, below 2) and `^1.4.1` (below 2), compared as
    Semantic Versioning 2.0.0 has it. A pre-release of a bound is below it."""


Condition = Annotated[
    _Scalar | Annotated[tuple[_Scalar, ...], Meta(min_length=1, max_length=MAX_VALUES)] | FlagTest,
    Meta(extra={"expected": "a text, a number, true, false, a list of these, or an object with a test"}),
]
"""A value that an attribute equals, a list of values of which it equals one, or a test. Numbers equal numbers, `true`
equals no number, and no number equals a text."""
_Conditions = Annotated[dict[Attribute, Condition], Meta(max_length=MAX_CONDITIONS)]


class FlagRule(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Whom it is for, and which variant they have. The first rule of a flag that matches decides.

    It has conditions, or a split, or both; and a variant or a split.
    """

    description: Annotated[str, Meta(max_length=512)] = ""
    when: _Conditions = {}
    """Conditions by attribute, all of which must hold."""
    unless: _Conditions = {}
    """Conditions by attribute, of which none may hold."""
    variant: VariantName | None = None
    """The variant for whom it matches; null where a split says it."""
    split: Annotated[dict[VariantName, Percentage], Meta(min_length=1, max_length=MAX_VARIANTS)] | None = None
    """Percentages by variant, together 100."""
    by: Attribute = TARGETING_KEY
    """The attribute, a text or an integer, by which is split: who has the same one has the same variant. The rule does
    not match a context that does not have it."""


class FlagDefinition(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A flag with variants, and with rules that say who has which.

    The split. The bytes of the flag's salt, a byte 0, and the attribute in UTF-8 (an integer in decimal) are hashed by
    SHA-256; the first four bytes of that are a big-endian number below 2^32, the point. The variants of the split, in
    the order of the code points of their names, take up as much of the numbers below 2^32 as their percentages say, and
    the one that holds the point is served: the first of which `point * 100 < 2^32 * (the percentages up to its own)`.
    So who has a variant keeps it when its percentage alone is raised.
    """

    description: Annotated[str, Meta(max_length=512)] = ""
    enabled: bool = True
    """Whether it is evaluated at all."""
    variants: Annotated[dict[VariantName, Any], Meta(min_length=1, max_length=MAX_VARIANTS)]
    """The values that it can have, by name: all booleans, all strings, all numbers, or all objects and lists."""
    default: VariantName
    """The variant where no rule matches."""
    disabled: VariantName | None = None
    """The variant while it is not enabled; null for what the service gives as default."""
    rules: Annotated[tuple[FlagRule, ...], Meta(max_length=MAX_RULES)] = ()
    salt: Annotated[str, Meta(max_length=128)] | None = None
    """What keeps its splits apart from those of other flags; null for the name of the flag. Flags with one salt split
    alike, and another salt deals anew."""


def is_flag_name(text: str) -> bool:
    """Whether a flag may have this name."""
    return _flag_name.match(text) is not None
