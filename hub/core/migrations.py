"""The steps by which a database gets its tables, and which of them are still to be taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hub.errors import HubError


class SchemaRefused(HubError):
    """The tables of the hub's database are not those that this version of it knows. Nothing was changed in them."""

    code = "schema_refused"


class Migration(NamedTuple):
    """One step, by its number: 1, 2, 3, and so on.

    Attributes:
        number: Its place.
        name: What it is called, for people.
        checksum: Of what it does: one that was taken must never be changed.
    """

    number: int
    name: str
    checksum: str


def pending(known: Sequence[Migration], taken: Sequence[Migration]) -> Sequence[Migration]:
    """The steps to be taken, in order.

    Args:
        known: Those that this version has, in order.
        taken: Those that the database tells of, in order.

    Raises:
        SchemaRefused: the database is newer than this version, or came about in another way.
    """
    if taken and taken[-1].number > len(known):
        raise SchemaRefused(
            f"the tables are of version {taken[-1].number} ({taken[-1].name}), and this hub knows them up to "
            f"{len(known)}: run a newer hub, or give this one another schema (archive.schema)"
        )
    for mine, theirs in zip(known, taken, strict=False):
        if mine != theirs:
            raise SchemaRefused(
                f"migration {mine.number}: expected {mine.name} with checksum {mine.checksum[:12]}, the database has "
                f"{theirs.number}, {theirs.name} with {theirs.checksum[:12]}; these tables are not of this hub"
            )
    return known[len(taken) :]
