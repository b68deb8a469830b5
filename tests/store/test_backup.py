from __future__ import annotations

import json
import shutil
import stat
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from nats.aio.msg import Msg

from hub.errors import Conflict, HubError, InvalidRequest
from hub.store import backup
from hub.store.jetstream import JetStreamBucket
from hub.store.ledger import JetStreamLedger
from hub.store.restoring import Restoration
from hub.store.streams import ACCESS, CONFIG, DESIRED, SECRETS, ensure
from hub.wire.canary import Canary
from hub.wire.codec import encode
from hub.wire.config import ConfigRecord
from tests.servers import NatsServer
from tests.store.stores import BRISK, Recorder, Store, agreement, open_store
from tests.waiting import until

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Site:
    store: Store
    config: JetStreamLedger
    desired: JetStreamBucket
    secrets: JetStreamBucket
    access: JetStreamBucket

    async def back_up(self, path: Path) -> backup.Manifest:
        return await backup.write(self.store.client, path, hub="3.0.0", created=CREATED)

    async def restore(self, path: Path, *, force: bool = False) -> list[int]:
        steps: list[int] = []
        await Restoration(self.store.client, self.store.requester, backup.read(path), steps.append).run(force=force)
        return steps


@asynccontextmanager
async def site(server: NatsServer) -> AsyncIterator[Site]:
    async with open_store(server.url, CONFIG) as store:
        await ensure(store.requester, CONFIG)
        await ensure(store.requester, DESIRED)
        await ensure(store.requester, SECRETS)
        await ensure(store.requester, ACCESS)
        yield Site(
            store,
            JetStreamLedger(store.client, store.requester, CONFIG, pace=BRISK),
            JetStreamBucket(store.client, store.requester, DESIRED, pace=BRISK),
            JetStreamBucket(store.client, store.requester, SECRETS, pace=BRISK),
            JetStreamBucket(store.client, store.requester, ACCESS, pace=BRISK),
        )


async def furnish(at: Site, changes: int = 5) -> None:
    """Something of everything: histories, an atomic change, something lifted again."""
    last = 0
    for n in range(changes):
        last = await at.config.commit({"_all": b"a%d" % n, "ledger": b"l%d" % n}, expected=last)
    await at.config.put("engine", b"\x00\xff not text")
    await at.secrets.put("db", b"sealed")
    await at.access.put("key.a1B2c3D4e5", b"hash", ttl=3600)
    await at.access.put("revoked.d2hvIGFkYQ", b"{}")
    await at.desired.put("ledger.l1", b'{"mode":"draining"}')
    await at.desired.put("ledger.l1", b'{"mode":"maintenance"}')
    await at.desired.delete("engine.e1", expected=await at.desired.put("engine.e1", b"{}"))


def wipe(server: NatsServer) -> None:
    server.kill()
    shutil.rmtree(server.store)
    server.start()


async def test_everything_is_back_after_the_store_was_wiped(nats_server: NatsServer, tmp_path: Path) -> None:
    path = tmp_path / "hub.backup"
    async with site(nats_server) as before:
        await furnish(before)
        manifest = await before.back_up(path)
    assert {name: kept.entries for name, kept in manifest.buckets.items()} == {
        "hub-config": 11,
        "hub-desired": 1,
        "hub-secrets": 1,
        "hub-access": 2,
    }
    wipe(nats_server)
    async with site(nats_server) as after:
        assert (await after.config.history("_all")).entries == []
        assert sum(await after.restore(path)) == 15
        assert [e.value for e in (await after.config.history("_all")).entries] == [b"a4", b"a3", b"a2", b"a1", b"a0"]
        assert [e.value for e in (await after.config.history("ledger")).entries] == [b"l4", b"l3", b"l2", b"l1", b"l0"]
        assert [e.value for e in (await after.config.history("engine")).entries] == [b"\x00\xff not text"]
        assert [e.value for e in (await after.config.history("other")).entries] == []
        drained = await after.desired.get("ledger.l1")
        assert drained is not None
        assert drained.value == b'{"mode":"maintenance"}'
        assert await after.desired.get("engine.e1") is None
        secret = await after.secrets.get("db")
        assert secret is not None
        assert secret.value == b"sealed"
        for key, value in (("key.a1B2c3D4e5", b"hash"), ("revoked.d2hvIGFkYQ", b"{}")):
            entry = await after.access.get(key)
            assert entry is not None
            assert entry.value == value


async def test_what_was_revoked_since_a_backup_stays_so_when_it_is_restored(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    path = tmp_path / "hub.backup"
    async with site(nats_server) as at:
        await furnish(at)
        await at.back_up(path)
        await at.access.put("revoked.a2V5", b"since")
        await at.restore(path, force=True)
        kept = await at.access.get("revoked.a2V5")
        assert kept is not None
        assert kept.value == b"since"


async def test_a_canary_that_is_restored_is_tried_anew(nats_server: NatsServer, tmp_path: Path) -> None:
    """However old the backup is: nobody has run with it since."""
    canary = Canary(id="c1", since=CREATED, bake=60.0, values={"n": 2})
    tried = ConfigRecord(scope="engine", kind="canary", at=CREATED, values={"n": 1}, canary=canary)
    async with site(nats_server) as before:
        await before.config.put("engine", encode(tried))
        await before.back_up(tmp_path / "hub.backup")
    wipe(nats_server)
    started = datetime.now(UTC)
    async with site(nats_server) as after:
        await after.restore(tmp_path / "hub.backup")
        found = await after.config.get("engine")
    assert found is not None
    assert found.value is not None
    restored = msgspec.json.decode(found.value, type=ConfigRecord)
    assert restored.canary is not None
    assert started <= restored.canary.since <= datetime.now(UTC)
    assert msgspec.structs.replace(restored, canary=None) == msgspec.structs.replace(tried, canary=None)
    assert msgspec.structs.replace(restored.canary, since=CREATED) == canary


async def test_it_is_restored_to_a_nats_that_no_hub_has_ever_worked_on(nats_server: NatsServer, tmp_path: Path) -> None:
    path = tmp_path / "hub.backup"
    async with site(nats_server) as before:
        await furnish(before)
        await before.back_up(path)
    wipe(nats_server)
    async with open_store(nats_server.url, CONFIG) as store:
        await Restoration(store.client, store.requester, backup.read(path), lambda _: None).run()
        config = (await store.api(f"STREAM.INFO.{CONFIG.stream}"))["config"]
        assert isinstance(config, dict)
        assert config["republish"]["dest"] == "hub.delta.config.>"
        assert (await store.contents()).keys() == {"_all", "ledger", "engine"}


async def test_restored_revisions_are_higher_than_all_in_the_backup(nats_server: NatsServer, tmp_path: Path) -> None:
    path = tmp_path / "hub.backup"
    async with site(nats_server) as before:
        await furnish(before, changes=200)
        highest = (await before.config.history("engine")).entries[0].revision
        await before.back_up(path)
    wipe(nats_server)
    async with site(nats_server) as after:
        await after.restore(path)
        revisions = [entry.revision for entry in (await after.config.history("_all")).entries]
        assert len(revisions) == 64
        assert min(revisions) > highest


async def test_who_follows_is_told_only_of_what_is_newest(nats_server: NatsServer, tmp_path: Path) -> None:
    path = tmp_path / "hub.backup"
    async with site(nats_server) as before:
        await furnish(before)
        await before.back_up(path)
    wipe(nats_server)
    async with site(nats_server) as after:
        deltas: list[Msg] = []

        async def hear(message: Msg) -> None:
            deltas.append(message)

        await after.store.client.subscribe("hub.delta.config.>", cb=hear)
        recorder = Recorder()
        async with after.config.watch(recorder) as watch:
            await after.restore(path)
            await until(lambda: len(deltas) >= 3)
            await agreement(watch, recorder, after.store)
        told = {(delta.subject.rpartition(".")[2], delta.data) for delta in deltas}
        assert told == {("_all", b"a4"), ("ledger", b"l4"), ("engine", b"\x00\xff not text")}
        assert len(deltas) == 3


async def test_a_bucket_that_has_something_is_left_alone(nats_server: NatsServer, tmp_path: Path) -> None:
    path = tmp_path / "hub.backup"
    async with site(nats_server) as at:
        await furnish(at)
        await at.back_up(path)
        newer = await at.config.put("ledger", b"newer")
        with pytest.raises(Conflict, match="bucket hub-config: is not empty; nothing was restored"):
            await at.restore(path)
        entry = await at.config.get("ledger")
        assert entry is not None
        assert (entry.value, entry.revision) == (b"newer", newer)


async def test_one_that_wants_it_writes_over_what_is_there(nats_server: NatsServer, tmp_path: Path) -> None:
    path = tmp_path / "hub.backup"
    async with site(nats_server) as at:
        await furnish(at)
        await at.back_up(path)
        await at.config.put("ledger", b"newer")
        await at.config.put("since", b"1")
        await at.restore(path, force=True)
        values = {key: value for key, (value, _) in (await at.store.contents()).items()}
        assert values == {"_all": b"a4", "ledger": b"l4", "engine": b"\x00\xff not text", "since": b"1"}
        assert b"newer" in [entry.value for entry in (await at.config.history("ledger")).entries]


async def test_the_file_is_its_owners_alone_and_replaces_none(nats_server: NatsServer, tmp_path: Path) -> None:
    path = tmp_path / "hub.backup"
    async with site(nats_server) as at:
        await furnish(at)
        await at.back_up(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        before = path.read_bytes()
        with pytest.raises(Conflict, match="is there already"):
            await at.back_up(path)
        assert path.read_bytes() == before


async def test_a_backup_that_fails_leaves_no_file(nats_server: NatsServer, tmp_path: Path) -> None:
    async with open_store(nats_server.url, CONFIG) as store:
        with pytest.raises(HubError):
            await backup.write(store.client, tmp_path / "hub.backup", hub="3.0.0", created=CREATED)
    assert list(tmp_path.glob("*backup*")) == list(tmp_path.glob(".*backup*")) == []


def _written(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _cut(path: Path, members: dict[str, bytes]) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _no_zip(path: Path, members: dict[str, bytes]) -> None:
    path.write_bytes(b"hello")


def _flipped(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("hub-config.jsonl")
    content = bytearray(path.read_bytes())
    content[member.header_offset + 100] ^= 0xFF  # behind its header of 66 bytes
    path.write_bytes(bytes(content))


def _other_value(path: Path, members: dict[str, bytes]) -> None:
    lines = members["hub-config.jsonl"].splitlines(keepends=True)
    lines[0] = lines[0].replace(b'"value":"', b'"value":"AAAA')
    _written(path, members | {"hub-config.jsonl": b"".join(lines)})


def _missing_line(path: Path, members: dict[str, bytes]) -> None:
    lines = members["hub-config.jsonl"].splitlines(keepends=True)
    _written(path, members | {"hub-config.jsonl": b"".join(lines[:-1])})


def _out_of_order(path: Path, members: dict[str, bytes]) -> None:
    lines = members["hub-config.jsonl"].splitlines(keepends=True)
    _written(path, members | {"hub-config.jsonl": b"".join(reversed(lines))})


def _later_format(path: Path, members: dict[str, bytes]) -> None:
    manifest = json.loads(members["manifest.json"]) | {"format": 2}
    _written(path, members | {"manifest.json": json.dumps(manifest).encode()})


def _no_manifest(path: Path, members: dict[str, bytes]) -> None:
    _written(path, {name: content for name, content in members.items() if name != "manifest.json"})


def _no_bucket(path: Path, members: dict[str, bytes]) -> None:
    _written(path, {name: content for name, content in members.items() if name != "hub-desired.jsonl"})


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_no_zip, "is no backup"),
        (_cut, "is no backup"),
        (_flipped, "is no backup"),
        (_other_value, "expected 11 entries with SHA-256"),
        (_missing_line, "expected 11 entries with SHA-256"),
        (_out_of_order, "comes after"),
        (_later_format, "expected format 1, it has 2: written by hub 3.0.0"),
        (_no_manifest, "no item named 'manifest.json'"),
        (_no_bucket, "no item named 'hub-desired.jsonl'"),
    ],
)
async def test_nothing_is_written_of_a_file_that_is_not_whole(
    nats_server: NatsServer, tmp_path: Path, spoil: Callable[[Path, dict[str, bytes]], None], why: str
) -> None:
    path = tmp_path / "hub.backup"
    async with site(nats_server) as at:
        await furnish(at)
        await at.back_up(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        spoil(path, members)
        before = await at.store.contents()
        with pytest.raises(InvalidRequest, match=why):
            await at.restore(path, force=True)
        assert await at.store.contents() == before


async def test_a_backup_from_before_there_were_secrets_and_keys_is_restored_and_leaves_those_there_are(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    path = tmp_path / "hub.backup"
    async with site(nats_server) as before:
        await furnish(before)
        await before.back_up(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    for later in ("hub-secrets", "hub-access"):
        del members[f"{later}.jsonl"]
        del manifest["buckets"][later]
    _written(path, members | {"manifest.json": json.dumps(manifest).encode()})
    wipe(nats_server)
    async with site(nats_server) as after:
        await after.secrets.put("other", b"sealed since")
        assert sum(await after.restore(path)) == 12
        kept = await after.secrets.get("other")
        assert kept is not None
        assert kept.value == b"sealed since"
