"""A worker killed after any step of a flush of records, scores and events: nothing is lost, doubled or out of order."""

from __future__ import annotations

import multiprocessing
import runpy
import signal
from itertools import count
from pathlib import Path

from writebehind import WriteBehind
from writebehind.testing.valkey import TemporaryValkey

FLUSH = Path(__file__).with_name("one_flush_of_all_kinds.py")
LOADED = ["writebehind", "writebehind.databases.sqlite.database", "writebehind.databases.postgresql.database", "redis"]


def flush_in_a_process(cache: str, database: str, kill_after: int) -> bool:
    """Whether it was killed on the way."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    names = {"cache": cache, "database": database, "kill_after": kill_after}
    process = context.Process(target=runpy.run_path, args=(str(FLUSH),), kwargs={"init_globals": names})
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_a_kill_after_any_step_changes_no_row(valkey: TemporaryValkey, videos) -> None:
    videos.run("CREATE TABLE clicks (place BIGINT, page TEXT)")
    videos.run("CREATE TABLE scores (player TEXT PRIMARY KEY, points BIGINT)")
    videos.run("CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT, age BIGINT CHECK (age >= 0))")
    wb = WriteBehind(cache=valkey.url, database=videos.url, lease_ttl=0.2, poll=0.05)
    log = wb.events("clicks", position="place")
    points = wb.leaderboard("scores.points", member="player", keep="sum")
    people = wb.records("profiles")
    with wb:
        for turn, step in enumerate(count(int(videos.url.startswith("sqlite")), 2)):  # half of them with each database
            log.extend([{"page": f"/{2 * turn}"}, {"page": f"/{2 * turn + 1}"}])
            points.submit("ada", 10)
            points.submit("bob", 1)
            points.remove("bob")
            people.delete(1)
            people.patch(1, {"name": f"step {step}"})
            people.put(2, {"name": "bad", "age": -1})

            was_killed = flush_in_a_process(valkey.url, videos.url, step)
            where = f"killed after step {step}"
            assert [tuple(entry) for entry in points.top(9, timeout=30)] == [(1, "ada", 10 * turn + 10)], where
            assert people.get(1, timeout=30) == {"name": f"step {step}", "age": None}, where
            wb.flush(timeout=60)

            pages = [page for (page,) in videos.run("SELECT page FROM clicks ORDER BY place")]
            assert pages == [f"/{n}" for n in range(2 * turn + 2)], where
            assert videos.run("SELECT * FROM scores") == [("ada", 10 * turn + 10)], where
            assert videos.run("SELECT * FROM profiles") == [(1, f"step {step}", None)], where
            assert videos.run("SELECT count(*) FROM writebehind_dead_letters") == [(turn + 1,)], where
            assert people.get(2) is None, where
            if not was_killed:
                break
    assert step > 30
