"""Keys: read from files that only their owner can read, and refused with the line that is wrong."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from hub.errors import StartupError
from hub.vault import keys
from hub.vault.keys import KeyRing, decoded, encoded, key_of, parsed
from tests.keys import fresh_key, key_file

RAW = bytes(range(224, 256))


def refusal(path: Path) -> str:
    with pytest.raises(StartupError) as caught:
        keys.read(path)
    return caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(RAW).decode(),
        base64.urlsafe_b64encode(RAW).decode(),
        base64.urlsafe_b64encode(RAW).decode().rstrip("="),
        f"  {base64.b64encode(RAW).decode()}\n",
    ],
)
def test_a_key_may_be_spelled_in_either_base64_padded_or_not(text: str) -> None:
    assert decoded(text) == RAW


def test_a_fresh_key_is_read_as_it_was_printed() -> None:
    assert decoded(encoded(RAW)) == RAW


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "got 0"),
        (base64.b64encode(RAW[:31]).decode(), "got 31"),
        (base64.b64encode(RAW + b"x").decode(), "got 33"),
        ("not base64 at all!", "got something else"),
        ("ü" * 43, "got something else"),
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="expected 32 bytes in base64") as caught:
        decoded(text)
    assert why in str(caught.value)
    assert not text or text not in str(caught.value)


def test_the_first_line_is_the_current_key_and_the_others_decrypt(tmp_path: Path) -> None:
    first, second = fresh_key(), fresh_key()
    path = key_file(tmp_path / "keys", "# new since Monday", first, "", second, first)
    ring = keys.read(path)
    assert ring.current == key_of(decoded(first))
    assert ring.ids == (key_of(decoded(first)).id, key_of(decoded(second)).id)
    assert len(ring) == 2


def test_the_id_of_a_key_tells_nothing_of_it_and_is_always_the_same() -> None:
    assert key_of(RAW).id == key_of(RAW).id != key_of(RAW[::-1]).id
    assert len(key_of(RAW).id) == 12
    assert RAW[:2].hex() not in key_of(RAW).id


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o700, 0o666])
def test_a_file_that_others_may_read_is_refused_and_the_cure_is_told(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path / "keys")
    path.chmod(mode)
    assert f"expected mode 0600 or 0400, got {mode:04o}" in (message := refusal(path))
    assert f"`chmod 600 {path}`" in message


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_for_its_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path / "keys")
    path.chmod(mode)
    assert len(keys.read(path)) == 1


def test_a_line_that_is_wrong_is_named_and_not_shown(tmp_path: Path) -> None:
    wrong = fresh_key()[:-8]
    path = key_file(tmp_path / "keys", fresh_key(), "# the old one:", wrong)
    message = refusal(path)
    assert message.startswith(f"secrets.key_file: {path}:3: expected 32 bytes in base64, got")
    assert wrong not in message


def test_a_file_without_a_key_or_without_a_file_is_refused(tmp_path: Path) -> None:
    assert "found none" in refusal(key_file(tmp_path / "empty", "# nothing yet"))
    assert "cannot be read (No such file or directory)" in refusal(tmp_path / "missing")
    assert "cannot be read (Is a directory)" in refusal(tmp_path)
    large = key_file(tmp_path / "large", *("#" * 1000 for _ in range(70)))
    assert "at most 65536 bytes" in refusal(large)


def test_bytes_that_are_no_text_are_refused_by_their_line(tmp_path: Path) -> None:
    path = key_file(tmp_path / "keys", fresh_key())
    with path.open("ab") as file:
        file.write(b"\xff\xfe\x00" * 14 + b"\n")
    assert ":2: expected 32 bytes in base64" in refusal(path)


def test_keys_may_come_from_a_text() -> None:
    ring = parsed([fresh_key(), fresh_key()], "HUB_SECRETS_KEY")
    assert len(ring) == 2
    with pytest.raises(StartupError, match="HUB_SECRETS_KEY:2: expected 32 bytes"):
        parsed([fresh_key(), "x"], "HUB_SECRETS_KEY")
    assert KeyRing().current is None
