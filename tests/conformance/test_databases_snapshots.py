"""Flushes and reads of counters at the same time: every flush counts, and a read is one moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from writebehind.chain import ROOT
from writebehind.databases.contract import PartitionName

NAME = PartitionName("app", "videos.likes", 0)


def test_a_hundred_flushes_from_eight_threads_are_all_counted(bench: Any, database: Any) -> None:
    bench.sql("INSERT INTO videos (id, likes) VALUES (1, 0), (2, 0)")
    likes = bench.bind("videos.likes")
    [row] = bench.declared()

    def flush(number: int) -> int:
        with database.transaction() as transaction:
            [locked] = transaction.lock_partitions([row.name])
            transaction.add_to_counters(bench.rows_of(likes, (1, number), (2, 1)))
            return transaction.move_head(locked, bench.link(locked.head), 2)

    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(flush, range(100)))
    assert sorted(numbers) == list(range(1, 101))
    assert bench.sql("SELECT likes FROM videos ORDER BY id") == [(4950,), (100,)]


def test_a_read_is_one_moment_while_others_commit(bench: Any, database: Any) -> None:
    bench.sql("INSERT INTO videos (id, likes) VALUES (1, 0), (2, 0)")
    likes = bench.bind("videos.likes")
    [row] = bench.declared()
    links = [bench.link() for _ in range(50)]

    def flush_all() -> None:
        for link in links:
            with database.transaction() as transaction:
                [locked] = transaction.lock_partitions([row.name])
                transaction.add_to_counters(bench.rows_of(likes, (1, 1), (2, 1)))
                transaction.move_head(locked, link, 2)

    value_of_head = {ROOT: 0} | {link.identity: number for number, link in enumerate(links, 1)}
    with ThreadPoolExecutor(1) as threads:
        flushing = threads.submit(flush_all)
        while True:
            is_last = flushing.done()
            read = database.read_counter(row.name, likes, [(1,), (2,), (3,)], links[20].identity)
            value = value_of_head[read.head]
            assert dict(read.values) == {(1,): value, (2,): value}
            assert read.front_is_applied == (value >= 21)
            if is_last:
                break
        flushing.result()
    assert value == 50


def test_reading_what_was_never_declared_or_no_keys_at_all(bench: Any, database: Any) -> None:
    bench.sql("INSERT INTO videos (id, likes) VALUES (1, 7), (2, NULL)")
    likes = bench.bind("videos.likes")

    undeclared = database.read_counter(NAME, likes, [(1,), (2,)], "front")
    bench.declared()
    nothing = database.read_counter(NAME, likes, [], None)

    assert (undeclared.head, undeclared.front_is_applied) == (ROOT, False)
    assert dict(undeclared.values) == {(1,): 7, (2,): 0}
    assert (nothing.head, nothing.front_is_applied, dict(nothing.values)) == (ROOT, False, {})
