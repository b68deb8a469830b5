"""The configuration of the hub's own nats-server."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hub.core import accounts
from hub.core.accounts import PublicKeys
from hub.identity.nkey import Nkey

MAX_PAYLOAD: Final = 1024 * 1024
ACCOUNT: Final = accounts.HUB_ACCOUNT
SYNC_INTERVAL: Final = "2s"
"""How long what was written may wait to reach the disk, where not each write is synced.

A killed process loses nothing of it, only a power failure does. The server syncs all its streams alike: it cannot be
told to sync the configuration, which nobody tells again, and to wait with registrations, which services do tell again.
"""


@dataclass(frozen=True, slots=True)
class Login:
    """An nkey. Its seed stays in this process; the server's configuration holds only the public half."""

    public: str
    seed: str = field(repr=False)

    @classmethod
    def fresh(cls) -> Login:
        """A new one."""
        return cls.of(Nkey.fresh("user"))

    @classmethod
    def of(cls, key: Nkey) -> Login:
        """By this key."""
        return cls(key.public, key.seed)


@dataclass(frozen=True, slots=True)
class ListenTls:
    """The files by which a server speaks TLS: its certificate, its key, and the CAs that clients must be of."""

    cert: str
    key: str
    client_ca: str | None = None

    def render(self) -> str:
        """The block of the configuration file."""
        lines = [f"  cert_file: {_absolute(self.cert)}", f"  key_file: {_absolute(self.key)}", '  min_version: "1.2"']
        if self.client_ca is not None:
            lines += [f"  ca_file: {_absolute(self.client_ca)}", "  verify: true"]
        return "\n".join(["tls {", *lines, "}", ""])


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What the server is told.

    Attributes:
        folder: Where the server keeps its files.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.
        everyone: Who a client without credentials is: a login whose seed nobody keeps.
        system: The hub's login to the system account.
        sync_always: Whether every write is synced to the disk before it is acknowledged.
        tls: The files by which it speaks TLS; None where it speaks none.
        proven: The keys of a server that lets in none but whom a hub has let in; None where it lets in everyone.
    """

    folder: Path
    host: str
    port: int
    everyone: Login
    system: Login
    sync_always: bool = True
    tls: ListenTls | None = None
    proven: PublicKeys | None = None

    @property
    def ports_dir(self) -> Path:
        """Where the server writes down on which port it listens, once it does."""
        return self.folder / "ports"

    @property
    def server_name(self) -> str:
        """The same for every start on the same folder."""
        return "hub-" + hashlib.blake2s(str(self.folder.resolve()).encode(), digest_size=5).hexdigest()

    def render(self) -> str:
        """The text of the configuration file."""
        return f"""# Written anew by `hub up` at every start.
host: {_quoted(self.host)}
port: {self.port or -1}
server_name: {_quoted(self.server_name)}
ports_file_dir: {_quoted(str(self.ports_dir.resolve()))}
max_payload: {MAX_PAYLOAD}
jetstream {{
  store_dir: {_quoted(str(self.folder.resolve()))}
  sync_interval: {"always" if self.sync_always else _quoted(SYNC_INTERVAL)}
}}
{self._accounts()}{self.tls.render() if self.tls is not None else ""}"""

    def _accounts(self) -> str:
        if self.proven is not None:
            return accounts.conf(self.proven)
        return f"""system_account: {accounts.SYSTEM_ACCOUNT}
no_auth_user: {self.everyone.public}
accounts {{
  {ACCOUNT} {{ jetstream: enabled, users: [{{ nkey: {self.everyone.public} }}] }}
  {accounts.SYSTEM_ACCOUNT} {{ users: [{{ nkey: {self.system.public} }}] }}
}}
"""

    def write(self) -> Path:
        """Write it, for the owner's eyes only, and return its path."""
        path = self.folder / "server.conf"
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(self.render())
        return path


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _absolute(path: str) -> str:
    return _quoted(str(Path(path).resolve()))
