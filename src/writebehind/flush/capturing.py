"""The captured part of a batch, held against what the database has of it: nothing is counted twice.

What an application counted in its own keys has no sequence number. When the cache forgets its last moments, the
application's INCR may survive and its capture not: it is captured again, in another batch, while the first one may be
in the database already. So the database keeps, for each key, what it was worth when it was last captured, and a batch
says from which worth to which it goes.
"""

from __future__ import annotations

from dataclasses import replace

from writebehind.cache.keys import MARK_FIELD
from writebehind.databases.contract import LedgerRow, Transaction
from writebehind.flush.task import Batch, CapturedPart


def settle_captured(transaction: Transaction, row: LedgerRow, batch: Batch) -> tuple[Batch, tuple[bytes, ...]]:
    """The batch as it is to be written, and the fields whose amounts had to be changed; notes what keys are worth now.

    Where the database does not have the worth that the batch starts from, the cache was rolled back in between: then
    only what goes beyond the worth that the database has is new.
    """
    content = batch.content
    if not content.captured:
        return batch, ()
    known = transaction.read_captured(row, [part.key for part in content.captured.values()])
    changes = dict(content.changes)
    changed: list[bytes] = []
    for field, part in content.captured.items():
        if field == MARK_FIELD:
            changes.pop(field, None)
            continue
        amount = int(changes[field])
        counted = counted_amount(part, known.get(part.key, 0))
        if counted != part.amount:
            amount += counted - part.amount
            changed.append(field)
        if amount:
            changes[field] = b"%d" % amount
        else:
            del changes[field]
    transaction.write_captured(row, {part.key: part.value for part in content.captured.values()})
    return replace(batch, content=replace(content, changes=changes)), tuple(changed)


def counted_amount(part: CapturedPart, known: int) -> int:
    """How much of a captured amount counts, where the database knows the key at the worth ``known``."""
    if part.start is None or part.start == known:
        return part.amount
    return max(0, part.value - known)
