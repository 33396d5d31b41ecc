"""What a database says of the user's tables, and what mappings are refused for it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from writebehind.errors import ColumnRefused, MappingError, TableMissing
from writebehind.mapping import NewColumn
from writebehind.values import INT64_MAX, INT64_MIN, Amounts


def test_a_table_that_does_not_exist_has_no_shape(bench: Any) -> None:
    assert bench.database.table_shape("nothing") is None
    assert bench.database.table_shape("nowhere.nothing") is None
    with pytest.raises(TableMissing):
        bench.bind("nothing.likes")


NEW_COLUMNS = [
    NewColumn("id", "text", is_required=True),
    NewColumn("n", "integer", is_required=True, default=-7),
    NewColumn('od"d %s', "integer"),
    NewColumn("at", "timestamp_tz"),
]


def test_a_table_that_is_made_holds_what_was_asked_for(bench: Any) -> None:
    for _ in range(2):  # once more changes nothing
        bench.database.create_table("made", NEW_COLUMNS, ["id"])
        bench.database.create_table("without_key", NEW_COLUMNS)
    shape = bench.database.table_shape("made")
    assert (shape.primary_key, bench.database.table_shape("without_key").primary_key) == (("id",), ())
    assert list(shape.columns) == [column.name for column in NEW_COLUMNS]
    assert [column.value_type.kind for column in shape.columns.values()] == [column.kind for column in NEW_COLUMNS]
    assert [column.value_type.is_required for column in shape.columns.values()] == [True, True, False, False]
    assert [column.default_text for column in shape.columns.values()] == [None, "-7", None, None]
    assert shape.columns["n"].value_type.bits == 64
    bench.sql("INSERT INTO made (id) VALUES ('a')")
    assert bench.sql("SELECT * FROM made") == [("a", -7, None, None)]


def test_a_view_is_refused_and_says_so(bench: Any, database: Any) -> None:
    bench.sql("CREATE VIEW popular AS SELECT * FROM videos")
    with pytest.raises(MappingError, match="'popular' is a view"):
        bench.bind("popular.likes")


def test_the_primary_key_is_found_in_its_own_order(bench: Any) -> None:
    bench.sql("CREATE TABLE t (n BIGINT, a BIGINT NOT NULL, b VARCHAR(20) NOT NULL, PRIMARY KEY (b, a))")
    shape = bench.database.table_shape("t")
    assert shape.primary_key == ("b", "a")
    assert shape.unique == (frozenset({"a", "b"}),)
    assert [column.kind for column in bench.bind("t.n").keys.columns] == ["text", "integer"]


def test_what_makes_columns_unique(bench: Any) -> None:
    bench.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER UNIQUE, b TEXT, c TEXT, d TEXT, n INTEGER)")
    bench.sql("CREATE UNIQUE INDEX both_columns ON t (b, c)")
    bench.sql("CREATE UNIQUE INDEX partial ON t (c) WHERE n > 0")
    bench.sql("CREATE UNIQUE INDEX expression ON t (lower(d))")
    bench.sql("CREATE INDEX plain ON t (d)")

    unique = set(bench.database.table_shape("t").unique)

    assert unique == {frozenset({"id"}), frozenset({"a"}), frozenset({"b", "c"})}
    assert bench.bind("t.n", key=["c", "b"]).keys.columns[0].name == "c"
    for column in ("c", "d", "b"):
        with pytest.raises(ColumnRefused, match="unique"):
            bench.bind("t.n", key=column)


def test_columns_that_an_insert_must_name(bench: Any) -> None:
    bench.sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, a TEXT NOT NULL, b TEXT NOT NULL DEFAULT '', c TEXT,"
        " d BIGINT GENERATED ALWAYS AS (n * 2) STORED NOT NULL)"
    )
    columns = bench.database.table_shape("t").columns
    assert {name for name, column in columns.items() if column.required} - {"id"} == {"a"}
    with pytest.raises(ColumnRefused, match="a are NOT NULL"):
        bench.bind("t.n", missing="insert")


def test_a_generated_column_is_no_counter(bench: Any) -> None:
    bench.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT, m BIGINT GENERATED ALWAYS AS (n * 2) STORED)")
    with pytest.raises(ColumnRefused, match="GENERATED ALWAYS"):
        bench.bind("t.m")


def test_floating_point_numbers_are_refused_with_the_reason(bench: Any) -> None:
    bench.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n DOUBLE PRECISION, k DOUBLE PRECISION UNIQUE)")
    with pytest.raises(ColumnRefused, match="exact"):
        bench.bind("t.n")
    with pytest.raises(ColumnRefused, match="'k'"):
        bench.bind("t.id", key="k")


@pytest.mark.parametrize(
    ("declared", "amounts"),
    [
        ("smallint", Amounts(None, -(2**15), 2**15 - 1)),
        ("integer", Amounts(None, -(2**31), 2**31 - 1)),
        ("bigint", Amounts()),
        ("numeric(12, 2)", Amounts(2, -(10**12) + 1, 10**12 - 1)),
        ("numeric(5)", Amounts(0, -99999, 99999)),
        ("numeric(40, 18)", Amounts(18, INT64_MIN, INT64_MAX)),
    ],
)
def test_the_ranges_of_postgresqls_number_types(postgres: Any, declared: str, amounts: Amounts) -> None:
    postgres.sql(f"CREATE TABLE t (id int PRIMARY KEY, n {declared})")
    assert postgres.bind("t.n").amounts == amounts


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ("numeric", "NUMERIC needs a scale (for example NUMERIC(18, 2))"),
        ("numeric(5, -2)", "a scale of -2"),
        ("numeric(40, 30)", "a scale of 30"),
        ("money", "added exactly"),
        ("text", "added exactly"),
    ],
)
def test_postgresqls_types_that_cannot_count(postgres: Any, declared: str, reason: str) -> None:
    postgres.sql(f"CREATE TABLE t (id int PRIMARY KEY, n {declared})")
    with pytest.raises(ColumnRefused, match=re.escape(reason)):
        postgres.bind("t.n")


def test_domains_count_as_the_type_under_them(postgres: Any) -> None:
    postgres.sql("CREATE DOMAIN email AS varchar(100); CREATE DOMAIN cents AS numeric(12, 2) CHECK (value >= 0)")
    postgres.sql("CREATE TABLE t (id email PRIMARY KEY, n cents NOT NULL DEFAULT 0)")
    counter = postgres.bind("t.n", missing="insert")
    postgres.add(counter, ("ada", 150))
    assert (counter.keys.columns[0].kind, counter.amounts.scale) == ("text", 2)
    assert [str(n) for (n,) in postgres.sql("SELECT n FROM t")] == ["1.50"]


def test_postgresqls_search_path_and_partitioned_tables(postgres: Any) -> None:
    postgres.sql("CREATE SCHEMA shop; CREATE TABLE shop.t (id int, n int, PRIMARY KEY (id)) PARTITION BY RANGE (id)")
    postgres.sql("CREATE TABLE shop.t1 PARTITION OF shop.t DEFAULT; INSERT INTO shop.t VALUES (1, 0)")
    assert postgres.database.table_shape("t") is None
    postgres.sql(
        "ALTER ROLE CURRENT_USER IN DATABASE " + postgres.url.split("/")[3].split("?")[0] + " SET search_path = shop"
    )
    postgres.database.close()
    postgres.database = type(postgres.database)(postgres.url)
    assert postgres.add(postgres.bind("t.n"), (1, 5)).rows == 1


def test_a_deferrable_key_does_not_make_unique(postgres: Any) -> None:
    postgres.sql("CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, n int)")
    with pytest.raises(ColumnRefused, match="unique"):
        postgres.bind("t.n")


def test_a_unique_index_that_tells_apart_what_the_column_calls_equal_does_not_count(sqlite: Any) -> None:
    sqlite.sql("CREATE TABLE t (k TEXT COLLATE NOCASE, n INTEGER)")
    sqlite.sql("CREATE UNIQUE INDEX exact ON t (k COLLATE BINARY)")
    assert sqlite.database.table_shape("t").unique == ()
    sqlite.sql("CREATE UNIQUE INDEX loose ON t (k)")
    assert sqlite.database.table_shape("t").unique == (frozenset({"k"}),)
