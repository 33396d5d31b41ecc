"""DuckDB's errors as the library's, by their class.

==================================  =====================  ======================================
class                               becomes                because
==================================  =====================  ======================================
Constraint, Conversion, OutOfRange  RowRefused             a constraint, a text that is no value,
InvalidInput, TypeMismatch                                 a number that the column cannot hold
IO, Connection, OutOfMemory,        DatabaseUnavailable    another process, the disk, memory, a
Transaction, Interrupt, Fatal,                             conflict; the file is opened anew
Internal
a missing table of ours             LedgerMissing          ``writebehind init`` was never run
everything else                     DatabaseRefused        schema, a file that is no database or one
                                                           of a newer DuckDB
==================================  =====================  ======================================
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from writebehind.databases.ledger import ledger_missing
from writebehind.errors import DatabaseError, DatabaseRefused, DatabaseUnavailable, RowRefused

_ROW_STATES: dict[type[duckdb.Error], str] = {
    duckdb.ConstraintException: "23000",
    duckdb.ConversionException: "22000",
    duckdb.OutOfRangeException: "22003",
    duckdb.InvalidInputException: "22000",
    duckdb.TypeMismatchException: "22000",
}
# A constraint's kind is told by the message alone.
_CONSTRAINT_STATES = {
    "NOT NULL constraint failed": "23502",
    "Violates foreign key": "23503",
    "PRIMARY KEY or UNIQUE constraint": "23505",
    "Duplicate key": "23505",
    "CHECK constraint failed": "23514",
}
_CONSTRAINT = "Constraint Error: "
_PASSING = (
    duckdb.IOException,
    duckdb.ConnectionException,
    duckdb.OutOfMemoryException,
    duckdb.TransactionException,
    duckdb.InterruptException,
    duckdb.FatalException,
    duckdb.InternalException,
)
_FIXES = {
    "Could not set lock": "DuckDB lets one process at a time have a file open: close it there.",
    "different configuration": "This process has the file open with other options, such as read_only: close it first.",
}
_NO_USE = ("not a valid DuckDB database", "database file with version number")


def is_held_by_another(error: duckdb.Error) -> bool:
    """Whether another process has the file, or somebody in this one in a way that excludes us."""
    return _fix(error) != ""


def _fix(error: duckdb.Error) -> str:
    if isinstance(error, duckdb.IOException | duckdb.ConnectionException):
        return next((fix for part, fix in _FIXES.items() if part in str(error)), "")
    return ""


def _row_state(error: duckdb.Error) -> str | None:
    """The SQLSTATE of an error that a row's data is to blame for."""
    if isinstance(error, duckdb.ConstraintException):
        message = str(error).removeprefix(_CONSTRAINT)
        for beginning, sqlstate in _CONSTRAINT_STATES.items():
            if message.startswith(beginning):
                return sqlstate
    return next((sqlstate for kind, sqlstate in _ROW_STATES.items() if isinstance(error, kind)), None)


def translate(error: duckdb.Error, doing: str) -> DatabaseError:
    """The library's error for a driver's; ``doing`` says what was tried, for the message."""
    why = str(error).strip()
    if sqlstate := _row_state(error):
        return RowRefused(f"{doing} was refused", why=why, sqlstate=sqlstate)
    if isinstance(error, _PASSING) and not any(part in why for part in _NO_USE):
        return DatabaseUnavailable(f"{doing} failed", why=why, fix=_fix(error))
    if isinstance(error, duckdb.CatalogException) and "writebehind_" in why and "does not exist" in why:
        return ledger_missing(why)
    return DatabaseRefused(f"{doing} was refused", why=why)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise the library's errors for what the driver raises inside the block."""
    try:
        yield
    except duckdb.Error as error:
        raise translate(error, doing) from error
