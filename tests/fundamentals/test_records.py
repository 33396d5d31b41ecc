"""Records, from the first put to the row. Read from top to bottom, this is the tutorial."""

from __future__ import annotations

import json
import random
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from writebehind import ConfigurationError, DeadLettered, KeyRefused, MappingError, ValueRefused, WriteBehind
from writebehind.testing.valkey import TemporaryValkey

PROFILES = (
    "CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT NOT NULL, plan TEXT NOT NULL DEFAULT 'free', age INTEGER)"
)


@pytest.fixture
def profiles(videos):
    """The application's database with a table of profiles."""
    videos.run(PROFILES)
    return videos


def rows(database) -> list[tuple[Any, ...]]:
    return database.run("SELECT id, name, plan, age FROM profiles ORDER BY id")


def test_a_record_reaches_its_row_with_the_next_flush(valkey: TemporaryValkey, profiles) -> None:
    wb = WriteBehind(cache=valkey.url, database=profiles.url)
    people = wb.records("profiles")
    with wb:
        people.put(7, {"name": "Ada", "age": 36})
        people.patch(7, {"age": 37})
        people.put(8, {"name": "Bob", "plan": "pro"})
        assert rows(profiles) == []
        report = wb.flush(timeout=30)
    assert rows(profiles) == [(7, "Ada", "free", 37), (8, "Bob", "pro", None)]
    assert (report.writes, report.rows) == (3, 2)


def test_put_replaces_the_whole_record_and_patch_only_some_columns(valkey: TemporaryValkey, profiles) -> None:
    profiles.run("INSERT INTO profiles VALUES (1, 'Ada', 'pro', 36), (2, 'Bob', 'pro', 40)")
    wb = WriteBehind(cache=valkey.url, database=profiles.url)
    people = wb.records("profiles")
    with wb:
        people.put(1, {"name": "Ada"})  # what it leaves out gets its default, NULL without one
        people.patch(2, {"age": None})
        expected = {
            1: {"name": "Ada", "plan": "free", "age": None},
            2: {"name": "Bob", "plan": "pro", "age": None},
            3: None,
        }
        assert people.get_many([1, 2, 3]) == expected
        wb.flush(timeout=30)
        assert people.get_many([1, 2, 3]) == expected
    assert rows(profiles) == [(1, "Ada", "free", None), (2, "Bob", "pro", None)]


def test_a_deleted_record_is_gone_and_may_begin_anew(valkey: TemporaryValkey, profiles) -> None:
    profiles.run("INSERT INTO profiles VALUES (1, 'Ada', 'pro', 36), (2, 'Bob', 'pro', 40)")
    wb = WriteBehind(cache=valkey.url, database=profiles.url)
    people = wb.records("profiles")
    with wb:
        people.delete(1)
        people.delete(2)
        people.delete(99)  # which is not there
        people.patch(2, {"name": "Bea"})
        assert people.get(1) is None
        assert people.get(2) == {"name": "Bea", "plan": "free", "age": None}
        wb.flush(timeout=30)
        assert people.get(2) == {"name": "Bea", "plan": "free", "age": None}
    assert rows(profiles) == [(2, "Bea", "free", None)]


def test_a_read_sees_the_database_and_everything_pending(valkey: TemporaryValkey, profiles) -> None:
    profiles.run("INSERT INTO profiles VALUES (1, 'Ada', 'pro', 36)")
    first = WriteBehind(cache=valkey.url, database=profiles.url)
    second = WriteBehind(cache=valkey.url, database=profiles.url)
    people, same_people = first.records("profiles"), second.records("profiles")
    with first, second:
        people.patch(1, {"age": 37}, ack="local")
        assert people.get(1) == {"name": "Ada", "plan": "pro", "age": 37}
        assert same_people.get(1) == {"name": "Ada", "plan": "pro", "age": 37}
        same_people.patch(1, {"plan": "free"})
        assert people.get(1) == {"name": "Ada", "plan": "free", "age": 37}
        with valkey.client() as redis:  # an ordinary hash, for any client to read; NULLs are left out
            assert redis.hgetall("profiles:1") == {b"name": b"Ada", b"plan": b"free", b"age": b"37"}
            people.patch(1, {"age": None})
            assert redis.hgetall("profiles:1") == {b"name": b"Ada", b"plan": b"free"}
            assert redis.ttl("profiles:1") > 0


VALUES: dict[str, tuple[str, str | None, list[Any]]] = {
    "text": ("TEXT", None, ["", "Zoë 日本 \U0001f600", "a\nb\t\"c\" 'd' \\ %s {} //", "x" * 100_000]),
    "small": ("SMALLINT", None, [-(2**15), 2**15 - 1]),
    "big": ("BIGINT", None, [-(2**63), 0, 2**63 - 1]),
    "real": ("DOUBLE PRECISION", None, [0.1, -1e300, 5e-324, 3.0]),
    "flag": ("BOOLEAN", None, [True, False]),
    "price": ("NUMERIC(12, 2)", "NUMERIC(12, 2)", [Decimal("0.10"), Decimal("-1234567890.12")]),
    "moment": ("TIMESTAMPTZ", None, [datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)]),
    "wall": ("TIMESTAMP", "TIMESTAMP", [datetime(2026, 1, 2, 3, 4, 5), datetime.max]),
    "day": ("DATE", "DATE", [date(2024, 2, 29), date.min]),
    "clock": ("TIME", None, [time(23, 59, 59, 999999)]),
    "mark": ("UUID", "UUID", [uuid.UUID(int=1), uuid.UUID(int=2**128 - 1)]),
    "tags": ("JSONB", "JSON", [{"a": [1, 2.5, None, "x"]}, [], "text", 7]),
    "data": ("BYTEA", "BLOB", [b"", bytes(range(256))]),
}


def test_every_type_of_column_comes_back_as_it_went_in(valkey: TemporaryValkey, videos) -> None:
    is_sqlite = videos.url.startswith("sqlite")
    types = {name: (lite or general) if is_sqlite else general for name, (general, lite, _) in VALUES.items()}
    if is_sqlite:
        del types["moment"], types["clock"], types["price"]  # it has no such types, or not exact ones
    columns = ", ".join(f"{name} {type_name}" for name, type_name in types.items())
    videos.run(f"CREATE TABLE things (id BIGINT PRIMARY KEY, {columns})")
    chance = random.Random(3)
    things = {key: {name: chance.choice([None, *VALUES[name][2]]) for name in types} for key in range(40)}
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    records = wb.records("things")
    with wb:
        for key, values in things.items():
            records.put(key, values)
        assert records.get_many(list(things)) == things  # from what is pending
        assert records.get_many(list(things)) == things  # from the cache
        assert wb.flush(timeout=30).dead_letters == 0
        valkey.empty()
        assert records.get_many(list(things), timeout=30) == things  # from the rows
    for name in types:
        found = dict(videos.run(f"SELECT id, {name} FROM things"))
        for key, values in things.items():
            if name in ("text", "small", "big", "real", "flag"):
                assert found[key] == values[name]
            elif not is_sqlite:
                stored = found[key] if name != "data" or found[key] is None else bytes(found[key])
                assert stored == values[name]


def test_moments_are_the_same_in_any_time_zone(valkey: TemporaryValkey, postgres_videos) -> None:
    postgres_videos.run("CREATE TABLE visits (id BIGINT PRIMARY KEY, seen TIMESTAMPTZ)")
    there = datetime(2026, 1, 2, 3, 0, tzinfo=timezone(timedelta(hours=9)))
    wb = WriteBehind(cache=valkey.url, database=postgres_videos.url)
    visits = wb.records("visits")
    with wb:
        visits.put(1, {"seen": there})
        assert visits.get(1) == {"seen": there}
        with pytest.raises(ValueRefused, match="time zone"):
            visits.put(1, {"seen": datetime(2026, 1, 2)})
        wb.flush(timeout=30)
    assert postgres_videos.run("SELECT seen FROM visits") == [(there,)]


def test_what_a_column_cannot_hold_is_refused_at_the_call(valkey: TemporaryValkey, profiles) -> None:
    wb = WriteBehind(cache=valkey.url, database=profiles.url)
    people = wb.records("profiles")
    with wb:
        for values, message in (
            ({"nmae": "Ada"}, "has no column 'nmae'"),
            ({"name": "Ada", "age": "old"}, "the column 'age'"),
            ({"name": "Ada", "age": 2**31}, "the column 'age'"),
            ({"name": "\ud800"}, "the column 'name'"),
            ({"name": None}, "the column 'name'"),
            ({"age": 3}, "lacks name"),
            ([("name", "Ada")], "Pass a dict"),
        ):
            if "age" in message and "2147483648" in str(values) and profiles.url.startswith("sqlite"):
                continue  # its integers have 64 bits, whatever they are called
            with pytest.raises(ValueRefused, match=message):
                people.put(1, values)  # type: ignore[arg-type]
        with pytest.raises(ValueRefused, match="changes nothing"):
            people.patch(1, {})
        with pytest.raises(KeyRefused, match="key column 'id'"):
            people.put(1, {"id": 2, "name": "Ada"})
        with pytest.raises(KeyRefused):
            people.put("one", {"name": "Ada"})
        people.put(1, {"id": 1, "name": "Ada"})
        assert wb.flush(timeout=30).rows == 1


def test_a_bad_row_becomes_a_dead_letter_and_holds_no_other_back(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE users (id BIGINT PRIMARY KEY, email TEXT UNIQUE, age INTEGER CHECK (age >= 0))")
    videos.run("INSERT INTO users VALUES (1, 'ada@x', 1)")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    users = wb.records("users")
    with wb:
        users.put(2, {"email": "bob@x", "age": 2})
        users.put(3, {"email": "ada@x", "age": 3})  # taken
        users.patch(1, {"age": -1})
        assert users.get(1) == {"email": "ada@x", "age": -1}
        report = wb.flush(timeout=30)
        assert (report.rows, report.dead_letters) == (1, 2)
        assert users.get_many([1, 2, 3]) == {
            1: {"email": "ada@x", "age": 1},
            2: {"email": "bob@x", "age": 2},
            3: None,
        }
        with pytest.raises(DeadLettered):
            users.patch(2, {"age": -5}, ack="database", timeout=30)
        users.patch(2, {"age": 5}, ack="database", timeout=30)
    assert videos.run("SELECT * FROM users ORDER BY id") == [(1, "ada@x", 1), (2, "bob@x", 5)]
    letters = videos.run("SELECT key, operation, value FROM writebehind_dead_letters ORDER BY id")
    assert [(key, operation) for key, operation, _ in letters] == [("1", "record"), ("3", "record"), ("2", "record")]
    assert json.loads(letters[0][2][1:]) == {"age": "-1"}


def test_a_composite_key_and_some_of_the_columns(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE carts (shop TEXT, visitor INTEGER, items JSON, total BIGINT, PRIMARY KEY (shop, visitor))")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    carts = wb.records("carts", key=["shop", "visitor"], columns=["items"])
    with wb:
        carts.put(("books", 7), {"items": ["a", "b"]})
        with pytest.raises(ValueRefused, match="'total'"):
            carts.patch(("books", 7), {"total": 3})
        assert carts.get(("books", 7)) == {"items": ["a", "b"]}
        wb.flush(timeout=30)
        assert carts.get(("books", 7)) == {"items": ["a", "b"]}
    assert videos.run("SELECT shop, visitor, total FROM carts") == [("books", 7, None)]


def test_a_default_that_the_database_works_out_appears_with_the_row(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT, made TIMESTAMP DEFAULT CURRENT_TIMESTAMP)")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    notes = wb.records("notes")
    with wb:
        notes.put(1, {"body": "first"})
        assert notes.get(1) == {"body": "first"}
        wb.flush(timeout=30)
        made = notes.get(1)["made"]
        assert isinstance(made, datetime)
        notes.put(1, {"body": "second"})
        assert notes.get(1) == {"body": "second", "made": made}


def test_a_version_column_decides_which_write_wins(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE states (id BIGINT PRIMARY KEY, body TEXT, extra TEXT, revision BIGINT)")
    videos.run("INSERT INTO states VALUES (1, 'old', 'x', 10), (2, 'old', 'x', NULL)")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    states = wb.records("states", version="revision")
    with wb:
        states.patch(1, {"body": "outdated", "revision": 9})
        assert states.get(1) == {"body": "old", "extra": "x", "revision": 10}
        states.patch(1, {"body": "new", "revision": 12})
        states.patch(1, {"body": "late", "revision": 11})
        states.patch(1, {"extra": "y", "revision": 12})  # an equal version comes after
        states.patch(2, {"body": "any", "revision": 1})
        assert states.get(1) == {"body": "new", "extra": "y", "revision": 12}
        for _ in range(2):
            wb.flush(timeout=30)
            assert states.get(1) == {"body": "new", "extra": "y", "revision": 12}
            states.delete(1, version=11)  # outdated, too
        states.delete(2, version=2)
        assert states.get_many([1, 2]) == {1: {"body": "new", "extra": "y", "revision": 12}, 2: None}
        with pytest.raises(ValueRefused, match="has no version"):
            states.patch(1, {"body": "when?"})
        with pytest.raises(ValueRefused, match="has no version"):
            states.delete(1)
        wb.flush(timeout=30)
    assert videos.run("SELECT * FROM states") == [(1, "new", "y", 12)]


def test_versions_of_writes_that_travel_together_are_compared_one_by_one(valkey: TemporaryValkey, videos) -> None:
    """Two writes of one process share a round trip; the older of them must not profit from the newer one's version."""
    videos.run("CREATE TABLE states (id BIGINT PRIMARY KEY, body TEXT, extra TEXT, revision BIGINT)")
    first = WriteBehind(cache=valkey.url, database=videos.url, linger_ms=50)
    second = WriteBehind(cache=valkey.url, database=videos.url)
    mine, theirs = (wb.records("states", version="revision") for wb in (first, second))
    with first, second:
        for key in (1, 2):
            theirs.patch(key, {"body": "theirs", "revision": 5})
        mine.get(1)  # cached, where the same holds
        mine.patch(1, {"body": "older", "revision": 1}, ack="local")
        mine.patch(1, {"extra": "newer", "revision": 9}, ack="local")
        mine.delete(2, version=1, ack="local")
        mine.patch(2, {"extra": "newer", "revision": 9})
        wanted = {"body": "theirs", "extra": "newer", "revision": 9}
        assert mine.get_many([1, 2]) == {1: wanted, 2: wanted}
        first.flush(timeout=30)
        assert theirs.get_many([1, 2]) == {1: wanted, 2: wanted}
    assert videos.run("SELECT * FROM states ORDER BY id") == [(n, "theirs", "newer", 9) for n in (1, 2)]


def test_a_version_without_a_version_column_is_a_mistake(valkey: TemporaryValkey, profiles) -> None:
    wb = WriteBehind(cache=valkey.url, database=profiles.url)
    people = wb.records("profiles")
    with wb, pytest.raises(ConfigurationError, match="version"):
        people.delete(1, version=3)
    wb = WriteBehind(cache=valkey.url, database=profiles.url)
    wb.records("profiles", version="name")
    with pytest.raises(MappingError, match="version"):
        wb.open()


def test_records_and_counters_of_one_table_do_not_disturb_each_other(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    titles = wb.records("videos", columns=["title"])
    with wb:
        likes.add(1, 5)
        titles.patch(1, {"title": "renamed"})
        wb.flush(timeout=30)
        assert (likes.get(1), titles.get(1)) == (5, {"title": "renamed"})
    assert videos.run("SELECT title, likes FROM videos WHERE id = 1") == [("renamed", 5)]
