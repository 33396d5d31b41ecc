"""The database transaction of a flush: ledger rows first, then rows, marks and heads, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from writebehind.chain import Verdict, judge
from writebehind.databases.contract import DeadLetter, LedgerRow, PartitionName, Transaction
from writebehind.flush.merging import merge
from writebehind.flush.splitting import Unwritten, WriteOutcome, write_rows
from writebehind.flush.task import Batch, FlushReport, Task, Verdicts
from writebehind.observe import (
    DeadLettersWritten,
    HeadMoved,
    MarksWritten,
    Observer,
    PartitionsLocked,
    RowsWritten,
)
from writebehind.values import partition_of

IGNORED = "ignored"
LOST_BRANCH = "the database's history does not continue with this batch"


def apply_batches(
    transaction: Transaction, batches: Sequence[Batch], observe: Observer
) -> tuple[Verdicts, FlushReport]:
    """Judge each front under lock, then write what is to be applied, all of one table.

    A partition that must look again leaves before any row is written; it is not in the verdicts.
    """
    ledger = {row.name: row for row in transaction.lock_partitions([batch.task.name for batch in batches])}
    observe(PartitionsLocked(tuple(batch.task.label for batch in batches)))
    report = FlushReport()
    apply: list[Batch] = []
    acknowledge: list[Batch] = []
    quarantined: list[Batch] = []
    not_confirmed: set[str] = set()
    fence_anew: list[Task] = []
    forget: dict[PartitionName, tuple[bytes, ...]] = {}
    commits = {name: row.commit_number for name, row in ledger.items()}
    for batch in batches:
        name, row, link = batch.task.name, ledger[batch.task.name], batch.link
        match judge(link, transaction.standing(row, link), batch.head_seen_before):
            case Verdict.LOOK_AGAIN:
                continue
            case Verdict.APPLY:
                apply.append(batch)
            case Verdict.APPLY_FENCE:
                commits[name] = transaction.move_head(row, link, 0)
                observe(HeadMoved(batch.task.label, link.identity))
            case Verdict.QUARANTINE:
                commits[name] = _quarantine(transaction, row, batch)
                forget[name] = tuple(batch.task.counter.value_key(field) for field in batch.amounts)
                quarantined.append(batch)
                not_confirmed.add(link.identity)
                if link.incarnation == batch.incarnation and not link.is_fence:
                    fence_anew.append(batch.task)
            case Verdict.ACKNOWLEDGE:
                # Whoever applied it may have died before it told the cache which totals are not right any more.
                forget[name] = tuple(batch.task.counter.value_key(field) for field in batch.amounts)
                if not _has_marks(transaction, row, batch):
                    not_confirmed.add(link.identity)  # it was quarantined before, by a worker that died then
                    if link.incarnation == batch.incarnation:
                        fence_anew.append(batch.task)
        acknowledge.append(batch)
    if apply:
        outcome = _write(transaction, apply, ledger, observe)
        report.rows, report.statements = outcome.rows, outcome.statements
        report.dead_letters = sum(unwritten.reason != IGNORED for unwritten in outcome.unwritten)
        for unwritten in outcome.unwritten:
            field = unwritten.counter.keys.encode(unwritten.row)
            batch = _batch_of(apply, unwritten, field)
            name = batch.task.name
            forget[name] = (*forget.get(name, ()), unwritten.counter.value_key(field))
        for batch in apply:
            commits[batch.task.name] = _finish(transaction, ledger[batch.task.name], batch, observe)
            report.batches += 1
            report.writes += batch.link.writes
    report.quarantined = len(quarantined)
    verdicts = Verdicts(
        ledger,
        commits,
        tuple(acknowledge),
        tuple(apply),
        tuple(quarantined),
        frozenset(not_confirmed),
        forget,
        tuple(fence_anew),
    )
    return verdicts, report


def _has_marks(transaction: Transaction, row: LedgerRow, batch: Batch) -> bool:
    """Whether the database has what each producer wrote into a batch."""
    return all(
        transaction.read_mark(row, producer, batch.link.incarnation) >= mark for producer, mark in batch.marks.items()
    )


def _write(
    transaction: Transaction, batches: Sequence[Batch], ledger: dict[PartitionName, LedgerRow], observe: Observer
) -> WriteOutcome:
    table = batches[0].task.counter.mapping.table
    outcome = write_rows(transaction, merge(batches))
    observe(RowsWritten(table, outcome.rows, outcome.statements))
    letters = [_letter(batches, ledger, each) for each in outcome.unwritten if each.reason != IGNORED]
    if letters:
        transaction.add_dead_letters(letters)
        observe(DeadLettersWritten(table, len(letters)))
    return outcome


def _batch_of(batches: Sequence[Batch], unwritten: Unwritten, field: bytes) -> Batch:
    """The batch that a row's amount came from: the counter's partition that the key belongs to."""
    partition = partition_of(field, unwritten.counter.mapping.partitions)
    return next(
        batch
        for batch in batches
        if batch.task.counter.name == unwritten.counter.name and batch.task.name.partition == partition
    )


def _letter(batches: Sequence[Batch], ledger: dict[PartitionName, LedgerRow], unwritten: Unwritten) -> DeadLetter:
    field = unwritten.counter.keys.encode(unwritten.row)
    batch = _batch_of(batches, unwritten, field)
    return DeadLetter(
        row_id=ledger[batch.task.name].row_id,
        key=field.decode(),
        operation="add",
        value=str(unwritten.amount),
        reason=unwritten.reason,
        error=unwritten.error,
        sqlstate=unwritten.sqlstate,
        batch=batch.link.identity,
        birth=batch.link.birth,
    )


def _finish(transaction: Transaction, row: LedgerRow, batch: Batch, observe: Observer) -> int:
    label = batch.task.label
    transaction.write_marks(row, batch.link.incarnation, batch.marks)
    observe(MarksWritten(label, len(batch.marks)))
    commit_number = transaction.move_head(row, batch.link, len(batch.amounts))
    observe(HeadMoved(label, batch.link.identity))
    return commit_number


def _quarantine(transaction: Transaction, row: LedgerRow, batch: Batch) -> int:
    """Put a batch aside for a person: its amounts as dead letters, its producers' marks as an incident.

    What is put aside may repeat what the database has: producers that live write again what it lost.
    """
    link = batch.link
    transaction.add_dead_letters(
        [
            DeadLetter(
                row.row_id, field.decode(), "add", str(amount), "quarantine", LOST_BRANCH, "", link.identity, link.birth
            )
            for field, amount in sorted(batch.amounts.items())
        ]
    )
    transaction.add_incident(
        row,
        "lost_branch",
        {
            "batch": link.identity,
            "parent": link.parent,
            "incarnation": link.incarnation,
            "head": row.head,
            "writes": link.writes,
            "producers_last_sequence": dict(batch.marks),
            "note": "may repeat what the database has",
        },
    )
    return transaction.remember_quarantined(row, link)
