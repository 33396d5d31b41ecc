"""A mapping may have a database of its own: likes go to the application's, clicks to a warehouse in one file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from writebehind import AsyncWriteBehind, ConfigurationError, DeadLettered, LedgerMissing, WriteBehind
from writebehind.testing.valkey import TemporaryValkey


class Warehouse:
    """A DuckDB file with a table of clicks, looked at without the library."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"duckdb:///{path}"
        self.run('CREATE TABLE clicks (page VARCHAR NOT NULL, "user" INTEGER CHECK ("user" > 0), place BIGINT)')

    def run(self, statement: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "events.duckdb")


def test_counters_and_clicks_go_to_different_databases(valkey: TemporaryValkey, videos, warehouse: Warehouse) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    clicks = wb.events("clicks", position="place", database=warehouse.url)
    wb.init()  # the ledger is in both: what is applied is remembered where the rows are
    with wb:
        likes.add(7)
        clicks.append({"page": "/home", "user": 7})
        clicks.extend({"page": f"/video/{number}"} for number in range(1_000))
        report = wb.flush(timeout=30)
        assert report.rows == 1_002
        status = {mapping.name: (mapping.kind, mapping.database) for mapping in wb.status().mappings}
    assert videos.likes(7) == 1
    pages = [page for (page,) in warehouse.run("SELECT page FROM clicks ORDER BY place")]
    assert pages == ["/home", *(f"/video/{number}" for number in range(1_000))]
    assert status["clicks"] == ("event", warehouse.url)
    assert status["videos.likes"][0] == "counter"


async def test_the_same_in_asyncio(valkey: TemporaryValkey, videos, warehouse: Warehouse) -> None:
    wb = AsyncWriteBehind(cache=valkey.url, database=videos.url)
    clicks = wb.events("clicks", database=warehouse.url)
    await wb.init()
    async with wb:
        await clicks.append({"page": "/home"}, ack="database", timeout=30)
        assert warehouse.run("SELECT page FROM clicks") == [("/home",)]


def test_bad_events_become_dead_letters_and_hold_no_good_one_back(
    valkey: TemporaryValkey, videos, warehouse: Warehouse
) -> None:
    """DuckDB has no savepoints: bad rows are found by trials that are rolled back."""
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    clicks = wb.events("clicks", position="place", database=warehouse.url)
    wb.init()
    with wb:
        clicks.extend({"page": f"/{number}", "user": -1 if number in (3, 700) else 1} for number in range(1_000))
        report = wb.flush(timeout=30)
        assert (report.rows, report.dead_letters) == (998, 2)
        assert report.statements <= 1 + 2 * 20
        with pytest.raises(DeadLettered, match="CHECK"):
            clicks.append({"page": "/bad", "user": 0}, ack="database", timeout=30)
    pages = [page for (page,) in warehouse.run("SELECT page FROM clicks ORDER BY place")]
    assert pages == [f"/{number}" for number in range(1_000) if number not in (3, 700)]
    letters = warehouse.run("SELECT operation, reason, value FROM writebehind_dead_letters ORDER BY id")
    assert letters == [
        ("append", "row_refused", '{"page":"/3","user":"-1"}'),
        ("append", "row_refused", '{"page":"/700","user":"-1"}'),
        ("append", "row_refused", '{"page":"/bad","user":"0"}'),
    ]


def test_events_that_refuse_each_other_are_told_apart(valkey: TemporaryValkey, videos, warehouse: Warehouse) -> None:
    """Each is good by itself; together only the first of them is."""
    warehouse.run("CREATE TABLE visits (id BIGINT UNIQUE)")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    visits = wb.events("visits", database=warehouse.url)
    wb.init()
    with wb:
        visits.extend({"id": number} for number in (1, 2, 3, 2, 4, 1))
        report = wb.flush(timeout=30)
    assert (report.rows, report.dead_letters) == (4, 2)
    assert warehouse.run("SELECT id FROM visits") == [(1,), (2,), (3,), (4,)]
    letters = warehouse.run("SELECT value FROM writebehind_dead_letters ORDER BY id")
    assert letters == [('{"id":"2"}',), ('{"id":"1"}',)]


def test_two_processes_take_turns_with_the_file(valkey: TemporaryValkey, videos, warehouse: Warehouse) -> None:
    """The application and a worker that both have the mapping: each opens the file for a flush, and closes it."""
    first = WriteBehind(cache=valkey.url, database=videos.url)
    second = WriteBehind(cache=valkey.url, database=videos.url)
    logs = [wb.events("clicks", database=warehouse.url) for wb in (first, second)]
    first.init()
    with first, second:
        for number in range(20):
            logs[number % 2].append({"page": f"/{number}"})
            (first, second)[number % 2].flush(timeout=30)
    assert warehouse.run("SELECT count(DISTINCT page), count(*) FROM clicks") == [(20, 20)]


def test_a_warehouse_without_a_ledger_says_what_to_run(valkey: TemporaryValkey, videos, warehouse: Warehouse) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    wb.events("clicks", database=warehouse.url)
    with pytest.raises(LedgerMissing, match=f"writebehind init --database {warehouse.url}"):
        wb.open()


def test_counters_are_refused_there(valkey: TemporaryValkey, videos, warehouse: Warehouse) -> None:
    warehouse.run("CREATE TABLE pages (path VARCHAR PRIMARY KEY, hits BIGINT)")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    wb.records("pages", database=warehouse.url)
    wb.init()
    with pytest.raises(ConfigurationError, match="duckdb serves event mappings"):
        wb.open()
