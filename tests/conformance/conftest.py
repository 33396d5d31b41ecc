"""Both databases, real ones, for every test of the suite; a fresh database for each test."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from writebehind.chain import ANY_PARENT, Link, new_identity
from writebehind.databases import open_database
from writebehind.databases.contract import CounterRows, Database, LedgerRow, PartitionName, RowsWritten
from writebehind.mapping import BoundCounter, CounterMapping, bind_counter
from writebehind.testing.postgresql import TemporaryPostgres
from writebehind.values import Row


class Bench:
    """A fresh database under test, and a way to look at it that is not the code under test."""

    def __init__(self, url: str, dialect: str) -> None:
        self.url = url
        self.dialect = dialect
        self.database: Database = open_database(url)

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement with ``%s`` placeholders, committed at once, and return its rows."""
        if self.dialect == "postgresql":
            with psycopg.connect(self.url, autocommit=True) as connection:
                cursor = connection.execute(statement, parameters or None)
                return cursor.fetchall() if cursor.description else []
        if self.dialect == "duckdb":
            with duckdb.connect(self.url.removeprefix("duckdb:///")) as warehouse:
                return warehouse.execute(statement.replace("%s", "?"), list(parameters)).fetchall()
        connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
        try:
            return connection.execute(statement.replace("%s", "?"), parameters).fetchall()
        finally:
            connection.close()

    def bind(self, target: str, **options: Any) -> BoundCounter:
        """A counter, bound to its table as the database describes it."""
        mapping = CounterMapping.parse(target, **options)
        return bind_counter(mapping, self.database.table_shape(mapping.table))

    def add(self, counters: BoundCounter | Sequence[BoundCounter], *rows: tuple[Any, ...]) -> RowsWritten:
        """Add in one transaction; each row is its key followed by one amount for each counter."""
        with self.database.transaction() as transaction:
            return transaction.add_to_counters(self.rows_of(counters, *rows))

    @staticmethod
    def rows_of(counters: BoundCounter | Sequence[BoundCounter], *rows: tuple[Any, ...]) -> CounterRows:
        """``CounterRows`` from rows that are written as (key columns..., amounts...)."""
        counters = (counters,) if isinstance(counters, BoundCounter) else tuple(counters)
        width = len(counters[0].keys.columns)
        keys: list[Row] = [row[:width] for row in rows]
        return CounterRows(counters, keys, [[row[width + c] for row in rows] for c in range(len(counters))])

    @staticmethod
    def link(parent: str = "root", *, incarnation: str = "i1", birth: str = "", writes: int = 1) -> Link:
        """A sealed batch with a new identity."""
        return Link(new_identity(), parent, incarnation, birth or new_identity(), writes, size=1, first_write_ms=0)

    @staticmethod
    def fence(incarnation: str = "i1") -> Link:
        """A fence; its identity names the incarnation that it begins."""
        return Link(incarnation, ANY_PARENT, incarnation, "-", writes=0, size=0, first_write_ms=0)

    def declared(self, *partitions: int, mapping: str = "videos.likes") -> list[LedgerRow]:
        """Ledger rows of a mapping in the namespace ``app``; partition 0 alone by default."""
        names = [PartitionName("app", mapping, partition) for partition in partitions or (0,)]
        return self.database.declare_partitions(names, {"kind": "counter"})


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[TemporaryPostgres]:
    """One server for all tests of a process (of an xdist worker)."""
    with TemporaryPostgres(settings={"fsync": "off", "full_page_writes": "off"}) as server:
        yield server


@pytest.fixture
def postgres(postgres_server: TemporaryPostgres) -> Iterator[Bench]:
    """A fresh PostgreSQL database, for what only PostgreSQL has."""
    bench = Bench(postgres_server.create_database(), "postgresql")
    yield bench
    bench.database.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Bench]:
    """A fresh SQLite file, for what only SQLite has."""
    bench = Bench(f"sqlite:///{tmp_path / 'test.db'}", "sqlite")
    yield bench
    bench.database.close()


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Bench]:
    """A fresh DuckDB file, for what only DuckDB has."""
    bench = Bench(f"duckdb:///{tmp_path / 'test.duckdb'}", "duckdb")
    yield bench
    bench.database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """A fresh database of each kind, without a ledger."""
    name = "postgres" if request.param == "postgresql" else "sqlite"
    found = request.getfixturevalue(name)
    assert isinstance(found, Bench)
    return found


@pytest.fixture(params=["sqlite", "postgresql", "duckdb"])
def event_bench(request: pytest.FixtureRequest) -> Bench:
    """A fresh database of each kind, those that serve event logs alone too, without a ledger."""
    name = {"postgresql": "postgres", "duckdb": "warehouse"}.get(request.param, request.param)
    found = request.getfixturevalue(name)
    assert isinstance(found, Bench)
    return found


@pytest.fixture
def database(bench: Bench) -> Database:
    """A fresh database of each kind, with a ledger and the table ``videos (id, likes, views)``."""
    bench.database.create_ledger()
    bench.sql("CREATE TABLE videos (id BIGINT PRIMARY KEY, likes BIGINT, views BIGINT NOT NULL DEFAULT 0)")
    return bench.database
