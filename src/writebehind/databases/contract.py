"""What the library asks of a database. One folder implements it per database; one suite tests them all.

The engine decides (``chain.judge``, the split of bad rows); a database only executes. Every method
raises the library's errors alone: ``DatabaseUnavailable`` where time can mend it, ``RowRefused`` for a
row's data, ``LedgerMissing`` where the ledger's tables are absent, ``DatabaseRefused`` for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from writebehind.chain import Link, Standing
from writebehind.changes import RecordChange, ScoreChange
from writebehind.columns import Text
from writebehind.errors import RowRefused
from writebehind.mapping import (
    BoundCounter,
    BoundEvents,
    BoundLeaderboard,
    BoundRecords,
    Kind,
    NewColumn,
    TableShape,
)
from writebehind.scores import Units
from writebehind.values import Row

LEDGER_TABLES = (
    "writebehind_meta",
    "writebehind_partitions",
    "writebehind_batches",
    "writebehind_closed",
    "writebehind_marks",
    "writebehind_captured",
    "writebehind_dead_letters",
    "writebehind_incidents",
)


@dataclass(frozen=True, slots=True, order=True)
class PartitionName:
    """One partition of one mapping in one namespace. The ledger locks them in this order."""

    namespace: str
    mapping: str
    partition: int


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A partition's row in the ledger. ``row_id`` is how the ledger's other tables name it.

    ``commit_number`` rises with every commit of the partition; with ``ledger_identity`` it tells a
    database that was restored from one that was not.
    """

    row_id: int
    name: PartitionName
    head: str
    commit_number: int
    ledger_identity: str


@dataclass(frozen=True, slots=True)
class CounterRows:
    """Rows to change in one table, by one statement: sorted by key, one entry a key.

    ``counters`` share table, key columns and missing policy. ``amounts[c][r]`` is what counter ``c``
    adds to row ``r``, in units, or None where it adds nothing to that row.
    """

    counters: tuple[BoundCounter, ...]
    rows: Sequence[Row]
    amounts: Sequence[Sequence[int | None]]


@dataclass(frozen=True, slots=True)
class ScoreRows:
    """Scores to change in one leaderboard's table: sorted by key, one entry a key (board, if any, and member)."""

    leaderboard: BoundLeaderboard
    rows: Sequence[Row]
    changes: Sequence[ScoreChange]


@dataclass(frozen=True, slots=True)
class RecordRows:
    """Records to change in one table: sorted by key, one entry a key.

    Where a version column decides, the engine has left out what an existing row's version outdates.
    """

    records: BoundRecords
    rows: Sequence[Row]
    changes: Sequence[RecordChange]


@dataclass(frozen=True, slots=True)
class EventRows:
    """Events to append to one table, in this order. ``positions[i]`` is the place of ``events[i]``."""

    log: BoundEvents
    events: Sequence[Mapping[str, Text]]
    positions: Sequence[int]


@dataclass(frozen=True, slots=True)
class RowsWritten:
    """What a write did: rows, and SQL statements. ``missing`` are indices of rows that were not there."""

    rows: int
    statements: int
    missing: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A write that could not become part of its row.

    ``value`` is what would have been written: of a counter the amount, in units of the column's scale; else the
    change or the event as it travelled. ``operation`` is ``add``, ``score``, ``record`` or ``append``.
    """

    row_id: int
    """The ledger row of the write's partition."""
    key: str
    operation: str
    value: str
    reason: str
    """``missing_row``, ``row_refused`` or ``quarantine``."""
    error: str
    sqlstate: str
    batch: str
    birth: str


@dataclass(frozen=True, slots=True)
class CounterRead:
    """One consistent read: everything in it comes from one snapshot of the database."""

    head: str
    front_is_applied: bool
    """Whether the batch at the front of the chain (the one asked about) has been applied."""
    values: Mapping[Row, int]
    """Rows that exist, in units; NULL counts as 0. A row that does not exist is absent."""


class RowAbsent:
    """The answer for a row that does not exist, where NULL is an answer too."""


ABSENT = RowAbsent()


@dataclass(frozen=True, slots=True)
class RecordRead:
    """Like ``CounterRead``, of records: the columns of ``BoundRecords.columns`` as their canonical texts.

    A value that has none (PostgreSQL's ``infinity``, a word in an integer column of SQLite's) comes as the database
    writes it; ``ColumnType.decode`` refuses it.
    """

    head: str
    front_is_applied: bool
    values: Mapping[Row, Mapping[str, Text]]


@dataclass(frozen=True, slots=True)
class BoardRead:
    """A whole board, in slices of one snapshot of the database.

    ``slices`` are read while the block is open; each is a list of (member, score) with the member in its canonical
    text and the score in units. Rows whose score is NULL are left out.
    """

    head: str
    front_is_applied: bool
    slices: Iterator[Sequence[tuple[str, Units]]]


class Transaction(Protocol):
    """One open transaction of the flush. Leaving the block normally commits; an error rolls back."""

    def lock_partitions(self, names: Sequence[PartitionName]) -> list[LedgerRow]:
        """The ledger rows of ``names``, locked against other flushers, in sorted order.

        A name that was never declared is absent from the answer.
        """
        ...

    def standing(self, row: LedgerRow, link: Link) -> Standing:
        """What the ledger knows of a link, under the lock that ``lock_partitions`` took."""
        ...

    def add_to_counters(self, change: CounterRows) -> RowsWritten:
        """Add amounts to rows. NULL columns count as 0; other columns stay as they are.

        With ``missing="insert"`` absent rows are inserted, and columns without an amount get their default;
        otherwise absent rows are left and reported.
        :raises RowRefused: some row's data is refused; the caller rolls back to a savepoint.
        """
        ...

    def write_scores(self, change: ScoreRows) -> RowsWritten:
        """Change scores: ``merge`` by the board's rule with the row's score (NULL or no row: it becomes the score),
        ``set`` replaces it, ``delete`` removes the row if it is there. Missing rows are inserted.

        :raises RowRefused: some row's data is refused; the caller rolls back to a savepoint.
        """
        ...

    def read_versions(self, records: BoundRecords, rows: Sequence[Row]) -> list[Text | RowAbsent]:
        """The version column of rows, locked until the transaction ends, as canonical texts; ``RowAbsent`` for none."""
        ...

    def write_records(self, change: RecordRows) -> RowsWritten:
        """Change records, in few statements however they are mixed.

        ``delete`` removes the row if it is there. ``upsert`` sets its columns in the row; a row that is missing is
        inserted, and the columns that the change does not name get their defaults. ``renew`` deletes the row if it
        is there and inserts it. Deletions come first, so that a unique value may move from one row to another.
        :raises RowRefused: some row's data is refused; the caller rolls back to a savepoint.
        """
        ...

    def append_events(self, change: EventRows) -> RowsWritten:
        """Append events, in their order, as fast as the database can; columns that an event lacks get their defaults.

        :raises RowRefused: some event's data is refused; the caller rolls back to a savepoint.
        """
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """A block whose changes are undone when an error leaves it; the error goes on to the caller."""
        ...

    def write_marks(self, row: LedgerRow, incarnation: str, marks: Mapping[str, int]) -> None:
        """Raise the marks of lanes: producer to the last sequence number that the database has."""
        ...

    def read_mark(self, row: LedgerRow, producer: str, incarnation: str) -> int:
        """The mark of one lane; 0 where the ledger has none."""
        ...

    def read_captured(self, row: LedgerRow, keys: Sequence[str]) -> dict[str, int]:
        """What each of an application's own keys was worth when it was captured last; a key without one is absent."""
        ...

    def scan_captured(self, row: LedgerRow, after: str, limit: int) -> dict[str, int]:
        """Up to ``limit`` keys that come after a text, in their order, with what they were worth."""
        ...

    def write_captured(self, row: LedgerRow, values: Mapping[str, int]) -> None:
        """Store what keys are worth as they have been captured; 0 is the same as none."""
        ...

    def any_fence_applied(self, row: LedgerRow, fences: Sequence[str]) -> bool:
        """Whether one of these fences has been applied. Fences are remembered for ever."""
        ...

    def close_incarnation(self, row: LedgerRow, incarnation: str) -> None:
        """Close an incarnation of this partition for ever. Closing it again changes nothing."""
        ...

    def move_head(self, row: LedgerRow, link: Link, rows_written: int) -> int:
        """Make ``link`` the head, remember it, raise the commit number; returns the new number."""
        ...

    def remember_quarantined(self, row: LedgerRow, link: Link) -> int:
        """Remember that ``link`` was dealt with, without moving the head; returns the new commit number."""
        ...

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Store dead letters, in this transaction."""
        ...

    def add_incident(self, row: LedgerRow, kind: str, detail: Mapping[str, object]) -> None:
        """Record something that a person should know; ``detail`` is stored as JSON."""
        ...


class Database(Protocol):
    """A database, from its URL. Safe to use from several threads; connections are its own affair."""

    dialect: str
    """``"postgresql"``, ``"sqlite"`` or ``"duckdb"``."""

    kinds: frozenset[Kind]
    """The kinds of mapping that this database can serve; another is refused when it is opened."""

    has_savepoints: bool
    """Whether ``Transaction.savepoint`` undoes. Without it a refused row spoils the transaction, and bad rows are
    found beforehand by ``try_events``."""

    def table_shape(self, table: str) -> TableShape | None:
        """Columns, primary key and unique column sets of a table; None where there is no such table.

        :raises MappingError: where the name is a view's or another thing's without rows of its own.
        """
        ...

    def create_table(self, table: str, columns: Sequence[NewColumn], key: Sequence[str] = ()) -> None:
        """Create a table, if there is none of that name; ``key`` are the columns of its primary key, if it has one."""
        ...

    def ledger_sql(self) -> str:
        """The statements that create the ledger, for a person to run."""
        ...

    def create_ledger(self) -> None:
        """Create the ledger's tables where they are missing, and give the ledger its identity."""
        ...

    def declare_partitions(self, names: Sequence[PartitionName], declaration: Mapping[str, object]) -> list[LedgerRow]:
        """Make sure that the partitions of one mapping are in the ledger, under this declaration.

        :raises MappingConflict: the ledger has the mapping with another declaration.
        :raises LedgerMissing: the ledger was never created here.
        """
        ...

    def read_partitions(self, names: Sequence[PartitionName]) -> list[LedgerRow]:
        """The ledger rows as they are, without a lock, in sorted order."""
        ...

    def read_counter(
        self, name: PartitionName, counter: BoundCounter, rows: Sequence[Row], front: str | None
    ) -> CounterRead:
        """Values, head and whether ``front`` was applied, in one statement (one snapshot)."""
        ...

    def read_records(
        self, name: PartitionName, records: BoundRecords, rows: Sequence[Row], front: str | None
    ) -> RecordRead:
        """Records, head and whether ``front`` was applied, in one snapshot."""
        ...

    def read_board(
        self, name: PartitionName, leaderboard: BoundLeaderboard, board: Row, front: str | None
    ) -> AbstractContextManager[BoardRead]:
        """One board whole (``board`` is the board's key value, or empty), streamed, with the head, in one snapshot."""
        ...

    def dead_letters(self, name: PartitionName, births: Sequence[str]) -> list[DeadLetter]:
        """The dead letters that came from batches of these births."""
        ...

    def count_dead_letters(self, namespace: str) -> dict[str, int]:
        """Dead letters by mapping."""
        ...

    def incidents(self, namespace: str) -> list[tuple[str, int, str, str]]:
        """Incidents as (mapping, partition, kind, detail as JSON), oldest first."""
        ...

    def try_events(self, change: EventRows) -> RowRefused | None:
        """Append events in a transaction of their own and roll it back; the error where a row was refused.

        Asked only of databases without savepoints.
        """
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a flush's transaction; commits when the block ends, durably.

        :raises DatabaseUnavailable: also where the outcome of the commit is not known; the caller
            settles that by reading the head.
        """
        ...

    def ping(self) -> None:
        """Ask for nothing, to see whether the database answers."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...
