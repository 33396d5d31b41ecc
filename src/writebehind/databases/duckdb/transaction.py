"""One transaction of a flush in DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import duckdb

from writebehind.chain import Link, Standing
from writebehind.columns import Text
from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import (
    CounterRows,
    DeadLetter,
    EventRows,
    LedgerRow,
    PartitionName,
    RecordRows,
    RowAbsent,
    RowsWritten,
    ScoreRows,
)
from writebehind.databases.duckdb.connections import rows_of
from writebehind.databases.duckdb.errors import translated
from writebehind.databases.duckdb.events import append_events
from writebehind.databases.duckdb.given import given
from writebehind.databases.ledger import KEEP_BATCHES_DAYS, PRUNE_EVERY_COMMITS, canonical_json, storable
from writebehind.errors import DatabaseRefused, RowRefused
from writebehind.mapping import BoundRecords
from writebehind.values import Row

_SQL = load_blocks(__package__, "ledger.sql")


def events_alone() -> NoReturn:
    """:raises DatabaseRefused: for what DuckDB does not serve; opening has refused such mappings before."""
    raise DatabaseRefused(
        "DuckDB serves event logs alone",
        why="it is made to append and to analyse, and has one process at a time",
        fix="Give the mapping another database.",
    )


def name_facts(name: PartitionName) -> dict[str, Any]:
    """A partition's name as parameters."""
    return {"namespace": name.namespace, "mapping": name.mapping, "partition": name.partition}


def read_rows(connection: duckdb.DuckDBPyConnection, names: Sequence[PartitionName]) -> list[LedgerRow]:
    """The ledger rows of ``names``, in sorted order; undeclared ones are absent."""
    rows = []
    for name in sorted(set(names)):
        found = rows_of(connection, _SQL["read_partition"], name_facts(name))
        if found:
            row_id, head, commit_number, identity = found[0]
            rows.append(LedgerRow(row_id, name, head, commit_number, identity))
    return rows


class DuckdbTransaction:
    """See ``contract.Transaction``. There is no other user of the file until it ends."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._spoiled_by: BaseException | None = None

    def refuse_if_spoiled(self) -> None:
        """Before the commit.

        :raises DatabaseRefused: something in it failed; without savepoints a part of it cannot be undone.
        """
        if self._spoiled_by is not None:
            raise DatabaseRefused(
                "the transaction was not committed",
                why=f"something in it failed, and DuckDB has no savepoints to undo that alone: {self._spoiled_by}",
                fix="Let the error leave the transaction; find bad rows by try_events beforehand.",
            ) from self._spoiled_by

    def lock_partitions(self, names: Sequence[PartitionName]) -> list[LedgerRow]:
        with translated("locking partitions"):
            return read_rows(self._connection, names)

    def standing(self, row: LedgerRow, link: Link) -> Standing:
        facts = {"batch": link.identity, "incarnation": link.incarnation, "birth": link.birth}
        found = self._row("standing", "reading the ledger", row, facts)
        if found is None:
            raise _partition_removed("reading the ledger")
        head, is_applied, incarnation_closed, applied_birth_writes = found
        return Standing(head, bool(is_applied), bool(incarnation_closed), applied_birth_writes)

    def add_to_counters(self, change: CounterRows) -> RowsWritten:  # noqa: ARG002  # the contract's
        events_alone()

    def write_scores(self, change: ScoreRows) -> RowsWritten:  # noqa: ARG002  # the contract's
        events_alone()

    def read_versions(self, records: BoundRecords, rows: Sequence[Row]) -> list[Text | RowAbsent]:  # noqa: ARG002
        events_alone()

    def write_records(self, change: RecordRows) -> RowsWritten:  # noqa: ARG002  # the contract's
        events_alone()

    def append_events(self, change: EventRows) -> RowsWritten:
        try:
            return append_events(self._connection, change)
        except RowRefused as error:
            self._spoiled_by = error  # events before it may have been appended, and stay
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """DuckDB has none: see ``has_savepoints``. After an error in the block the transaction cannot commit."""
        try:
            yield
        except BaseException as error:
            self._spoiled_by = error
            raise

    def write_marks(self, row: LedgerRow, incarnation: str, marks: Mapping[str, int]) -> None:
        with translated("writing marks"):
            for producer, seq in marks.items():
                facts = {"partition_id": row.row_id, "producer": producer, "incarnation": incarnation, "seq": seq}
                self._connection.execute(_SQL["write_mark"], facts)

    def read_mark(self, row: LedgerRow, producer: str, incarnation: str) -> int:
        facts = {"producer": producer, "incarnation": incarnation}
        found = self._row("read_mark", "reading a mark", row, facts)
        return int(found[0]) if found else 0

    def read_captured(self, row: LedgerRow, keys: Sequence[str]) -> dict[str, int]:  # noqa: ARG002
        events_alone()

    def scan_captured(self, row: LedgerRow, after: str, limit: int) -> dict[str, int]:  # noqa: ARG002
        events_alone()

    def write_captured(self, row: LedgerRow, values: Mapping[str, int]) -> None:  # noqa: ARG002
        events_alone()

    def any_fence_applied(self, row: LedgerRow, fences: Sequence[str]) -> bool:
        return any(self._row("is_fence_applied", "reading the ledger", row, {"fence": fence}) for fence in fences)

    def close_incarnation(self, row: LedgerRow, incarnation: str) -> None:
        self._do("close_incarnation", "closing an incarnation", row, {"incarnation": incarnation})

    def move_head(self, row: LedgerRow, link: Link, rows_written: int) -> int:
        self._remember(row, link, "fence" if link.is_fence else "batch", rows_written)
        number = self._raise_commit_number(row, link.identity)
        if number % PRUNE_EVERY_COMMITS == 0:
            self._do("forget_old_batches", "forgetting old batches", row, {"days": KEEP_BATCHES_DAYS})
        return number

    def remember_quarantined(self, row: LedgerRow, link: Link) -> int:
        self._remember(row, link, "quarantined", 0)
        return self._raise_commit_number(row, None)

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        # By one statement: a batch that is put aside may have a hundred thousand.
        numbers = {"number": range(len(letters)), "partition_id": [letter.row_id for letter in letters]}
        texts: dict[str, list[Text]] = {
            "key": [storable(letter.key) for letter in letters],
            "operation": [letter.operation for letter in letters],
            "value": [storable(letter.value) for letter in letters],
            "reason": [letter.reason for letter in letters],
            "error": [storable(letter.error) for letter in letters],
            "sqlstate": [letter.sqlstate for letter in letters],
            "batch": [letter.batch for letter in letters],
            "birth": [letter.birth for letter in letters],
        }
        if letters:
            with translated("writing dead letters"), given(self._connection, texts, numbers):
                self._connection.execute(_SQL["add_dead_letters"])

    def add_incident(self, row: LedgerRow, kind: str, detail: Mapping[str, object]) -> None:
        self._do("add_incident", "recording an incident", row, {"kind": kind, "detail": canonical_json(detail)})

    def _remember(self, row: LedgerRow, link: Link, kind: str, rows_written: int) -> None:
        facts = {
            "batch": link.identity,
            "birth": link.birth,
            "incarnation": link.incarnation,
            "kind": kind,
            "writes": link.writes,
            "rows": rows_written,
        }
        self._do("remember_batch", "remembering a batch", row, facts)

    def _raise_commit_number(self, row: LedgerRow, head: str | None) -> int:
        found = self._row("raise_commit_number", "moving the head", row, {"head": head})
        if found is None:
            raise _partition_removed("moving the head")
        return int(found[0])

    def _do(self, block: str, doing: str, row: LedgerRow, facts: Mapping[str, Any]) -> None:
        with translated(doing):
            self._connection.execute(_SQL[block], {"partition_id": row.row_id, **facts})

    def _row(self, block: str, doing: str, row: LedgerRow, facts: Mapping[str, Any]) -> tuple[Any, ...] | None:
        with translated(doing):
            found = rows_of(self._connection, _SQL[block], {"partition_id": row.row_id, **facts})
            return found[0] if found else None


def _partition_removed(doing: str) -> DatabaseRefused:
    return DatabaseRefused(f"{doing} found no such partition", why="its row was removed from the ledger")
