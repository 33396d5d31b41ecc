"""DuckDB as the library's contract asks for it: event logs alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import resources
from typing import Any

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
from writebehind.databases.duckdb.connections import Connections, rows_of
from writebehind.databases.duckdb.creation import create_table
from writebehind.databases.duckdb.errors import translated
from writebehind.databases.duckdb.events import append_events
from writebehind.databases.duckdb.shape import read_shape
from writebehind.databases.duckdb.transaction import DuckdbTransaction, events_alone, name_facts, read_rows
from writebehind.databases.ledger import canonical_json, check_declaration, check_version
from writebehind.errors import RowRefused
from writebehind.mapping import BoundCounter, BoundLeaderboard, BoundRecords, Kind, NewColumn, TableShape
from writebehind.values import Row

_SQL = load_blocks(__package__, "ledger.sql")


class DuckdbDatabase:
    """See ``contract.Database``. The file is created by the first use; its folder must exist.

    :raises ConfigurationError: where the URL names no file, or one in a folder that does not exist.
    """

    dialect = "duckdb"
    kinds: frozenset[Kind] = frozenset({"event"})
    has_savepoints = False

    def __init__(self, url: str) -> None:
        self._connections = Connections(url)

    def __repr__(self) -> str:
        return f"DuckdbDatabase({str(self._connections.path)!r})"

    def table_shape(self, table: str) -> TableShape | None:
        with self._connections.use() as connection, translated(f"looking at the table {table!r}"):
            return read_shape(connection, table)

    def create_table(self, table: str, columns: Sequence[NewColumn], key: Sequence[str] = ()) -> None:
        if key:
            events_alone()
        with self._connections.use(transaction=True) as connection, translated(f"creating the table {table!r}"):
            create_table(connection, table, columns)

    def ledger_sql(self) -> str:
        return resources.files(__package__).joinpath("schema.sql").read_text("utf-8")

    def create_ledger(self) -> None:
        with self._connections.use(transaction=True) as connection, translated("creating the ledger"):
            connection.execute(self.ledger_sql())

    def declare_partitions(self, names: Sequence[PartitionName], declaration: Mapping[str, object]) -> list[LedgerRow]:
        declared = canonical_json(declaration)
        with self._connections.use(transaction=True) as connection, translated("declaring a mapping"):
            version = rows_of(connection, _SQL["read_meta"], {})
            check_version(version[0][0] if version else None)
            for name in sorted(names):
                connection.execute(_SQL["declare"], name_facts(name) | {"declaration": declared})
            for namespace, mapping in sorted({(name.namespace, name.mapping) for name in names}):
                facts = {"namespace": namespace, "mapping": mapping}
                for (stored,) in rows_of(connection, _SQL["read_declarations"], facts):
                    check_declaration(mapping, stored, declared)
            return read_rows(connection, names)

    def read_partitions(self, names: Sequence[PartitionName]) -> list[LedgerRow]:
        with self._connections.use(transaction=True) as connection, translated("reading partitions"):
            return read_rows(connection, names)

    def read_counter(
        self,
        name: PartitionName,  # noqa: ARG002
        counter: BoundCounter,  # noqa: ARG002
        rows: Sequence[Row],  # noqa: ARG002
        front: str | None,  # noqa: ARG002
    ) -> CounterRead:
        events_alone()

    def read_records(
        self,
        name: PartitionName,  # noqa: ARG002
        records: BoundRecords,  # noqa: ARG002
        rows: Sequence[Row],  # noqa: ARG002
        front: str | None,  # noqa: ARG002
    ) -> RecordRead:
        events_alone()

    def read_board(
        self,
        name: PartitionName,  # noqa: ARG002
        leaderboard: BoundLeaderboard,  # noqa: ARG002
        board: Row,  # noqa: ARG002
        front: str | None,  # noqa: ARG002
    ) -> AbstractContextManager[BoardRead]:
        events_alone()

    def dead_letters(self, name: PartitionName, births: Sequence[str]) -> list[DeadLetter]:
        facts = name_facts(name) | {"births": list(births)}
        return [DeadLetter(*letter) for letter in self._read("dead_letters", "reading dead letters", facts)]

    def count_dead_letters(self, namespace: str) -> dict[str, int]:
        return dict(self._read("count_dead_letters", "counting dead letters", {"namespace": namespace}))

    def incidents(self, namespace: str) -> list[tuple[str, int, str, str]]:
        found = self._read("incidents", "reading incidents", {"namespace": namespace})
        return [(mapping, partition, kind, detail) for mapping, partition, kind, detail in found]

    def try_events(self, change: EventRows) -> RowRefused | None:
        # On a connection of its own: the transaction that asks has appended nothing yet, and sees nothing of this.
        with self._connections.use() as connection:
            with translated("beginning a trial"):
                connection.execute("BEGIN")
            try:
                append_events(connection, change)
            except RowRefused as error:
                return error
            return None  # closing rolls it back

    def transaction(self) -> AbstractContextManager[Transaction]:
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with self._connections.use(transaction=True) as connection:
            transaction = DuckdbTransaction(connection)
            yield transaction
            transaction.refuse_if_spoiled()

    def ping(self) -> None:
        with self._connections.use() as connection, translated("asking for an answer"):
            connection.execute("SELECT 1")

    def close(self) -> None:
        """Nothing is open between two uses."""

    def _read(self, block: str, doing: str, facts: dict[str, Any]) -> list[tuple[Any, ...]]:
        with self._connections.use() as connection, translated(doing):
            return rows_of(connection, _SQL[block], facts)
