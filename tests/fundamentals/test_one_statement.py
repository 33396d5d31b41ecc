"""Fifty thousand likes reach PostgreSQL as one row in one UPDATE, counted by the server and not by us."""

from __future__ import annotations

import re
import threading

from writebehind import WriteBehind
from writebehind.testing.postgresql import TemporaryPostgres
from writebehind.testing.valkey import TemporaryValkey


def test_the_servers_own_log_and_statistics_show_one_update(
    valkey: TemporaryValkey, shared_postgres: TemporaryPostgres, postgres_videos, wait_until
) -> None:
    def updated_rows() -> int:
        return int(postgres_videos.run("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'videos'")[0][0])

    wb = WriteBehind(cache=valkey.url, database=postgres_videos.url)
    likes = wb.counter("videos.likes")
    shared_postgres.log_statements()
    before, logged = updated_rows(), len(shared_postgres.log_text())

    with wb:
        writers = [
            threading.Thread(target=lambda: [likes.add(1, ack="local") for _ in range(5_000)]) for _ in range(10)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        wb.flush(timeout=60)

    shared_postgres.log_statements(on=False)
    updates = re.findall(r'UPDATE "videos"', shared_postgres.log_text()[logged:])
    assert len(updates) == 1
    wait_until(lambda: updated_rows() == before + 1)
    assert postgres_videos.likes(1) == 50_000
