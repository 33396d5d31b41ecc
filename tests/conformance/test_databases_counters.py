"""Adding to counters: what every database does with rows, whatever their types and names."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from writebehind.databases.contract import PartitionName
from writebehind.errors import MappingError, RowRefused
from writebehind.mapping import counter_columns
from writebehind.values import INT64_MAX, INT64_MIN

PARTITION = PartitionName("app", "videos.likes", 0)


def values(bench: Any, counter: Any, *keys: tuple[Any, ...]) -> dict[tuple[Any, ...], int]:
    return dict(bench.database.read_counter(PARTITION, counter, list(keys), None).values)


def test_amounts_are_added_and_null_counts_as_zero(bench: Any, database: Any) -> None:
    bench.sql("INSERT INTO videos (id, likes) VALUES (1, 10), (2, NULL), (3, 30)")
    likes = bench.bind("videos.likes")

    written = bench.add(likes, (1, 5), (2, 7))

    assert (written.rows, written.statements, list(written.missing)) == (2, 1, [])
    assert bench.sql("SELECT id, likes FROM videos ORDER BY id") == [(1, 15), (2, 7), (3, 30)]


def test_several_counters_share_a_statement_and_none_leaves_a_column_as_it_is(bench: Any, database: Any) -> None:
    bench.sql("INSERT INTO videos (id, likes, views) VALUES (1, 10, 100), (2, NULL, 200), (3, NULL, 300)")
    counters = [bench.bind("videos.likes"), bench.bind("videos.views")]

    written = bench.add(counters, (1, 1, None), (2, None, 2), (3, -3, -3))

    assert (written.rows, written.statements) == (3, 1)
    assert bench.sql("SELECT * FROM videos ORDER BY id") == [(1, 11, 100), (2, None, 202), (3, -3, 297)]


def test_no_rows_are_no_statement(bench: Any, database: Any) -> None:
    written = bench.add(bench.bind("videos.likes"))
    assert (written.rows, written.statements) == (0, 0)


@pytest.mark.parametrize("policy", ["dead_letter", "ignore"])
def test_missing_rows_are_reported_and_the_others_are_written(bench: Any, database: Any, policy: str) -> None:
    bench.sql("INSERT INTO videos (id, likes) VALUES (2, 0), (4, 0)")
    likes = bench.bind("videos.likes", missing=policy)

    written = bench.add(likes, (1, 1), (2, 1), (3, 1), (4, 1), (5, 1))

    assert (written.rows, list(written.missing)) == (2, [0, 2, 4])
    assert bench.sql("SELECT id, likes FROM videos ORDER BY id") == [(2, 1), (4, 1)]


def test_missing_rows_are_inserted_where_the_mapping_says_so(bench: Any, database: Any) -> None:
    bench.sql("INSERT INTO videos (id, likes) VALUES (2, 5)")
    likes = bench.bind("videos.likes", missing="insert")

    written = bench.add(likes, (1, 1), (2, 1), (3, -1))

    assert (written.rows, list(written.missing)) == (3, [])
    assert bench.sql("SELECT * FROM videos ORDER BY id") == [(1, 1, 0), (2, 6, 0), (3, -1, 0)]


def test_an_inserted_row_has_the_defaults_of_the_columns_that_nothing_was_added_to(bench: Any) -> None:
    bench.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, a BIGINT NOT NULL DEFAULT 1000, b BIGINT DEFAULT 7, c BIGINT)")
    counters = [bench.bind(f"t.{name}", missing="insert") for name in "abc"]

    written = bench.add(counters, (1, 1, None, None), (2, None, 2, None), (3, 3, 3, 3), (4, 1, None, None))

    assert (written.rows, list(written.missing)) == (4, [])
    assert bench.sql("SELECT * FROM t ORDER BY id") == [
        (1, 1, 7, None),
        (2, 1000, 2, None),
        (3, 3, 3, 3),
        (4, 1, 7, None),
    ]


def test_an_existing_row_is_checked_by_its_total_not_by_the_amount(bench: Any) -> None:
    # An INSERT ... ON CONFLICT would check the amount alone, and refuse every unlike.
    bench.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, likes BIGINT NOT NULL CHECK (likes >= 0))")
    bench.sql("INSERT INTO t VALUES (1, 5)")
    likes = bench.bind("t.likes", missing="insert")

    bench.add(likes, (1, -2))
    assert bench.sql("SELECT likes FROM t") == [(3,)]

    with pytest.raises(RowRefused) as caught:
        bench.add(likes, (1, -4))
    assert caught.value.sqlstate == "23514"
    assert bench.sql("SELECT likes FROM t") == [(3,)]


def test_the_whole_range_of_64_bits_is_counted_exactly(bench: Any, database: Any) -> None:
    bench.sql("INSERT INTO videos (id, likes) VALUES (%s, 0), (%s, -1), (0, 9007199254740993)", (INT64_MIN, INT64_MAX))
    likes = bench.bind("videos.likes")

    bench.add(likes, (INT64_MIN, INT64_MAX), (0, 1), (INT64_MAX, INT64_MIN + 1))

    assert values(bench, likes, (INT64_MIN,), (0,), (INT64_MAX,)) == {
        (INT64_MIN,): INT64_MAX,
        (0,): 9007199254740994,
        (INT64_MAX,): INT64_MIN,
    }


@pytest.mark.parametrize(("stored", "amount"), [(INT64_MAX, 1), (INT64_MIN, -1), (0, INT64_MAX + 1)])
def test_a_sum_beyond_64_bits_is_refused_and_a_savepoint_undoes_its_statement(
    bench: Any, database: Any, stored: int, amount: int
) -> None:
    bench.sql("INSERT INTO videos (id, likes) VALUES (1, 1), (2, %s), (3, 3)", (stored,))
    likes = bench.bind("videos.likes")

    with database.transaction() as transaction:
        with pytest.raises(RowRefused) as caught, transaction.savepoint():
            transaction.add_to_counters(bench.rows_of(likes, (1, 1), (2, amount), (3, 1)))
        transaction.add_to_counters(bench.rows_of(likes, (3, 10)))

    assert caught.value.sqlstate == "22003"
    assert bench.sql("SELECT likes FROM videos ORDER BY id") == [(1,), (stored,), (13,)]


def test_savepoints_nest(bench: Any, database: Any) -> None:
    bench.sql("INSERT INTO videos (id, likes) VALUES (1, 0)")
    likes = bench.bind("videos.likes")
    with database.transaction() as transaction, transaction.savepoint():
        transaction.add_to_counters(bench.rows_of(likes, (1, 1)))
        with pytest.raises(RowRefused), transaction.savepoint():  # noqa: PT012  # an error after a success
            transaction.add_to_counters(bench.rows_of(likes, (1, 10)))
            transaction.add_to_counters(bench.rows_of(likes, (1, INT64_MAX)))
        with transaction.savepoint():
            transaction.add_to_counters(bench.rows_of(likes, (1, 100)))
    assert bench.sql("SELECT likes FROM videos") == [(101,)]


STRANGE_TEXTS = [
    "",
    " ",
    "%s",
    "%(k0)s",
    "100%",
    "a'b",
    'a"b',
    "{k}",
    "?",
    ":k",
    "\\",
    "naïve",
    "日本",
    "🎬",
    "a\nb",
    "ADA",
    "ada",
]


@pytest.mark.parametrize("policy", ["dead_letter", "insert"])
def test_text_keys_are_only_ever_values(bench: Any, policy: str) -> None:
    bench.database.create_table("words", counter_columns(["word"], ["n"]), ["word"])
    if policy == "dead_letter":
        for text in STRANGE_TEXTS:
            bench.sql("INSERT INTO words (word) VALUES (%s)", (text,))
    counter = bench.bind("words.n", missing=policy)

    written = bench.add(counter, *[(text, number) for number, text in enumerate(STRANGE_TEXTS, 1)])

    assert (written.rows, list(written.missing)) == (len(STRANGE_TEXTS), [])
    expected = {(text,): number for number, text in enumerate(STRANGE_TEXTS, 1)}
    bench.database.create_ledger()
    assert values(bench, counter, *expected) == expected


def test_composite_keys(bench: Any, database: Any) -> None:
    key = ["board", "player"]
    bench.database.create_table("scores", counter_columns(key, ["points", "games"]), key)
    counters = [bench.bind("scores.points", missing="insert"), bench.bind("scores.games", missing="insert")]

    bench.add(counters, ("chess", "ada", 3, 1), ("chess", "bob", 1, 1), ("go", "ada", 5, None))
    bench.add(counters, ("chess", "ada", 4, 1))

    assert values(bench, counters[0], ("chess", "ada"), ("go", "ada"), ("go", "bob")) == {
        ("chess", "ada"): 7,
        ("go", "ada"): 5,
    }
    assert bench.sql("SELECT games FROM scores ORDER BY board, player") == [(2,), (1,), (0,)]


def test_uuid_keys(bench: Any, database: Any) -> None:
    bench.sql("CREATE TABLE items (id UUID PRIMARY KEY, n BIGINT NOT NULL DEFAULT 0)")
    counter = bench.bind("items.n", missing="insert")
    first, second, third = (uuid.UUID(int=number << 64) for number in (1, 2, 3))

    bench.add(counter, (first, 1), (second, 2))
    bench.add(counter, (second, 10))

    assert values(bench, counter, (first,), (second,), (third,)) == {(first,): 1, (second,): 12}
    assert sorted(str(key) for (key,) in bench.sql("SELECT id FROM items")) == [str(first), str(second)]


def test_names_are_quoted_whatever_is_in_them(bench: Any, database: Any) -> None:
    table, key, column = 'we"ird; drop', "k'%s {0}", 'co"l%(a)s'
    database.create_table(table, counter_columns([key], [column]), [key])
    database.create_table(table, counter_columns([key], [column]), [key])  # once more changes nothing
    counter = bench.bind(f"{table}.{column}", missing="insert")

    bench.add(counter, ("a", 1))
    bench.add(counter, ("a", 1), ("b", 5))

    assert values(bench, counter, ("a",), ("b",)) == {("a",): 2, ("b",): 5}


def test_a_schema_may_be_named(bench: Any, database: Any) -> None:
    schema = "main" if bench.dialect == "sqlite" else "shop"
    if bench.dialect == "postgresql":
        bench.sql("CREATE SCHEMA shop")
    database.create_table(f"{schema}.clips", counter_columns(["id"], ["n"]), ["id"])
    counter = bench.bind(f"{schema}.clips.n", missing="insert")

    bench.add(counter, ("a", 1))

    assert values(bench, counter, ("a",)) == {("a",): 1}
    assert bench.sql(f"SELECT * FROM {schema}.clips") == [("a", 1)]


def test_a_hundred_thousand_rows(bench: Any, database: Any) -> None:
    numbers = range(100_000)
    bench.add(bench.bind("videos.likes", missing="insert"), *[(n, n) for n in numbers])

    written = bench.add(bench.bind("videos.likes"), *[(n, -1) for n in numbers], (200_000, 1))

    assert (written.rows, list(written.missing)) == (100_000, [100_000])
    assert bench.sql("SELECT count(*), sum(likes) FROM videos") == [(100_000, sum(numbers) - 100_000)]


def test_decimals_are_exact_in_postgresql(postgres: Any) -> None:
    postgres.database.create_ledger()
    postgres.sql(
        "CREATE TABLE t (id int PRIMARY KEY, a numeric(12, 2), b numeric(30, 18), c numeric(5, 0), d smallint)"
    )
    postgres.sql("INSERT INTO t VALUES (1, 0.10, 0, NULL, 0)")
    counters = [postgres.bind(f"t.{name}") for name in "abcd"]

    postgres.add(counters, (1, 20, INT64_MAX, 7, 32767))

    assert postgres.sql("SELECT * FROM t") == [(1, Decimal("0.30"), Decimal("9.223372036854775807"), Decimal(7), 32767)]
    assert [values(postgres, counter, (1,))[(1,)] for counter in counters] == [30, INT64_MAX, 7, 32767]
    for number, counter in enumerate(counters):
        if number != 1:
            with pytest.raises(RowRefused, match=r"out of range|overflow"):
                postgres.add(counter, (1, 10**15))


def test_decimals_are_refused_in_sqlite(sqlite: Any) -> None:
    sqlite.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, price DECIMAL(12, 2), ratio REAL, anything)")
    for column in ("price", "ratio", "anything"):
        with pytest.raises(MappingError, match=r"floating-point|hold anything"):
            sqlite.bind(f"t.{column}")


def test_a_key_that_its_column_cannot_hold_is_missing_or_refused(postgres: Any) -> None:
    postgres.sql("CREATE TABLE t (id smallint PRIMARY KEY, n int NOT NULL DEFAULT 0)")
    assert list(postgres.add(postgres.bind("t.n"), (100_000, 1)).missing) == [0]
    with pytest.raises(RowRefused) as caught:
        postgres.add(postgres.bind("t.n", missing="insert"), (100_000, 1))
    assert caught.value.sqlstate == "22003"
