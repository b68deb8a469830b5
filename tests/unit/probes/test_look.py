from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest

from hub.masking import secrets_of
from hub.probes.look import Failed, Look, clean, shortened, words
from hub.probes.outcome import LONGEST_OUTPUT, Outcome


async def looked(result: str | BaseException, *, secrets: tuple[str, ...] = ()) -> Outcome:
    async def look() -> str:
        if isinstance(result, BaseException):
            raise result
        return result

    return await Look(look, 5, secrets=secrets)()


async def test_what_is_found_well_passes() -> None:
    outcome = await looked("200 OK")
    assert outcome[:2] == (True, "200 OK")
    assert outcome.seconds >= 0


@pytest.mark.parametrize(
    ("error", "output"),
    [
        (Failed("NOT_SERVING"), "NOT_SERVING"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.1', 1)"), "connection refused"),
        (OSError(errno.EHOSTUNREACH, "whatever"), "no route to host"),
        (TimeoutError(errno.ETIMEDOUT, "whatever"), "connection timed out"),
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError("Connection lost"), "connection closed without an answer"),
        (asyncio.IncompleteReadError(b"", 5), "connection closed without an answer"),
        (socket.gaierror(-2, "Name or service not known"), "the host does not resolve"),
        (ssl.SSLError(1, "handshake cut short"), "no TLS: handshake cut short"),
        (ValueError("of all things"), "ValueError: of all things"),
        (KeyError(), "KeyError"),
        (ExceptionGroup("several", [OSError("one")]), "ExceptionGroup: several (1 sub-exception)"),
    ],
)
async def test_whatever_is_raised_is_a_failure_in_a_few_words(error: Exception, output: str) -> None:
    assert (await looked(error))[:2] == (False, output)


async def test_a_driver_that_gives_up_by_cancelling_itself_is_a_failure() -> None:
    assert (await looked(asyncio.CancelledError()))[:2] == (False, "the connection was given up")


async def test_who_cancels_a_look_is_obeyed() -> None:
    began = asyncio.Event()

    async def look() -> str:
        began.set()
        await asyncio.sleep(60)
        return "too late"

    async def once() -> None:
        await Look(look, 50)()

    task = asyncio.create_task(once())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("wrapped", [True, False])
async def test_a_look_ends_at_its_timeout_whatever_a_driver_makes_of_it(wrapped: bool) -> None:
    async def look() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if wrapped:
                raise RuntimeError("interrupted") from None
            raise
        return "too late"

    assert (await Look(look, 0.05)())[:2] == (False, "no answer within 0.05 s")


async def test_output_is_one_short_line_without_control_characters() -> None:
    outcome = await looked("a\r\n\tb\x1b[31m\0\u202ec\u2028 \ud800d\x9b" + "x" * 10_000)
    assert outcome.output.startswith("a b [31m c d x")
    assert len(outcome.output) == LONGEST_OUTPUT
    assert outcome.output.endswith("...")
    assert outcome.output.isprintable()


@pytest.mark.parametrize("said", ["p@ss/w%rd", "p%40ss%2Fw%25rd"])
async def test_secrets_are_masked_in_every_spelling(said: str) -> None:
    for secret in ("p@ss/w%rd", "p%40ss%2Fw%25rd"):
        outcome = await looked(Failed(f"login {said} refused"), secrets=(secret,))
        assert outcome.output == "login *** refused"


async def test_a_secret_across_the_cut_is_masked_too() -> None:
    outcome = await looked("x" * 250 + "secretsecret", secrets=("secretsecret",))
    assert "se" not in outcome.output


async def test_what_looks_like_a_secret_is_masked_anyhow() -> None:
    assert (await looked("see redis://u:hunter2@cache:6379")).output == "see redis://u:***@cache:6379"


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("redis://:hunter2@cache", ["hunter2"]),
        ("postgresql://u:p%40@db/x?password=second&sslmode=require", ["p%40", "second"]),
        ("redis://cache", [""]),
        ("redis://u:hunter2@[::1", ["redis://u:hunter2@[::1"]),
    ],
)
def test_the_secrets_of_a_url_are_known(url: str, secrets: list[str]) -> None:
    assert secrets_of(url) == secrets


def test_short_texts_stay_as_they_are() -> None:
    assert shortened("x" * 10, 10) == "x" * 10
    assert shortened("x" * 11, 10) == "x" * 7 + "..."
    assert clean(" plain ") == "plain"


def test_certificates_are_judged_in_the_words_of_the_library() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    assert words(error) == "certificate has expired"
