"""Keys in files: read again when they change, and in force while what is there is no good."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.errors import StartupError
from hub.handlers.clock import Clock
from hub.handlers.jwks import IssuerKeys
from hub.handlers.keysources import FileSource
from hub.identity.keyset import parsed, shared
from tests.unit.identity.issuing import QUICK, kid, watched
from tests.unit.identity.making import ISS, SECRET, ed25519, jwks, rsa
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("quick")


def in_file(path: Path, *, private: bool = False) -> IssuerKeys:
    source = FileSource(path, private=private)
    source.every = source.retry = QUICK
    return IssuerKeys(ISS, source, shared if private else parsed, Clock())


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(jwks(ed25519()))
    keys = in_file(path)
    await keys.start()
    assert await kid(keys, "ed") == "ed"
    async with watched(keys):
        path.write_bytes(jwks(ed25519("new")))
        await until(lambda: keys._known("EdDSA", "new"))
        assert keys._known("EdDSA", "ed") is None


async def test_a_file_that_breaks_leaves_its_keys_in_force_and_is_told_of_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(jwks(ed25519()))
    keys = in_file(path)
    await keys.start()
    async with watched(keys):
        path.write_bytes(b"{")
        await until(lambda: "expected a JWKS" in keys.condition.reason)
        await until(lambda: keys._failures > 2)
        assert "expected a JWKS" in keys.condition.reason, "also when it has not changed since"
        assert await kid(keys, "ed") == "ed"
        path.unlink()
        await until(lambda: "cannot be read (No such file" in keys.condition.reason)
        path.write_bytes(jwks(ed25519()))
        await until(lambda: keys.condition.well)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"{}", "expected a JWKS"),
        (jwks(rsa("weak", bits=1024)), "keys[0] ('weak'): n: expected an RSA key of 2048..8192 bits, got 1024"),
    ],
)
async def test_a_hub_does_not_start_on_a_file_of_keys_that_is_no_good(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartupError) as caught:
        await in_file(path).start()
    assert caught.value.message.startswith(f"issuer {ISS}: ")
    assert why in caught.value.message


async def test_the_file_of_a_secret_is_for_its_owner_alone_and_the_secret_is_long_enough(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(SECRET[:-1] + b"\n")
    path.chmod(0o600)
    with pytest.raises(StartupError, match="at least 32 bytes for HS256, got 31"):
        await in_file(path, private=True).start()
    path.write_bytes(SECRET + b"\n")
    path.chmod(0o640)
    with pytest.raises(StartupError, match="expected mode 0600 or 0400, got 0640") as caught:
        await in_file(path, private=True).start()
    assert SECRET.decode() not in caught.value.message
    path.chmod(0o600)
    keys = in_file(path, private=True)
    await keys.start()
    assert (await keys.find("HS256", None)).material == SECRET
    async with watched(keys):
        path.chmod(0o644)
        await until(lambda: "got 0644" in keys.condition.reason)
        path.chmod(0o600)
        await until(lambda: keys.condition.well)
