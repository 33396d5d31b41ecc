"""Events grouped by the columns that they have: a statement has one list of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from writebehind.columns import Text
from writebehind.databases.contract import EventRows

SLICE_EVENTS = 500
"""How many events are encoded at a time: few, so that the server works on one slice while the next is encoded."""


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Events with the same columns, in their order; the last column is their position's, if the log has one."""

    columns: Sequence[str]
    events: Sequence[Mapping[str, Text]]
    positions: Sequence[int] | None

    def slices(self) -> Iterator[list[list[Text]]]:
        """The texts of each column, for one slice of the events after another."""
        for start in range(0, len(self.events), SLICE_EVENTS):
            stop = start + SLICE_EVENTS
            events = self.events[start:stop]
            names = self.columns if self.positions is None else self.columns[:-1]
            columns: list[list[Text]] = [list(map(itemgetter(name), events)) for name in names]
            if self.positions is not None:
                columns.append(list(map(str, self.positions[start:stop])))
            yield columns


def event_groups(change: EventRows) -> Iterator[EventGroup]:
    """The events by set of columns, in the order in which the sets appear."""
    position = change.log.mapping.position
    for numbers in _numbers_by_columns(change.events):
        names = tuple(change.events[numbers[0]])
        yield EventGroup(
            columns=names if position is None else (*names, position),
            events=[change.events[number] for number in numbers],
            positions=None if position is None else [change.positions[number] for number in numbers],
        )


def _numbers_by_columns(events: Sequence[Mapping[str, Text]]) -> list[list[int]]:
    of_set: dict[frozenset[str], list[int]] = {}
    of_names: dict[tuple[str, ...], list[int]] = {}  # the same lists; names in one order are quicker to ask than a set
    for number, event in enumerate(events):
        names = tuple(event)
        numbers = of_names.get(names)
        if numbers is None:
            numbers = of_names[names] = of_set.setdefault(frozenset(names), [])
        numbers.append(number)
    return list(of_set.values())
