"""The folder that a hub with a NATS of its own keeps everything in, and the lock that keeps a second hub out of it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Final

from hub.errors import StartupError

_PATIENCE: Final = 2.0
"""A server whose hub was killed is killed in turn, and holds the lock until it is gone."""
_LOOK_EVERY: Final = 0.02


class DataDir:
    """The folder, made where missing, and ours alone from `lock` to `release`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.nats = self.path / "nats"
        self._descriptor: int | None = None

    async def lock(self) -> int:
        """Make it ours, and return the descriptor that holds the lock. It goes by itself with whoever inherited it.

        Raises:
            StartupError: it cannot be written, or another hub has it.
        """
        try:
            descriptor = self._open()
        except OSError as error:
            raise self._unwritable(error) from None
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        try:
            while not self._try_lock(descriptor):
                if asyncio.get_running_loop().time() > deadline:
                    raise StartupError(
                        f"{self.path}: another hub {self._holder(descriptor)}runs on this folder: "
                        "stop it, or choose another folder with --data-dir"
                    )
                await asyncio.sleep(_LOOK_EVERY)
            self._sign(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return descriptor

    def release(self) -> None:
        """Give it up."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        self.nats.mkdir(parents=True, exist_ok=True)
        self.nats.chmod(0o700)
        return os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)

    def _try_lock(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._unwritable(error) from None
        return True

    def _sign(self, descriptor: int) -> None:
        try:
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except OSError as error:
            raise self._unwritable(error) from None

    def _holder(self, descriptor: int) -> str:
        signed = os.pread(descriptor, 32, 0).decode(errors="replace")
        return f"(process {signed}) " if signed.isdigit() else ""

    def _unwritable(self, error: OSError) -> StartupError:
        return StartupError(
            f"{self.path}: cannot be written ({error.strerror}): make it writable, or choose another with --data-dir"
        )
