"""The database transaction of a flush: ledger rows first, then rows, marks and heads, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from writebehind.cache.keys import MARK_FIELD
from writebehind.chain import Verdict, judge
from writebehind.databases.contract import Database, DeadLetter, LedgerRow, PartitionName, Transaction
from writebehind.flush.capturing import settle_captured
from writebehind.flush.kinds import IGNORED, OPERATIONS, Outcome, Unwritten, readable, write_batches
from writebehind.flush.task import Batch, FlushReport, Task, Verdicts
from writebehind.observe import (
    DeadLettersWritten,
    HeadMoved,
    MarksWritten,
    Observer,
    PartitionsLocked,
    RowsWritten,
)

LOST_BRANCH = "the database's history does not continue with this batch"


def apply_batches(
    database: Database, transaction: Transaction, batches: Sequence[Batch], observe: Observer, *, careful: bool = False
) -> tuple[Verdicts, FlushReport]:
    """Judge each front under lock, then write what is to be applied, all of one table.

    A partition that must look again leaves before any row is written; it is not in the verdicts. ``careful``: see
    ``write_batches``, which may raise RowRefused without it.
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
                batch, changed = settle_captured(transaction, row, batch)
                apply.append(batch)
                if changed:
                    forget[name] = tuple(batch.task.mapping.value_key(field) for field in changed)
            case Verdict.APPLY_FENCE:
                commits[name] = transaction.move_head(row, link, 0)
                observe(HeadMoved(batch.task.label, link.identity))
            case Verdict.QUARANTINE:
                commits[name] = _quarantine(transaction, row, batch)
                forget[name] = batch.value_keys()
                quarantined.append(batch)
                not_confirmed.add(link.identity)
                if link.incarnation == batch.incarnation and not link.is_fence:
                    fence_anew.append(batch.task)
            case Verdict.ACKNOWLEDGE:
                # Whoever applied it may have died before it told the cache which totals are not right any more.
                forget[name] = batch.value_keys()
                if not _has_marks(transaction, row, batch):
                    not_confirmed.add(link.identity)  # it was quarantined before, by a worker that died then
                    if link.incarnation == batch.incarnation:
                        fence_anew.append(batch.task)
        acknowledge.append(batch)
    if apply:
        outcome = _write(database, transaction, apply, ledger, observe, careful=careful)
        report.rows, report.statements = outcome.rows, outcome.statements
        report.dead_letters = sum(unwritten.reason != IGNORED for unwritten in outcome.unwritten)
        for unwritten in outcome.unwritten:
            task = unwritten.batch.task
            forget[task.name] = (*forget.get(task.name, ()), *task.value_keys([unwritten.key]))
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
        transaction.read_mark(row, producer, batch.link.incarnation) >= mark
        for producer, mark in batch.content.marks.items()
    )


def _write(
    database: Database,
    transaction: Transaction,
    batches: Sequence[Batch],
    ledger: dict[PartitionName, LedgerRow],
    observe: Observer,
    *,
    careful: bool,
) -> Outcome:
    table = batches[0].task.mapping.mapping.table
    outcome = write_batches(database, transaction, batches, careful=careful)
    observe(RowsWritten(table, outcome.rows, outcome.statements))
    letters = [_letter(ledger, each) for each in outcome.unwritten if each.reason != IGNORED]
    if letters:
        transaction.add_dead_letters(letters)
        observe(DeadLettersWritten(table, len(letters)))
    return outcome


def _letter(ledger: dict[PartitionName, LedgerRow], unwritten: Unwritten) -> DeadLetter:
    batch = unwritten.batch
    return DeadLetter(
        row_id=ledger[batch.task.name].row_id,
        key=readable(unwritten.key),
        operation=OPERATIONS[batch.task.mapping.kind],
        value=unwritten.value,
        reason=unwritten.reason,
        error=unwritten.error,
        sqlstate=unwritten.sqlstate,
        batch=batch.link.identity,
        birth=batch.link.birth,
    )


def _finish(transaction: Transaction, row: LedgerRow, batch: Batch, observe: Observer) -> int:
    label = batch.task.label
    transaction.write_marks(row, batch.link.incarnation, batch.content.marks)
    observe(MarksWritten(label, len(batch.content.marks)))
    commit_number = transaction.move_head(row, batch.link, len(batch.content))
    observe(HeadMoved(label, batch.link.identity))
    return commit_number


def _quarantine(transaction: Transaction, row: LedgerRow, batch: Batch) -> int:
    """Put a batch aside for a person: its content as dead letters, its producers' marks as an incident.

    What is put aside may repeat what the database has: producers that live write again what it lost.
    """
    link, operation = batch.link, OPERATIONS[batch.task.mapping.kind]
    transaction.add_dead_letters(
        [
            DeadLetter(row.row_id, key, operation, value, "quarantine", LOST_BRANCH, "", link.identity, link.birth)
            for key, value in _contents(batch)
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
            "producers_last_sequence": dict(batch.content.marks),
            "note": "may repeat what the database has",
        },
    )
    return transaction.remember_quarantined(row, link)


def _contents(batch: Batch) -> list[tuple[str, str]]:
    """Key and value of everything in a batch, as dead letters show them."""
    changes = [
        (readable(field), readable(value))
        for field, value in sorted(batch.content.changes.items())
        if field != MARK_FIELD
    ]
    return changes or [(str(position), readable(text)) for position, text in batch.content.events]
