"""Records: what every database does with rows that are changed column by column, renewed and deleted."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from writebehind.changes import RecordChange
from writebehind.databases import open_database
from writebehind.databases.contract import ABSENT, PartitionName, RecordRows, RowsWritten
from writebehind.errors import ColumnRefused, RowRefused, ValueRefused
from writebehind.mapping import BoundRecords, RecordMapping
from writebehind.values import INT64_MAX, INT64_MIN

PARTITION = PartitionName("app", "profiles", 0)
AN_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def bind(bench: Any, table: str = "profiles", **options: Any) -> BoundRecords:
    """Records, bound to their table as the database describes it."""
    mapping = RecordMapping.parse(table, **options)
    return mapping.bind(bench.database.table_shape(mapping.table))


def rows_of(records: BoundRecords, *changes: tuple[Any, RecordChange]) -> RecordRows:
    """``RecordRows`` from keys and changes, in any order."""
    found = sorted((key if isinstance(key, tuple) else (key,), n) for n, (key, _) in enumerate(changes))
    return RecordRows(records, [key for key, _ in found], [changes[n][1] for _, n in found])


def write(bench: Any, records: BoundRecords, *changes: tuple[Any, RecordChange]) -> RowsWritten:
    """Write in one transaction."""
    with bench.database.transaction() as transaction:
        return transaction.write_records(rows_of(records, *changes))


def read(bench: Any, records: BoundRecords, *keys: Any) -> dict[Any, Any]:
    """The records that exist, by key."""
    rows = [key if isinstance(key, tuple) else (key,) for key in keys]
    found = bench.database.read_records(PARTITION, records, rows, None).values
    return {key: found[row] for key, row in zip(keys, rows, strict=True) if row in found}


def upsert(**columns: str | None) -> RecordChange:
    return RecordChange("upsert", columns)


def renew(**columns: str | None) -> RecordChange:
    return RecordChange("renew", columns)


DELETE = RecordChange("delete")


@pytest.fixture
def profiles(bench: Any) -> BoundRecords:
    """A ledger and a table ``profiles`` with a default, a NOT NULL column without one, and a unique column."""
    bench.database.create_ledger()
    bench.sql(
        "CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT NOT NULL, plan TEXT NOT NULL DEFAULT 'free',"
        " email TEXT UNIQUE, visits BIGINT)"
    )
    return bind(bench)


# --- what columns hold ---------------------------------------------------------------------------------------------

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=-8)))
NAIVE = MOMENT.replace(tzinfo=None)
TEXTS = ["", "naïve 😀", " a ", "%s %(k0)s", "'\"\\", "NULL", "line\nline", "x" * 5000]
INTEGERS = [0, -1, INT64_MIN, INT64_MAX]
FLOATS = [0.0, -1.5, 0.1, 1e16, 1e-300, 5e-324, 1.7976931348623157e308, math.inf, -math.inf]
MOMENTS = [MOMENT, MOMENT.replace(microsecond=0), datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)]
NAIVES = [NAIVE, NAIVE.replace(microsecond=500000), datetime.min, datetime.max]
TIMES = [time(0, 0), time(3, 4, 5), time(23, 59, 59, 999999)]
JSON = [{"a": {}, "b": [1, 2.5, None, True, 'é"\\']}, [], "text", 0, -7, 1.5, True, "", 5e-324, {"": "\u2028"}]
POSTGRESQL: list[tuple[str, Sequence[object], str]] = [
    ("text", TEXTS, "c"),
    ("varchar(20)", ["", "naïve 😀", "x" * 20], "c"),
    ("char(5)", ["", "ab", "abcde"], "rtrim(c)"),
    ("smallint", [0, 2**15 - 1, -(2**15)], "c"),
    ("integer", [0, 2**31 - 1, -(2**31)], "c"),
    ("bigint", INTEGERS, "c"),
    ("real", [0.0, -1.5, 0.10000000149011612, 3.4028234663852886e38, 1.401298464324817e-45], "c::float8"),
    ("double precision", FLOATS, "c"),
    ("numeric", [Decimal("1.50"), Decimal("-0.001"), Decimal(10**60), Decimal("1E-30")], "c"),
    ("numeric(12, 2)", [Decimal("1.50"), Decimal("-9999999999.99"), Decimal("0.00")], "c"),
    ("boolean", [True, False], "c"),
    ("timestamptz", MOMENTS, "c"),
    ("timestamptz(3)", [MOMENT.replace(microsecond=678000)], "c"),
    ("timestamp", NAIVES, "c"),
    ("date", [date(2026, 1, 2), date.min, date.max], "c"),
    ("time", TIMES, "c"),
    ("uuid", [AN_ID], "c"),
    ("json", JSON, "c"),
    ("jsonb", JSON, "c"),
    ("bytea", [b"", b"\x00\\x\xff", bytes(range(256))], "c"),
    ("cents", [Decimal("1.50")], "c"),
    ('"The Colour"', ["red", "it's 100%"], "c::text"),
]
SQLITE: list[tuple[str, Sequence[object], str]] = [
    ("TEXT", TEXTS, "c"),
    ("VARCHAR(20)", ["", "x" * 20], "c"),
    ("INTEGER", INTEGERS, "c"),
    ("DOUBLE PRECISION", FLOATS, "c"),
    ("BOOLEAN", [True, False], "c"),
    ("BLOB", [b"", b"\x00\\x\xff"], "c"),
    ("UUID", [AN_ID], "c"),
    ("TIMESTAMP WITH TIME ZONE", MOMENTS, "c"),
    ("DATETIME", NAIVES, "c"),
    ("DATE", [date(2026, 1, 2)], "c"),
    ("TIME", TIMES, "c"),
    ("JSON", JSON, "c"),
]
AS_CANONICAL_TEXT = ("UUID", "TIMESTAMP WITH TIME ZONE", "DATETIME", "DATE", "TIME")


@pytest.mark.parametrize(("declared", "values", "expression"), POSTGRESQL, ids=[case[0] for case in POSTGRESQL])
def test_postgresqls_types_keep_values_exactly(
    postgres: Any, declared: str, values: Sequence[object], expression: str
) -> None:
    postgres.sql("CREATE DOMAIN cents AS numeric(12, 2); CREATE TYPE \"The Colour\" AS ENUM ('red', 'it''s 100%')")
    found = write_and_look(postgres, declared, values, expression)
    assert found == list(values)


@pytest.mark.parametrize(("declared", "values", "expression"), SQLITE, ids=[case[0] for case in SQLITE])
def test_sqlites_types_keep_values_exactly(
    sqlite: Any, declared: str, values: Sequence[object], expression: str
) -> None:
    found = write_and_look(sqlite, declared, values, expression)
    kept = bind(sqlite, "t").columns["c"]
    if declared == "JSON":
        assert [kept.decode(kept.canonical(str(value))) for value in found] == list(values)
    elif declared in AS_CANONICAL_TEXT:
        assert found == [kept.encode(value, "c") for value in values]
    else:
        assert found == list(values)
        assert {type(value) for value in found} == {int if declared == "BOOLEAN" else type(values[0])}


def write_and_look(bench: Any, declared: str, values: Sequence[object], expression: str) -> list[object]:
    """Write values to new rows, and with two columns to existing ones; what a plain SELECT then says."""
    bench.database.create_ledger()
    bench.sql(f"CREATE TABLE t (id BIGINT PRIMARY KEY, c {declared}, n BIGINT)")
    records = bind(bench, "t")
    column = records.columns["c"]
    texts = [column.encode(value, "c") for value in values]
    count = len(values)

    write(bench, records, *[(n, upsert(c=text)) for n, text in enumerate(texts)])
    # Once more through the UPDATE, from another value, and with rows that name another column.
    write(bench, records, *[(n, upsert(c=None)) for n in range(count)])
    write(bench, records, *[(n, upsert(c=text)) for n, text in enumerate(texts)], (count, upsert(n="1")))
    write(bench, records, *[(n, upsert(n="2")) for n in range(count)], (count, upsert(c=None)))

    found = read(bench, records, *range(count + 1))
    assert [found[n]["c"] for n in range(count)] == texts
    assert found[count] == {"c": None, "n": "1"}
    assert [column.decode(found[n]["c"]) for n in range(count)] == list(values)
    return [value for (value,) in bench.sql(f"SELECT {expression} FROM t WHERE id < %s ORDER BY id", (count,))]


def test_not_a_number_is_kept_by_postgresql_and_refused_for_sqlite(postgres: Any, sqlite: Any) -> None:
    for bench in (postgres, sqlite):
        bench.database.create_ledger()
        bench.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, c DOUBLE PRECISION)")
    records = bind(postgres, "t")
    write(postgres, records, (1, upsert(c=records.columns["c"].encode(math.nan, "c"))))
    assert read(postgres, records, 1) == {1: {"c": "nan"}}
    assert postgres.sql("SELECT c = 'NaN' FROM t") == [(True,)]

    records = bind(sqlite, "t")
    with pytest.raises(ValueRefused, match="keeps no NaN"):
        records.columns["c"].encode(math.nan, "c")
    with pytest.raises(RowRefused, match="NaN"):
        write(sqlite, records, (1, upsert(c="nan")))


def test_settings_of_the_session_change_nothing(postgres: Any) -> None:
    postgres.database.create_ledger()
    postgres.sql(
        "CREATE TABLE t (id int PRIMARY KEY, a timestamptz, b timestamp, c date, d float8, e real, f bytea, g time)"
    )
    records = bind(postgres, "t")
    values = (MOMENT, NAIVE, date(2026, 1, 2), 0.1 + 0.2, 0.10000000149011612, b"\xff", time(1, 2, 3))
    texts = {name: records.columns[name].encode(value, name) for name, value in zip("abcdefg", values, strict=True)}
    options = (
        "-c DateStyle=German,DMY -c TimeZone=Asia/Tokyo -c extra_float_digits=-5 -c bytea_output=escape"
        " -c standard_conforming_strings=off -c escape_string_warning=off"
    )
    postgres.database.close()
    postgres.database = open_database(f"{postgres.url}&options={options.replace(' ', '%20').replace('=', '%3D')}")

    write(postgres, records, (1, upsert(**texts)))

    assert read(postgres, records, 1) == {1: texts}
    [found] = postgres.sql("SELECT a, b, c, d, e::float8, f, g FROM t")
    assert found == values


def test_what_no_python_value_stands_for_is_read_as_the_database_writes_it(postgres: Any) -> None:
    postgres.database.create_ledger()
    postgres.sql(
        "CREATE TABLE t (id int PRIMARY KEY, a timestamptz DEFAULT 'infinity', b timestamp DEFAULT '0044-03-15 BC',"
        " c date DEFAULT '12026-01-02', d time DEFAULT '24:00', e numeric DEFAULT 'NaN',"
        " f jsonb DEFAULT '{\"n\": [0.1000000000000000000001, 1]}', g timestamp DEFAULT '10000-01-01 00:00:00.5')"
    )
    postgres.sql("INSERT INTO t (id) VALUES (1)")
    records = bind(postgres, "t")

    [found] = read(postgres, records, 1).values()

    assert found == {
        "a": "infinity",
        "b": "0044-03-15T00:00:00 BC",
        "c": "12026-01-02",
        "d": "24:00:00.000000",
        "e": "NaN",
        "f": '{"n":[0.1000000000000000000001,1]}',
        "g": "10000-01-01T00:00:00.5",
    }
    for name in "abcdg":
        with pytest.raises(ValueRefused, match="no value of Python's"):
            records.columns[name].decode(found[name])


def test_what_others_wrote_into_sqlites_columns_is_read_leniently(sqlite: Any) -> None:
    sqlite.database.create_ledger()
    sqlite.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, a TIMESTAMP, b BOOLEAN, c INTEGER, d DATE, e JSON)")
    sqlite.sql(
        "INSERT INTO t VALUES (1, '2026-01-02 03:04:05', 'yes', 'many', x'00', '{ \"a\": 1 }'), (2, 7, 2, 1.5, 1, 3)"
    )

    found = read(sqlite, bind(sqlite, "t"), 1, 2)

    assert found[1] == {"a": "2026-01-02T03:04:05.000000", "b": "true", "c": "many", "d": "\\x00", "e": '{"a":1}'}
    assert found[2] == {"a": "7", "b": "2", "c": "1.5", "d": "1", "e": "3"}


# --- what changes do -----------------------------------------------------------------------------------------------


def test_an_upsert_sets_its_columns_and_leaves_the_others(bench: Any, profiles: BoundRecords) -> None:
    bench.sql("INSERT INTO profiles VALUES (1, 'Ada', 'pro', 'a@x', 5), (2, 'Bob', 'pro', NULL, 6)")

    written = write(bench, profiles, (1, upsert(plan="team")), (2, upsert(name="Rob", visits=None)))

    assert (written.rows, list(written.missing)) == (2, [])
    assert bench.sql("SELECT * FROM profiles ORDER BY id") == [
        (1, "Ada", "team", "a@x", 5),
        (2, "Rob", "pro", None, None),
    ]


def test_a_missing_row_is_inserted_with_the_defaults_of_what_it_does_not_name(
    bench: Any, profiles: BoundRecords
) -> None:
    bench.sql("INSERT INTO profiles (id, name) VALUES (2, 'Bob')")

    written = write(
        bench, profiles, (1, upsert(name="Ada")), (2, upsert(visits="7")), (3, upsert(name="Eve", plan="pro"))
    )

    assert (written.rows, list(written.missing)) == (3, [])
    assert bench.sql("SELECT * FROM profiles ORDER BY id") == [
        (1, "Ada", "free", None, None),
        (2, "Bob", "free", None, 7),
        (3, "Eve", "pro", None, None),
    ]


def test_a_renewal_forgets_what_the_row_was(bench: Any, profiles: BoundRecords) -> None:
    bench.sql("INSERT INTO profiles VALUES (1, 'Ada', 'pro', 'a@x', 5)")

    write(bench, profiles, (1, renew(name="Ada II")), (2, renew(name="Bob", visits="1")))

    assert bench.sql("SELECT * FROM profiles ORDER BY id") == [
        (1, "Ada II", "free", None, None),
        (2, "Bob", "free", None, 1),
    ]


def test_a_deletion_removes_the_row_if_it_is_there(bench: Any, profiles: BoundRecords) -> None:
    bench.sql("INSERT INTO profiles (id, name) VALUES (1, 'Ada'), (2, 'Bob')")

    written = write(bench, profiles, (1, DELETE), (3, DELETE))

    assert (written.rows, written.statements) == (2, 1)
    assert bench.sql("SELECT id FROM profiles") == [(2,)]


def test_a_change_without_columns_makes_sure_that_the_row_is_there(bench: Any) -> None:
    bench.sql("CREATE TABLE carts (id BIGINT PRIMARY KEY, total BIGINT DEFAULT 3)")
    bench.sql("INSERT INTO carts VALUES (1, 10)")
    records = bind(bench, "carts")

    write(bench, records, (1, upsert()), (2, upsert()))
    write(bench, records, (1, upsert()), (3, upsert()), (4, upsert(total="4")), (2, renew()))

    assert bench.sql("SELECT * FROM carts ORDER BY id") == [(1, 10), (2, 3), (3, 3), (4, 4)]


def test_a_unique_value_moves_from_a_deleted_row_to_another(bench: Any, profiles: BoundRecords) -> None:
    bench.sql("INSERT INTO profiles (id, name, email) VALUES (1, 'Ada', 'a'), (2, 'Bob', 'b'), (3, 'Eve', 'e')")

    write(
        bench,
        profiles,
        (1, upsert(email="e")),  # which the deletion of a later row sets free
        (3, DELETE),
        (2, renew(name="Bob")),
        (4, upsert(name="Dan", email="b")),  # which a renewal sets free
    )
    write(bench, profiles, (1, upsert(email="n")), (4, upsert(email="e")))  # which a change before it sets free

    assert bench.sql("SELECT id, email FROM profiles ORDER BY id") == [(1, "n"), (2, None), (4, "e")]


def test_mixed_changes_are_few_statements(bench: Any, profiles: BoundRecords) -> None:
    bench.sql(
        "INSERT INTO profiles (id, name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
        " SELECT i, 'old' FROM n"
    )
    changes: list[tuple[int, RecordChange]] = [(n, DELETE) for n in range(1, 101)]
    changes += [(n, renew(name="renewed")) for n in range(101, 201)]
    changes += [(n, upsert(plan="pro")) for n in range(201, 401)]
    changes += [(n, upsert(visits=str(n), name=None if n < 0 else "named")) for n in range(401, 601)]
    changes += [(n, upsert(name="new")) for n in range(601, 701)]
    changes += [(n, upsert(name="new", plan="team")) for n in range(701, 801)]

    written = write(bench, profiles, *changes)

    # A DELETE, an UPDATE for every set of columns (PostgreSQL: one for all), an INSERT for two sets.
    assert (written.rows, written.statements) == (800, 4 if bench.dialect == "postgresql" else 7)
    assert bench.sql("SELECT name, plan, count(*), min(visits) FROM profiles GROUP BY name, plan ORDER BY min(id)") == [
        ("renewed", "free", 100, None),
        ("old", "pro", 200, None),
        ("named", "free", 200, 401),
        ("new", "free", 100, None),
        ("new", "team", 100, None),
    ]


def test_columns_that_no_row_names_are_not_in_the_statements(postgres: Any) -> None:
    postgres.database.create_ledger()
    postgres.sql("CREATE TABLE t (id int PRIMARY KEY, a int, secret int DEFAULT 5)")
    records = bind(postgres, "t")
    postgres.sql(
        "DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN; GRANT SELECT (id, a), INSERT (id, a), DELETE,"
        " UPDATE (a) ON t TO clerk"
    )
    clerk = type(postgres)(postgres.url.replace("postgres@", "clerk@"), "postgresql")

    write(clerk, records, (1, upsert(a="1")), (2, renew(a="2")))
    write(clerk, records, (1, upsert(a="3")), (2, upsert(a="4")))

    clerk.database.close()
    assert postgres.sql("SELECT * FROM t ORDER BY id") == [(1, 3, 5), (2, 4, 5)]
    postgres.sql("DROP OWNED BY clerk; DROP ROLE clerk")


def test_more_columns_than_a_mask_has_bits(bench: Any) -> None:
    names = [f"c{n}" for n in range(130)]
    bench.database.create_ledger()
    bench.sql(f"CREATE TABLE wide (id BIGINT PRIMARY KEY, {', '.join(f'{name} BIGINT' for name in names)})")
    bench.sql("INSERT INTO wide (id) VALUES (1), (2), (3)")
    records = bind(bench, "wide")

    write(
        bench,
        records,
        (1, upsert(**{name: str(n) for n, name in enumerate(names) if n % 2})),
        (2, upsert(**{name: str(n) for n, name in enumerate(names)})),
        (3, upsert(c62="1", c63="2", c129="3")),
    )

    found = read(bench, records, 1, 2, 3)
    assert list(found[1].values()) == [str(n) if n % 2 else None for n in range(130)]
    assert list(found[2].values()) == [str(n) for n in range(130)]
    assert {name: text for name, text in found[3].items() if text} == {"c62": "1", "c63": "2", "c129": "3"}


def test_composite_keys_and_names_that_need_quotes(bench: Any) -> None:
    bench.database.create_ledger()
    bench.sql(
        'CREATE TABLE "a 100% table" ("the user" UUID, "%(k0)s" TEXT, n BIGINT, "select" TEXT,'
        ' "a""b" TEXT DEFAULT \'d\', PRIMARY KEY ("the user", "%(k0)s", n))'
    )
    records = bind(bench, "a 100% table")
    key, other, third = (AN_ID, "é", 7), (AN_ID, "é", 8), (AN_ID, "", 7)

    write(bench, records, (key, upsert(select="1")), (other, upsert(select="2", **{'a"b': None})))
    write(bench, records, (key, upsert(**{'a"b': "3"})), (other, DELETE), (third, renew()))

    assert read(bench, records, key, other, third) == {
        key: {"select": "1", 'a"b': "3"},
        third: {"select": None, 'a"b': "d"},
    }


@pytest.mark.parametrize(
    ("change", "sqlstate"),
    [
        (upsert(email="taken"), "23505"),
        (upsert(name=None), "23502"),
        (renew(plan="pro"), "23502"),  # its name is NOT NULL and has no default
        (upsert(nickname="x"), "42703"),
        (upsert(name="\ud800"), "22021"),
    ],
)
def test_a_bad_row_is_refused_and_a_savepoint_undoes_everything(
    bench: Any, profiles: BoundRecords, change: RecordChange, sqlstate: str
) -> None:
    bench.sql("INSERT INTO profiles (id, name, email) VALUES (1, 'Ada', 'a'), (2, 'Bob', 'b'), (3, 'Eve', 'taken')")
    before = bench.sql("SELECT * FROM profiles ORDER BY id")

    with bench.database.transaction() as transaction:
        with pytest.raises(RowRefused) as caught, transaction.savepoint():
            transaction.write_records(
                rows_of(
                    profiles, (1, upsert(plan="pro")), (2, change), (0, DELETE), (3, renew(name="E", email="taken"))
                )
                if sqlstate != "23505"
                else rows_of(profiles, (0, upsert(name="new")), (1, upsert(plan="pro")), (2, change))
            )
        transaction.write_records(rows_of(profiles, (9, upsert(name="good"))))

    assert caught.value.sqlstate == sqlstate
    assert bench.sql("SELECT * FROM profiles ORDER BY id") == [*before, (9, "good", "free", None, None)]


def test_texts_of_other_programs_are_kept_as_what_they_mean(bench: Any) -> None:
    bench.database.create_ledger()
    blob = "BYTEA" if bench.dialect == "postgresql" else "BLOB"
    bench.sql(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, a INTEGER, b BOOLEAN, c TIMESTAMP WITH TIME ZONE, d DATE, e UUID,"
        f" f {blob}, g JSON, h DOUBLE PRECISION)"
    )
    records = bind(bench, "t")
    change = upsert(
        a="+042",
        b="yes",
        c="2026-01-02 03:04:05-08:00",
        d="2026-01-02",
        e=AN_ID.hex.upper(),
        f="\\xFF",
        g='{"a" : 1}',
        h="1e3",
    )

    write(bench, records, (1, change))

    assert read(bench, records, 1) == {
        1: {
            "a": "42",
            "b": "true",
            "c": "2026-01-02T11:04:05.000000+00:00",
            "d": "2026-01-02",
            "e": str(AN_ID),
            "f": "\\xff",
            "g": '{"a":1}',
            "h": "1000.0",
        }
    }
    if bench.dialect == "sqlite":
        assert bench.sql("SELECT a, b, c, e, f FROM t") == [
            (42, 1, "2026-01-02T11:04:05.000000+00:00", str(AN_ID), b"\xff")
        ]


def test_texts_of_other_programs_that_fit_no_column_are_refused_as_rows(bench: Any) -> None:
    blob = "BYTEA" if bench.dialect == "postgresql" else "BLOB"
    bench.sql(
        f"CREATE TABLE t (id BIGINT PRIMARY KEY, a INTEGER, b BOOLEAN, c {blob}, d DOUBLE PRECISION, e DATE, f JSON)"
    )
    bench.sql("INSERT INTO t (id) VALUES (1)")
    records = bind(bench, "t")
    for text in ("many", str(2**63)):
        with pytest.raises(RowRefused):
            write(bench, records, (1, upsert(a=text)))
    for name, text in (("b", "perhaps"), ("c", "\\xfg"), ("d", "x"), ("e", "2026-02-30"), ("f", "{")):
        with pytest.raises(RowRefused):
            write(bench, records, (1, upsert(**{name: text})), (2, upsert()))
    assert bench.sql("SELECT * FROM t") == [(1, *(None,) * 6)]


def test_a_text_that_is_too_long_is_refused_and_not_cut(postgres: Any) -> None:
    postgres.database.create_ledger()
    postgres.sql("CREATE TABLE t (id int PRIMARY KEY, a varchar(3), b char(3)); INSERT INTO t (id) VALUES (1)")
    records = bind(postgres, "t")
    for key in (1, 2):
        for change in (upsert(a="abcd"), upsert(b="abcd")):
            with pytest.raises(RowRefused) as caught:
                write(postgres, records, (key, change))
            assert caught.value.sqlstate == "22001"
    assert postgres.sql("SELECT * FROM t") == [(1, None, None)]


def test_rows_that_number_themselves_take_the_applications_key(postgres: Any) -> None:
    postgres.sql(
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " n bigint GENERATED ALWAYS AS (id * 2) STORED, a text, made timestamptz DEFAULT now())"
    )
    records = bind(postgres, "t")
    assert set(records.columns) == {"a", "made"}
    assert "made" not in records.defaults

    write(postgres, records, (7, upsert(a="x")))

    assert postgres.sql("SELECT id, n, a, made > now() - interval '1 hour' FROM t") == [(7, 14, "x", True)]


def test_a_row_that_appears_meanwhile_is_updated(postgres: Any, wait_until: Any) -> None:
    postgres.sql("CREATE TABLE t (id int PRIMARY KEY, a text, b text)")
    records = bind(postgres, "t")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(postgres.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("INSERT INTO t VALUES (2, 'theirs', 'theirs')")
        written = pool.submit(write, postgres, records, (1, upsert(b="ours")), (2, upsert(b="ours")))
        wait_until(lambda: postgres.sql(waiting) == [(1,)])
        other.commit()
        assert written.result().rows == 2
    assert postgres.sql("SELECT * FROM t ORDER BY id") == [(1, None, "ours"), (2, "theirs", "ours")]


def test_a_key_of_several_spellings_is_refused(postgres: Any, sqlite: Any) -> None:
    postgres.sql("CREATE TABLE t (k character(8) PRIMARY KEY, n bigint)")
    sqlite.sql("CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, n BIGINT)")
    for bench in (postgres, sqlite):
        with pytest.raises(ColumnRefused, match="calls different texts equal"):
            bind(bench, "t")


def test_a_batch_with_very_much_text_is_written_in_parts(postgres: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("writebehind.databases.postgresql.records.MAX_STATEMENT_CHARACTERS", 100)
    postgres.database.create_ledger()
    postgres.sql("CREATE TABLE t (id int PRIMARY KEY, a text)")
    postgres.sql("INSERT INTO t SELECT generate_series(0, 9)")
    records = bind(postgres, "t")
    texts = {n: chr(ord("a") + n) * (300 if n == 7 else 30) for n in range(20)}

    written = write(postgres, records, *[(n, upsert(a=text)) for n, text in texts.items()])

    assert (written.rows, written.statements) == (20, 8 + 4)
    assert dict(postgres.sql("SELECT * FROM t")) == texts


# --- versions and reading ------------------------------------------------------------------------------------------


def test_versions_are_read_as_canonical_texts(bench: Any) -> None:
    bench.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, v TIMESTAMP WITH TIME ZONE, w BIGINT)")
    by_time, by_number = bind(bench, "t", version="v"), bind(bench, "t", version="w")
    text = by_time.columns["v"].encode(MOMENT, "v")
    write(bench, by_time, (1, upsert(v=text, w="9")), (3, upsert()))

    with bench.database.transaction() as transaction:
        found = transaction.read_versions(by_time, [(1,), (2,), (3,)])
        numbers = transaction.read_versions(by_number, [(1,), (2,), (3,)])

    assert found == [text, ABSENT, None]
    assert numbers == ["9", ABSENT, None]


def test_versions_are_locked_until_the_transaction_ends(postgres: Any) -> None:
    postgres.sql("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
    records = bind(postgres, "t", version="v")
    free = "SELECT id FROM t ORDER BY id FOR UPDATE SKIP LOCKED"
    with postgres.database.transaction() as transaction:
        assert transaction.read_versions(records, [(1,), (3,), (4,)]) == ["1", "3", ABSENT]
        assert postgres.sql(free) == [(2,)]
    assert postgres.sql(free) == [(1,), (2,), (3,)]


def test_reading_tells_the_head_and_whether_the_front_was_applied(bench: Any, profiles: BoundRecords) -> None:
    assert bench.database.read_records(PARTITION, profiles, [(1,)], None).head == "root"
    [row] = bench.database.declare_partitions([PARTITION], {"kind": "record"})
    link = bench.link()
    with bench.database.transaction() as transaction:
        transaction.lock_partitions([PARTITION])
        transaction.write_records(rows_of(profiles, (1, upsert(name="Ada"))))
        transaction.move_head(row, link, 1)

    found = bench.database.read_records(PARTITION, profiles, [(2,), (1,)], link.identity)
    other = bench.database.read_records(PARTITION, profiles, [], "unknown")

    assert (found.head, found.front_is_applied) == (link.identity, True)
    assert found.values == {(1,): {"name": "Ada", "plan": "free", "email": None, "visits": None}}
    assert (other.head, other.front_is_applied, dict(other.values)) == (link.identity, False, {})


def test_a_read_never_sees_half_of_a_transaction(bench: Any, profiles: BoundRecords) -> None:
    [row] = bench.database.declare_partitions([PARTITION], {"kind": "record"})
    link = bench.link()
    with bench.database.transaction() as transaction:
        transaction.lock_partitions([PARTITION])
        transaction.write_records(rows_of(profiles, (1, upsert(name="Ada"))))
        before = bench.database.read_records(PARTITION, profiles, [(1,)], link.identity)
        transaction.move_head(row, link, 1)
        between = bench.database.read_records(PARTITION, profiles, [(1,)], link.identity)

    assert before == between
    assert (before.head, before.front_is_applied, dict(before.values)) == ("root", False, {})


# --- merging -------------------------------------------------------------------------------------------------------

columns = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from([None, "1", "2", "3"]))
changes = st.one_of(
    st.builds(lambda columns: RecordChange("upsert", columns), columns),
    st.builds(lambda columns: RecordChange("renew", columns), columns),
    st.just(DELETE),
)
batches = st.lists(st.lists(st.tuples(st.integers(1, 4), changes), min_size=1, max_size=12), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches)
def test_merged_changes_do_what_they_would_one_by_one(
    bench: Any, batches: list[list[tuple[int, RecordChange]]]
) -> None:
    for table in ("merged", "single"):
        bench.sql(f"DROP TABLE IF EXISTS {table}")
        bench.sql(f"CREATE TABLE {table} (id BIGINT PRIMARY KEY, a BIGINT DEFAULT 7, b TEXT DEFAULT 'x', c BIGINT)")
    records = bind(bench, "merged")

    for batch in batches:
        merged: dict[int, RecordChange] = {}
        for key, change in batch:
            merged[key] = merged[key].then(change) if key in merged else change
            write_plainly(bench, key, change)
        write(bench, records, *merged.items())

        assert bench.sql("SELECT * FROM merged ORDER BY id") == bench.sql("SELECT * FROM single ORDER BY id")


def write_plainly(bench: Any, key: int, change: RecordChange) -> None:
    """One change, as a person would write it in SQL."""
    if change.operation != "upsert":
        bench.sql("DELETE FROM single WHERE id = %s", (key,))
    if change.operation != "delete":
        names = list(change.columns)
        sets = ", ".join(f"{name} = excluded.{name}" for name in names)
        bench.sql(
            f"INSERT INTO single ({', '.join(['id', *names])}) VALUES ({', '.join(['%s'] * (1 + len(names)))})"
            f" ON CONFLICT (id) DO {f'UPDATE SET {sets}' if names else 'NOTHING'}",
            (key, *(text if name == "b" or text is None else int(text) for name, text in change.columns.items())),
        )
