"""Opening a SQLite file safely, and keeping connections between uses."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from writebehind.databases.idle import IdleConnections
from writebehind.databases.sqlite.errors import translate, translated
from writebehind.databases.urls import redact_url
from writebehind.errors import ConfigurationError, DatabaseUnavailable

BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for another process's lock."""
_PREFIX = "sqlite:///"
_WAL_POLL_S = 0.01

Begin = Literal["", "BEGIN", "BEGIN IMMEDIATE"]
"""No transaction (each statement is its own), one for reading, or one for writing."""


class _FileConnection(sqlite3.Connection):
    """A connection that knows which file it has opened."""

    file: tuple[int, int]


class Connections:
    """Connections to one file, each used by one thread at a time."""

    def __init__(self, url: str) -> None:
        self.path = _path(url)
        self._idle: IdleConnections[_FileConnection] = IdleConnections(lambda connection: connection.close())

    def close(self) -> None:
        """Close all connections; those in use, when their use ends."""
        self._idle.clear(closed=True)

    @contextmanager
    def use(self, begin: Begin = "") -> Iterator[sqlite3.Connection]:
        """A connection, inside a transaction if ``begin`` says so: it commits when the block ends.

        :raises DatabaseUnavailable: also where the outcome of the commit is not known.
        """
        connection = self._take()
        try:
            if begin:
                with translated("beginning a transaction"):
                    connection.execute(begin)
            yield connection
            if begin:
                _commit(connection)
        except BaseException:
            _roll_back(connection)
            raise
        finally:
            if connection.in_transaction:
                connection.close()  # its rollback failed; closing undoes the rest
            else:
                self._idle.give_back(connection)

    def _take(self) -> _FileConnection:
        while kept := self._idle.take():
            connection, _ = kept
            if connection.file == _identity(self.path):
                return connection
            connection.close()  # the file was removed or replaced: what is written to the old one is lost
        with translated(f"opening {str(self.path)!r}"):
            return self._open()

    def _open(self) -> _FileConnection:
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,  # transactions are begun and ended here alone
            check_same_thread=False,  # one thread at a time, but not always the same
            factory=_FileConnection,
        )
        try:
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = FULL")  # or a commit that was answered may not be on disk
            connection.file = _identity(self.path)
        except BaseException:
            connection.close()
            raise
        return connection


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            raise translate(error, "the commit") from error
        raise DatabaseUnavailable(
            "the outcome of the commit is not known", why=str(error), fix="Read the head again."
        ) from error


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with suppress(sqlite3.Error):  # the first error goes on to the caller
            connection.execute("ROLLBACK")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL, once for all: readers and the writer then do not wait for each other.

    SQLite does not wait for locks here, busy timeout or not, so two that open a new file at the same
    instant would fail.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(_WAL_POLL_S)


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return status.st_dev, status.st_ino


def _path(url: str) -> Path:
    name = unquote(url.removeprefix(_PREFIX))
    if not url.startswith(_PREFIX) or not name or name == ":memory:" or "?" in url:
        raise ConfigurationError(
            f"the database URL {redact_url(url)!r} does not name a SQLite file",
            why="a database in memory could not be shared, and parameters are not known" if url[:10] == _PREFIX else "",
            fix="Write sqlite:///relative.db, or sqlite:////absolute/path.db.",
        )
    path = Path(os.path.abspath(name))  # noqa: PTH100  # and not resolve(): links are followed at each opening
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"the folder {str(path.parent)!r} of the SQLite file {path.name!r} does not exist",
            fix="Create the folder, or correct the URL; an absolute path has four slashes: sqlite:////path/file.db.",
        )
    return path
