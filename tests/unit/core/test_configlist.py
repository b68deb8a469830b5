"""The list of what is configured."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.core.configlist import listed
from hub.core.configs import Configs
from hub.validation import Schema
from hub.wire.codec import encode
from hub.wire.config import (
    ConfigRecord,
    ListConfigs,
)
from tests.unit.core.making import WALL


def knowing(*scopes: str, reason: str = "") -> Configs:
    configs = Configs(Schema.compile)
    for revision, scope in enumerate(scopes, start=1):
        record = ConfigRecord(scope=scope, kind="put", at=WALL, reason=reason, schema={} if scope == "b" else None)
        configs.learn(scope, record, revision)
    return configs


def test_every_scope_is_listed_by_name_with_its_own_revision() -> None:
    found = listed(knowing("b", "_all", "a"), ListConfigs(), max_bytes=100_000)
    assert [(row.service, row.own_revision, row.has_schema) for row in found.scopes] == [
        ("_all", 2, False),
        ("a", 3, False),
        ("b", 1, True),
    ]
    assert (found.revision, found.next) == (3, None)


@given(st.sets(st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True), max_size=40), st.integers(0, 9), st.integers(0, 4000))
def test_pages_make_the_whole_list_and_none_is_too_large(scopes: set[str], limit: int, room: int) -> None:
    configs = knowing(*scopes, reason="ü" * 100)
    met: list[str] = []
    page = listed(configs, ListConfigs(limit=limit), max_bytes=room)
    while True:
        assert not limit or len(page.scopes) <= limit
        assert len(page.scopes) <= 1 or len(encode(page)) <= room
        met += [row.service for row in page.scopes]
        if page.next is None:
            break
        page = listed(configs, ListConfigs(limit=limit, after=page.next), max_bytes=room)
    assert met == sorted(scopes)
