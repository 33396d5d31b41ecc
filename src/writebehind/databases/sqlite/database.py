"""SQLite as the library's contract asks for it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from importlib import resources
from typing import Any

from writebehind.chain import ROOT
from writebehind.databases.blocks import load_blocks
from writebehind.databases.contract import (
    BoardRead,
    CounterRead,
    DeadLetter,
    EventRows,
    LedgerRow,
    PartitionName,
    RecordRead,
    Transaction,
)
from writebehind.databases.ledger import canonical_json, check_declaration, check_version
from writebehind.databases.sqlite import counters, events, scores
from writebehind.databases.sqlite import records as records_sql
from writebehind.databases.sqlite.connections import Connections
from writebehind.databases.sqlite.creation import create_table_statement
from writebehind.databases.sqlite.errors import translated
from writebehind.databases.sqlite.shape import read_shape
from writebehind.databases.sqlite.transaction import SqliteTransaction, name_facts, read_rows
from writebehind.errors import RowRefused
from writebehind.mapping import KINDS, BoundCounter, BoundLeaderboard, BoundRecords, Kind, NewColumn, TableShape
from writebehind.values import Row

_SQL = load_blocks(__package__, "ledger.sql")


class SqliteDatabase:
    """See ``contract.Database``. The file is created by the first use; its folder must exist.

    :raises ConfigurationError: where the URL names no file, or one in a folder that does not exist.
    """

    dialect = "sqlite"
    kinds: frozenset[Kind] = frozenset(KINDS)
    has_savepoints = True

    def __init__(self, url: str) -> None:
        self._connections = Connections(url)

    def __repr__(self) -> str:
        return f"SqliteDatabase({str(self._connections.path)!r})"

    def table_shape(self, table: str) -> TableShape | None:
        with self._connections.use("BEGIN") as connection, translated(f"looking at the table {table!r}"):
            return read_shape(connection, table)

    def create_table(self, table: str, columns: Sequence[NewColumn], key: Sequence[str] = ()) -> None:
        statement = create_table_statement(table, columns, key)
        with self._connections.use("BEGIN IMMEDIATE") as connection, translated(f"creating the table {table!r}"):
            connection.execute(statement)

    def ledger_sql(self) -> str:
        return resources.files(__package__).joinpath("schema.sql").read_text("utf-8")

    def create_ledger(self) -> None:
        # Only here are several statements run at once, and executescript() would commit a transaction that
        # was begun before it: so the script brings its own.
        with self._connections.use() as connection, translated("creating the ledger"):
            try:
                connection.executescript(f"BEGIN IMMEDIATE;\n{self.ledger_sql()}\nCOMMIT;")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def declare_partitions(self, names: Sequence[PartitionName], declaration: Mapping[str, object]) -> list[LedgerRow]:
        declared = canonical_json(declaration)
        with self._connections.use("BEGIN IMMEDIATE") as connection, translated("declaring a mapping"):
            version = connection.execute(_SQL["read_meta"]).fetchone()
            check_version(version[0] if version else None)
            connection.executemany(
                _SQL["declare"], [name_facts(name) | {"declaration": declared} for name in sorted(names)]
            )
            for namespace, mapping in sorted({(name.namespace, name.mapping) for name in names}):
                facts = {"namespace": namespace, "mapping": mapping}
                for (stored,) in connection.execute(_SQL["read_declarations"], facts).fetchall():
                    check_declaration(mapping, stored, declared)
            return read_rows(connection, names)

    def read_partitions(self, names: Sequence[PartitionName]) -> list[LedgerRow]:
        with self._connections.use("BEGIN") as connection, translated("reading partitions"):
            return read_rows(connection, names)

    def read_counter(
        self, name: PartitionName, counter: BoundCounter, rows: Sequence[Row], front: str | None
    ) -> CounterRead:
        # Several statements in one read transaction, which SQLite's WAL gives one snapshot.
        with self._connections.use("BEGIN") as connection, translated(f"reading {counter.name!r}"):
            head, front_is_applied = _read_head(connection, name, front)
            return CounterRead(head, front_is_applied, counters.read_values(connection, counter, rows))

    def read_records(
        self, name: PartitionName, records: BoundRecords, rows: Sequence[Row], front: str | None
    ) -> RecordRead:
        with self._connections.use("BEGIN") as connection, translated(f"reading {records.name!r}"):
            head, front_is_applied = _read_head(connection, name, front)
            return RecordRead(head, front_is_applied, records_sql.read_values(connection, records, rows))

    @contextmanager
    def read_board(
        self, name: PartitionName, leaderboard: BoundLeaderboard, board: Row, front: str | None
    ) -> Iterator[BoardRead]:
        # One read transaction again; what reads in it must be over before it ends.
        with self._connections.use("BEGIN") as connection:
            with translated(f"reading a board of {leaderboard.name!r}"):
                head, front_is_applied = _read_head(connection, name, front)
            with closing(scores.read_slices(connection, leaderboard, board)) as slices:
                yield BoardRead(head, front_is_applied, slices)

    def dead_letters(self, name: PartitionName, births: Sequence[str]) -> list[DeadLetter]:
        facts = name_facts(name) | {"births": json.dumps(list(births))}
        return [DeadLetter(*letter) for letter in self._read("dead_letters", "reading dead letters", facts)]

    def count_dead_letters(self, namespace: str) -> dict[str, int]:
        return dict(self._read("count_dead_letters", "counting dead letters", {"namespace": namespace}))

    def incidents(self, namespace: str) -> list[tuple[str, int, str, str]]:
        found = self._read("incidents", "reading incidents", {"namespace": namespace})
        return [(mapping, partition, kind, detail) for mapping, partition, kind, detail in found]

    def try_events(self, change: EventRows) -> RowRefused | None:
        with self._connections.use() as connection:
            with translated("beginning a transaction"):
                connection.execute("BEGIN IMMEDIATE")
            try:
                events.append_events(connection, change)
            except RowRefused as error:
                return error
            finally:
                if connection.in_transaction:  # SQLite ends it itself after some errors, such as a full disk
                    connection.execute("ROLLBACK")
        return None

    def transaction(self) -> AbstractContextManager[Transaction]:
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with self._connections.use("BEGIN IMMEDIATE") as connection:
            yield SqliteTransaction(connection)

    def ping(self) -> None:
        with self._connections.use() as connection, translated("asking for an answer"):
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()

    def close(self) -> None:
        self._connections.close()

    def _read(self, block: str, doing: str, facts: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with self._connections.use() as connection, translated(doing):
            return connection.execute(_SQL[block], facts).fetchall()


def _read_head(connection: sqlite3.Connection, name: PartitionName, front: str | None) -> tuple[str, bool]:
    """The head, and whether ``front`` was applied. A partition that was never declared has the head "root"."""
    ledger = connection.execute(_SQL["read_partition"], name_facts(name)).fetchone()
    if ledger is None:
        return ROOT, False
    facts = {"partition_id": ledger[0], "front": front}
    return ledger[1], connection.execute(_SQL["front_is_applied"], facts).fetchone() is not None
