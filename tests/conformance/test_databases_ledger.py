"""The ledger: the chain's head, what was applied, marks, fences, dead letters, incidents."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from writebehind.chain import ROOT, Standing
from writebehind.databases import open_database
from writebehind.databases.contract import LEDGER_TABLES, DeadLetter, PartitionName
from writebehind.databases.ledger import PRUNE_EVERY_COMMITS
from writebehind.errors import DatabaseRefused, LedgerMissing, MappingConflict

NAME = PartitionName("app", "videos.likes", 0)


@pytest.fixture
def bench(event_bench: Any) -> Any:
    """The ledger is the same in all databases."""
    return event_bench


def test_without_a_ledger_the_error_says_how_to_make_one(bench: Any) -> None:
    for call in (
        lambda: bench.declared(),
        lambda: bench.database.read_partitions([NAME]),
        lambda: bench.database.count_dead_letters("app"),
    ):
        with pytest.raises(LedgerMissing, match="writebehind init"):
            call()
    with pytest.raises(LedgerMissing), bench.database.transaction() as transaction:
        transaction.lock_partitions([NAME])


def test_the_ledger_is_created_once_however_many_create_it(bench: Any) -> None:
    start = threading.Barrier(4)

    def create() -> None:
        database = open_database(bench.url)
        start.wait()
        database.create_ledger()
        database.close()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(create) for _ in range(4)]:
            done.result()
    for table in LEDGER_TABLES:
        bench.sql(f"SELECT * FROM {table}")
    [(identity,)] = bench.sql("SELECT ledger_identity FROM writebehind_meta")
    assert len(identity) == 32
    assert bench.declared()[0].ledger_identity == identity


def test_the_ledgers_sql_is_for_people_too(bench: Any) -> None:
    text = bench.database.ledger_sql()
    assert text.startswith("-- The ledger of writebehind")
    assert all(f"CREATE TABLE IF NOT EXISTS {table} (" in text for table in LEDGER_TABLES)


def test_a_ledger_of_a_newer_library_is_refused(bench: Any, database: Any) -> None:
    bench.sql("UPDATE writebehind_meta SET version = 99")
    with pytest.raises(DatabaseRefused, match="version 99"):
        bench.declared()


def test_partitions_are_declared_once_and_read_in_order(bench: Any, database: Any) -> None:
    rows = bench.declared(2, 0, 1)

    assert [(row.name.partition, row.head, row.commit_number) for row in rows] == [
        (0, ROOT, 0),
        (1, ROOT, 0),
        (2, ROOT, 0),
    ]
    assert bench.declared(0, 1, 2) == rows
    assert database.read_partitions([row.name for row in reversed(rows)]) == rows
    assert database.read_partitions([replace(NAME, namespace="other")]) == []


def test_another_declaration_of_the_same_mapping_is_a_conflict(bench: Any, database: Any) -> None:
    database.declare_partitions([NAME], {"kind": "counter", "partitions": 1})
    with pytest.raises(MappingConflict, match="partitions is 1 in the ledger and 4 here"):
        database.declare_partitions([replace(NAME, partition=3)], {"kind": "counter", "partitions": 4})
    assert database.read_partitions([replace(NAME, partition=3)]) == []
    database.declare_partitions([replace(NAME, namespace="other")], {"kind": "counter", "partitions": 4})


def test_moving_the_head_remembers_the_batch_and_raises_the_commit_number(bench: Any, database: Any) -> None:
    [row] = bench.declared()
    first, second = bench.link(writes=5), bench.link()
    with database.transaction() as transaction:
        assert transaction.standing(row, first) == Standing(ROOT, False, False, None)
        assert transaction.move_head(row, first, 3) == 1
        assert transaction.standing(row, first) == Standing(first.identity, True, False, 5)
    with database.transaction() as transaction:
        [row] = transaction.lock_partitions([row.name])
        assert (row.head, row.commit_number) == (first.identity, 1)
        assert transaction.move_head(row, second, 0) == 2
    [row] = database.read_partitions([row.name])
    assert (row.head, row.commit_number) == (second.identity, 2)


def test_a_birth_is_known_by_the_largest_applied_batch_of_it(bench: Any, database: Any) -> None:
    [row] = bench.declared()
    with database.transaction() as transaction:
        transaction.move_head(row, bench.link(birth="b", writes=3), 1)
        transaction.move_head(row, bench.link(birth="b", writes=7), 1)
        transaction.remember_quarantined(row, bench.link(birth="b", writes=99))
        transaction.remember_quarantined(row, bench.link(birth="c", writes=1))
        assert transaction.standing(row, bench.link(birth="b")).applied_birth_writes == 7
        assert transaction.standing(row, bench.link(birth="c")).applied_birth_writes is None


def test_a_quarantined_batch_is_dealt_with_and_is_not_the_head(bench: Any, database: Any) -> None:
    [row] = bench.declared()
    link = bench.link()
    with database.transaction() as transaction:
        assert transaction.remember_quarantined(row, link) == 1
        assert transaction.standing(row, link) == Standing(ROOT, True, False, None)


def test_fences_and_closed_incarnations_are_known_per_partition(bench: Any, database: Any) -> None:
    row, other = bench.declared(0, 1)
    with database.transaction() as transaction:
        transaction.move_head(row, bench.fence("i2"), 0)
        transaction.move_head(row, bench.link(), 0)
        transaction.close_incarnation(row, "i1")
        transaction.close_incarnation(row, "i1")
    with database.transaction() as transaction:
        assert transaction.any_fence_applied(row, ["i9", "i2"])
        assert not transaction.any_fence_applied(row, ["i9"])
        assert not transaction.any_fence_applied(row, [])
        assert not transaction.any_fence_applied(other, ["i2"])
        assert transaction.standing(row, bench.link(incarnation="i1")).incarnation_closed
        assert not transaction.standing(row, bench.link(incarnation="i2")).incarnation_closed
        assert not transaction.standing(other, bench.link(incarnation="i1")).incarnation_closed


def test_a_batch_is_not_a_fence(bench: Any, database: Any) -> None:
    [row] = bench.declared()
    link = bench.link()
    with database.transaction() as transaction:
        transaction.move_head(row, link, 0)
        assert not transaction.any_fence_applied(row, [link.identity])


def test_marks_only_go_up(bench: Any, database: Any) -> None:
    row, other = bench.declared(0, 1)
    with database.transaction() as transaction:
        transaction.write_marks(row, "i1", {"p": 5, "q": 2**62})
        transaction.write_marks(row, "i1", {"p": 3, "r": 1})
        transaction.write_marks(row, "i2", {"p": 1})
        transaction.write_marks(row, "i2", {})
        marks = [transaction.read_mark(row, producer, "i1") for producer in "pqrs"]
        assert marks == [5, 2**62, 1, 0]
        assert transaction.read_mark(row, "p", "i2") == 1
        assert transaction.read_mark(other, "p", "i1") == 0


def test_old_batches_are_forgotten_in_time_and_fences_never(bench: Any, database: Any) -> None:
    [row] = bench.declared()
    old, fence, new = bench.link(), bench.fence("i1"), bench.link()
    with database.transaction() as transaction:
        transaction.move_head(row, fence, 0)
        transaction.move_head(row, old, 0)
    bench.sql("UPDATE writebehind_batches SET applied_at = '2001-01-01T00:00:00Z'")
    bench.sql("UPDATE writebehind_partitions SET commit_number = %s", (PRUNE_EVERY_COMMITS - 1,))
    with database.transaction() as transaction:
        transaction.move_head(row, new, 0)
    with database.transaction() as transaction:
        assert [transaction.standing(row, link).is_applied for link in (old, fence, new)] == [False, True, True]


def test_an_error_in_the_block_undoes_everything(bench: Any, database: Any) -> None:
    [row] = bench.declared()
    with pytest.raises(KeyError), database.transaction() as transaction:  # noqa: PT012  # an error after a success
        transaction.move_head(row, bench.link(), 0)
        raise KeyError
    assert database.read_partitions([row.name]) == [row]


def test_transactions_on_one_partition_wait_for_each_other(bench: Any, database: Any) -> None:
    [row] = bench.declared()
    head_seen = []
    is_locked, wants_lock = threading.Event(), threading.Event()
    link = bench.link()

    def follow() -> None:
        is_locked.wait()
        wants_lock.set()
        with database.transaction() as transaction:
            head_seen.append(transaction.lock_partitions([row.name])[0].head)

    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(follow)
        with database.transaction() as transaction:
            transaction.lock_partitions([row.name])
            is_locked.set()
            wants_lock.wait()
            transaction.move_head(row, link, 0)
            assert head_seen == []
        following.result()
    assert head_seen == [link.identity]


def test_dead_letters_are_kept_with_their_cause(bench: Any, database: Any) -> None:
    row, other = bench.declared(0, 1)
    letter = DeadLetter(row.row_id, "k'%s", "add", str(2**63 - 1), "missing_row", "no row", "", "batch", "birth1")
    strange = replace(letter, key="a\x00b\ud800", error="\x00", birth="birth2", value="-5", sqlstate="22003")
    with database.transaction() as transaction:
        transaction.add_dead_letters([letter, strange])
        transaction.add_dead_letters([replace(letter, row_id=other.row_id)])
        transaction.add_dead_letters([])

    assert database.dead_letters(row.name, ["birth1", "nobody"]) == [letter]
    assert database.dead_letters(row.name, []) == []
    [stored] = database.dead_letters(row.name, ["birth2"])
    assert (stored.key, stored.error, stored.value) == ("a\\x00b\\ud800", "\\x00", "-5")
    assert database.count_dead_letters("app") == {"videos.likes": 3}
    assert database.count_dead_letters("other") == {}
    assert bench.sql("SELECT DISTINCT mapping FROM writebehind_dead_letters") == [("videos.likes",)]


def test_incidents_are_listed_oldest_first(bench: Any, database: Any) -> None:
    row, other = bench.declared(0, 1)
    with database.transaction() as transaction:
        transaction.add_incident(other, "quarantine", {"b": [1], "a": "x\x00\ud800"})
        transaction.add_incident(row, "rollback", {})

    assert database.incidents("app") == [
        ("videos.likes", 1, "quarantine", '{"a":"x\\u0000\\ud800","b":[1]}'),
        ("videos.likes", 0, "rollback", "{}"),
    ]
    assert database.incidents("other") == []


def test_ping_answers_and_close_can_be_called_twice(bench: Any) -> None:
    bench.database.ping()
    bench.database.close()
    bench.database.close()
