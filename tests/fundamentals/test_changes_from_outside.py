"""What somebody else changes in the database is seen when the cached value's time to live has passed, not before."""

from __future__ import annotations

from collections.abc import Callable

from writebehind import WriteBehind
from writebehind.testing.valkey import TemporaryValkey


def test_a_change_from_outside_is_seen_once_the_cached_value_has_expired(
    valkey: TemporaryValkey, videos, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    videos.run("CREATE TABLE scores (player TEXT PRIMARY KEY, points BIGINT)")
    wb = WriteBehind(cache=valkey.url, database=videos.url)
    likes = wb.counter("videos.likes", cached_value_ttl=0.2)
    rows = wb.records("videos", columns=["title"], cached_value_ttl=0.2)
    scores = wb.leaderboard("scores.points", member="player", cached_value_ttl=0.2)
    with wb, valkey.client() as client:
        likes.add(7)
        scores.submit("ada", 10)
        wb.flush(timeout=30)
        before = (likes.get(7), rows.get(7), scores.score("ada"))
        assert before == (1, {"title": "video 7"}, 10)
        assert client.exists("videos:7:likes", "videos:7", "scores:points") == 3

        videos.run("UPDATE videos SET likes = 100, title = 'renamed' WHERE id = 7")
        videos.run("UPDATE scores SET points = 50 WHERE player = 'ada'")
        assert (likes.get(7), rows.get(7), scores.score("ada")) == before
        assert likes.incr(7) == 2  # on top of what the cache holds, until it expires

        wait_until(lambda: client.exists("videos:7:likes", "videos:7", "scores:points") == 0)
        assert likes.get(7) == 101  # the row as it is now, and what is pending
        assert rows.get(7) == {"title": "renamed"}
        assert scores.score("ada") == 50
