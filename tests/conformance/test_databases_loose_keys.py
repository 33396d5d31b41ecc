"""Keys that are different texts and equal to the database: each amount must be counted once."""

from __future__ import annotations

from typing import Any

import pytest

from writebehind.databases.contract import PartitionName

PARTITION = PartitionName("app", "t.n", 0)

# The test server has no contrib modules. This is what CREATE EXTENSION citext makes, with SQL for its C.
CITEXT = """
CREATE TYPE citext;
CREATE FUNCTION citextin(cstring) RETURNS citext AS 'textin' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION citextout(citext) RETURNS cstring AS 'textout' LANGUAGE internal IMMUTABLE STRICT;
CREATE TYPE citext (
    INPUT = citextin, OUTPUT = citextout, INTERNALLENGTH = VARIABLE, STORAGE = extended, CATEGORY = 'S',
    COLLATABLE = true
);
CREATE CAST (citext AS text) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (citext AS varchar) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS citext) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE FUNCTION citext_cmp(citext, citext) RETURNS int LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT bttextcmp(lower($1::text), lower($2::text))';
CREATE FUNCTION citext_lt(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT citext_cmp($1, $2) < 0';
CREATE FUNCTION citext_le(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT citext_cmp($1, $2) <= 0';
CREATE FUNCTION citext_eq(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT citext_cmp($1, $2) = 0';
CREATE FUNCTION citext_ge(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT citext_cmp($1, $2) >= 0';
CREATE FUNCTION citext_gt(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT citext_cmp($1, $2) > 0';
CREATE OPERATOR < (FUNCTION = citext_lt, LEFTARG = citext, RIGHTARG = citext);
CREATE OPERATOR <= (FUNCTION = citext_le, LEFTARG = citext, RIGHTARG = citext);
CREATE OPERATOR = (FUNCTION = citext_eq, LEFTARG = citext, RIGHTARG = citext, MERGES);
CREATE OPERATOR >= (FUNCTION = citext_ge, LEFTARG = citext, RIGHTARG = citext);
CREATE OPERATOR > (FUNCTION = citext_gt, LEFTARG = citext, RIGHTARG = citext);
CREATE OPERATOR CLASS citext_ops DEFAULT FOR TYPE citext USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 citext_cmp(citext, citext);
"""


@pytest.fixture(params=["character(8)", "citext", "TEXT COLLATE NOCASE"])
def loose(request: pytest.FixtureRequest) -> Any:
    """A database with a table whose key has such a type, and two spellings of one key."""
    bench = request.getfixturevalue("sqlite" if "NOCASE" in request.param else "postgres")
    if request.param == "citext":
        bench.sql(CITEXT)
    bench.sql(f"CREATE TABLE t (k {request.param} PRIMARY KEY, n BIGINT NOT NULL DEFAULT 0)")
    bench.database.create_ledger()
    bench.spellings = ("ada", "ada  ") if request.param == "character(8)" else ("ADA", "ada")
    return bench


def test_two_spellings_of_one_key_both_count(loose: Any) -> None:
    one, other = loose.spellings
    loose.sql("INSERT INTO t VALUES (%s, 100), ('bob', 0)", (one,))
    counter = loose.bind("t.n")
    assert counter.keys.columns[0].needs_grouping

    written = loose.add(counter, (one, 1), (other, 20), ("bob", 3), ("eve", 4))

    assert list(written.missing) == [3]
    assert sorted(n for (n,) in loose.sql("SELECT n FROM t")) == [3, 121]


def test_two_spellings_of_one_missing_key_make_one_row(loose: Any) -> None:
    one, other = loose.spellings
    counter = loose.bind("t.n", missing="insert")

    loose.add(counter, (one, 1), (other, 20), ("eve", 4))
    loose.add(counter, (one, 1), (other, 20))

    assert sorted(n for (n,) in loose.sql("SELECT n FROM t")) == [4, 42]


def test_a_value_is_found_under_every_spelling_that_was_asked_for(loose: Any) -> None:
    one, other = loose.spellings
    loose.sql("INSERT INTO t VALUES (%s, 7)", (one,))

    found = loose.database.read_counter(PARTITION, loose.bind("t.n"), [(one,), (other,), ("eve",)], None)

    assert dict(found.values) == {(one,): 7, (other,): 7}


def test_a_key_longer_than_its_char_column_is_not_cut_to_fit(postgres: Any) -> None:
    postgres.sql("CREATE TABLE t (k character(3) PRIMARY KEY, n bigint NOT NULL DEFAULT 0)")
    postgres.sql("INSERT INTO t VALUES ('abc', 0)")

    written = postgres.add(postgres.bind("t.n"), ("abcdef", 1))

    assert list(written.missing) == [0]
    assert postgres.sql("SELECT n FROM t") == [(0,)]


def test_citext_outside_the_search_path_is_refused(postgres: Any) -> None:
    postgres.sql("CREATE SCHEMA ext; SET search_path = ext; " + CITEXT)
    postgres.sql("CREATE TABLE t (k ext.citext PRIMARY KEY, n bigint)")
    assert "search_path" in postgres.database.table_shape("t").columns["k"].refusal
