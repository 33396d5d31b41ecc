"""One transaction of a flush in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

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
from writebehind.databases.ledger import KEEP_BATCHES_DAYS, PRUNE_EVERY_COMMITS, canonical_json, storable
from writebehind.databases.sqlite import counters, events, scores
from writebehind.databases.sqlite import records as records_sql
from writebehind.databases.sqlite.errors import translated
from writebehind.errors import DatabaseRefused
from writebehind.mapping import BoundRecords
from writebehind.values import Row

_SQL = load_blocks(__package__, "ledger.sql")


def name_facts(name: PartitionName) -> dict[str, Any]:
    """A partition's name as parameters."""
    return {"namespace": name.namespace, "mapping": name.mapping, "partition": name.partition}


def read_rows(connection: sqlite3.Connection, names: Sequence[PartitionName]) -> list[LedgerRow]:
    """The ledger rows of ``names``, in sorted order; undeclared ones are absent."""
    rows = []
    for name in sorted(set(names)):
        found = connection.execute(_SQL["read_partition"], name_facts(name)).fetchone()
        if found is not None:
            row_id, head, commit_number, identity = found
            rows.append(LedgerRow(row_id, name, head, commit_number, identity))
    return rows


class SqliteTransaction:
    """See ``contract.Transaction``. It was begun IMMEDIATE: there is no other writer until it ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

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

    def add_to_counters(self, change: CounterRows) -> RowsWritten:
        return counters.add_to_counters(self._connection, change)

    def read_versions(self, records: BoundRecords, rows: Sequence[Row]) -> list[Text | RowAbsent]:
        return records_sql.read_versions(self._connection, records, rows)

    def write_records(self, change: RecordRows) -> RowsWritten:
        return records_sql.write_records(self._connection, change)

    def write_scores(self, change: ScoreRows) -> RowsWritten:
        return scores.write_scores(self._connection, change)

    def append_events(self, change: EventRows) -> RowsWritten:
        return events.append_events(self._connection, change)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with translated("setting a savepoint"):
            self._connection.execute("SAVEPOINT writebehind")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # SQLite ends it itself after some errors, such as a full disk
                with translated("rolling back to a savepoint"):
                    self._connection.execute("ROLLBACK TO SAVEPOINT writebehind")
                    self._connection.execute("RELEASE SAVEPOINT writebehind")
            raise
        with translated("releasing a savepoint"):
            self._connection.execute("RELEASE SAVEPOINT writebehind")

    def write_marks(self, row: LedgerRow, incarnation: str, marks: Mapping[str, int]) -> None:
        with translated("writing marks"):
            self._connection.executemany(
                _SQL["write_mark"],
                [
                    {"partition_id": row.row_id, "producer": producer, "incarnation": incarnation, "seq": seq}
                    for producer, seq in marks.items()
                ],
            )

    def read_mark(self, row: LedgerRow, producer: str, incarnation: str) -> int:
        facts = {"producer": producer, "incarnation": incarnation}
        found = self._row("read_mark", "reading a mark", row, facts)
        return int(found[0]) if found else 0

    def read_captured(self, row: LedgerRow, keys: Sequence[str]) -> dict[str, int]:
        facts = {"partition_id": row.row_id, "keys": json.dumps(list(keys))}
        with translated("reading what was captured"):
            return dict(self._connection.execute(_SQL["read_captured"], facts).fetchall())

    def scan_captured(self, row: LedgerRow, after: str, limit: int) -> dict[str, int]:
        facts = {"partition_id": row.row_id, "after": after, "limit": limit}
        with translated("reading what was captured"):
            return dict(self._connection.execute(_SQL["scan_captured"], facts).fetchall())

    def write_captured(self, row: LedgerRow, values: Mapping[str, int]) -> None:
        facts = [{"partition_id": row.row_id, "key": key, "value": value} for key, value in values.items()]
        with translated("writing what was captured"):
            self._connection.executemany(_SQL["write_captured"], [each for each in facts if each["value"]])
            self._connection.executemany(
                _SQL["forget_captured"],
                [{"partition_id": row.row_id, "key": key} for key, value in values.items() if not value],
            )

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
        with translated("writing dead letters"):
            self._connection.executemany(
                _SQL["add_dead_letter"],
                [
                    {
                        "partition_id": letter.row_id,
                        "key": storable(letter.key),
                        "operation": letter.operation,
                        "value": storable(letter.value),
                        "reason": letter.reason,
                        "error": storable(letter.error),
                        "sqlstate": letter.sqlstate,
                        "batch": letter.batch,
                        "birth": letter.birth,
                    }
                    for letter in letters
                ],
            )

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
        self._do("raise_commit_number", "moving the head", row, {"head": head})
        found = self._row("commit_number", "moving the head", row, {})
        if found is None:
            raise _partition_removed("moving the head")
        return int(found[0])

    def _do(self, block: str, doing: str, row: LedgerRow, facts: Mapping[str, Any]) -> None:
        with translated(doing):
            self._connection.execute(_SQL[block], {"partition_id": row.row_id, **facts})

    def _row(self, block: str, doing: str, row: LedgerRow, facts: Mapping[str, Any]) -> tuple[Any, ...] | None:
        with translated(doing):
            found: tuple[Any, ...] | None = self._connection.execute(
                _SQL[block], {"partition_id": row.row_id, **facts}
            ).fetchone()
            return found


def _partition_removed(doing: str) -> DatabaseRefused:
    return DatabaseRefused(f"{doing} found no such partition", why="its row was removed from the ledger")
