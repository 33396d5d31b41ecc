"""One transaction of a flush in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

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
from writebehind.databases.postgresql import counters, events, scores
from writebehind.databases.postgresql import records as records_sql
from writebehind.databases.postgresql.connections import Connections, PgConnection
from writebehind.databases.postgresql.errors import translate_commit, translated
from writebehind.errors import DatabaseRefused
from writebehind.mapping import BoundRecords
from writebehind.values import Row

_SQL = load_blocks(__package__, "ledger.sql")


@contextmanager
def open_transaction(connections: Connections) -> Iterator[PgConnection]:
    """A connection inside a transaction, which commits when the block ends and rolls back on an error.

    :raises DatabaseUnavailable: also where the connection broke at the COMMIT, whose outcome is then open.
    """
    with connections.use(begin, "beginning a transaction") as (connection, _):
        try:
            yield connection
        except BaseException:
            roll_back(connection)
            raise
        _commit(connection)


def begin(connection: PgConnection) -> None:
    """Begin a transaction that writes."""
    connection.execute(_SQL["begin_flush"])


def _commit(connection: PgConnection) -> None:
    try:
        status = connection.execute("COMMIT").statusmessage
    except psycopg.Error as error:
        raise translate_commit(error) from error
    if status != "COMMIT":
        # The server answers ROLLBACK, and no error, where a statement of the transaction had failed.
        raise DatabaseRefused(
            "the transaction was rolled back at its commit",
            why="a statement in it had failed, and its error was not rolled back to a savepoint",
        )


def roll_back(connection: PgConnection) -> None:
    """End a transaction without its changes; one that is over already is no error."""
    if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()  # the server rolls back what it has of it; the first error goes on to the caller


def partition_arrays(names: Sequence[PartitionName]) -> dict[str, Any]:
    """Partition names as the parameters of the blocks that take several."""
    return {
        "namespaces": [name.namespace for name in names],
        "mappings": [name.mapping for name in names],
        "partitions": [name.partition for name in names],
    }


def ledger_rows(found: Sequence[tuple[Any, ...]]) -> list[LedgerRow]:
    """Rows of ``read_partitions`` or ``lock_partitions``, in Python's sort."""
    rows = [
        LedgerRow(row_id, PartitionName(namespace, mapping, partition), head, commit_number, identity)
        for row_id, namespace, mapping, partition, head, commit_number, identity in found
    ]
    return sorted(rows, key=lambda row: row.name)


class PostgresTransaction:
    """See ``contract.Transaction``."""

    def __init__(self, connection: PgConnection) -> None:
        self._connection = connection

    def lock_partitions(self, names: Sequence[PartitionName]) -> list[LedgerRow]:
        return ledger_rows(self._rows("lock_partitions", "locking partitions", partition_arrays(names)))

    def standing(self, row: LedgerRow, link: Link) -> Standing:
        facts = {"batch": link.identity, "incarnation": link.incarnation, "birth": link.birth}
        return Standing(*self._row("standing", "reading the ledger", facts | {"partition_id": row.row_id}))

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
            if self._connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                self._back_to_savepoint()
            raise
        with translated("releasing a savepoint"):
            self._connection.execute("RELEASE SAVEPOINT writebehind")

    def _back_to_savepoint(self) -> None:
        with translated("rolling back to a savepoint"):
            self._connection.execute("ROLLBACK TO SAVEPOINT writebehind; RELEASE SAVEPOINT writebehind")

    def write_marks(self, row: LedgerRow, incarnation: str, marks: Mapping[str, int]) -> None:
        if marks:
            facts = {"incarnation": incarnation, "producers": list(marks), "seqs": list(marks.values())}
            self._do("write_marks", "writing marks", facts | {"partition_id": row.row_id})

    def read_mark(self, row: LedgerRow, producer: str, incarnation: str) -> int:
        facts = {"partition_id": row.row_id, "producer": producer, "incarnation": incarnation}
        found = self._rows("read_mark", "reading a mark", facts)
        return int(found[0][0]) if found else 0

    def read_captured(self, row: LedgerRow, keys: Sequence[str]) -> dict[str, int]:
        facts = {"partition_id": row.row_id, "keys": list(keys)}
        return dict(self._rows("read_captured", "reading what was captured", facts))

    def scan_captured(self, row: LedgerRow, after: str, limit: int) -> dict[str, int]:
        facts = {"partition_id": row.row_id, "after": after, "limit": limit}
        return dict(self._rows("scan_captured", "reading what was captured", facts))

    def write_captured(self, row: LedgerRow, values: Mapping[str, int]) -> None:
        kept = {key: value for key, value in values.items() if value}
        if kept:
            facts = {"partition_id": row.row_id, "keys": list(kept), "values": list(kept.values())}
            self._do("write_captured", "writing what was captured", facts)
        gone = [key for key, value in values.items() if not value]
        if gone:
            facts = {"partition_id": row.row_id, "keys": gone}
            self._do("forget_captured", "forgetting what was captured", facts)

    def any_fence_applied(self, row: LedgerRow, fences: Sequence[str]) -> bool:
        facts = {"partition_id": row.row_id, "fences": list(fences)}
        return bool(self._row("any_fence_applied", "reading the ledger", facts)[0])

    def close_incarnation(self, row: LedgerRow, incarnation: str) -> None:
        facts = {"partition_id": row.row_id, "incarnation": incarnation}
        self._do("close_incarnation", "closing an incarnation", facts)

    def move_head(self, row: LedgerRow, link: Link, rows_written: int) -> int:
        facts = _link_facts(row, link) | {"kind": "fence" if link.is_fence else "batch", "rows": rows_written}
        number = int(self._row("move_head", "moving the head", facts)[0])
        if number % PRUNE_EVERY_COMMITS == 0:
            facts = {"partition_id": row.row_id, "days": KEEP_BATCHES_DAYS}
            self._do("forget_old_batches", "forgetting old batches", facts)
        return number

    def remember_quarantined(self, row: LedgerRow, link: Link) -> int:
        return int(self._row("remember_quarantined", "remembering a batch", _link_facts(row, link))[0])

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        parameters = [
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
        ]
        with translated("writing dead letters"), self._connection.cursor() as cursor:
            cursor.executemany(_SQL["add_dead_letter"], parameters)

    def add_incident(self, row: LedgerRow, kind: str, detail: Mapping[str, object]) -> None:
        facts = {"partition_id": row.row_id, "kind": kind, "detail": canonical_json(detail)}
        self._do("add_incident", "recording an incident", facts)

    def _do(self, block: str, doing: str, facts: Mapping[str, Any]) -> None:
        with translated(doing):
            self._connection.execute(_SQL[block], facts)

    def _rows(self, block: str, doing: str, facts: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with translated(doing):
            return self._connection.execute(_SQL[block], facts).fetchall()

    def _row(self, block: str, doing: str, facts: Mapping[str, Any]) -> tuple[Any, ...]:
        found = self._rows(block, doing, facts)
        if not found:
            raise DatabaseRefused(f"{doing} found no such partition", why="its row was removed from the ledger")
        return found[0]


def _link_facts(row: LedgerRow, link: Link) -> dict[str, Any]:
    return {
        "partition_id": row.row_id,
        "batch": link.identity,
        "birth": link.birth,
        "incarnation": link.incarnation,
        "writes": link.writes,
    }
