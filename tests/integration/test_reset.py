"""A server that resets the connection after its greeting, as one does whose refusal of a login is lost on the way."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from hub.errors import HubError, Unauthenticated, Unavailable
from hub.transport.connection import connect
from tests.commands import run

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time at all: closing sends a reset and throws away what was not delivered."""


@pytest.fixture(params=[True, False], ids=["asks for a login", "asks for none"])
def asks(request: pytest.FixtureRequest) -> bool:
    """Whether the server's greeting asks for a login."""
    return bool(request.param)


@pytest.fixture
def resetting_url(asks: bool) -> Iterator[str]:
    """The URL of such a server."""
    info = {"server_id": "x", "version": "2.15.1", "max_payload": 1048576, "auth_required": asks}
    listening = socket.create_server(("127.0.0.1", 0))

    def greet_and_reset() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # the test is over
            with connection:
                connection.sendall(b"INFO " + json.dumps(info).encode() + b"\r\n")
                connection.recv(64)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    thread = threading.Thread(target=greet_and_reset)
    thread.start()
    yield f"nats://127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


async def test_a_reset_is_named_as_what_a_refused_login_looks_like(resetting_url: str, asks: bool) -> None:
    expected: type[HubError] = Unauthenticated if asks else Unavailable
    with pytest.raises(expected, match="closed the connection, as it does when it refuses a login"):
        await connect(resetting_url, name="nobody", timeout=1.0)


def test_the_command_says_how_to_log_in_after_a_reset(resetting_url: str) -> None:
    done = run("services", nats=resetting_url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"hub: NATS at {resetting_url} refuses the login (the server closed the connection")
    assert "--nkey" in done.stderr
