"""Event logs in DuckDB, from the first event to the row."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from writebehind import ConfigurationError, WriteBehind
from writebehind.testing.valkey import TemporaryValkey


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A warehouse with a table for clicks; each page is there once, and numbers are positive."""
    path = tmp_path / "events.duckdb"
    with duckdb.connect(str(path)) as warehouse:
        warehouse.execute("CREATE TABLE clicks (page VARCHAR UNIQUE, n INTEGER CHECK (n > 0), place BIGINT)")
        warehouse.execute("CREATE TABLE pages (page VARCHAR PRIMARY KEY, hits BIGINT)")
    return path


def test_good_events_become_rows_in_order_and_bad_ones_dead_letters(valkey: TemporaryValkey, file: Path) -> None:
    wb = WriteBehind(cache=valkey.url, database=f"duckdb:///{file}")
    clicks = wb.events("clicks", position="place")
    wb.init()
    with wb:
        for number in range(200):
            clicks.append({"page": f"/{number % 195}", "n": 0 if number in (7, 100) else number + 1})
        wb.flush(timeout=30)
        assert wb.status().mappings[0].dead_letters == 7

    with duckdb.connect(str(file)) as warehouse:
        rows = warehouse.execute("SELECT page, n FROM clicks ORDER BY place").fetchall()
        letters = warehouse.execute("SELECT value, sqlstate FROM writebehind_dead_letters ORDER BY id").fetchall()
    assert rows == [(f"/{number}", number + 1) for number in range(195) if number not in (7, 100)]
    assert letters == [
        ('{"page":"/7","n":"0"}', "23514"),
        ('{"page":"/100","n":"0"}', "23514"),
        *((f'{{"page":"/{number}","n":"{196 + number}"}}', "23505") for number in range(5)),
    ]


def test_what_is_not_an_event_log_is_refused(valkey: TemporaryValkey, file: Path) -> None:
    wb = WriteBehind(cache=valkey.url, database=f"duckdb:///{file}")
    wb.counter("pages.hits")
    wb.init()
    with pytest.raises(ConfigurationError, match="duckdb serves event mappings"):
        wb.open()
