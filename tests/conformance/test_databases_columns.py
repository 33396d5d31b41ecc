"""What a database says of the columns that records and events write: their kinds, their defaults, who writes them."""

from __future__ import annotations

from typing import Any

import pytest

from writebehind.columns import ColumnType


def kept(bench: Any, declared: str) -> ColumnType | str:
    """What a column of a type holds, or why it holds nothing."""
    bench.sql(f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared})")
    column = bench.database.table_shape("t").columns["c"]
    return column.value_type or column.value_refusal


def facts(column: ColumnType | str) -> tuple[Any, ...]:
    """Kind and limits, without the names for messages and SQL."""
    assert isinstance(column, ColumnType)
    limits = ("bits", "precision", "scale", "max_length")
    return (column.kind, {name: getattr(column, name) for name in limits if getattr(column, name) is not None})


@pytest.mark.parametrize(
    ("declared", "kind", "limits"),
    [
        ("smallint", "integer", {"bits": 16}),
        ("integer", "integer", {"bits": 32}),
        ("bigint", "integer", {"bits": 64}),
        ("text", "text", {}),
        ("varchar", "text", {}),
        ("varchar(20)", "text", {"max_length": 20}),
        ("char(3)", "text", {"max_length": 3}),
        ("real", "float", {"bits": 32}),
        ("double precision", "float", {"bits": 64}),
        ("numeric", "decimal", {}),
        ("numeric(12, 2)", "decimal", {"precision": 12, "scale": 2}),
        ("numeric(5)", "decimal", {"precision": 5, "scale": 0}),
        ("numeric(3, -2)", "decimal", {"precision": 3, "scale": -2}),
        ("boolean", "boolean", {}),
        ("timestamptz", "timestamp_tz", {}),
        ("timestamptz(3)", "timestamp_tz", {"precision": 3}),
        ("timestamp", "timestamp", {}),
        ("date", "date", {}),
        ("time(0)", "time", {"precision": 0}),
        ("uuid", "uuid", {}),
        ("json", "json", {}),
        ("jsonb", "json", {}),
        ("bytea", "bytes", {}),
        ("mood", "text", {}),
        ("email", "text", {"max_length": 100}),
    ],
)
def test_postgresqls_kinds(postgres: Any, declared: str, kind: str, limits: dict[str, int]) -> None:
    postgres.sql("CREATE DOMAIN email AS varchar(100) CHECK (value LIKE '%@%'); CREATE TYPE mood AS ENUM ('good')")
    column = kept(postgres, declared)
    assert facts(column) == (kind, limits)
    assert isinstance(column, ColumnType)
    assert (column.allows_nan, column.is_padded) == (kind == "float", declared == "char(3)")


@pytest.mark.parametrize("declared", ["money", "integer[]", "interval", "timetz", "inet", "xml", "pair", "int4range"])
def test_postgresqls_types_without_an_exact_text_say_so(postgres: Any, declared: str) -> None:
    postgres.sql("CREATE TYPE pair AS (a int, b int)")
    assert "no exact text" in str(kept(postgres, declared))


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("TINYINT", "integer"),
        ("BIGINT", "integer"),
        ("TEXT", "text"),
        ("NVARCHAR(20)", "text"),
        ("CLOB", "text"),
        ("REAL", "float"),
        ("FLOAT", "float"),
        ("DOUBLE PRECISION", "float"),
        ("BLOB", "bytes"),
        ("BOOLEAN", "boolean"),
        ("bool", "boolean"),
        ("TIMESTAMP", "timestamp"),
        ("datetime", "timestamp"),
        ("TIMESTAMP(6)", "timestamp"),
        ("TIMESTAMP WITHOUT TIME ZONE", "timestamp"),
        ("TIMESTAMP WITH TIME ZONE", "timestamp_tz"),
        ("TIMESTAMPTZ", "timestamp_tz"),
        ("DATE", "date"),
        ("TIME", "time"),
        ("UUID", "uuid"),
        ("JSON", "json"),
    ],
)
def test_sqlites_kinds(sqlite: Any, declared: str, kind: str) -> None:
    assert facts(kept(sqlite, declared)) == (kind, {"bits": 64} if kind in ("integer", "float") else {})


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ("NUMERIC", "floating-point"),
        ("DECIMAL(12, 2)", "floating-point"),
        ("", "without a declared type"),
        ("GEOMETRY", "GEOMETRY"),
    ],
)
def test_sqlites_types_that_do_not_keep_values_as_they_are_say_so(sqlite: Any, declared: str, reason: str) -> None:
    assert reason in str(kept(sqlite, declared))


def defaults(bench: Any) -> dict[str, Any]:
    """The constant defaults by column, and ``...`` for those that are worked out for each row."""
    columns = bench.database.table_shape("t").columns.values()
    return {column.name: ... if column.default_is_computed else column.default_text for column in columns}


def test_postgresqls_defaults(postgres: Any) -> None:
    postgres.sql("CREATE TYPE mood AS ENUM ('it''s good'); CREATE DOMAIN cents AS numeric(12, 2) DEFAULT 5 NOT NULL")
    postgres.sql(
        r"""CREATE TABLE t (
            id serial PRIMARY KEY, a text, b text DEFAULT NULL, c text DEFAULT 'it''s \ " a', d varchar(9) DEFAULT 'x',
            e char(3) DEFAULT 'x', f int DEFAULT -1, g numeric(12, 2) DEFAULT 1.5, h boolean DEFAULT true,
            i timestamptz DEFAULT '2026-01-02 03:04:05+02', j date DEFAULT '2026-01-02', k jsonb DEFAULT '{"a": []}',
            l bytea DEFAULT '\x00ff', m real DEFAULT 0.1, n mood DEFAULT 'it''s good', o cents, p float8 DEFAULT 'NaN',
            q uuid DEFAULT '12345678-1234-5678-1234-567812345678', r text DEFAULT 7, s cents DEFAULT 6,
            v timestamptz DEFAULT now(), w uuid DEFAULT gen_random_uuid(), x text DEFAULT 'a' || 'b', y int DEFAULT 1.6,
            z text DEFAULT ('xyz'::text)::varchar(1), aa bigint GENERATED BY DEFAULT AS IDENTITY,
            ab timestamp(0) DEFAULT '2026-01-02 03:04:05.6', ac numeric DEFAULT (1.25)::numeric(3, 1),
            ad date DEFAULT CURRENT_DATE
        )"""
    )
    assert defaults(postgres) == {
        "id": ...,
        "a": None,
        "b": None,
        "c": "it's \\ \" a",
        "d": "x",
        "e": "x",
        "f": "-1",
        "g": "1.50",
        "h": "true",
        "i": "2026-01-02T01:04:05.000000+00:00",
        "j": "2026-01-02",
        "k": '{"a":[]}',
        "l": "\\x00ff",
        "m": "0.10000000149011612",
        "n": "it's good",
        "o": "5.00",
        "p": "nan",
        "q": "12345678-1234-5678-1234-567812345678",
        "r": "7",
        "s": "6.00",
        **dict.fromkeys(["v", "w", "x", "y", "z", "aa", "ab", "ac", "ad"], ...),
    }
    # What the shape says is what a new row has.
    postgres.database.create_ledger()
    postgres.sql("INSERT INTO t DEFAULT VALUES")
    columns = postgres.database.table_shape("t").columns
    [row] = postgres.sql("SELECT c, d, f, g, h, i, j, k, l, m::float8, n::text, o, q, r, s FROM t")
    for name, value in zip("cdfghijklmnoqrs", row, strict=True):
        assert columns[name].value_type.decode(columns[name].default_text) == value
    assert columns["o"].value_type.is_required


def test_sqlites_defaults(sqlite: Any) -> None:
    sqlite.sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT DEFAULT NULL, c TEXT DEFAULT 'it''s',"
        " d INTEGER DEFAULT -1, e REAL DEFAULT +1e3, f BOOLEAN DEFAULT TRUE, g BOOLEAN DEFAULT 0,"
        " h BLOB DEFAULT x'00FF', i TIMESTAMP DEFAULT '2026-01-02 03:04:05', j JSON DEFAULT '{}',"
        " k INTEGER DEFAULT (5), r TEXT DEFAULT 007, s TIMESTAMP DEFAULT CURRENT_TIMESTAMP,"
        " u TEXT DEFAULT ('a' || 'b'), v INTEGER DEFAULT 'x', w BLOB DEFAULT 'x', x BOOLEAN DEFAULT 'true')"
    )
    assert defaults(sqlite) == {
        "id": ...,
        "a": None,
        "b": None,
        "c": "it's",
        "d": "-1",
        "e": "1000.0",
        "f": "true",
        "g": "false",
        "h": "\\x00ff",
        "i": "2026-01-02T03:04:05.000000",
        "j": "{}",
        "k": "5",
        **dict.fromkeys("rsuvwx", ...),
    }


def test_what_the_database_computes_and_what_must_be_there(bench: Any) -> None:
    bench.sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER NOT NULL, b INTEGER NOT NULL DEFAULT 1, c INTEGER,"
        " d INTEGER GENERATED ALWAYS AS (a * 2) STORED)"
    )
    columns = bench.database.table_shape("t").columns
    assert {name for name, column in columns.items() if column.is_generated} == {"d"}
    assert {name for name, column in columns.items() if column.value_type.is_required} == {"id", "a", "b"}


def test_an_identity_that_is_always_generated_is_nobodys_to_write(postgres: Any) -> None:
    postgres.sql("CREATE TABLE t (a bigint GENERATED ALWAYS AS IDENTITY, b bigint GENERATED BY DEFAULT AS IDENTITY)")
    columns = postgres.database.table_shape("t").columns
    assert (columns["a"].is_generated, columns["b"].is_generated) == (True, False)
