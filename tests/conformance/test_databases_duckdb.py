"""DuckDB: event logs, exactly, without savepoints. What a file asks for is in ``test_databases_duckdb_file``."""

from __future__ import annotations

import contextlib
import math
import sys
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from writebehind.databases import open_database
from writebehind.databases.contract import EventRows
from writebehind.errors import ConfigurationError, DatabaseRefused, DatabaseUnavailable, MappingError, RowRefused
from writebehind.mapping import BoundEvents, EventMapping, NewColumn, counter_columns

EVERY_TYPE = """
CREATE TABLE everything (
    tiny TINYINT, small SMALLINT, whole INTEGER, big BIGINT, double DOUBLE, single FLOAT, money DECIMAL(12, 2),
    yes BOOLEAN, words VARCHAR, "at" TIMESTAMPTZ, local TIMESTAMP, day DATE, hour TIME, who UUID,
    content JSON, raw BLOB, mood ENUM('glad', 'it''s, "so"'), place BIGINT
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
        "tiny": -128,
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
        "mood": 'it\'s, "so"',
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


def test_every_character_arrives(warehouse: Any) -> None:
    warehouse.sql("CREATE TABLE texts (text VARCHAR, place BIGINT)")
    characters = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    texts = ["".join(characters[start : start + 256]) for start in range(0, len(characters), 256)]
    append(warehouse, log(warehouse, "texts", position="place"), *({"text": text} for text in texts))
    assert [text for (text,) in warehouse.sql("SELECT text FROM texts ORDER BY place")] == texts


# Another program, in any language, may have put such texts into the cache; DuckDB's casts would change the first ones.
@pytest.mark.parametrize(
    ("column", "text"),
    [
        *(("tiny", text) for text in ("1.5", "0.9", " 5", "1e1", "1_0", "128")),
        *(("money", text) for text in ("1.555", "1e1", "12345678901.00", "nan")),
        *(("single", text) for text in ("1e39", "-1e39", "x")),
        *(("double", text) for text in ("1e400", "1,5")),
        *(("raw", text) for text in ("abcd", "\\x0", "\\xzz", "\\X00", "")),
        *(("yes", text) for text in ("2", "maybe")),
        ("words", "\ud800"),
        ("words", 5),
        ("whole", 5),
        ("mood", "sad"),
        ("content", "{x"),
        ("who", "x"),
        ("day", "2026-02-30"),
        ("hour", "25:00"),
        ("at", "yesterday"),
        ("no such column", "x"),
    ],
)
def test_a_text_is_kept_exactly_or_refused(warehouse: Any, column: str, text: Any) -> None:
    warehouse.sql(EVERY_TYPE)
    everything = log(warehouse, "everything")
    refused = warehouse.database.try_events(EventRows(everything, [{"words": "a"}, {column: text}], [1, 2]))
    assert isinstance(refused, RowRefused)
    assert refused.sqlstate[:2] == "22"


def test_infinity_that_is_meant_is_kept(warehouse: Any) -> None:
    warehouse.sql("CREATE TABLE singles (value FLOAT)")
    append(warehouse, log(warehouse, "singles"), {"value": math.inf}, {"value": -math.inf}, {"value": None})
    assert warehouse.sql("SELECT value FROM singles") == [(math.inf,), (-math.inf,), (None,)]


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


@pytest.mark.parametrize("bad", [{"n": "0"}, {"n": "\ud800"}])
@pytest.mark.parametrize("has_savepoint", [True, False])
def test_after_a_refusal_nothing_is_committed(warehouse: Any, bad: dict[str, str], has_savepoint: bool) -> None:
    warehouse.sql("CREATE TABLE numbers (n INTEGER CHECK (n > 0), note VARCHAR)")
    numbers = log(warehouse, "numbers")
    with (
        pytest.raises(DatabaseRefused, match="has no savepoints"),
        warehouse.database.transaction() as transaction,
        contextlib.suppress(RowRefused),
        transaction.savepoint() if has_savepoint else contextlib.nullcontext(),
    ):
        # The first two are one statement, which is done before the second one fails.
        transaction.append_events(EventRows(numbers, [{"note": "a"}, {"note": "b"}, bad], [1, 2, 3]))
    assert warehouse.sql("SELECT * FROM numbers") == []


def test_an_aborted_transaction_does_not_commit_in_silence(warehouse: Any) -> None:
    warehouse.database.create_ledger()
    [row] = warehouse.declared()
    link = warehouse.link()
    with (  # noqa: PT012  # the error comes at the end of the block
        pytest.raises(DatabaseUnavailable, match="aborted"),
        warehouse.database.transaction() as transaction,
    ):
        transaction.move_head(row, link, 1)
        with contextlib.suppress(RowRefused):
            transaction.remember_quarantined(row, link)
    assert warehouse.database.read_partitions([row.name]) == [row]


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
        "CREATE TABLE odd (n INTEGER, twice DECIMAL(12, 2) GENERATED ALWAYS AS (2 * n), huge HUGEINT, list INTEGER[], "
        '"at" TIMESTAMPTZ NOT NULL DEFAULT now(), must VARCHAR NOT NULL, '
        "\"a, b\" INTEGER GENERATED ALWAYS AS (n), says VARCHAR DEFAULT 'GENERATED ALWAYS AS')"
    )
    odd = log(warehouse, "odd")
    assert set(odd.columns) == {"n", "at", "must", "says"}
    assert odd.required == {"must"}
    assert odd.refusals["twice"] == odd.refusals["a, b"] == "the database computes the column itself"
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


def test_a_schema_and_tables_with_the_names_of_others(warehouse: Any, tmp_path: Path) -> None:
    # The file is a catalog of its own name to DuckDB, and `given` is what events are called on their way.
    shop = type(warehouse)(f"duckdb:///{tmp_path / 'shop.duckdb'}", "duckdb")
    shop.sql("CREATE SCHEMA shop")
    shop.sql("CREATE TABLE shop.shop.given (page VARCHAR)")
    shop.sql("CREATE TABLE given (page VARCHAR)")
    append(shop, log(shop, "shop.given"), {"page": "/schema"})
    append(shop, log(shop, "given"), {"page": "/main"})
    assert shop.sql("SELECT * FROM shop.shop.given") == [("/schema",)]
    assert shop.sql("SELECT * FROM shop.main.given") == [("/main",)]


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
