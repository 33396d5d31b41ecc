"""The audit of the games: what each row must be by the journal, against every row of both databases.

The writes to one key come one after the other, from one client. So a row is what the acknowledged writes make of it;
an unanswered write opens a second possibility, which lasts until a later write decides the same anyway.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from writebehind.demo.games.journal import Change, Key, Write
from writebehind.demo.games.scenario import CLICKS, MAPPINGS, PROFILES, SCORES

Row: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = Mapping[Key, Sequence[Row]]
"""The rows of a table by key. Only clicks, which have no unique key, could be there twice."""

_PROFILE_COLUMNS = ("name", "plan", "games", "last_seen_us")
_NEW_PROFILE: Row = (None, "free", 0, None)
"""The table's defaults."""


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that is wrong: what it may be (None is no row), and what is there."""

    key: Key
    possible: frozenset[Row | None]
    stored: Sequence[Row]

    def __str__(self) -> str:
        expected = " or ".join(sorted("no row" if row is None else str(row) for row in self.possible))
        found = " and ".join(map(str, self.stored)) or "no row"
        return f"{'/'.join(map(str, self.key))}: by the answers {expected}, stored {found}"


@dataclass(frozen=True, slots=True)
class MappingAudit:
    """The outcome for one mapping. Writes are scores, changes of profiles, clicks."""

    mapping: str
    acknowledged: int
    unanswered: int
    rows: int
    differences: tuple[RowDifference, ...]


def audit_games(writes: Sequence[Write], stored: Mapping[str, Rows]) -> list[MappingAudit]:
    """Compare every row of every mapping."""
    return [_audit(mapping, [w for w in writes if w.mapping == mapping], stored[mapping]) for mapping in MAPPINGS]


def _audit(mapping: str, writes: Sequence[Write], stored: Rows) -> MappingAudit:
    possible = possible_rows(writes)
    differences = []
    for key in sorted(possible.keys() | stored.keys()):
        found = stored.get(key, ())
        allowed = possible.get(key, frozenset({None}))
        if len(found) > 1 or (found[0] if found else None) not in allowed:
            differences.append(RowDifference(key, allowed, found))
    counts: Tally[str] = Tally()
    for write in writes:
        counts[write.outcome] += len(write.changes)
    return MappingAudit(
        mapping,
        counts["acknowledged"],
        counts["unanswered"],
        sum(map(len, stored.values())),
        tuple(differences),
    )


def possible_rows(writes: Iterable[Write]) -> dict[Key, frozenset[Row | None]]:
    """What each row of a mapping may be after these writes. None is no row."""
    possible: dict[Key, frozenset[Row | None]] = {}
    for write in writes:
        for key, change in write.changes:
            before = possible.get(key, frozenset({None}))
            after = frozenset(_RULES[write.mapping](row, change) for row in before)
            match write.outcome:
                case "acknowledged":
                    possible[key] = after
                case "unanswered":
                    possible[key] = before | after
                case "refused":
                    possible[key] = before
    return possible


def top_by_journal(writes: Iterable[Write], board: str, count: int) -> list[tuple[str, int]] | None:
    """The first places of a board, equal scores as Redis ranks them; None where an unanswered score leaves it open."""
    places = []
    for (name, player), rows in possible_rows(w for w in writes if w.mapping == SCORES).items():
        if name == board:
            if len(rows) > 1:
                return None
            places += [(row[0], str(player)) for row in rows if row is not None]
    places.sort(key=lambda place: (place[0], place[1].encode()), reverse=True)
    return [(player, points) for points, player in places[:count]]


def _best(row: Row | None, change: Change) -> Row:
    (points,) = change
    return (points,) if row is None else (max(row[0], points),)


def _last(row: Row | None, change: Change) -> Row | None:
    operation, columns = change
    if operation == "delete":
        return None
    before = row if row is not None and operation == "patch" else _NEW_PROFILE
    return tuple(columns.get(name, value) for name, value in zip(_PROFILE_COLUMNS, before, strict=True))


def _appended(_row: Row | None, change: Change) -> Row:
    return tuple(change)


_RULES = {SCORES: _best, PROFILES: _last, CLICKS: _appended}
