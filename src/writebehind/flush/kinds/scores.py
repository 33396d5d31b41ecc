"""Leaderboards: scores that meet their rows' by the board's rule."""

from __future__ import annotations

from collections.abc import Sequence

from writebehind.changes import ScoreChange, ScoreRules
from writebehind.databases.contract import ScoreRows, Transaction
from writebehind.flush.bisecting import write_all_but_bad
from writebehind.flush.kinds.outcome import Outcome, Unwritten
from writebehind.flush.task import Batch
from writebehind.mapping import BoundLeaderboard
from writebehind.values import Row


def write(transaction: Transaction, batches: Sequence[Batch]) -> Outcome:
    """Write the scores of a leaderboard's batches, sorted by key; what cannot be written comes back."""
    leaderboard = batches[0].task.mapping
    assert isinstance(leaderboard, BoundLeaderboard)
    rules = ScoreRules(leaderboard.mapping.keep, leaderboard.scores)
    outcome = Outcome()
    entries: list[tuple[Row, bytes, Batch, ScoreChange]] = []
    for batch in batches:
        for field, text in batch.content.changes.items():
            try:
                entries.append((leaderboard.keys.decode(field), field, batch, rules.decode(text)))
            except ValueError as error:
                outcome.add_unreadable(batch, field, text, error)
    entries.sort(key=lambda entry: entry[0])

    def write_some(indices: Sequence[int]) -> ScoreRows:
        some = [entries[index] for index in indices]
        return ScoreRows(leaderboard, [row for row, _, _, _ in some], [change for _, _, _, change in some])

    def is_bad(index: int, error: object) -> None:
        _, field, batch, change = entries[index]
        sqlstate = str(getattr(error, "sqlstate", ""))
        outcome.unwritten.append(Unwritten(batch, field, rules.encode(change), "row_refused", str(error), sqlstate))

    write_all_but_bad(
        len(entries),
        lambda indices: outcome.attempt(transaction, lambda: transaction.write_scores(write_some(indices))),
        is_bad,
    )
    return outcome
