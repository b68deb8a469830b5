"""The hub's own nats-server, kept running for as long as the hub lives and not a moment longer."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

import structlog

from hub.core.accounts import PublicKeys
from hub.embedded import binary
from hub.embedded.config import ListenTls, Login, ServerConfig
from hub.embedded.datadir import DataDir
from hub.embedded.process import ServerProcess
from hub.errors import StartupError
from hub.settings import Settings

log = structlog.get_logger(__name__)

_MOST_FAILURES: Final = 5
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_STABLE_AFTER: Final = 30.0
"""Seconds after which a run counts as a good one, and earlier failures are forgotten."""
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class EmbeddedServer:
    """A nats-server on the hub's data folder. Entering its context returns when it takes clients; leaving it ends it.

    Should it die, it is started again on the same port; should it keep dying, `wait_failed` says so. Clients need no
    credentials, unless identities are proven. Its system account is open only to who has `system_seed`, which is new at
    every start where it is not given.

    Args:
        settings: Where to listen (`nats.host`, `nats.port`), where the data lie (`data_dir`), which program to run
            (`nats.server`), when it syncs (`nats.sync`), by which files it speaks TLS (`nats.listen_cert` and those
            beside it).
        proven: The public keys by which identities are proven; None where everybody is let in.
        system: The login to its system account that these keys are of; None for a fresh one.
    """

    def __init__(self, settings: Settings, *, proven: PublicKeys | None = None, system: Login | None = None) -> None:
        self._settings = settings
        self._data = DataDir(settings.data_dir)
        self._config = ServerConfig(
            self._data.nats,
            settings.nats.host,
            settings.nats.port,
            everyone=Login.fresh(),
            system=system or Login.fresh(),
            sync_always=settings.nats.sync == "always",
            tls=_tls_of(settings),
            proven=proven,
        )
        self._program = ""
        self._lock = -1
        self._process: ServerProcess | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def url(self) -> str:
        """Where clients on this machine connect."""
        host = _EVERYWHERE.get(self._config.host, self._config.host)
        scheme = "nats" if self._config.tls is None else "tls"
        return f"{scheme}://[{host}]:{self._config.port}" if ":" in host else f"{scheme}://{host}:{self._config.port}"

    @property
    def system_seed(self) -> str:
        """The nkey seed that logs in to the system account."""
        return self._config.system.seed

    @property
    def pid(self) -> int | None:
        """The process id of the server; None while it is being started again."""
        return self._process.pid if self._process is not None else None

    def reload(self) -> None:
        """Have it read its certificate again; open connections go on. One that it cannot use leaves the one before."""
        if self._process is not None:
            self._process.hang_up()

    async def wait_failed(self) -> None:
        """Return never, unless the server cannot be kept running; then raise why.

        Raises:
            StartupError: it ended or failed to start several times in a row.
        """
        await asyncio.shield(self._failed)

    async def __aenter__(self) -> Self:
        try:
            self._program = await asyncio.to_thread(binary.find, self._settings.nats.server)
            self._lock = await self._data.lock()
            await self._start()
        except BaseException:
            await self._close()
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="nats-server-supervisor")
        self._supervisor.add_done_callback(self._on_supervisor_ended)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        try:
            if self._supervisor is not None:
                self._supervisor.cancel()
                await asyncio.gather(self._supervisor, return_exceptions=True)
            if self._process is not None:
                await self._process.stop()
                log.info("nats-server stopped", pid=self._process.pid)
                self._process = None
        finally:
            self._data.release()
            if self._failed.done() and not self._failed.cancelled():
                self._failed.exception()  # whoever waits has been told; nobody else needs to be
            self._failed.cancel()

    async def _start(self) -> None:
        try:
            self._process = await ServerProcess.start(self._program, self._config, lock=self._lock)
        except OSError as error:
            raise StartupError(
                f"{self._data.nats}: nats-server cannot be started there ({error.strerror}); "
                "make room or choose another folder with --data-dir"
            ) from None
        self._config = replace(self._config, port=self._process.port)
        log.info("nats-server started", pid=self._process.pid, url=self.url, program=self._program)

    # --- while it runs

    async def _supervise(self) -> None:
        failures = 0
        while True:
            failures = 0 if await self._run_out() >= _STABLE_AFTER else failures + 1
            while self._process is None:
                if failures >= _MOST_FAILURES:
                    where = self._data.nats / "server.log"
                    raise StartupError(f"nats-server failed {failures} times in a row; its log says why: {where}")
                await asyncio.sleep(min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE))
                try:
                    await self._start()
                except StartupError as error:
                    failures += 1
                    log.error("nats-server not started again", reason=error.message, failures=failures)

    async def _run_out(self) -> float:
        """Wait for the end of the running process, and return how many seconds it ran from now."""
        assert self._process is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        code = await self._process.wait()
        process, self._process = self._process, None
        log.error("nats-server ended; starting it again", pid=process.pid, code=code, said=process.last_words())
        return loop.time() - began

    def _on_supervisor_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._failed.done():
            return
        with contextlib.suppress(asyncio.InvalidStateError):
            self._failed.set_exception(task.exception() or RuntimeError("the supervisor of nats-server ended"))


def _tls_of(settings: Settings) -> ListenTls | None:
    nats = settings.nats
    if nats.listen_cert is None or nats.listen_key is None:
        return None
    return ListenTls(nats.listen_cert, nats.listen_key, nats.listen_client_ca)
