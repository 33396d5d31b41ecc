"""Counters, from the first write to the row. Read from top to bottom, this is the tutorial."""

from __future__ import annotations

import threading
from decimal import Decimal
from uuid import UUID

import pytest

from writebehind import (
    ColumnMissing,
    ColumnRefused,
    ConfigurationError,
    DeadLettered,
    KeyRefused,
    LedgerMissing,
    NotOpen,
    SumOutOfRange,
    TableMissing,
    ValueRefused,
    WriteBehind,
)
from writebehind.testing.postgresql import TemporaryPostgres
from writebehind.testing.valkey import TemporaryValkey


def test_a_write_reaches_its_row_with_the_next_flush(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes", key="id")
    with wb:
        likes.add(7)
        likes.add(7, 4)
        likes.add(7, -2)
        assert videos.likes(7) == 0  # answered by the cache; the database knows nothing yet

        report = wb.flush(timeout=30)

        assert videos.likes(7) == 3
    assert (report.batches, report.writes, report.rows, report.statements) == (1, 3, 1, 1)


def test_fifty_thousand_likes_become_one_row_in_one_statement(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")  # the key column is the table's primary key
    with wb:
        for _ in range(50_000):
            likes.add(1, ack="local")
        report = wb.flush(timeout=60)
    assert videos.likes(1) == 50_000
    assert (report.writes, report.rows, report.statements) == (50_000, 1, 1)


def test_incr_and_decr_answer_the_exact_new_total(valkey: TemporaryValkey, videos) -> None:
    videos.run("UPDATE videos SET likes = 1000 WHERE id = 3")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(3, 5)
        assert likes.incr(3) == 1006
        assert likes.decr(3, 6) == 1000
        wb.flush(timeout=30)
        assert likes.incr(3) == 1001  # right across a flush, too


def test_a_read_sees_the_database_and_everything_pending(valkey: TemporaryValkey, videos) -> None:
    videos.run("UPDATE videos SET likes = 10 WHERE id IN (1, 2)")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(2, 5)
        likes.add(3, 1, ack="local")  # still in this process's buffer, perhaps: seen all the same
        assert likes.get(2) == 15
        assert likes.get_many([1, 2, 3, 4]) == {1: 10, 2: 15, 3: 1, 4: 0}


def test_counters_of_one_table_share_their_statement(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    views = wb.counter("videos.views")  # its column is NULL at first, which counts as 0
    with wb:
        likes.add(1, 2)
        views.add(1, 9)
        views.add(2)
        report = wb.flush(timeout=30)
    assert (report.rows, report.statements) == (2, 1)
    assert videos.run("SELECT id, likes, views FROM videos WHERE id <= 3 ORDER BY id") == [
        (1, 2, 9),
        (2, 0, 1),
        (3, 0, None),
    ]


def test_another_process_sees_what_this_one_wrote(valkey: TemporaryValkey, videos) -> None:
    first = WriteBehind(cache=valkey.url, database=videos.url)
    second = WriteBehind(cache=valkey.url, database=videos.url)
    written, read = first.counter("videos.likes"), second.counter("videos.likes")
    with first, second:
        written.add(5, 2)
        assert read.get(5) == 2
        written.add(5)
        assert read.get(5) == 3


def test_a_worker_in_the_application_flushes_by_itself(valkey: TemporaryValkey, videos, wait_until) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url, flush_after=0.05)
    likes = wb.counter("videos.likes")
    with wb:
        wb.start_worker()
        likes.add(1, 3)
        wait_until(lambda: videos.likes(1) == 3)


def test_closing_drains_the_worker(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url, flush_after=3600)
    likes = wb.counter("videos.likes")
    with wb:
        wb.start_worker()
        likes.add(1, 3, ack="local")
    assert videos.likes(1) == 3


def test_without_a_worker_the_rest_stays_safe_in_the_cache(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(1, 3)
    assert videos.likes(1) == 0
    with wb:
        wb.flush(timeout=30)
    assert videos.likes(1) == 3


def test_nothing_configured_is_the_embedded_pair(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wb = WriteBehind()
    wb.create_counter_table("pages", key=["path"], columns=["hits"])
    hits = wb.counter("pages.hits", missing="insert")
    with wb:
        hits.add("/index.html")
        assert hits.incr("/index.html") == 2
        assert wb.flush(timeout=30).rows == 1
    assert {path.name for path in (tmp_path / ".writebehind").iterdir()} >= {"data.db", "namespace"}


def test_ack_database_returns_when_the_row_is_committed(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(1, 3, ack="database", timeout=30)
        assert videos.likes(1) == 3
        assert likes.incr(1, 2, ack="database", timeout=30) == 5
        assert videos.likes(1) == 5


def test_a_missing_row_becomes_a_dead_letter(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(1)
        likes.add(999, 4)
        assert likes.get(999) == 4
        report = wb.flush(timeout=30)
        assert (report.rows, report.dead_letters) == (1, 1)  # the good row was not held back
        assert likes.get(999) == 0
        assert wb.status().mappings[0].dead_letters == 1
        with pytest.raises(DeadLettered, match="the row does not exist"):
            likes.add(999, 5, ack="database", timeout=30)
    letters = videos.run("SELECT mapping, key, value, reason FROM writebehind_dead_letters ORDER BY id")
    assert letters == [("videos.likes", "999", "4", "missing_row"), ("videos.likes", "999", "5", "missing_row")]


def test_a_missing_row_can_be_inserted_or_ignored(valkey: TemporaryValkey, videos) -> None:
    for policy, rows in (("insert", [(999, 4)]), ("ignore", [])):
        videos.run("DELETE FROM videos WHERE id = 999")
        wb = WriteBehind(cache=valkey.url, database=videos.url, namespace=policy)
        likes = wb.counter("videos.likes", missing=policy)
        with wb:
            likes.add(999, 4)
            assert wb.flush(timeout=30).dead_letters == 0
        assert videos.run("SELECT id, likes FROM videos WHERE id = 999") == rows


@pytest.mark.parametrize(
    ("key_type", "keys"),
    [
        ("BIGINT", [-(2**63), 0, 2**63 - 1]),
        ("TEXT", ["ada", "Zoë", "", "a b", "%s", 'it\'s "quoted"', "日本語", "{x}:1"]),
        ("UUID", [UUID(int=1), UUID(int=2**128 - 1)]),
    ],
)
def test_keys_are_integers_strings_or_uuids(valkey: TemporaryValkey, videos, key_type: str, keys: list) -> None:
    videos.run(f"CREATE TABLE things (name {key_type} PRIMARY KEY, n BIGINT NOT NULL DEFAULT 0)")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    n = wb.counter("things.n", missing="insert")
    with wb:
        for amount, key in enumerate(keys, start=1):
            n.add(key, amount)
        wb.flush(timeout=30)
        valkey.empty()  # so that the answers below come from the database
        assert n.get_many(keys, timeout=30) == {key: amount for amount, key in enumerate(keys, start=1)}
    assert len(videos.run("SELECT * FROM things")) == len(keys)


def test_a_composite_key_is_a_tuple(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE scores (game TEXT, player INTEGER, points BIGINT DEFAULT 0, PRIMARY KEY (game, player))")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    points = wb.counter("scores.points", key=["game", "player"], missing="insert")
    with wb:
        points.add(("tetris", 7), 100)
        points.add(("tetris", 7), 20)
        points.add(("go", 7), 1)
        wb.flush(timeout=30)
        assert points.get(("tetris", 7)) == 120
    assert videos.run("SELECT game, player, points FROM scores ORDER BY game") == [("go", 7, 1), ("tetris", 7, 120)]


def test_decimals_are_exact(valkey: TemporaryValkey, shared_postgres: TemporaryPostgres, postgres_videos) -> None:
    postgres_videos.run("CREATE TABLE accounts (name TEXT PRIMARY KEY, credit NUMERIC(18, 2) NOT NULL)")
    postgres_videos.run("INSERT INTO accounts VALUES ('ada', 0.10)")
    wb = WriteBehind(cache=valkey.url, database=postgres_videos.url)
    credit = wb.counter("accounts.credit", value=Decimal)
    with wb:
        for _ in range(100):
            credit.add("ada", Decimal("0.10"), ack="local")
        assert credit.incr("ada", Decimal("-0.05")) == Decimal("10.05")
        with pytest.raises(ValueRefused, match="more than 2 decimal places"):
            credit.add("ada", Decimal("0.001"))
        wb.flush(timeout=30)
    assert postgres_videos.run("SELECT credit FROM accounts") == [(Decimal("10.05"),)]


def test_what_cannot_be_written_is_refused_at_the_call_and_nothing_is_half_written(
    valkey: TemporaryValkey, videos
) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with wb:
        likes.add(1, 2**63 - 1)
        with pytest.raises(SumOutOfRange):
            likes.add(1)
        with pytest.raises(KeyRefused, match="does not fit the column 'id'"):
            likes.add("seven")
        with pytest.raises(ValueRefused, match="float"):
            likes.add(1, 0.5)  # type: ignore[call-overload]
        with pytest.raises(ConfigurationError, match="is not a level"):
            likes.add(1, ack="safe")  # type: ignore[arg-type]
        likes.add(1, -(2**63 - 1))
        likes.add(1, 6)
        wb.flush(timeout=30)
    assert videos.all_likes() == {1: 6}


def test_what_does_not_fit_is_said_at_open(valkey: TemporaryValkey, videos) -> None:
    for target, error, message in (
        ("vidoes.likes", TableMissing, "the table 'vidoes'"),
        ("videos.lieks", ColumnMissing, "has no column 'lieks'"),
        ("videos.title", ColumnRefused, "has the type"),
        ("videos.id", ColumnRefused, "is its key"),
    ):
        wb = WriteBehind(cache=valkey.url, database=videos.url)
        wb.counter(target)
        with pytest.raises(error, match=message):
            wb.open()
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    wb.counter("videos.likes", key="title")
    with pytest.raises(ColumnRefused, match="unique"):
        wb.open()


def test_a_database_without_a_ledger_names_the_command(valkey: TemporaryValkey, videos) -> None:
    for table in ("captured", "marks", "closed", "batches", "incidents", "dead_letters", "partitions", "meta"):
        videos.run(f"DROP TABLE writebehind_{table}")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    wb.counter("videos.likes")
    with pytest.raises(LedgerMissing, match="writebehind init"):
        wb.open()
    wb.init()
    with wb:
        pass


def test_using_it_before_open_says_so(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    with pytest.raises(NotOpen, match="with"):
        likes.add(1)


def test_namespaces_on_one_cache_do_not_see_each_other(valkey: TemporaryValkey, videos) -> None:
    first = WriteBehind(cache=valkey.url, database=videos.url, namespace="first")
    second = WriteBehind(cache=valkey.url, database=videos.url, namespace="second")
    ours, theirs = first.counter("videos.likes"), second.counter("videos.likes")
    with first, second:
        assert ours.incr(7, 5) == 5
        assert theirs.get(7) == 0
        first.flush(timeout=30)
        second.flush(timeout=30)
    assert videos.likes(7) == 5


def test_an_ignored_amount_leaves_the_cached_total_too(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes", missing="ignore")
    with wb:
        assert likes.incr(999, 4) == 4
        wb.flush(timeout=30)
        assert likes.get(999) == 0
    assert videos.run("SELECT * FROM writebehind_dead_letters") == []


def test_a_total_counts_what_this_process_buffered_before(valkey: TemporaryValkey, videos) -> None:
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes")
    wrong: list[int] = []

    def count(video: int) -> None:
        for expected in range(2, 202, 2):
            likes.add(video, ack="local")
            total = likes.incr(video)
            if total != expected:
                wrong.append(total)

    with wb:
        threads = [threading.Thread(target=count, args=(video,)) for video in range(1, 7)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_full_ring_is_emptied_by_a_flush_and_at_the_end(valkey: TemporaryValkey, videos) -> None:
    """Without a worker nobody else would make room for what waits to be sent."""
    wb = WriteBehind(cache=valkey.url, database=videos.url, ring_groups=2, linger_ms=0)
    likes = wb.counter("videos.likes")
    with wb:
        for number in range(1, 4):
            likes.add(number, ack="local")
            if number < 3:
                likes.get(number)  # sent by then: a group each
        wb.flush(timeout=10)
        assert videos.all_likes() == {1: 1, 2: 1, 3: 1}
        for number in range(1, 4):
            likes.add(number, ack="local")
            if number < 3:
                likes.get(number)
    assert wb._runtime is None
    with wb:
        wb.flush(timeout=10)
    assert videos.all_likes() == {1: 2, 2: 2, 3: 2}
