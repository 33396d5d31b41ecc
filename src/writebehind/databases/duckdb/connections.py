"""Opening a DuckDB file for one use at a time.

DuckDB lets one process at a time have a file open, even for reading. So a file is opened for each use and closed
after it; uses within one process take turns, and another process that has the file is waited for.

Links are followed before a file is opened: under two names, a process could have it open twice, and DuckDB's lock on
it is gone as soon as one of the two is closed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb

from writebehind.databases.duckdb.errors import is_held_by_another, translate, translated
from writebehind.databases.urls import redact_url
from writebehind.errors import ConfigurationError, DatabaseRefused, DatabaseUnavailable

BUSY_TIMEOUT_S = 5.0
"""How long a use waits for another process, or for another thread of this one, that has the file."""
_POLL_S = 0.02
_PREFIX = "duckdb:///"


@dataclass(slots=True)
class _File:
    """A file as this process uses it. ``uses`` is changed by the thread that has the lock alone."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    uses: int = 0


_files: dict[str, _File] = {}
_files_gate = threading.Lock()
_open_at_the_fork: set[str] = set()


def _forget_the_parents_uses() -> None:
    """In a forked child no thread uses a file, but what its parent had open is open here, too, without its lock."""
    global _files_gate
    _files_gate = threading.Lock()
    _open_at_the_fork.update(path for path, file in _files.items() if file.uses)
    _files.clear()


os.register_at_fork(after_in_child=_forget_the_parents_uses)


class Connections:
    """Uses of one file."""

    def __init__(self, url: str) -> None:
        self.path = _path(url)

    @contextmanager
    def use(self, *, transaction: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection, inside a transaction if asked for: it commits when the block ends.

        Within a use the same thread may begin another one, on a connection of its own to the same instance.
        :raises DatabaseUnavailable: another has the file; also where the outcome of the commit is not known.
        :raises DatabaseRefused: the file was open when this process was forked.
        """
        path = os.path.realpath(self.path)
        with _turn(path):
            connection = _open(path)
            try:
                if transaction:
                    with translated("beginning a transaction"):
                        connection.execute("BEGIN")
                yield connection
                if transaction:
                    _commit(connection)
            finally:
                connection.close()  # a transaction that is open is rolled back


@contextmanager
def _turn(path: str) -> Iterator[None]:
    """A block that no other thread of this process is in for the same file."""
    if path in _open_at_the_fork:
        raise DatabaseRefused(
            f"the DuckDB file {path!r} cannot be used in this process",
            why="the process that this one was forked from had it open at that moment, and both would write at once",
            fix='Fork before the application is opened, or start processes by "spawn".',
        )
    with _files_gate:
        file = _files.setdefault(path, _File())
    if not file.lock.acquire(timeout=BUSY_TIMEOUT_S):
        raise DatabaseUnavailable(
            f"the DuckDB file {path!r} is in use", why="another thread of this process has it for long"
        )
    try:
        file.uses += 1
        try:
            yield
        finally:
            file.uses -= 1
    finally:
        file.lock.release()


def _open(path: str) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return duckdb.connect(path)
        except duckdb.Error as error:
            if not is_held_by_another(error) or time.monotonic() >= deadline:
                raise translate(error, f"opening {path!r}") from error
        time.sleep(_POLL_S)


def _commit(connection: duckdb.DuckDBPyConnection) -> None:
    with translated("the commit"):
        # After an error, DuckDB answers COMMIT as if all were well, and keeps nothing; other statements it refuses.
        connection.execute("SELECT 1")
    try:
        connection.execute("COMMIT")
    except duckdb.Error as error:
        translation = translate(error, "the commit")
        if not isinstance(translation, DatabaseUnavailable):
            raise translation from error
        # The disk's errors come as those of the transaction; what of it is in the log, a new opening will see.
        raise DatabaseUnavailable(
            "the outcome of the commit is not known", why=str(error), fix="Read the head again."
        ) from error


def rows_of(connection: duckdb.DuckDBPyConnection, statement: str, facts: dict[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of one statement with parameters by name: a result that is not read whole blocks what follows it."""
    return connection.execute(statement, facts).fetchall()


def _path(url: str) -> Path:
    name = unquote(url.removeprefix(_PREFIX))
    if not url.startswith(_PREFIX) or not name or name == ":memory:" or "?" in url:
        raise ConfigurationError(
            f"the database URL {redact_url(url)!r} does not name a DuckDB file",
            why="a database in memory could not be shared, and parameters are not known" if url[:10] == _PREFIX else "",
            fix="Write duckdb:///relative.duckdb, or duckdb:////absolute/path.duckdb.",
        )
    path = Path(os.path.abspath(name))  # noqa: PTH100  # and not resolve(): links are followed at each opening
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"the folder {str(path.parent)!r} of the DuckDB file {path.name!r} does not exist",
            fix="Create the folder, or correct the URL; an absolute path has four slashes: duckdb:////path/file.duckdb.",
        )
    return path
