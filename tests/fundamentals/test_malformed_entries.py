"""What a program in another language gets wrong never holds back what is right.

The functions refuse what they can see; what only the table's columns can tell becomes a dead letter at the flush.
"""

from __future__ import annotations

from typing import Any

import pytest

from writebehind import WriteBehind
from writebehind.testing.valkey import TemporaryValkey

LONE_SURROGATE = '{"page":"\\ud800"}'
ESCAPED_NUL = '{"page":"a\\u0000b"}'


class Foreigner:
    """A program without our client: it calls the functions with whatever it is told to."""

    def __init__(self, valkey: TemporaryValkey, mapping: str) -> None:
        self._client = valkey.client()
        self._prefix = f"wb:{{default:{mapping}:0}}:"
        self._sequence = 0

    def key(self, name: str) -> str:
        return self._prefix + name

    def call(self, function: str, more_keys: list[str], *arguments: object, writes: int = 1) -> list[Any]:
        """One group, under the next number of the lane."""
        self._sequence += 1
        keys = [self.key(name) for name in ("header", "open", "open:lanes", "lanes")] + more_keys
        incarnation = self._client.hget(self.key("header"), "incarnation")
        head = ("1", incarnation, "foreigner", self._sequence, writes, 0)
        return self._client.execute_command("FCALL", function, len(keys), *keys, *head, *arguments)

    def pending(self) -> int:
        return int(self._client.exists(self.key("open")))


@pytest.fixture
def tables(videos) -> Any:
    """The database of ``videos`` with a table for each kind."""
    videos.run("CREATE TABLE scores (game TEXT, player TEXT, points BIGINT, PRIMARY KEY (game, player))")
    videos.run("CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT, age BIGINT, changed BIGINT)")
    videos.run("CREATE TABLE clicks (page TEXT, number BIGINT, place BIGINT)")
    return videos


def letters(tables: Any) -> list[tuple[Any, ...]]:
    return tables.run("SELECT key, operation, value, reason FROM writebehind_dead_letters ORDER BY id")


@pytest.mark.parametrize("field", [b"ada", b"07", b"\xff", b"9223372036854775808"])
def test_a_counters_field_that_is_no_key(valkey: TemporaryValkey, tables, field: bytes) -> None:
    wb = WriteBehind(cache=valkey.url, database=tables.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(7, 2)
        foreigner = Foreigner(valkey, "videos.likes")
        answer = foreigner.call("wb1_write", ["videos:x:likes", "videos:8:likes"], "0", field, "1", "8", "5")
        assert answer[0] == b"OK"
        wb.flush(timeout=30)
    assert tables.all_likes() == {7: 2, 8: 5}
    shown = field.decode(errors="backslashreplace")
    assert letters(tables) == [(shown, "add", "1", "row_refused")]


@pytest.mark.parametrize(
    ("field", "change"),
    [("ada", "5"), ('["go"]', "5"), ('["go", "ada"]', "5"), ('["go",1]', "5"), ('["go","ada"]', "7.5")],
)
def test_a_score_that_is_none_in_this_table(valkey: TemporaryValkey, tables, field: str, change: str) -> None:
    wb = WriteBehind(cache=valkey.url, database=tables.url)
    points = wb.leaderboard("scores.points", member="player", board="game")
    with wb:
        foreigner = Foreigner(valkey, "scores.points")
        boards = ["scores:go:points", foreigner.key("building:go")]
        answer = foreigner.call(
            "wb1_write_scores", boards, "max", field, change, "ada", 1, '["go","bob"]', "7", "bob", 1
        )
        assert answer[0] == b"OK"
        assert [entry.member for entry in points.top(9, board="go")][:1] == ["bob"]
        wb.flush(timeout=30)
    assert tables.run("SELECT game, player, points FROM scores") == [("go", "bob", 7)]
    assert letters(tables) == [(field, "score", change, "row_refused")]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        *[(bad, b"NUMBER") for bad in ("", "x1", "=", "=x", "0x10", "inf", "-inf", "nan", " 7", "7 ", "+7", "1e999")],
        *[(bad, b"RANGE") for bad in ("9007199254740993", "-9007199254740993", "=1152921504606846977")],
    ],
)
def test_what_is_no_score_anywhere_is_refused_by_the_function(
    valkey: TemporaryValkey, tables, change: str, code: bytes
) -> None:
    wb = WriteBehind(cache=valkey.url, database=tables.url)
    wb.leaderboard("scores.points", member="player", board="game")
    with wb:
        foreigner = Foreigner(valkey, "scores.points")
        boards = ["scores:go:points", foreigner.key("building:go")]
        answer = foreigner.call("wb1_write_scores", boards, "max", '["go","ada"]', change, "ada", 1)
        assert answer == [b"REFUSED", b"0", b"0", code]
        assert not foreigner.pending()


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("x", 'u{"name":"Ada"}'),
        ("1", 'u{"nickname":"Ada"}'),
        ("1", 'u{"id":"1"}'),
        ("1", 'u{"age":"old"}'),
        ("1", 'u{"name":"a\\u0000b"}'),
    ],
)
def test_a_record_that_is_none_of_this_table(valkey: TemporaryValkey, tables, field: str, change: str) -> None:
    wb = WriteBehind(cache=valkey.url, database=tables.url)
    profiles = wb.records("profiles")
    with wb:
        foreigner = Foreigner(valkey, "profiles")
        answer = foreigner.call(
            "wb1_write_records", [f"profiles:{field}", "profiles:2"], "", "", field, change, "2", 'u{"name":"Bob"}'
        )
        assert answer[0] == b"OK"
        assert profiles.get(2) == {"name": "Bob", "age": None, "changed": None}
        wb.flush(timeout=30)
    assert tables.run("SELECT id, name FROM profiles") == [(2, "Bob")]
    ((key, operation, value, reason),) = letters(tables)
    assert (key, operation, reason) == (field, "record", "row_refused")
    assert value == change


@pytest.mark.parametrize(
    "change", ["", "z", "u", "uzzz", "u[]", "u{", 'u{"name":5}', 'u{"name":{}}', 'u{"name":"a"}}', "d5", "n5"]
)
def test_what_is_no_change_of_a_record_is_refused_by_the_function(valkey: TemporaryValkey, tables, change: str) -> None:
    wb = WriteBehind(cache=valkey.url, database=tables.url)
    wb.records("profiles")
    with wb:
        foreigner = Foreigner(valkey, "profiles")
        answer = foreigner.call("wb1_write_records", ["profiles:1"], "", "", "1", change)
        assert answer == [b"REFUSED", b"0", b"0", b"CHANGE"]
        assert not foreigner.pending()


@pytest.mark.parametrize(
    "change",
    [
        'u{"name":"a"}',
        'u[{"name":"a"}]',
        "u[{},{}]",
        'u[{"name":"a"},{}]',
        'u[{"name":"a"},{"name":17}]',
        'u[{"name":"a"},{"name":"017"}]',
        'u[{"name":"a"},{"name":"soon"}]',
        'n[{"name":"a"},{"name":"17"}]',
        "d",
        "dsoon",
    ],
)
def test_a_change_without_its_versions_is_refused_by_the_function(valkey: TemporaryValkey, tables, change: str) -> None:
    wb = WriteBehind(cache=valkey.url, database=tables.url)
    wb.records("profiles", version="changed")
    with wb:
        foreigner = Foreigner(valkey, "profiles")
        answer = foreigner.call("wb1_write_records", ["profiles:1"], "changed", "integer", "1", change)
        assert answer == [b"REFUSED", b"0", b"0", b"CHANGE"]
        assert not foreigner.pending()


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"zzz",
        b"[]",
        b'"page"',
        b"null",
        b'{"page":5}',
        b'{"page":["a"]}',
        b'{"leaf":"a"}',
        b'{"place":"5"}',
        b'{"number":"many"}',
        b'{"page":"\xff"}',
        b"[" * 100_000,
        LONE_SURROGATE.encode(),
        ESCAPED_NUL.encode(),
    ],
    ids=lambda event: event[:20].decode(errors="backslashreplace"),
)
def test_an_event_that_is_none_of_this_table(valkey: TemporaryValkey, tables, event: bytes) -> None:
    wb = WriteBehind(cache=valkey.url, database=tables.url)
    wb.events("clicks", position="place")
    with wb:
        foreigner = Foreigner(valkey, "clicks")
        answer = foreigner.call("wb1_write_events", [], '{"page":"a"}', event, '{"page":"b","number":null}', writes=3)
        assert answer[0] == b"OK"
        wb.flush(timeout=30)
    assert tables.run("SELECT page, number FROM clicks ORDER BY place") == [("a", None), ("b", None)]
    ((key, operation, value, reason),) = letters(tables)
    assert (operation, reason) == ("append", "row_refused")
    assert int(key) > 2**60
    assert value == event.decode(errors="backslashreplace")
