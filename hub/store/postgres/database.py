"""A few connections to PostgreSQL, made when they are needed. Whatever is done with one of them ends in time."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hub.errors import DeadlineExceeded, HubError, StartupError, Unavailable
from hub.masking import hidden, mask, secrets_of, spellings
from hub.transport.postgres import tls_of
from hub.transport.tls import Unusable, explain

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

T = TypeVar("T")

CONNECT_WITHIN: Final = 3.0
_SIZE: Final = 4
_IDLE: Final = 60.0
_ENDS_WITHIN: Final = 1.0
_LONGEST: Final = 300
_SCHEMES: Final = ("postgresql://", "postgres://")
_NO_URL: Final = "PostgreSQL: the URL is not one of PostgreSQL, or what it asks for cannot be had"
_DATA: Final = ("22", "54")
"""Classes of SQLSTATE by which a value is refused: data exceptions, and what is too large or too deep."""


class ValueRefused(HubError):
    """PostgreSQL does not take a value. Trying again does not help."""

    code = "value_refused"


class Database:
    """The database that a URL names. Opens nothing before it is asked for something.

    Args:
        url: Where it is, and as whom to log in. Nothing of it is ever shown.
        ca: The file of the CAs that its certificate may be from, read again for each connection; see
            `hub.transport.postgres`.

    Raises:
        StartupError: the driver is not installed; says what to install.

    Attributes:
        trouble: Why the newest attempt to reach it failed; None where it did not.
        made: How often tables were made in it, or brought up to date, since the start.
    """

    def __init__(self, url: str, *, ca: str | None = None) -> None:
        try:  # here, since the driver is an extra
            import asyncpg
        except ImportError:
            raise StartupError(
                "platform.database_url (DATABASE_URL) is set, and the driver of PostgreSQL is not installed: install "
                "central-hub[databases], or set archive.enabled = false to have the database only looked at"
            ) from None
        self._driver = asyncpg
        self._url = url
        self._ca = ca
        self._secrets = spellings(secrets_of(url))
        self._pool: asyncpg.Pool | None = None
        self.trouble: HubError | None = None
        self.made = 0

    async def run(self, work: Callable[[PoolConnectionProxy[Any]], Awaitable[T]], *, within: float) -> T:
        """Do something with a connection, all of it within so many seconds, that of connecting included.

        Raises:
            Unavailable: the database cannot be reached, or does not let us do it; says why.
            DeadlineExceeded: it did not answer in time.
            ValueRefused: it does not take a value.
            HubError: what `work` raises.
        """
        try:
            result = await self._run(work, within)
        except ValueRefused:
            self.trouble = None
            raise
        except (Unavailable, DeadlineExceeded) as error:
            self.trouble = error
            raise
        self.trouble = None
        return result

    async def aclose(self) -> None:
        """Close every connection."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(_ENDS_WITHIN):
                await pool.close()
        except (TimeoutError, OSError, self._driver.InterfaceError, self._driver.PostgresError):
            pool.terminate()

    async def _run(self, work: Callable[[PoolConnectionProxy[Any]], Awaitable[T]], within: float) -> T:
        driver = self._driver
        try:
            async with asyncio.timeout(within):
                return await self._with_connection(work)
        except TimeoutError:
            raise DeadlineExceeded(f"PostgreSQL: no answer within {within:g} s") from None
        except (ssl.SSLError, Unusable) as error:  # of which some are ValueErrors, too
            raise Unavailable(f"PostgreSQL: {explain(error)}") from None
        except (driver.InterfaceError, ValueError):  # whose words may be pieces of a URL that is taken apart wrongly
            raise Unavailable(_NO_URL if self._pool is None else "PostgreSQL: the connection was given up") from None
        except driver.PostgresError as error:
            words = f"PostgreSQL: {self._fit(str(error))}"
            if (error.sqlstate or "").startswith(_DATA):
                raise ValueRefused(words) from None
            raise Unavailable(words) from None
        except OSError as error:
            why = os.strerror(error.errno).lower() if error.errno else "the connection was closed"
            raise Unavailable(f"PostgreSQL: cannot be reached ({why})") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise Unavailable("PostgreSQL: the connection was given up") from None  # by the driver

    async def _with_connection(self, work: Callable[[PoolConnectionProxy[Any]], Awaitable[T]]) -> T:
        if not self._url.startswith(_SCHEMES):
            raise Unavailable(_NO_URL)
        if self._pool is None:
            self._pool = await self._driver.create_pool(
                self._url,
                min_size=0,
                max_size=_SIZE,
                max_inactive_connection_lifetime=_IDLE,
                timeout=CONNECT_WITHIN,
                connect=self._connect,
                statement_cache_size=0,  # a pooler between may give each transaction another connection
            )
        connection = await self._pool.acquire()
        try:
            return await work(connection)
        except (self._driver.PostgresError, HubError):
            raise
        except BaseException:
            connection.terminate()  # who knows what it waits for
            raise
        finally:
            await self._pool.release(connection)

    async def _connect(self, *arguments: Any, **more: Any) -> Any:
        return await self._driver.connect(*arguments, **{**more, "ssl": tls_of(self._url, self._ca)})

    def _fit(self, text: str) -> str:
        return mask(hidden(" ".join(text.split())[:_LONGEST], self._secrets))
