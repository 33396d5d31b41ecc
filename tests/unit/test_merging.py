"""From batches to the rows of one statement."""

from __future__ import annotations

import uuid

import pytest

from writebehind.cache.keys import PartitionKeys
from writebehind.chain import Link
from writebehind.databases.contract import CounterRows, PartitionName
from writebehind.errors import KeyRefused
from writebehind.flush.kinds.counter_rows import column, part
from writebehind.flush.kinds.counter_rows import merge as merge_readable
from writebehind.flush.task import Batch, Content, Task, group_by_table
from writebehind.mapping import BoundCounter, CounterMapping
from writebehind.values import Amounts, KeyCodec, KeyColumn

INTEGER = KeyColumn("id", "integer", "bigint")
TEXT = KeyColumn("name", "text", "text")
UUID = KeyColumn("uid", "uuid", "uuid")


def counter(target: str, *columns: KeyColumn, missing: str = "dead_letter") -> BoundCounter:
    mapping = CounterMapping.parse(target, missing=missing, partitions=2)
    return BoundCounter(mapping, KeyCodec(columns or (INTEGER,), mapping.name), Amounts())


def task(of: BoundCounter, partition: int = 0) -> Task:
    name = PartitionName("tests", of.name, partition)
    return Task(name, PartitionKeys.of("tests", of.name, partition), of)


def batch(of: BoundCounter, amounts: dict[bytes, int], partition: int = 0) -> Batch:
    link = Link("b1", "b0", "i1", "birth", len(amounts), len(amounts), 0)
    content = Content({field: b"%d" % amount for field, amount in amounts.items()}, (), {})
    return Batch(task(of, partition), link, content, "b0", "i1")


LIKES, VIEWS = counter("videos.likes"), counter("videos.views")


def merge(batches: list[Batch]) -> CounterRows:
    """Of batches in which every field is a key."""
    unreadable: list[bytes] = []
    change = merge_readable(batches, lambda _batch, field, _error: unreadable.append(field))
    assert unreadable == []
    return change


def test_rows_are_sorted_by_key_and_not_by_its_text() -> None:
    change = merge([batch(LIKES, {b"10": 1, b"9": 2, b"-5": 3})])
    assert list(change.rows) == [(-5,), (9,), (10,)]
    assert list(change.amounts[0]) == [3, 2, 1]


def test_partitions_of_a_counter_share_a_statement() -> None:
    change = merge([batch(LIKES, {b"1": 1, b"3": 3}, 0), batch(LIKES, {b"2": 2, b"4": 4}, 1)])
    assert change.counters == (LIKES,)
    assert list(change.rows) == [(1,), (2,), (3,), (4,)]
    assert list(change.amounts[0]) == [1, 2, 3, 4]


def test_counters_of_a_table_share_a_statement_with_one_entry_a_key() -> None:
    change = merge([batch(LIKES, {b"1": 1, b"2": 2}), batch(VIEWS, {b"2": 20, b"3": 30})])
    assert change.counters == (LIKES, VIEWS)
    assert list(change.rows) == [(1,), (2,), (3,)]
    assert [list(amounts) for amounts in change.amounts] == [[1, 2, None], [None, 20, 30]]


def test_the_batches_stay_as_they_are() -> None:
    amounts = {b"1": 1}
    merge([batch(LIKES, amounts), batch(LIKES, {b"1": 5}, 1)])
    assert amounts == {b"1": 1}


def test_an_amount_of_zero_is_an_amount() -> None:
    assert list(merge([batch(LIKES, {b"1": 0})]).amounts[0]) == [0]


@pytest.mark.parametrize(
    ("columns", "fields", "rows"),
    [
        ((TEXT,), [b"b", b"a", b""], [("",), ("a",), ("b",)]),
        (
            (TEXT, INTEGER),
            [b'["b","1"]', b'["a","10"]', b'["a","9"]'],
            [("a", 9), ("a", 10), ("b", 1)],
        ),
        (
            (UUID,),
            [b"00000000-0000-0000-0000-000000000002", b"00000000-0000-0000-0000-000000000001"],
            [(uuid.UUID(int=1),), (uuid.UUID(int=2),)],
        ),
    ],
)
def test_every_kind_of_key_is_sorted(
    columns: tuple[KeyColumn, ...], fields: list[bytes], rows: list[tuple[object, ...]]
) -> None:
    change = merge([batch(counter("videos.likes", *columns), dict.fromkeys(fields, 1))])
    assert list(change.rows) == rows


@pytest.mark.parametrize("field", [b"ada", b"07", b"+7", b" 7", b"", b"\xff", b"[7]"])
def test_a_field_that_is_no_key_is_told_for_each_counter_and_holds_back_no_other(field: bytes) -> None:
    unreadable: list[tuple[str, bytes, str]] = []

    def note(of: Batch, bad: bytes, error: KeyRefused) -> None:
        unreadable.append((of.task.mapping.name, bad, error.what))

    change = merge_readable([batch(LIKES, {field: 1, b"7": 2}), batch(VIEWS, {field: 3})], note)
    assert [(name, bad) for name, bad, _ in unreadable] == [("videos.likes", field), ("videos.views", field)]
    assert "videos.likes" in unreadable[0][2]
    assert list(change.rows) == [(7,)]
    assert [list(amounts) for amounts in change.amounts] == [[2], [None]]


def test_a_part_keeps_rows_and_amounts_together() -> None:
    change = merge([batch(LIKES, {b"1": 1, b"2": 2, b"3": 3}), batch(VIEWS, {b"3": 30})])
    some = part(change, [0, 2])
    assert list(some.rows) == [(1,), (3,)]
    assert [list(amounts) for amounts in some.amounts] == [[1, 3], [None, 30]]


def test_a_column_is_one_counters_share() -> None:
    change = merge([batch(LIKES, {b"1": 1}), batch(VIEWS, {b"1": 10})])
    share = column(change, 1)
    assert (share.counters, list(share.rows), [list(a) for a in share.amounts]) == ((VIEWS,), [(1,)], [[10]])


def test_only_what_one_statement_can_write_shares_a_transaction() -> None:
    inserting = counter("videos.shares", missing="insert")
    pages = counter("pages.views")
    tasks = [task(LIKES, 0), task(pages), task(LIKES, 1), task(inserting), task(VIEWS)]
    groups = group_by_table(tasks)
    assert [[each.label for each in group] for group in groups] == [
        ["videos.likes/0", "videos.likes/1", "videos.views/0"],
        ["pages.views/0"],
        ["videos.shares/0"],
    ]
