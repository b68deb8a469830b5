"""What the command says when nobody is there to ask, or nobody lets it in."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import run
from tests.hubs import environment, hub_command
from tests.servers import NatsServer, free_port

ASKING = [
    ("services",),
    ("discover", "engine"),
    ("register", "engine", "--host", "h", "--port", "1"),
    ("deregister", "engine", "e1"),
    ("drain", "engine"),
    ("weight", "engine", "e1", "5"),
    ("desired",),
    ("watch",),
]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("arguments", ASKING)
def test_without_nats_every_verb_says_what_to_do(arguments: tuple[str, ...]) -> None:
    url = f"nats://127.0.0.1:{free_port()}"
    done = run(*arguments, nats=url)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        f"hub: no hub answers on {url}: no NATS server is there (connection refused). "
        "Start one with `hub up`, or name another NATS with --nats or NATS_URL\n"
    )


@pytest.mark.parametrize("arguments", ASKING)
def test_without_a_hub_every_verb_says_what_to_do(arguments: tuple[str, ...], shared_nats: NatsServer) -> None:
    done = run(*arguments, nats=shared_nats.url)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith(
        f"hub: no hub answers on {shared_nats.url}: NATS is there, but nobody listens on hub."
    )
    assert done.stderr.count("\n") == 1


def test_with_json_the_complaint_is_an_error_reply() -> None:
    done = run("services", "--json", nats=f"nats://127.0.0.1:{free_port()}")
    error = json.loads(done.stderr)["error"]
    assert done.returncode == 4
    assert error["code"] == "unavailable"
    assert error["retryable"] is True
    assert "hub up" in error["message"]


def test_a_nats_that_says_nothing_is_given_up_after_the_timeout() -> None:
    with silent_port() as port:
        done = run("services", "--timeout", "0.5", nats=f"nats://127.0.0.1:{port}")
    assert done.returncode == 4
    assert "no answer in time" in done.stderr


def test_another_server_of_the_list_is_asked_when_the_first_is_away(shared_nats: NatsServer) -> None:
    done = run("version", "--timeout", "30", "--nats", f"nats://127.0.0.1:{free_port()},{shared_nats.url}")
    assert "nats-server 2." in done.stdout


def test_a_refused_login_says_how_to_log_in_and_shows_no_password(tmp_path: Path) -> None:
    config = 'authorization { user: "ada", password: "right" }'
    with NatsServer(tmp_path, config=config) as server:
        done = run("services", nats=server.url.replace("//", "//ada:wrong-one@"))
        let_in = run("services", nats=server.url.replace("//", "//ada:right@"))
    assert done.returncode == 1
    refused = (f"hub: NATS at {server.url} refuses the login", f"hub: NATS at {server.url} closed the connection")
    assert done.stderr.startswith(refused), "a reset can swallow the server's word for it"
    assert "the login in the URL is wrong, expired or revoked" in done.stderr
    assert "wrong-one" not in done.stderr
    assert "nobody listens" in let_in.stderr


def test_a_user_who_may_not_ask_is_told_so(tmp_path: Path) -> None:
    config = 'authorization { users: [{ user: "eve", password: "x", permissions: { publish: "none" } }] }'
    with NatsServer(tmp_path, config=config) as server:
        done = run("services", "--timeout", "1", nats=server.url.replace("//", "//eve:x@"))
    assert done.returncode == 1
    assert done.stderr.startswith("hub: hub.services: not permitted on this NATS to who is logged in")


def test_the_version_needs_nobody() -> None:
    done = run("version", nats=f"nats://127.0.0.1:{free_port()}")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:] == ["contract v1", "nats-server unknown (no NATS answers)"]


def test_an_output_that_cannot_be_written_is_one_clear_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [hub_command(), "version"], env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "hub: the output cannot be written (No space left on device)\n"


def test_the_version_tells_the_servers_where_there_is_one(shared_nats: NatsServer) -> None:
    done = run("version", "--json", "--timeout", "30", nats=shared_nats.url)
    told = json.loads(done.stdout)
    assert set(told) == {"hub", "contract", "nats_server"}
    assert told["nats_server"].startswith("2.")


@pytest.mark.parametrize(
    "arguments",
    [
        ("discover",),
        ("discover", "engine", "--first", "--json"),
        ("discover", "engine", "--status", "fine"),
        ("register", "engine"),
        ("watch", "no.such-name"),
        ("watch", ">"),
        ("services", "--nats", "http://127.0.0.1"),
        ("contract",),
    ],
)
def test_wrong_usage_is_told_before_anybody_is_asked(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Usage: hub" in done.stderr
