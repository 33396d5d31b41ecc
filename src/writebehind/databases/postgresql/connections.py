"""Opening connections, and keeping them between uses without being fooled by dead ones."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from writebehind.databases.idle import IdleConnections
from writebehind.databases.postgresql.arrays import register_arrays
from writebehind.databases.postgresql.errors import is_connection_lost, translate, translate_connecting
from writebehind.databases.urls import has_secret, redact_url
from writebehind.errors import ConfigurationError

PgConnection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Result = TypeVar("Result")

ASK_AFTER_IDLE_S = 10.0
"""A connection that was idle for longer is asked whether it lives: a firewall may have dropped it silently."""

# What the URL does not say. A peer that vanished without a word is noticed within about half a minute.
_DEFAULTS = {
    "application_name": "writebehind",
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


class Connections:
    """Connections to one database, each used by one thread at a time. All are in autocommit mode."""

    def __init__(self, url: str) -> None:
        self.where = redact_url(url)
        """The URL without its password, for messages."""
        given = self._parse(url)
        # Arrays of text are encoded here, and always as UTF-8.
        self._conninfo = make_conninfo("", **(_DEFAULTS | given | {"client_encoding": "utf8"}))
        self._idle: IdleConnections[PgConnection] = IdleConnections(lambda connection: connection.close())

    def _parse(self, url: str) -> dict[str, Any]:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            # The driver's message may quote the password.
            why = "it cannot be read" if has_secret(url) else str(error).strip()
            raise self._wrong_url(why) from None
        if not all(port.isdigit() for port in str(given.get("port") or "0").split(",")):
            raise self._wrong_url("the port is not a number")
        return given

    def _wrong_url(self, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"the database URL {self.where!r} is wrong",
            why=why,
            fix="Write postgresql://user:password@host:port/database, with special characters percent-encoded.",
        )

    def close(self) -> None:
        """Close all connections; those in use, when their use ends."""
        self._idle.clear(closed=True)

    @contextmanager
    def use(self, first: Callable[[PgConnection], Result], doing: str) -> Iterator[tuple[PgConnection, Result]]:
        """A connection on which ``first`` was called, and its result; kept afterwards if it is healthy.

        Where ``first`` finds a kept connection dead, it is called again with another: it must be something
        that may be repeated, such as a BEGIN or a SELECT. Errors inside the block are the caller's.
        """
        connection, result = self._begin(first, doing)
        try:
            yield connection, result
        finally:
            if connection.info.transaction_status == TransactionStatus.IDLE:
                self._idle.give_back(connection)
            else:
                connection.close()  # broken, or in the middle of something

    def _begin(self, first: Callable[[PgConnection], Result], doing: str) -> tuple[PgConnection, Result]:
        while kept := self._idle.take():
            connection, idle_s = kept
            if _has_news(connection):
                connection.close()
                continue
            try:
                if idle_s > ASK_AFTER_IDLE_S:
                    connection.execute("")
                return connection, first(connection)
            except BaseException as error:
                connection.close()
                if not (isinstance(error, psycopg.Error) and is_connection_lost(error)):
                    raise _translated(error, doing) from error
        connection = self._open()
        try:
            return connection, first(connection)
        except BaseException as error:
            connection.close()
            raise _translated(error, doing) from error

    def _open(self) -> PgConnection:
        try:
            # No prepared statements: plans must see how long this call's arrays are, and poolers that share
            # connections between transactions do not keep them.
            connection = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise translate_connecting(error, self.where) from error
        register_arrays(connection)
        return connection


def _translated(error: BaseException, doing: str) -> BaseException:
    return translate(error, doing) if isinstance(error, psycopg.Error) else error


def _has_news(connection: PgConnection) -> bool:
    """Whether something came in while nobody asked anything: a farewell, as a rule. Costs no round trip."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))
