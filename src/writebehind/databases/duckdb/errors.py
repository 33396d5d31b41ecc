"""DuckDB's errors as the library's, by their class.

==================================  =====================  ======================================
class                               becomes                because
==================================  =====================  ======================================
Constraint, Conversion, OutOfRange  RowRefused             a constraint, a text that is no value,
InvalidInput, TypeMismatch                                 a number that the column cannot hold
IO, OutOfMemory, Transaction,       DatabaseUnavailable    another process, the disk, memory, a
Interrupt, Fatal, Internal                                 conflict; the file is opened anew
a missing table of ours             LedgerMissing          ``writebehind init`` was never run
everything else                     DatabaseRefused        schema, a file that is no database
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
_PASSING = (
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.TransactionException,
    duckdb.InterruptException,
    duckdb.FatalException,
    duckdb.InternalException,
)
_HELD = "Could not set lock"
_NO_DATABASE = "not a valid DuckDB database"


def is_held_by_another(error: duckdb.Error) -> bool:
    """Whether another process has the file."""
    return isinstance(error, duckdb.IOException) and _HELD in str(error)


def translate(error: duckdb.Error, doing: str) -> DatabaseError:
    """The library's error for a driver's; ``doing`` says what was tried, for the message."""
    why = str(error).strip()
    for kind, sqlstate in _ROW_STATES.items():
        if isinstance(error, kind):
            return RowRefused(f"{doing} was refused", why=why, sqlstate=sqlstate)
    if isinstance(error, _PASSING) and _NO_DATABASE not in why:
        fix = "DuckDB lets one process at a time have a file open: close it there." if is_held_by_another(error) else ""
        return DatabaseUnavailable(f"{doing} failed", why=why, fix=fix)
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
