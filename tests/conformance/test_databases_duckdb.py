"""DuckDB: event logs in a file that one process at a time has, without savepoints."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from writebehind.databases import open_database
from writebehind.databases.contract import EventRows
from writebehind.errors import ConfigurationError, DatabaseRefused, DatabaseUnavailable, MappingError, RowRefused
from writebehind.mapping import BoundEvents, EventMapping, NewColumn, counter_columns

EVERY_TYPE = """
CREATE TABLE everything (
    small SMALLINT, whole INTEGER, big BIGINT, double DOUBLE, single FLOAT, money DECIMAL(12, 2), yes BOOLEAN,
    words VARCHAR, "at" TIMESTAMPTZ, local TIMESTAMP, day DATE, hour TIME, who UUID,
    content JSON, raw BLOB, place BIGINT
)
"""


def log(warehouse: Any, table: str, **options: Any) -> BoundEvents:
    return EventMapping.parse(table, **options).bind(warehouse.database.table_shape(table))


def append(warehouse: Any, of: BoundEvents, *events: dict[str, Any]) -> int:
    """Append values of Python; returns how many statements it took."""
    encoded = [{name: of.columns[name].encode(value, name) for name, value in event.items()} for event in events]
    with warehouse.database.transaction() as transaction:
        written = transaction.append_events(EventRows(of, encoded, range(1, len(events) + 1)))
    assert written.rows == len(events)
    return int(written.statements)


def test_every_type_arrives_exactly(warehouse: Any) -> None:
    warehouse.sql(EVERY_TYPE)
    full = {
        "small": -(2**15),
        "whole": 2**31 - 1,
        "big": -(2**63),
        "double": 0.1,
        "single": 0.5,
        "money": Decimal("-1234567890.25"),
        "yes": False,
        "words": "tab\t quote' \\N 日本 \n",
        "at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "local": datetime(1999, 12, 31, 23, 59, 59, 999999),  # it has no zone
        "day": date(1969, 7, 20),
        "hour": time(1, 2, 3, 4),
        "who": uuid.UUID(int=7),
        "content": {"a": [1, "\\", None]},
        "raw": b"\x00\xff\\",
    }
    assert append(warehouse, log(warehouse, "everything", position="place"), full, dict.fromkeys(full)) == 1
    (row, empty) = warehouse.sql("SELECT * FROM everything ORDER BY place")
    names = list(full)
    found = dict(zip([*names, "place"], row, strict=True))
    assert found.pop("place") == 1
    assert found.pop("content") == '{"a":[1,"\\\\",null]}'
    assert found == {name: value for name, value in full.items() if name != "content"}
    assert empty == (*[None] * len(names), 2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308])
def test_doubles_at_their_limits(warehouse: Any, value: float) -> None:
    warehouse.sql("CREATE TABLE doubles (value DOUBLE)")
    append(warehouse, log(warehouse, "doubles"), {"value": value})
    [(found,)] = warehouse.sql("SELECT value FROM doubles")
    assert repr(found) == repr(value)


def test_events_keep_their_order_and_each_set_of_columns_is_one_statement(warehouse: Any) -> None:
    warehouse.sql("CREATE TABLE clicks (page VARCHAR, visitor BIGINT DEFAULT -1, place BIGINT)")
    clicks = log(warehouse, "clicks", position="place")
    assert append(warehouse, clicks, *({"page": f"/{number}"} for number in range(100_000))) == 1
    assert warehouse.sql("SELECT page FROM clicks") == [(f"/{number}",) for number in range(100_000)]
    warehouse.sql("DELETE FROM clicks")
    assert append(warehouse, clicks, {"page": "/"}, {"visitor": 5}, {"visitor": 6, "page": "/x"}, {"page": "/y"}) == 3
    assert warehouse.sql("SELECT * FROM clicks ORDER BY place") == [
        ("/", -1, 1),
        (None, 5, 2),
        ("/x", 6, 3),
        ("/y", -1, 4),
    ]


def test_events_without_any_column_are_rows_of_defaults(warehouse: Any) -> None:
    warehouse.sql("CREATE TABLE beats (n INTEGER DEFAULT 7)")
    append(warehouse, log(warehouse, "beats"), {}, {})
    assert warehouse.sql("SELECT n FROM beats") == [(7,), (7,)]


@pytest.mark.parametrize(
    ("event", "sqlstate"),
    [({"n": "0"}, "23514"), ({"n": "zz"}, "22000"), ({"n": None}, "23502"), ({"n": "1"}, "23505")],
)
def test_a_refused_row_spoils_the_transaction_and_a_trial_finds_it(
    warehouse: Any, event: dict[str, str | None], sqlstate: str
) -> None:
    warehouse.sql("CREATE TABLE numbers (n INTEGER NOT NULL UNIQUE CHECK (n > 0))")
    numbers = log(warehouse, "numbers")
    change = EventRows(numbers, [{"n": "1"}, event], [1, 2])
    refused = warehouse.database.try_events(change)
    assert isinstance(refused, RowRefused)
    assert refused.sqlstate == sqlstate
    with pytest.raises(RowRefused), warehouse.database.transaction() as transaction:
        transaction.append_events(change)
    assert warehouse.database.try_events(EventRows(numbers, [{"n": "1"}], [1])) is None
    assert warehouse.sql("SELECT * FROM numbers") == []  # trials leave nothing, and neither do spoiled transactions


def test_a_trial_may_be_made_within_a_transaction(warehouse: Any) -> None:
    warehouse.sql("CREATE TABLE numbers (n INTEGER)")
    numbers = log(warehouse, "numbers")
    good = EventRows(numbers, [{"n": "1"}], [1])
    with warehouse.database.transaction() as transaction:
        assert warehouse.database.try_events(good) is None
        transaction.append_events(good)
    assert warehouse.sql("SELECT * FROM numbers") == [(1,)]


def test_columns_that_cannot_be_written_say_why(warehouse: Any) -> None:
    warehouse.sql(
        "CREATE TABLE odd (n INTEGER, twice INTEGER GENERATED ALWAYS AS (2 * n), huge HUGEINT, list INTEGER[], "
        '"at" TIMESTAMPTZ NOT NULL DEFAULT now(), must VARCHAR NOT NULL)'
    )
    odd = log(warehouse, "odd")
    assert set(odd.columns) == {"n", "at", "must"}
    assert odd.required == {"must"}
    assert odd.refusals["twice"] == "the database computes the column itself"
    assert "HUGEINT" in odd.refusals["huge"]
    append(warehouse, odd, {"n": 2, "must": "x"})
    assert warehouse.sql("SELECT n, twice, must FROM odd") == [(2, 4, "x")]


def test_a_table_in_another_schema_and_with_an_odd_name(warehouse: Any) -> None:
    warehouse.sql('CREATE SCHEMA "we ird"')
    warehouse.sql('CREATE TABLE "we ird"."cli""cks" ("the page" VARCHAR)')
    append(warehouse, log(warehouse, 'we ird.cli"cks'), {"the page": "/"})
    assert warehouse.sql('SELECT * FROM "we ird"."cli""cks"') == [("/",)]
    assert warehouse.database.table_shape("nothing") is None
    warehouse.sql("CREATE VIEW seen AS SELECT 1 AS n")
    with pytest.raises(MappingError, match="is a view"):
        warehouse.database.table_shape("seen")


def test_a_table_that_is_made_holds_what_was_asked_for(warehouse: Any) -> None:
    columns = [
        NewColumn("id", "text", is_required=True),
        NewColumn('od"d %s', "integer", default=-7),
        NewColumn("at", "timestamp_tz"),
    ]
    for _ in range(2):  # once more changes nothing
        warehouse.database.create_table("made", columns)
    shape = warehouse.database.table_shape("made")
    assert [(column.name, column.value_type.kind) for column in shape.columns.values()] == [
        (column.name, column.kind) for column in columns
    ]
    assert [column.value_type.is_required for column in shape.columns.values()] == [True, False, False]
    warehouse.sql("INSERT INTO made (id) VALUES ('a')")
    assert warehouse.sql("SELECT * FROM made") == [("a", -7, None)]


def test_it_serves_event_logs_alone(warehouse: Any) -> None:
    with pytest.raises(DatabaseRefused, match="event logs alone"):
        warehouse.database.create_table("pages", counter_columns(["path"], ["hits"]), ["path"])
    assert warehouse.database.kinds == {"event"}
    assert not warehouse.database.has_savepoints


@pytest.mark.parametrize("url", ["duckdb:///:memory:", "duckdb:///", "duckdb:///x.duckdb?a=b", "duckdb:////no/such/x"])
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_database(url)


HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def hold(warehouse: Any) -> subprocess.Popen[str]:
    """Another process that has the file open until its standard input ends."""
    path = warehouse.url.removeprefix("duckdb:///")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    return holder


def test_another_process_that_has_the_file_is_waited_for(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.database.create_ledger()
    with hold(warehouse) as holder:
        looked = []
        connect = duckdb.connect

        def look(*arguments: Any) -> Any:
            if len(looked) == 2:
                holder.communicate()  # it lets go while somebody waits
            looked.append(arguments)
            return connect(*arguments)

        monkeypatch.setattr("writebehind.databases.duckdb.connections.duckdb.connect", look)
        warehouse.database.ping()
        assert len(looked) >= 3


def test_a_file_that_stays_with_another_process_is_unavailable(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.database.create_ledger()
    monkeypatch.setattr("writebehind.databases.duckdb.connections.BUSY_TIMEOUT_S", 0.05)
    with hold(warehouse) as holder:
        with pytest.raises(DatabaseUnavailable, match=str(holder.pid)) as caught:
            warehouse.database.ping()
        assert caught.value.retryable
        assert "one process at a time" in caught.value.fix
        holder.communicate()


def test_what_was_committed_outlives_a_kill(warehouse: Any) -> None:
    warehouse.sql("CREATE TABLE clicks (page VARCHAR)")
    program = (
        "import os, signal, sys\n"
        "from writebehind.databases import open_database\n"
        "from writebehind.databases.contract import EventRows\n"
        "from writebehind.mapping import EventMapping\n"
        "database = open_database(sys.argv[1])\n"
        "log = EventMapping.parse('clicks').bind(database.table_shape('clicks'))\n"
        "with database.transaction() as transaction:\n"
        "    transaction.append_events(EventRows(log, [{'page': '/'}], [1]))\n"
        "with database.transaction() as transaction:\n"
        "    transaction.append_events(EventRows(log, [{'page': '/lost'}], [2]))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, warehouse.url], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert warehouse.sql("SELECT * FROM clicks") == [("/",)]
