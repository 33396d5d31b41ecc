"""Leaderboards, from the first score to the row. Read from top to bottom, this is the tutorial."""

from __future__ import annotations

import random
import threading
from collections import Counter
from decimal import Decimal
from uuid import UUID

import pytest

from writebehind import ColumnRefused, KeyRefused, ReadUnsettled, ValueRefused, WriteBehind
from writebehind.cache.keys import PartitionKeys
from writebehind.testing.valkey import TemporaryValkey

SCORES = "CREATE TABLE scores (game TEXT, player TEXT, points BIGINT, PRIMARY KEY (game, player))"


@pytest.fixture
def scores(videos):
    """The application's database with a table of scores."""
    videos.run(SCORES)
    return videos


def places(entries) -> list[tuple[int, object, object]]:
    return [tuple(entry) for entry in entries]


def test_a_score_reaches_its_row_with_the_next_flush(valkey: TemporaryValkey, scores) -> None:
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    points = wb.leaderboard("scores.points", member="player", board="game")
    with wb:
        points.submit("ada", 4200, board="tetris")
        points.submit("ada", 1000, board="tetris")  # the highest counts
        points.submit("bob", 700, board="tetris")
        assert scores.run("SELECT * FROM scores") == []

        report = wb.flush(timeout=30)

    assert scores.run("SELECT * FROM scores ORDER BY player") == [("tetris", "ada", 4200), ("tetris", "bob", 700)]
    assert (report.writes, report.rows, report.statements) == (3, 2, 1) or scores.url.startswith("sqlite")


def test_a_board_is_asked_for_its_top_a_rank_a_score_and_the_neighbours(valkey: TemporaryValkey, scores) -> None:
    scores.run("INSERT INTO scores VALUES ('go', 'ada', 30), ('go', 'bob', 20), ('go', 'eve', NULL)")
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    points = wb.leaderboard("scores.points", member="player", board="game")
    with wb:
        points.submit("cyd", 25, board="go")
        points.submit("dan", 10, board="go")
        points.submit("ada", 99, board="chess")  # another board
        assert places(points.top(2, board="go")) == [(1, "ada", 30), (2, "cyd", 25)]
        assert [entry.member for entry in points.top(100, board="go")] == ["ada", "cyd", "bob", "dan"]
        assert points.top(0, board="go") == []
        assert [points.rank(player, board="go") for player in ("ada", "bob", "eve", "nobody")] == [1, 3, None, None]
        assert [points.score(player, board="go") for player in ("cyd", "bob", "eve", "nobody")] == [25, 20, None, None]
        assert places(points.around("bob", 1, board="go")) == [(2, "cyd", 25), (3, "bob", 20), (4, "dan", 10)]
        assert places(points.around("ada", 1, board="go")) == [(1, "ada", 30), (2, "cyd", 25)]
        assert points.around("nobody", 1, board="go") == []
        assert (points.size(board="go"), points.size(board="chess"), points.size(board="none")) == (4, 1, 0)
        assert points.top(3, board="none") == []


def test_a_removed_member_is_off_the_board_and_its_row_is_deleted(valkey: TemporaryValkey, scores) -> None:
    scores.run("INSERT INTO scores VALUES ('go', 'ada', 30), ('go', 'bob', 20)")
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    points = wb.leaderboard("scores.points", member="player", board="game")
    with wb:
        points.remove("ada", board="go")
        points.remove("bob", board="go")
        points.submit("bob", 5, board="go")  # begins anew, and so may be lower
        assert places(points.top(9, board="go")) == [(1, "bob", 5)]
        wb.flush(timeout=30)
        assert places(points.top(9, board="go")) == [(1, "bob", 5)]
    assert scores.run("SELECT player, points FROM scores") == [("bob", 5)]


@pytest.mark.parametrize(
    ("keep", "expected", "top"), [("max", 9, "bob"), ("min", 2, "ada"), ("last", 4, "bob"), ("sum", 15, "bob")]
)
def test_the_rule_says_which_score_counts(valkey: TemporaryValkey, scores, keep: str, expected: int, top: str) -> None:
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    points = wb.leaderboard("scores.points", member="player", board="game", keep=keep)
    with wb:
        points.submit("bob", 100, board="go")
        for score in (9, 2, 4):
            points.submit("ada", score, board="go")
            assert points.size(board="go") == 2
        assert points.score("ada", board="go") == expected
        assert points.top(1, board="go")[0].member == top  # with keep="min", the lowest is the best
        wb.flush(timeout=30)
        points.submit("ada", 4, board="go")
        wb.flush(timeout=30)
        after = {"max": 9, "min": 2, "last": 4, "sum": 19}[keep]
        assert points.score("ada", board="go") == after
    assert scores.run("SELECT points FROM scores WHERE player = 'ada'") == [(after,)]


@pytest.mark.parametrize("best", ["highest", "lowest"])
def test_equal_scores_rank_as_redis_ranks_them(valkey: TemporaryValkey, scores, best: str) -> None:
    players = ["ada", "Ada", "adalbert", "Zoë", "zoe", "", "10", "9", "日本", "a b"]
    chance = random.Random(1)
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    points = wb.leaderboard("scores.points", member="player", board="game", best=best)
    with wb, valkey.client() as redis:
        for player in players:
            score = chance.randrange(3)
            points.submit(player, score, board="go")
            redis.zadd("plain", {player: score})
        for _ in range(2):  # built from what is pending, and then from rows
            answer = redis.zrevrange("plain", 0, -1, withscores=True)
            if best == "lowest":
                answer = redis.zrange("plain", 0, -1, withscores=True)
            expected = [(place, member.decode(), int(score)) for place, (member, score) in enumerate(answer, 1)]
            assert places(points.top(100, board="go")) == expected
            assert [points.rank(player, board="go") for _, player, _ in expected] == list(range(1, len(players) + 1))
            wb.flush(timeout=30)
            redis.delete("scores:go:points")


def test_a_plain_submit_builds_nothing_and_reads_nothing(valkey: TemporaryValkey, scores) -> None:
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    points = wb.leaderboard("scores.points", member="player", board="game")
    with wb:
        points.submit("ada", 1, board="go")
        with valkey.client() as redis:
            assert redis.exists("scores:go:points") == 0
            assert points.rank("ada", board="go") == 1
            assert redis.exists("scores:go:points") == 1  # an ordinary sorted set, for any client to read
            points.submit("bob", 7, board="go")
            assert redis.zrevrange("scores:go:points", 0, -1, withscores=True) == [(b"bob", 7), (b"ada", 1)]
            assert redis.ttl("scores:go:points") > 0


def test_an_evicted_board_is_built_once_however_many_ask(valkey: TemporaryValkey, scores) -> None:
    scores.run("INSERT INTO scores VALUES " + ", ".join(f"('go', 'p{n:04}', {n})" for n in range(3000)))
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    points = wb.leaderboard("scores.points", member="player", board="game")
    tops: list[object] = []

    def ask() -> None:
        tops.append(points.top(1, board="go")[0].member)

    with wb, valkey.client() as redis:
        points.submit("new", 5000, board="go")
        assert points.size(board="go") == 3001
        for _ in range(3):
            redis.delete("scores:go:points")
            redis.config_resetstat()
            threads = [threading.Thread(target=ask) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert redis.info("commandstats")["cmdstat_rename"]["calls"] == 1
    assert tops == ["new"] * 60


def test_a_table_can_be_one_board(valkey: TemporaryValkey, scores) -> None:
    scores.run("CREATE TABLE karma (user_id INTEGER PRIMARY KEY, points BIGINT NOT NULL)")
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    karma = wb.leaderboard("karma.points", member="user_id", keep="sum")
    with wb:
        karma.submit(7, 3)
        karma.submit(7, 4, ack="local")
        karma.submit(8, 5, ack="database", timeout=30)
        assert places(karma.top(9)) == [(1, 7, 7), (2, 8, 5)]
        with pytest.raises(KeyRefused, match="is one board"):
            karma.submit(7, 1, board="go")
    points = wb = None
    wb = WriteBehind(cache=valkey.url, database=scores.url, namespace="other")
    points = wb.leaderboard("scores.points", member="player", board="game")
    with wb, pytest.raises(KeyRefused, match="Give board="):
        points.submit("ada", 1)


def test_members_and_boards_are_integers_texts_or_uuids(valkey: TemporaryValkey, scores) -> None:
    scores.run("CREATE TABLE ladder (season INTEGER, player UUID, points BIGINT, PRIMARY KEY (season, player))")
    ada, bob = UUID(int=1), UUID(int=2**128 - 1)
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    points = wb.leaderboard("ladder.points", member="player", board="season")
    with wb:
        points.submit(ada, 5, board=2024)
        points.submit(bob, 6, board=2024)
        wb.flush(timeout=30)
        valkey.empty()
        assert places(points.top(9, board=2024, timeout=30)) == [(1, bob, 6), (2, ada, 5)]


def test_scores_can_be_floats_or_decimals(valkey: TemporaryValkey, postgres_videos) -> None:
    postgres_videos.run("CREATE TABLE laps (driver TEXT PRIMARY KEY, seconds DOUBLE PRECISION, money NUMERIC(12, 2))")
    wb = WriteBehind(cache=valkey.url, database=postgres_videos.url)
    seconds = wb.leaderboard("laps.seconds", member="driver", keep="min", value=float)
    money = wb.leaderboard("laps.money", member="driver", keep="sum", value=Decimal)
    with wb:
        seconds.submit("ada", 61.25)
        seconds.submit("ada", 60.1)
        money.submit("ada", Decimal("0.10"))
        money.submit("ada", Decimal("0.20"))
        for _ in range(2):
            assert seconds.score("ada") == 60.1
            assert money.score("ada") == Decimal("0.30")
            wb.flush(timeout=30)
            valkey.empty()
    assert postgres_videos.run("SELECT seconds, money FROM laps") == [(60.1, Decimal("0.30"))]


def test_scores_that_a_double_cannot_hold_exactly_are_refused(valkey: TemporaryValkey, scores) -> None:
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    points = wb.leaderboard("scores.points", member="player", board="game", keep="sum")
    with wb:
        for score in (2**53 + 1, -(2**53) - 1, 1.5, "7", True):
            with pytest.raises(ValueRefused):
                points.submit("ada", score, board="go")  # type: ignore[arg-type]
        points.submit("ada", 2**53, board="go")
        with pytest.raises(ValueRefused):
            points.submit("ada", 1, board="go")  # their sum is not exact
        points.submit("ada", -1, board="go")
        assert points.score("ada", board="go") == 2**53 - 1
        wb.flush(timeout=30)
        assert points.score("ada", board="go") == 2**53 - 1
        points.submit("ada", 1, board="go")
        with pytest.raises(ValueRefused):
            points.submit("ada", 1, board="go")  # nor is that of the board
    assert scores.run("SELECT points FROM scores") == [(2**53 - 1,)]


def test_sums_that_gather_in_this_process_are_exact_too(valkey: TemporaryValkey, scores) -> None:
    wb = WriteBehind(cache=valkey.url, database=scores.url, linger_ms=50)
    points = wb.leaderboard("scores.points", member="player", board="game", keep="sum")
    with wb:
        points.submit("ada", 2**53, board="go", ack="local")
        points.submit("ada", 2**53, board="go", ack="local")  # nobody is there to be told that it does not fit
        points.submit("bob", 1, board="go")
        assert points.score("ada", board="go") == 2**53
        wb.flush(timeout=30)
        assert wb.status().mappings[0].dead_letters == 0
    assert scores.run("SELECT points FROM scores WHERE player = 'ada'") == [(2**53,)]


def test_what_cannot_be_a_leaderboard_is_said_at_open(valkey: TemporaryValkey, scores) -> None:
    for target, options, message in (
        ("scores.player", {"member": "player", "board": "game"}, "is its key"),
        ("scores.points", {"member": "player"}, "unique"),
        ("videos.title", {"member": "id"}, "has the type"),
    ):
        wb = WriteBehind(cache=valkey.url, database=scores.url)
        wb.leaderboard(target, **options)
        with pytest.raises(ColumnRefused, match=message):
            wb.open()


@pytest.mark.parametrize("keep", ["max", "min", "last", "sum"])
def test_any_sequence_of_writes_answers_what_a_plain_sorted_set_answers(
    valkey: TemporaryValkey, scores, keep: str
) -> None:
    """Beside it: ZADD GT, ZADD LT, ZADD or ZINCRBY, and ZREM, on a key of one's own."""
    chance = random.Random(f"leaderboard {keep}")
    flags = {"max": ["GT"], "min": ["LT"], "last": []}
    wb = WriteBehind(cache=valkey.url, database=scores.url)
    points = wb.leaderboard("scores.points", member="player", board="game", keep=keep, best="highest")
    happened: Counter[str] = Counter()
    with wb, valkey.client() as redis:
        for _ in range(150):
            player, score = f"p{chance.randrange(6)}", chance.randrange(-50, 50)
            what = chance.choice(["submit"] * 8 + ["remove", "flush", "evict", "evict and flush"])
            happened[what] += 1
            if what == "submit":
                points.submit(player, score, board="go")
                if keep == "sum":
                    redis.zincrby("plain", score, player)
                else:
                    redis.execute_command("ZADD", "plain", *flags[keep], score, player)
            elif what == "remove":
                points.remove(player, board="go")
                redis.zrem("plain", player)
            if "evict" in what:
                redis.delete("scores:go:points")
            if "flush" in what:
                wb.flush(timeout=30)
            answer = redis.zrevrange("plain", 0, -1, withscores=True)
            expected = [(place, name.decode(), int(number)) for place, (name, number) in enumerate(answer, 1)]
            if chance.random() < 0.5:  # else the board may stay unbuilt for some writes
                assert places(points.top(100, board="go")) == expected
                assert points.score(player, board="go") == {name: number for _, name, number in expected}.get(player)
        wb.flush(timeout=30)
        assert dict(scores.run("SELECT player, points FROM scores")) == {name: number for _, name, number in expected}
    assert len(happened) == 5


def test_a_board_that_another_process_builds_is_waited_for(valkey: TemporaryValkey, scores, wait_until) -> None:
    wb = WriteBehind(cache=valkey.url, database=scores.url, namespace="tests")
    points = wb.leaderboard("scores.points", member="player", board="game")
    with wb, valkey.client() as redis:
        points.submit("ada", 1, board="go")
        points.size(board="go")
        (board,) = redis.keys("*scores:go:points")
        redis.delete(board)
        building = PartitionKeys.of("tests", "scores.points", 0).building(b"go")
        redis.zadd(building, {"the token of another": 0})
        with pytest.raises(ReadUnsettled, match="built by another process"):
            points.size(board="go", timeout=0.1)
        sizes: list[int] = []
        reader = threading.Thread(target=lambda: sizes.append(points.size(board="go", timeout=30)))
        reader.start()
        wait_until(lambda: redis.info("commandstats")["cmdstat_fcall"]["calls"] > 20)
        assert sizes == []
        redis.pexpire(building, 100_000_000)
        redis.rename(building, board)  # which is how the other one ends
        reader.join()
        assert sizes == [1]
