"""What writing records has in common in all databases: which columns a batch names, and in which sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from writebehind.databases.contract import RecordRows
from writebehind.errors import RowRefused


def named_columns(change: RecordRows, positions: Iterable[int]) -> list[str]:
    """The columns that some row names, in the table's order: no other one may be in a statement.

    :raises RowRefused: a row names a column that is not the mapping's.
    """
    named = {name for position in positions for name in change.changes[position].columns}
    if unknown := named - change.records.columns.keys():
        name = min(unknown)
        why = change.records.refusals.get(name, "it is not among the columns of the mapping")
        raise RowRefused(
            f"a record of {change.records.name!r} was refused",
            why=f"the column {name!r}: {why}",
            sqlstate="42703",
        )
    return [name for name in change.records.columns if name in named]


def positions_by_columns(change: RecordRows, positions: Iterable[int]) -> list[tuple[list[str], Sequence[int]]]:
    """The rows by the set of columns that they name, in their order.

    :raises RowRefused: a row names a column that is not the mapping's.
    """
    groups: dict[frozenset[str], list[int]] = {}
    for position in positions:
        groups.setdefault(frozenset(change.changes[position].columns), []).append(position)
    return [(named_columns(change, group[:1]), group) for group in groups.values()]
