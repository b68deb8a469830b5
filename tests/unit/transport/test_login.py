"""What to log in with: where it comes from, how it is told of, and what is said when it cannot be had."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable
from pathlib import Path

import nkeys  # type: ignore[import-untyped]
import pytest

from hub.errors import InvalidRequest
from hub.transport.login import VARIABLES, Credentials, Login, NoCredential, from_environment, nkey_credentials
from hub.wire.roles import inbox_prefix_for

SECRET = "s3cret-that-nobody-shows"


def seed() -> str:
    written: bytes = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    return written.decode()


def _account_seed() -> str:
    written: bytes = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_ACCOUNT)
    return written.decode()


async def _source() -> str:
    return SECRET


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(nkey_seed=SECRET),
        Credentials(token=SECRET),
        Credentials(token=SECRET, kind="API key"),
        Credentials(token=_source),
        Credentials(token_file="/run/token"),
        Credentials(nkey_file="/run/seed"),
        Credentials(credentials_file="/run/user.creds"),
    ],
)
def test_a_credential_is_told_of_without_the_secret_in_it(credentials: Credentials) -> None:
    assert SECRET not in repr(credentials)
    assert SECRET not in str(credentials)
    assert str(credentials).startswith("the "), "it says what it is"
    assert credentials


def test_nothing_to_log_in_with_is_nothing() -> None:
    assert not Credentials()
    assert str(Credentials()) == ""
    assert from_environment({"HUB_TOKEN": " ", "NATS_URL": "nats://127.0.0.1"}) == Credentials()


@pytest.mark.parametrize("name", VARIABLES)
def test_each_variable_is_a_way_in(name: str) -> None:
    found = from_environment({name: " /run/some-file "})
    assert found
    assert "\n" not in repr(found)


def test_two_variables_are_an_error_that_names_both_and_shows_neither() -> None:
    with pytest.raises(InvalidRequest, match="HUB_TOKEN and HUB_API_KEY") as raised:
        from_environment({"HUB_API_KEY": SECRET, "HUB_TOKEN": f"{SECRET}-too"})
    assert SECRET not in str(raised.value)


def test_an_nkey_is_a_seed_or_the_file_of_one(tmp_path: Path) -> None:
    own = seed()
    assert nkey_credentials(own).nkey_seed == own
    assert nkey_credentials("SU").nkey_file == "SU"
    assert nkey_credentials(tmp_path / own).nkey_file == str(tmp_path / own)


async def test_files_are_read_anew_each_time_and_without_what_surrounds_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("first\n")
    login = Login(Credentials(token_file=str(file)))
    assert (await login.fresh()).token == "first"
    file.write_text("  second \r\n")
    assert (await login.fresh()).token == "second"
    own = seed()
    file.write_text(f"# the key of the engine\n-----BEGIN USER NKEY SEED-----\n{own}\n------END USER NKEY SEED------\n")
    assert (await Login(Credentials(nkey_file=str(file))).fresh()).seed == own


@pytest.mark.parametrize("content", ["", "  \n", "two words", "line\nline", "ümlaut", "x" * 20_000, "a\x00b"])
async def test_a_file_without_a_token_in_it_is_told_by_its_path_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(NoCredential, match=str(file)) as raised:
        await Login(Credentials(token_file=str(file))).fresh()
    assert not content.strip() or content not in str(raised.value)


@pytest.mark.parametrize("change", ["none", "", "account", "cut", "typo", "lower", "two", "binary"])
async def test_what_is_no_seed_of_a_user_is_told_before_any_server_is_asked(tmp_path: Path, change: str) -> None:
    own = seed()
    typo = own[:20] + ("A" if own[20] != "A" else "B") + own[21:]
    content = {
        "none": "no seed",
        "": "",
        "account": _account_seed(),
        "cut": own[:-1],
        "typo": typo,
        "lower": own.lower(),
        "two": f"{own}\n{seed()}",
        "binary": "\x00\xff" * 40,
    }[change]
    file = tmp_path / "seed"
    file.write_text(content)
    with pytest.raises(NoCredential, match="58 characters that begin with SU") as raised:
        await Login(Credentials(nkey_file=str(file))).fresh()
    assert str(file) in str(raised.value)
    assert own not in str(raised.value)


async def test_a_file_that_is_not_there_is_named() -> None:
    for given in (
        Credentials(token_file="/none"),
        Credentials(nkey_file="/none"),
        Credentials(credentials_file="/none"),
    ):
        with pytest.raises(NoCredential, match="/none: it cannot be read \\(No such file or directory\\)"):
            await Login(given).fresh()


@pytest.mark.parametrize(
    ("mode", "told"), [(0o600, False), (0o400, False), (0o640, False), (0o644, True), (0o660, True)]
)
def test_a_file_that_others_can_read_is_warned_of(tmp_path: Path, mode: int, told: bool) -> None:
    file = tmp_path / "seed"
    file.write_text(SECRET)
    file.chmod(mode)
    complaints = Credentials(nkey_file=str(file)).complaints()
    assert len(complaints) == told
    assert all(str(file) in each and "chmod 600" in each and SECRET not in each for each in complaints)


async def test_a_source_is_asked_for_each_connection_whether_it_is_async_or_not() -> None:
    count = iter(range(100))

    async def later() -> str:
        await asyncio.sleep(0)
        return f"async-{next(count)}"

    def at_once() -> str:
        return f"sync-{next(count)}"

    def partly() -> Awaitable[str]:
        return later()

    for source, kind in ((later, "async"), (at_once, "sync"), (partly, "async")):
        login = Login(Credentials(token=source))
        first, second = (await login.fresh()).token, (await login.fresh()).token
        assert first != second
        assert str(first).startswith(kind)


async def test_a_source_that_fails_is_told_by_the_kind_of_its_error_and_asked_again() -> None:
    failures = iter([True, False])

    async def source() -> str:
        if next(failures):
            raise ValueError(SECRET)
        return "fine"

    login = Login(Credentials(token=source))
    with pytest.raises(NoCredential, match="it failed \\(ValueError\\)") as raised:
        await login.fresh()
    assert SECRET not in str(raised.value)
    assert (await login.fresh()).token == "fine"


@pytest.mark.parametrize("answer", [None, "", 7, b"bytes", "two words"])
async def test_a_source_that_gives_no_token_is_told(answer: object) -> None:
    async def source() -> str:
        return answer  # type: ignore[return-value]

    with pytest.raises(NoCredential, match="expected one line of printable ASCII"):
        await Login(Credentials(token=source)).fresh()


async def test_a_source_that_hangs_is_given_up_after_its_time_and_not_called_twice_at_once() -> None:
    calls: list[int] = []
    free = threading.Event()

    def source() -> str:
        calls.append(1)
        free.wait(30)
        return "at-last"

    login = Login(Credentials(token=source), timeout=0.05)
    for _ in range(3):
        with pytest.raises(NoCredential, match="none came within"):
            await login.fresh()
    assert calls == [1]
    free.set()
    login = Login(Credentials(token=source))
    assert (await login.fresh()).token == "at-last"

    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    with pytest.raises(NoCredential, match="none came"):
        await Login(Credentials(token=never), timeout=0.05).fresh()


async def test_who_waits_for_a_source_can_be_cancelled_and_a_source_that_was_cancelled_has_failed() -> None:
    started = asyncio.Event()

    async def never() -> str:
        started.set()
        await asyncio.Event().wait()
        return ""

    waiting = asyncio.create_task(Login(Credentials(token=never)).fresh())
    await started.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    async def cancelled() -> str:
        raise asyncio.CancelledError

    with pytest.raises(NoCredential, match="it was cancelled"):
        await Login(Credentials(token=cancelled)).fresh()


def test_the_inbox_of_a_credential_is_its_own_and_tells_nothing_of_it() -> None:
    prefixes = {inbox_prefix_for(f"credential-{n}") for n in range(1000)}
    assert len(prefixes) == 1000
    prefix = inbox_prefix_for(SECRET)
    assert prefix == inbox_prefix_for(SECRET)
    assert SECRET not in prefix
    root, kind, own = prefix.split(".")
    assert (root, kind, len(own)) == ("_INBOX", "k", 20)
    assert own.isalnum()
