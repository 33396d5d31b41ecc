"""How the batches of each kind of mapping become rows: one module a kind, one door for the transaction."""

from __future__ import annotations

from collections.abc import Sequence

from writebehind.databases.contract import Database, Transaction
from writebehind.flush.kinds import counters, events, records, scores
from writebehind.flush.kinds.outcome import IGNORED, Outcome, Unwritten, readable
from writebehind.flush.task import Batch

__all__ = ["IGNORED", "OPERATIONS", "Outcome", "Unwritten", "readable", "write_batches"]

OPERATIONS = {"counter": "add", "leaderboard": "score", "record": "record", "event": "append"}
"""What a dead letter of each kind calls its write."""


def write_batches(database: Database, transaction: Transaction, batches: Sequence[Batch], *, careful: bool) -> Outcome:
    """Write the rows of batches that share a table and a kind.

    ``careful``: a row was refused before, and the database has no savepoints, so that bad rows must be found first.
    :raises RowRefused: a row was refused and spoiled the transaction: begin another one, and be careful.
    """
    match batches[0].task.mapping.kind:
        case "counter":
            return counters.write(transaction, batches)
        case "leaderboard":
            return scores.write(transaction, batches)
        case "record":
            return records.write(transaction, batches)
        case "event":
            return events.write(database, transaction, batches, careful=careful)
