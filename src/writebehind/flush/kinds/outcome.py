"""What writing the batches of a table did, whatever their kind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from writebehind.databases.contract import RowsWritten, Transaction
from writebehind.errors import RowRefused
from writebehind.flush.task import Batch

IGNORED = "ignored"
UNREADABLE = "22000"
"""The SQLSTATE of a data exception: the database was not asked."""


def readable(content: bytes) -> str:
    """What a program wrote, as a text that every database keeps, whatever bytes it is."""
    return content.decode(errors="backslashreplace").replace("\x00", "\\x00")


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What could not be written, and why: ``row_refused``, ``missing_row``, or ``ignored`` where the mapping says so.

    ``key`` is the field, or the position of an event; ``value`` what would have been written, as dead letters show it;
    ``sqlstate`` is '' where the database was not asked.
    """

    batch: Batch
    key: bytes
    value: str
    reason: str
    error: str
    sqlstate: str


@dataclass(slots=True)
class Outcome:
    """Rows written, statements that it took, and what could not be written."""

    rows: int = 0
    statements: int = 0
    unwritten: list[Unwritten] = field(default_factory=list)

    def add_unreadable(self, batch: Batch, key: bytes, value: bytes, error: Exception) -> None:
        """What a program in another language wrote, and no row can be made of."""
        self.unwritten.append(Unwritten(batch, key, readable(value), "row_refused", str(error), UNREADABLE))

    def attempt(self, transaction: Transaction, write: Callable[[], RowsWritten]) -> RowRefused | None:
        """Write under a savepoint and count what it did; the error where a row was refused."""
        savepoint: AbstractContextManager[None] = transaction.savepoint()
        try:
            with savepoint:
                written = write()
        except RowRefused as error:
            self.statements += 1
            return error
        self.rows += written.rows
        self.statements += written.statements
        return None
