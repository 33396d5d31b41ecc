"""sqlite3's errors as the library's, by SQLite's result codes.

==============================  =====================  ==========================================
result code                     becomes                because
==============================  =====================  ==========================================
CONSTRAINT, MISMATCH, TOOBIG    RowRefused             a constraint, a type, a value that is too large
"integer overflow"              RowRefused             a sum beyond 64 bits (see tables.sql)
BUSY, LOCKED, FULL, IOERR,      DatabaseUnavailable    another writer, the disk, the file's rights,
READONLY, CANTOPEN, NOMEM, ...                         which can all change
no such table: writebehind_...  LedgerMissing          ``writebehind init`` was never run
everything else                 DatabaseRefused        schema, a file that is no database
==============================  =====================  ==========================================
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from writebehind.databases.ledger import ledger_missing
from writebehind.errors import DatabaseError, DatabaseRefused, DatabaseUnavailable, RowRefused

_PRIMARY = 0xFF  # the extended result codes have the primary one in their lowest byte

_ROW_CODES = {sqlite3.SQLITE_CONSTRAINT: "23000", sqlite3.SQLITE_MISMATCH: "22000", sqlite3.SQLITE_TOOBIG: "22001"}
_PRECISE_STATES = {
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: "23502",
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: "23503",
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: "23505",
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: "23505",
    sqlite3.SQLITE_CONSTRAINT_CHECK: "23514",
}
_PASSING_CODES = {
    sqlite3.SQLITE_BUSY: "Another process writes to the file for long; keep its transactions short.",
    sqlite3.SQLITE_LOCKED: "",
    sqlite3.SQLITE_NOMEM: "",
    sqlite3.SQLITE_READONLY: "Give this user the right to write the file and its folder.",
    sqlite3.SQLITE_INTERRUPT: "",
    sqlite3.SQLITE_IOERR: "Look at the disk and its file system.",
    sqlite3.SQLITE_FULL: "Free space on the disk.",
    sqlite3.SQLITE_CANTOPEN: "Give this user the right to read and write the file and its folder.",
    sqlite3.SQLITE_PROTOCOL: "",
}


def translate(error: sqlite3.Error | OverflowError | UnicodeEncodeError, doing: str) -> DatabaseError:
    """The library's error for a driver's; ``doing`` says what was tried, for the message."""
    why = str(error)
    if isinstance(error, OverflowError):
        return RowRefused(f"{doing} was refused", why=why, sqlstate="22003")
    if isinstance(error, UnicodeEncodeError):
        return RowRefused(f"{doing} was refused", why=why, sqlstate="22021")
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # errors of the module itself have none
    primary = code & _PRIMARY
    if primary in _ROW_CODES:
        return RowRefused(f"{doing} was refused", why=why, sqlstate=_PRECISE_STATES.get(code, _ROW_CODES[primary]))
    if why == "integer overflow":
        return RowRefused(f"{doing} was refused", why="a sum is not a 64-bit integer", sqlstate="22003")
    if primary in _PASSING_CODES:
        return DatabaseUnavailable(f"{doing} failed", why=why, fix=_PASSING_CODES[primary])
    if why.startswith("no such table") and "writebehind_" in why:
        return ledger_missing(why)
    return DatabaseRefused(f"{doing} was refused", why=why)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise the library's errors for what the driver raises inside the block."""
    try:
        yield
    except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
        raise translate(error, doing) from error
