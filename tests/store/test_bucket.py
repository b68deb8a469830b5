from __future__ import annotations

import asyncio

import pytest

from hub.store.ports import Bucket, RevisionConflict
from tests.waiting import PATIENCE


async def _until_gone(bucket: Bucket, key: str) -> int:
    """The revision of the marker that `key` leaves when it expires."""
    async with asyncio.timeout(PATIENCE):
        while True:
            entry = await bucket.get(key)
            assert entry is not None
            if entry.value is None:
                return entry.revision
            await asyncio.sleep(0.05)


async def test_a_key_never_written_is_none(bucket: Bucket) -> None:
    assert await bucket.get("engine.a1") is None


async def test_what_was_put_is_read_with_its_revision(bucket: Bucket) -> None:
    revision = await bucket.put("engine.a1", b'{"port": 1}')
    entry = await bucket.get("engine.a1")
    assert entry is not None
    assert (entry.key, entry.value, entry.revision) == ("engine.a1", b'{"port": 1}', revision)


async def test_an_empty_value_is_a_value(bucket: Bucket) -> None:
    await bucket.put("engine.a1", b"")
    entry = await bucket.get("engine.a1")
    assert entry is not None
    assert entry.value == b""


async def test_revisions_grow_over_all_keys(bucket: Bucket) -> None:
    revisions = [
        await bucket.put("a.1", b"1"),
        await bucket.put("b.1", b"1"),
        await bucket.delete("a.1"),
        await bucket.put("a.1", b"2"),
    ]
    assert revisions == sorted(set(revisions))


async def test_a_write_that_expects_the_right_revision_succeeds(bucket: Bucket) -> None:
    first = await bucket.put("engine.a1", b"1", expected=0)
    second = await bucket.put("engine.a1", b"2", expected=first)
    assert second > first


@pytest.mark.parametrize("wrong", [0, 1_000_000])
async def test_a_write_that_expects_a_wrong_revision_changes_nothing(bucket: Bucket, wrong: int) -> None:
    revision = await bucket.put("engine.a1", b"1")
    with pytest.raises(RevisionConflict):
        await bucket.put("engine.a1", b"2", expected=wrong)
    with pytest.raises(RevisionConflict):
        await bucket.delete("engine.a1", expected=wrong)
    entry = await bucket.get("engine.a1")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"1", revision)


async def test_a_revision_expected_of_a_key_that_is_not_there_conflicts(bucket: Bucket) -> None:
    with pytest.raises(RevisionConflict):
        await bucket.put("engine.a1", b"1", expected=7)


async def test_of_many_that_create_the_same_key_one_wins(bucket: Bucket) -> None:
    results = await asyncio.gather(
        *(bucket.put("leader", b"%d" % n, expected=0) for n in range(20)), return_exceptions=True
    )
    won = [n for n, result in enumerate(results) if isinstance(result, int)]
    assert len(won) == 1
    assert all(isinstance(result, int | RevisionConflict) for result in results)
    entry = await bucket.get("leader")
    assert entry is not None
    assert entry.value == b"%d" % won[0]


async def test_a_deletion_leaves_a_marker_with_a_revision_of_its_own(bucket: Bucket) -> None:
    put = await bucket.put("engine.a1", b"1")
    gone = await bucket.delete("engine.a1", expected=put)
    entry = await bucket.get("engine.a1")
    assert entry is not None
    assert entry.value is None
    assert entry.revision == gone > put


async def test_a_deleted_key_is_created_again_upon_its_marker_and_not_upon_nothing(bucket: Bucket) -> None:
    gone = await bucket.delete("engine.a1", expected=await bucket.put("engine.a1", b"1"))
    with pytest.raises(RevisionConflict):
        await bucket.put("engine.a1", b"2", expected=0)
    assert await bucket.put("engine.a1", b"2", expected=gone) > gone


async def test_a_key_goes_by_itself_after_its_ttl_and_leaves_a_marker(bucket: Bucket) -> None:
    put = await bucket.put("leader", b"me", ttl=1)
    marker = await _until_gone(bucket, "leader")
    assert marker > put
    assert await bucket.put("leader", b"you", expected=marker, ttl=1) > marker


async def test_a_write_without_a_ttl_keeps_the_key(bucket: Bucket) -> None:
    await bucket.put("kept", b"1", ttl=1)
    await bucket.put("kept", b"2")
    await bucket.put("clock", b"1", ttl=1)
    await _until_gone(bucket, "clock")
    entry = await bucket.get("kept")
    assert entry is not None
    assert entry.value == b"2"


async def test_a_renewed_key_outlives_its_first_ttl(bucket: Bucket) -> None:
    revision = await bucket.put("leader", b"me", ttl=1)
    await bucket.put("leader", b"me", expected=revision, ttl=60)
    await bucket.put("clock", b"1", ttl=1)
    await _until_gone(bucket, "clock")
    entry = await bucket.get("leader")
    assert entry is not None
    assert entry.value == b"me"


@pytest.mark.parametrize("ttl", [0, -1])
async def test_a_ttl_below_a_second_is_refused(bucket: Bucket, ttl: int) -> None:
    with pytest.raises(ValueError, match="ttl"):
        await bucket.put("engine.a1", b"1", ttl=ttl)
