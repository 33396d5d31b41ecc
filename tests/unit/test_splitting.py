"""Finding bad rows among good ones: the good ones are written, and it costs few statements."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writebehind.databases.contract import CounterRows, RowsWritten, Transaction
from writebehind.errors import DatabaseUnavailable, RowRefused
from writebehind.flush.kinds.counter_splitting import WriteOutcome, write_rows
from writebehind.mapping import BoundCounter, CounterMapping
from writebehind.values import Amounts, KeyCodec, KeyColumn


def counter(column: str, missing: Any = "dead_letter") -> BoundCounter:
    mapping = CounterMapping("videos", column, missing=missing)
    return BoundCounter(mapping, KeyCodec((KeyColumn("id", "integer", "bigint"),), mapping.name), Amounts())


LIKES, VIEWS = counter("likes"), counter("views")


class FakeTransaction:
    """Writes rows into a dict; ``refuses`` says which counter's which row is bad, ``missing`` which are absent."""

    def __init__(
        self,
        refuses: Callable[[str, int], bool] = lambda column, row: False,
        missing: frozenset[int] = frozenset(),
    ) -> None:
        self.refuses = refuses
        self.missing = missing
        self.rows: dict[tuple[str, int], int] = {}
        self.statements = 0

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        yield  # add_to_counters refuses before it writes

    def add_to_counters(self, change: CounterRows) -> RowsWritten:
        self.statements += 1
        for counter, amounts in zip(change.counters, change.amounts, strict=True):
            for (row,), amount in zip(change.rows, amounts, strict=True):
                if amount is not None and self.refuses(counter.mapping.column, cast(int, row)):
                    raise RowRefused(f"row {row} of {counter.mapping.column}", sqlstate="22003")
        missing = [index for index, (row,) in enumerate(change.rows) if row in self.missing]
        for counter, amounts in zip(change.counters, change.amounts, strict=True):
            for index, amount in enumerate(amounts):
                if amount is not None and index not in missing:
                    name = (counter.mapping.column, cast(int, change.rows[index][0]))
                    self.rows[name] = self.rows.get(name, 0) + amount
        return RowsWritten(len(change.rows) - len(missing), 1, missing)


def write(transaction: FakeTransaction, change: CounterRows) -> WriteOutcome:
    outcome = write_rows(cast(Transaction, transaction), change)
    assert outcome.statements == transaction.statements
    return outcome


def rows_of_likes(count: int) -> CounterRows:
    return CounterRows((LIKES,), [(row,) for row in range(count)], [[row + 1 for row in range(count)]])


def test_good_rows_are_one_statement() -> None:
    transaction = FakeTransaction()
    outcome = write(transaction, rows_of_likes(1_000))
    assert (outcome.statements, outcome.rows, outcome.unwritten) == (1, 1_000, [])


def test_nothing_to_write_is_no_statement() -> None:
    assert write(FakeTransaction(), rows_of_likes(0)) == WriteOutcome()


@pytest.mark.parametrize("bad", [0, 1, 49_999, 50_000, 77_777, 99_999])
def test_one_bad_row_among_100_000_costs_at_most_20_more_statements(bad: int) -> None:
    transaction = FakeTransaction(lambda column, row: row == bad)
    outcome = write(transaction, rows_of_likes(100_000))
    assert [unwritten.row for unwritten in outcome.unwritten] == [(bad,)]
    assert outcome.rows == 99_999
    assert outcome.statements <= 1 + 20


def test_a_bad_row_is_reported_with_its_own_error() -> None:
    transaction = FakeTransaction(lambda column, row: row in (2, 3, 7))
    unwritten = write(transaction, rows_of_likes(10)).unwritten
    assert {(each.row, each.amount, each.error) for each in unwritten} == {
        ((row,), row + 1, f"row {row} of likes") for row in (2, 3, 7)
    }
    assert {(each.reason, each.sqlstate) for each in unwritten} == {("row_refused", "22003")}


def test_a_batch_of_bad_rows_alone_ends_too() -> None:
    transaction = FakeTransaction(lambda column, row: True)
    outcome = write(transaction, rows_of_likes(32))
    assert (len(outcome.unwritten), outcome.rows, transaction.rows) == (32, 0, {})


@given(st.integers(0, 60), st.randoms(use_true_random=False))
def test_every_good_row_is_written_once_and_every_bad_one_is_reported(count: int, choice: random.Random) -> None:
    bad = {row for row in range(count) if choice.random() < 0.2}
    transaction = FakeTransaction(lambda column, row: row in bad)
    outcome = write(transaction, rows_of_likes(count))
    assert sorted(each.row[0] for each in outcome.unwritten) == sorted(bad)
    assert transaction.rows == {("likes", row): row + 1 for row in range(count) if row not in bad}
    assert outcome.rows == count - len(bad)


def test_a_row_that_one_counter_refuses_is_written_for_the_other() -> None:
    change = CounterRows((LIKES, VIEWS), [(1,), (2,), (3,)], [[10, 20, 30], [100, 200, None]])
    transaction = FakeTransaction(lambda column, row: (column, row) == ("likes", 2))
    outcome = write(transaction, change)
    assert [(each.counter, each.row, each.amount) for each in outcome.unwritten] == [(LIKES, (2,), 20)]
    assert transaction.rows == {
        ("likes", 1): 10,
        ("views", 1): 100,
        ("views", 2): 200,
        ("likes", 3): 30,
    }


def test_a_row_that_both_counters_refuse_is_reported_for_each() -> None:
    change = CounterRows((LIKES, VIEWS), [(1,)], [[10], [100]])
    outcome = write(FakeTransaction(lambda column, row: True), change)
    assert [(each.counter, each.amount, each.error) for each in outcome.unwritten] == [
        (LIKES, 10, "row 1 of likes"),
        (VIEWS, 100, "row 1 of views"),
    ]


def test_missing_rows_are_reported_once_although_rows_around_them_are_bad() -> None:
    transaction = FakeTransaction(lambda column, row: row == 5, missing=frozenset({4, 6}))
    outcome = write(transaction, rows_of_likes(10))
    assert sorted((each.row[0], each.reason) for each in outcome.unwritten) == [
        (4, "missing_row"),
        (5, "row_refused"),
        (6, "missing_row"),
    ]


def test_missing_rows_of_a_counter_that_ignores_them_are_told_apart() -> None:
    likes = counter("likes", "ignore")
    change = CounterRows((likes,), [(1,), (2,)], [[10, 20]])
    (ignored,) = write(FakeTransaction(missing=frozenset({2})), change).unwritten
    assert (ignored.row, ignored.reason) == ((2,), "ignored")


def test_an_error_that_is_no_rows_fault_ends_the_flush() -> None:
    def away(column: str, row: int) -> bool:
        raise DatabaseUnavailable("the database is away")

    with pytest.raises(DatabaseUnavailable):
        write_rows(cast(Transaction, FakeTransaction(away)), rows_of_likes(10))


def test_the_indices_of_missing_rows_are_those_of_the_part_that_was_written() -> None:
    """The statement that reports them may be one of a half."""
    rows: Sequence[int] = range(64)
    transaction = FakeTransaction(lambda column, row: row == 0, missing=frozenset({63}))
    outcome = write(transaction, rows_of_likes(len(rows)))
    assert sorted((each.row[0], each.amount) for each in outcome.unwritten) == [(0, 1), (63, 64)]
