"""PostgreSQL as the library's contract asks for it."""

from __future__ import annotations

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
from writebehind.databases.postgresql import counters, events, scores
from writebehind.databases.postgresql import records as records_sql
from writebehind.databases.postgresql.connections import Connections
from writebehind.databases.postgresql.creation import create_table_statement
from writebehind.databases.postgresql.errors import translated
from writebehind.databases.postgresql.shape import read_shape
from writebehind.databases.postgresql.statements import encode_keys
from writebehind.databases.postgresql.transaction import (
    PostgresTransaction,
    begin,
    ledger_rows,
    open_transaction,
    partition_arrays,
    roll_back,
)
from writebehind.errors import RowRefused
from writebehind.mapping import KINDS, BoundCounter, BoundLeaderboard, BoundRecords, Kind, NewColumn, TableShape
from writebehind.values import Row

_SQL = load_blocks(__package__, "ledger.sql")


class PostgresDatabase:
    """See ``contract.Database``. Nothing is contacted before the first call that needs the server.

    :raises ConfigurationError: where the URL cannot be read.
    """

    dialect = "postgresql"
    kinds: frozenset[Kind] = frozenset(KINDS)
    has_savepoints = True

    def __init__(self, url: str) -> None:
        self._connections = Connections(url)

    def __repr__(self) -> str:
        return f"PostgresDatabase({self._connections.where!r})"

    def table_shape(self, table: str) -> TableShape | None:
        doing = f"looking at the table {table!r}"
        with self._connections.use(lambda connection: read_shape(connection, table), doing) as (_, shape):
            return shape

    def create_table(self, table: str, columns: Sequence[NewColumn], key: Sequence[str] = ()) -> None:
        statement = create_table_statement(table, columns, key)
        with open_transaction(self._connections) as connection, translated(f"creating the table {table!r}"):
            connection.execute(_SQL["lock_creation"])
            connection.execute(statement, {})  # no parameters, but percent signs that are written twice

    def ledger_sql(self) -> str:
        return resources.files(__package__).joinpath("schema.sql").read_text("utf-8")

    def create_ledger(self) -> None:
        with open_transaction(self._connections) as connection, translated("creating the ledger"):
            connection.execute(_SQL["lock_creation"])
            connection.execute(self.ledger_sql())

    def declare_partitions(self, names: Sequence[PartitionName], declaration: Mapping[str, object]) -> list[LedgerRow]:
        declared = canonical_json(declaration)
        facts = partition_arrays(names)
        with open_transaction(self._connections) as connection, translated("declaring a mapping"):
            version = connection.execute(_SQL["read_meta"]).fetchone()
            check_version(version[0] if version else None)
            connection.execute(_SQL["declare"], facts | {"declaration": declared})
            for mapping, stored in connection.execute(_SQL["read_declarations"], facts).fetchall():
                check_declaration(mapping, stored, declared)
            return ledger_rows(connection.execute(_SQL["read_partitions"], facts).fetchall())

    def read_partitions(self, names: Sequence[PartitionName]) -> list[LedgerRow]:
        return ledger_rows(self._read("read_partitions", "reading partitions", partition_arrays(names)))

    def read_counter(
        self, name: PartitionName, counter: BoundCounter, rows: Sequence[Row], front: str | None
    ) -> CounterRead:
        statement = counters.read_counter_statement(counter)
        facts = _name_facts(name) | {"front": front} | encode_keys(counter.keys.columns, rows)
        with self._connections.use(
            lambda connection: connection.execute(statement, facts).fetchall(), f"reading {counter.name!r}"
        ) as (_, found):
            head, front_is_applied, _, _ = found[0]
            values = {rows[position]: units for _, _, position, units in found if position is not None}
            return CounterRead(head, front_is_applied, values)

    def read_records(
        self, name: PartitionName, records: BoundRecords, rows: Sequence[Row], front: str | None
    ) -> RecordRead:
        statement = records_sql.read_records_statement(records)
        facts = _name_facts(name) | {"front": front} | encode_keys(records.keys.columns, rows)
        with self._connections.use(
            lambda connection: connection.execute(statement, facts).fetchall(), f"reading {records.name!r}"
        ) as (_, found):
            return RecordRead(found[0][0], found[0][1], records_sql.found_records(records, rows, found))

    @contextmanager
    def read_board(
        self, name: PartitionName, leaderboard: BoundLeaderboard, board: Row, front: str | None
    ) -> Iterator[BoardRead]:
        doing = f"reading a board of {leaderboard.name!r}"
        facts = _name_facts(name) | {"front": front}
        with self._connections.use(lambda connection: connection.execute(scores.BEGIN_BOARD), doing) as (connection, _):
            try:
                with translated(doing):
                    head, front_is_applied = connection.execute(scores.READ_HEAD, facts).fetchone() or (ROOT, False)
                    scores.declare_board(connection, leaderboard, board)
                # Closed: slices that are asked for too late must not meet another's use of the connection.
                with closing(scores.fetch_slices(connection, doing)) as slices:
                    yield BoardRead(head, front_is_applied, slices)
            finally:
                roll_back(connection)

    def dead_letters(self, name: PartitionName, births: Sequence[str]) -> list[DeadLetter]:
        facts = _name_facts(name) | {"births": list(births)}
        return [DeadLetter(*letter) for letter in self._read("dead_letters", "reading dead letters", facts)]

    def count_dead_letters(self, namespace: str) -> dict[str, int]:
        return dict(self._read("count_dead_letters", "counting dead letters", {"namespace": namespace}))

    def incidents(self, namespace: str) -> list[tuple[str, int, str, str]]:
        found = self._read("incidents", "reading incidents", {"namespace": namespace})
        return [(mapping, partition, kind, detail) for mapping, partition, kind, detail in found]

    def try_events(self, change: EventRows) -> RowRefused | None:
        with self._connections.use(begin, "beginning a transaction") as (connection, _):
            try:
                events.try_to_append(connection, change)
            except RowRefused as error:
                return error
            finally:
                roll_back(connection)
        return None

    def transaction(self) -> AbstractContextManager[Transaction]:
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with open_transaction(self._connections) as connection:
            yield PostgresTransaction(connection)

    def ping(self) -> None:
        with self._connections.use(lambda connection: connection.execute("SELECT 1"), "asking for an answer"):
            pass

    def close(self) -> None:
        self._connections.close()

    def _read(self, block: str, doing: str, facts: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement that changes nothing; it is asked again where a kept connection was dead."""
        with self._connections.use(lambda connection: connection.execute(_SQL[block], facts).fetchall(), doing) as (
            _,
            rows,
        ):
            return rows


def _name_facts(name: PartitionName) -> dict[str, Any]:
    return {"namespace": name.namespace, "mapping": name.mapping, "partition": name.partition}
