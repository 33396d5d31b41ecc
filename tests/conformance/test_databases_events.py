"""Event logs: what every database does with the events that are appended."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from writebehind.columns import Text
from writebehind.databases.contract import EventRows, RowsWritten
from writebehind.errors import DatabaseRefused, RowRefused
from writebehind.mapping import BoundEvents, EventMapping
from writebehind.values import INT64_MAX, INT64_MIN

Events = Sequence[Mapping[str, Text]]


CLICKS = "CREATE TABLE clicks (page TEXT, place BIGINT, n INTEGER CHECK (n < 100), note TEXT DEFAULT 'none')"


def bind(bench: Any, table: str = "clicks", **options: Any) -> BoundEvents:
    """An event log, bound to its table as the database describes it."""
    return EventMapping.parse(table, **options).bind(bench.database.table_shape(table))


def rows_of(log: BoundEvents, events: Events, first: int = 1) -> EventRows:
    return EventRows(log, events, range(first, first + len(events)))


def append(bench: Any, log: BoundEvents, events: Events, first: int = 1) -> RowsWritten:
    with bench.database.transaction() as transaction:
        written = transaction.append_events(rows_of(log, events, first))
        assert isinstance(written, RowsWritten)
        return written


@pytest.fixture
def clicks(event_bench: Any) -> Any:
    """A fresh database with the table ``clicks (page, place, n, note)``."""
    event_bench.sql(CLICKS)
    return event_bench


def test_events_are_appended_in_order_with_their_positions(clicks: Any) -> None:
    log = bind(clicks, position="place")
    events = [{"page": f"/{number}", "n": str(number % 7)} for number in range(25_000)]  # more than one slice

    written = append(clicks, log, events, first=10**15)

    assert (written.rows, written.statements) == (25_000, 1)
    found = clicks.sql("SELECT page, n, note FROM clicks ORDER BY place")
    assert found == [(f"/{number}", number % 7, "none") for number in range(25_000)]
    assert clicks.sql("SELECT min(place), max(place) FROM clicks") == [(10**15, 10**15 + 24_999)]


def test_columns_that_an_event_lacks_get_their_defaults(clicks: Any) -> None:
    log = bind(clicks, position="place")
    events: Events = [
        {"page": "/a", "n": "1"},
        {"page": "/b", "note": "x"},
        {"n": "3", "page": "/c"},  # the same columns as the first, in another order
        {"page": "/d", "note": None},
        {},
        {"page": None, "n": None},
    ]

    written = append(clicks, log, events)

    assert (written.rows, written.statements) == (6, 3)
    assert clicks.sql("SELECT place, page, n, note FROM clicks ORDER BY place") == [
        (1, "/a", 1, "none"),
        (2, "/b", None, "x"),
        (3, "/c", 3, "none"),
        (4, "/d", None, None),
        (5, None, None, "none"),
        (6, None, None, "none"),
    ]


def test_without_a_position_the_table_keeps_none(clicks: Any) -> None:
    log = bind(clicks, columns=["page"])
    append(clicks, log, [{"page": "/a"}, {}, {"page": "/b"}, {}])
    found = clicks.sql("SELECT place, page, note FROM clicks")
    assert sorted(found, key=str) == [
        (None, "/a", "none"),
        (None, "/b", "none"),
        (None, None, "none"),
        (None, None, "none"),
    ]


def test_no_events_are_no_statement(clicks: Any) -> None:
    written = append(clicks, bind(clicks), [])
    assert (written.rows, written.statements) == (0, 0)


ODD_TEXTS = [
    "", " ", "\\", "\\\\", "\\N", "\\.", "\\n", "\\x41", "\\101", "\n", "\r", "\r\n", "\t", "\b\f\v", "\x01", "\x7f",
    "a\tb\nc\\d\re", "'", '"', "''", "NULL", "null", ",", "%s", "%%", "{}", "naïve", "日本", "👩‍👩‍👧", "\u2028",
    "\ufeff", "\x85", "-- x", "\\N\n\\.\n",
]  # fmt: skip


def test_odd_texts_survive(clicks: Any) -> None:
    log = bind(clicks, position="place")
    append(clicks, log, [{"page": text, "note": None if number % 3 else text} for number, text in enumerate(ODD_TEXTS)])
    found = clicks.sql("SELECT page, note FROM clicks ORDER BY place")
    assert found == [(text, None if number % 3 else text) for number, text in enumerate(ODD_TEXTS)]


TEXTS = st.none() | st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]) | st.sampled_from("\\\t\n\rN."), max_size=12
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.dictionaries(st.sampled_from(["page", "note"]), TEXTS), max_size=12))
def test_any_texts_survive(bench: Any, events: list[dict[str, Text]]) -> None:
    clicks = bench
    clicks.sql("DROP TABLE IF EXISTS clicks")
    clicks.sql(CLICKS)
    append(clicks, bind(clicks, position="place"), events)
    found = clicks.sql("SELECT page, note FROM clicks ORDER BY place")
    assert found == [(event.get("page"), event.get("note", "none")) for event in events]


def test_strange_names(event_bench: Any) -> None:
    bench = event_bench
    bench.sql('CREATE TABLE "50% off" ("a ""b"" %d%%" TEXT, "{c}?" TEXT, "p:%" BIGINT)')
    append(bench, bind(bench, "50% off", position="p:%"), [{'a "b" %d%%': "%s", "{c}?": "?"}, {"{c}?": "x"}])
    assert bench.sql('SELECT * FROM "50% off" ORDER BY "p:%"') == [("%s", "?", 1), (None, "x", 2)]
    bench.sql('CREATE TABLE "100%" (n INTEGER DEFAULT 7)')
    append(bench, bind(bench, "100%"), [{}, {}])
    assert bench.sql('SELECT * FROM "100%"') == [(7,), (7,)]


IDENTITY = uuid.UUID("0123abcd-0000-4000-8000-0000000000ff")
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def test_every_type_of_postgresql_is_kept_exactly(postgres: Any) -> None:
    postgres.sql(
        "CREATE TYPE mood AS ENUM ('glad', 'sad');"
        "CREATE TABLE clicks (place bigint, s smallint, i integer, b bigint, r real, f double precision,"
        " d numeric, d2 numeric(9, 2), t boolean, at timestamptz, local timestamp, day date, clock time, u uuid,"
        " j json, jb jsonb, raw bytea, v varchar(5), c char(5), txt text, m mood)"
    )
    texts = {
        "s": "-32768", "i": "2147483647", "b": str(INT64_MIN), "r": "0.1", "f": "1e+16",
        "d": "-12345678901234567890.12345678901234567890", "d2": "1.50", "t": "true",
        "at": "2026-01-02T03:04:05.678901+00:00", "local": "2026-01-02T03:04:05.678901", "day": "2026-01-02",
        "clock": "03:04:05.678901", "u": str(IDENTITY), "j": '{"a\\n":["\\\\",1.50,null]}', "jb": '["\\t\\u0041"]',
        "raw": "\\x005c0aff", "v": "日本\\\n\t", "c": "ab", "txt": "\\N", "m": "glad",
    }  # fmt: skip
    log = bind(postgres, position="place")
    nothing = dict.fromkeys(texts)
    lowest = nothing | {"f": "-inf", "r": "nan", "b": str(INT64_MAX), "t": "false", "raw": "\\x", "txt": ""}

    assert append(postgres, log, [texts, nothing, lowest]).statements == 1

    first, second, third = postgres.sql("SELECT *, j::text FROM clicks ORDER BY place")
    assert first == (
        1, -32768, 2147483647, INT64_MIN, 0.1, 1e16, Decimal("-12345678901234567890.12345678901234567890"),
        Decimal("1.50"), True, MOMENT, MOMENT.replace(tzinfo=None), date(2026, 1, 2), time(3, 4, 5, 678901), IDENTITY,
        {"a\n": ["\\", 1.5, None]}, ["\tA"], b"\x00\\\n\xff", "日本\\\n\t", "ab   ", "\\N", "glad", texts["j"],
    )  # fmt: skip
    assert second == (2, *[None] * 21)
    assert (third[3], third[5], third[8], third[16], third[19]) == (INT64_MAX, float("-inf"), False, b"", "")
    assert third[4] != third[4]


def test_every_kind_is_kept_exactly_by_sqlite(sqlite: Any) -> None:
    sqlite.sql(
        "CREATE TABLE clicks (place BIGINT, i INTEGER, f REAL, t BOOLEAN, at TIMESTAMPTZ, local TIMESTAMP, day DATE,"
        " clock TIME, u UUID, j JSON, raw BLOB, txt TEXT)"
    )
    texts = {
        "i": str(INT64_MIN), "f": "1e+16", "t": "true", "at": "2026-01-02T03:04:05.678901+00:00",
        "local": "2026-01-02T03:04:05.678901", "day": "2026-01-02", "clock": "03:04:05.678901", "u": str(IDENTITY),
        "j": '{"a\\n":["\\\\",1.5,null]}', "raw": "\\x005c0aff", "txt": "42",
    }  # fmt: skip
    nothing = dict.fromkeys(texts)

    append(sqlite, bind(sqlite, position="place"), [texts, nothing, nothing | {"t": "false", "raw": "\\x", "f": "0.1"}])

    first, second, third = sqlite.sql("SELECT * FROM clicks ORDER BY place")
    assert first == (
        1, INT64_MIN, 1e16, 1, texts["at"], texts["local"], texts["day"], texts["clock"], texts["u"], texts["j"],
        b"\x00\\\n\xff", "42",
    )  # fmt: skip
    assert second == (2, *[None] * 11)
    assert third == (3, None, 0.1, 0, *[None] * 6, b"", None)


def test_a_refused_event_is_undone_by_a_savepoint(bench: Any) -> None:
    clicks = bench
    clicks.sql(CLICKS)
    assert clicks.database.has_savepoints
    log = bind(clicks, position="place")
    clicks.database.create_ledger()
    with clicks.database.transaction() as transaction:
        transaction.append_events(rows_of(log, [{"page": "/before"}]))
        with pytest.raises(RowRefused) as caught, transaction.savepoint():
            transaction.append_events(rows_of(log, [{"page": "/x"}, {"n": "1"}, {"page": "/y", "n": "100"}], 2))
        transaction.append_events(rows_of(log, [{"page": "/after"}], 2))

    assert caught.value.sqlstate == "23514"
    assert clicks.sql("SELECT page, place FROM clicks ORDER BY place") == [("/before", 1), ("/after", 2)]


# Another program, in any language, may have put such texts into the cache.
@pytest.mark.parametrize("text", ["x", "", "1\t2", "1\n2", "\\N", str(2**70), "1.5", "\ud800", "1\x002"])
def test_texts_that_are_not_of_the_columns_type_are_refused(clicks: Any, text: str) -> None:
    log = bind(clicks)
    with pytest.raises(RowRefused) as caught:
        append(clicks, log, [{"n": "1"}, {"n": text}])
    assert caught.value.sqlstate[:2] == "22"
    assert clicks.sql("SELECT count(*) FROM clicks") == [(0,)]


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\\\x00\\", "\ud800"])
def test_texts_that_postgresql_cannot_hold_are_refused(postgres: Any, text: str) -> None:
    postgres.sql("CREATE TABLE clicks (page text)")
    log = bind(postgres)
    postgres.database.create_ledger()
    with postgres.database.transaction() as transaction:
        with pytest.raises(RowRefused) as caught, transaction.savepoint():
            transaction.append_events(rows_of(log, [{"page": "a\tb"}, {"page": text}]))
        transaction.append_events(rows_of(log, [{"page": "good"}]))
    assert caught.value.sqlstate[:2] == "22"
    assert postgres.sql("SELECT page FROM clicks") == [("good",)]


def test_a_trial_finds_what_is_refused_and_leaves_nothing(clicks: Any) -> None:
    log = bind(clicks)
    assert clicks.database.try_events(rows_of(log, [{"n": "1"}, {"page": "/a"}])) is None

    refused = clicks.database.try_events(rows_of(log, [{"n": "1"}, {"n": "100"}]))

    assert isinstance(refused, RowRefused)
    assert refused.sqlstate == "23514"
    assert clicks.sql("SELECT count(*) FROM clicks") == [(0,)]
    append(clicks, log, [{"page": "/b"}])  # the connection is usable, and outside a transaction
    assert clicks.sql("SELECT page FROM clicks") == [("/b",)]


def test_a_trial_raises_what_no_event_is_to_blame_for(clicks: Any) -> None:
    log = bind(clicks)
    clicks.sql("DROP TABLE clicks")
    with pytest.raises(DatabaseRefused):
        clicks.database.try_events(rows_of(log, [{"n": "1"}]))


def test_a_trial_checks_what_would_be_checked_at_the_commit(postgres: Any) -> None:
    postgres.sql("CREATE TABLE clicks (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    log = bind(postgres)
    refused = postgres.database.try_events(rows_of(log, [{"n": "1"}, {"n": "1"}]))
    assert isinstance(refused, RowRefused)
    assert refused.sqlstate == "23505"
