"""Score changes sorted by what a database has to do with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from writebehind.databases.contract import ScoreRows
from writebehind.mapping import Keep
from writebehind.scores import Units
from writebehind.values import Row


@dataclass(frozen=True, slots=True)
class RuledScores:
    """Scores that meet the scores of their rows by one rule, in the order of their keys."""

    keep: Keep
    rows: Sequence[Row]
    units: Sequence[Units]


def removed_rows(change: ScoreRows) -> list[Row]:
    """The keys of the rows to remove."""
    return [row for row, each in zip(change.rows, change.changes, strict=True) if each.operation == "delete"]


def ruled_scores(change: ScoreRows) -> Iterator[RuledScores]:
    """The scores to write, by rule: the board's own, and "last" for what replaces the row's score."""
    keep_of: dict[str, Keep] = {"merge": change.leaderboard.mapping.keep, "set": "last"}
    for keep in dict.fromkeys(keep_of.values()):
        operations = [operation for operation, rule in keep_of.items() if rule == keep]
        chosen = [
            (row, each.units)
            for row, each in zip(change.rows, change.changes, strict=True)
            if each.operation in operations
        ]
        if chosen:
            rows, units = zip(*chosen, strict=True)
            yield RuledScores(keep, rows, units)
