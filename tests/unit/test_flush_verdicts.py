"""What one flush decides about the fronts of its partitions, against a ledger that is a few answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from writebehind.cache.keys import PartitionKeys
from writebehind.chain import ANY_PARENT, Link, Standing
from writebehind.databases.contract import Database, LedgerRow, PartitionName, Transaction
from writebehind.flush.task import NOTHING, Batch, Content, FlushReport, Task, Verdicts
from writebehind.flush.transaction import apply_batches
from writebehind.mapping import BoundCounter, CounterMapping
from writebehind.observe import ignore
from writebehind.values import Amounts, KeyCodec, KeyColumn

COUNTER = BoundCounter(
    CounterMapping("videos", "likes"), KeyCodec((KeyColumn("id", "integer", "bigint"),), "videos.likes"), Amounts()
)
TASK = Task(PartitionName("tests", COUNTER.name, 0), PartitionKeys.of("tests", COUNTER.name, 0), COUNTER)


@dataclass
class FakeLedger:
    """One partition whose head is ``head``; ``remembered`` are the batches that were dealt with."""

    head: str = "b0"
    remembered: set[str] = field(default_factory=set)
    marks: dict[tuple[str, str], int] = field(default_factory=dict)
    letters: int = 0
    incidents: list[str] = field(default_factory=list)

    def lock_partitions(self, names: Sequence[PartitionName]) -> list[LedgerRow]:
        return [LedgerRow(1, name, self.head, 7, "ledger") for name in names]

    def standing(self, row: LedgerRow, link: Link) -> Standing:
        return Standing(
            self.head, link.identity in self.remembered, incarnation_closed=False, applied_birth_writes=None
        )

    def read_mark(self, row: LedgerRow, producer: str, incarnation: str) -> int:
        return self.marks.get((producer, incarnation), 0)

    def add_dead_letters(self, letters: Sequence[Any]) -> None:
        self.letters += len(letters)

    def add_incident(self, row: LedgerRow, kind: str, detail: Mapping[str, object]) -> None:
        self.incidents.append(kind)

    def remember_quarantined(self, row: LedgerRow, link: Link) -> int:
        self.remembered.add(link.identity)
        return 8


def flush(ledger: FakeLedger, batch: Batch) -> tuple[Verdicts, FlushReport]:
    return apply_batches(cast(Database, None), cast(Transaction, ledger), [batch], ignore)


def batch(*, parent: str = "lost", written_in: str = "i1", present: str = "i1") -> Batch:
    link = Link("b9", parent, written_in, "birth", 5, 2, 0)
    return Batch(TASK, link, Content({b"1": b"3", b"2": b"2"}, (), {"p1": 4}), "b0", present)


def test_a_lost_branch_is_put_aside_not_confirmed_and_fenced_off() -> None:
    ledger = FakeLedger()
    verdicts, report = flush(ledger, batch())
    assert (report.quarantined, ledger.letters, ledger.incidents) == (1, 2, ["lost_branch"])
    assert verdicts.not_confirmed == {"b9"}
    assert verdicts.fence_anew == (TASK,)
    assert set(verdicts.forget[TASK.name]) == {b"videos:1:likes", b"videos:2:likes"}


def test_a_lost_branch_of_a_former_incarnation_has_its_fence_already() -> None:
    verdicts, report = flush(FakeLedger(), batch(present="i2"))
    assert report.quarantined == 1
    assert verdicts.fence_anew == ()


def test_what_a_worker_put_aside_and_died_is_fenced_off_by_the_next() -> None:
    """Its producers learn of a new incarnation alone that they have to write again."""
    ledger = FakeLedger(remembered={"b9"})
    verdicts, report = flush(ledger, batch())
    assert (report.quarantined, ledger.letters) == (0, 0)
    assert verdicts.not_confirmed == {"b9"}
    assert verdicts.fence_anew == (TASK,)
    assert flush(ledger, batch(present="i2"))[0].fence_anew == ()


def test_what_a_worker_applied_and_died_is_confirmed_by_the_next() -> None:
    ledger = FakeLedger(head="b9", remembered={"b9"}, marks={("p1", "i1"): 4})
    verdicts, _ = flush(ledger, batch(parent="b0"))
    assert [each.link.identity for each in verdicts.acknowledge] == ["b9"]
    assert verdicts.not_confirmed == frozenset()
    assert verdicts.fence_anew == ()


def test_a_fence_that_was_applied_already_is_acknowledged_and_nothing_else() -> None:
    fence = Batch(TASK, Link("f1", ANY_PARENT, "f1", "f1", 0, 0, 0), NOTHING, "b0", "f1")
    verdicts, _ = flush(FakeLedger(remembered={"f1"}), fence)
    assert [each.link.identity for each in verdicts.acknowledge] == ["f1"]
    assert (verdicts.not_confirmed, verdicts.fence_anew) == (frozenset(), ())
