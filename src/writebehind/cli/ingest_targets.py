"""What each mapping of ``ingest`` writes for a record: checked and encoded, and not yet written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from writebehind.client.flows.base import Intent
from writebehind.client.flows.counters import CounterFlows
from writebehind.client.flows.events import EventFlows
from writebehind.client.flows.leaderboards import LeaderboardFlows
from writebehind.client.flows.records import RecordFlows
from writebehind.columns import ColumnType
from writebehind.errors import ColumnMissing
from writebehind.ingest import (
    COMBINED_FIELDS,
    CounterOption,
    EventsOption,
    Format,
    LeaderboardOption,
    Option,
    RecordsOption,
    Source,
    Unusable,
    column_value,
    score_value,
)

if TYPE_CHECKING:
    from writebehind.client.core import AnyFlows


class Target(Protocol):
    """A mapping and the option that feeds it."""

    def intent(self, fields: Mapping[str, object]) -> Intent | Unusable:
        """What a record writes to the mapping, or why it cannot.

        :raises ValueRefused: the key or a value does not fit its column.
        """
        ...


def target_of(option: Option, flows: AnyFlows, format_: Format) -> Target:
    """The target for an option, once its mapping is open.

    :raises ColumnMissing: the table lacks a column that the option fills.
    """
    match option, flows:
        case CounterOption(), CounterFlows():
            return CounterTarget(option, flows)
        case LeaderboardOption(), LeaderboardFlows():
            return LeaderboardTarget(option, flows)
        case RecordsOption(), RecordFlows():
            _check_columns(option, flows.columns)
            return RecordsTarget(option, flows, format_)
        case EventsOption(), EventFlows():
            if option.takes_every_field:
                option = _every_field(option, flows.columns, format_)
            _check_columns(option, flows.columns)
            return EventsTarget(option, flows, format_)
    raise AssertionError(f"{option.flag} feeds another kind of mapping")


@dataclass(frozen=True, slots=True)
class CounterTarget:
    option: CounterOption
    flows: CounterFlows[Any]

    def intent(self, fields: Mapping[str, object]) -> Intent | Unusable:
        counted = self.option.read(fields)
        return counted if isinstance(counted, Unusable) else self.flows.addition(counted.key, counted.amount)


@dataclass(frozen=True, slots=True)
class LeaderboardTarget:
    option: LeaderboardOption
    flows: LeaderboardFlows[Any]

    def intent(self, fields: Mapping[str, object]) -> Intent | Unusable:
        scored = self.option.read(fields)
        if isinstance(scored, Unusable):
            return scored
        score = score_value(scored.score, self.option.score_field, self.flows.scores)
        return score if isinstance(score, Unusable) else self.flows.submission(scored.member, score, scored.board)


@dataclass(frozen=True, slots=True)
class RecordsTarget:
    option: RecordsOption
    flows: RecordFlows
    format: Format

    def intent(self, fields: Mapping[str, object]) -> Intent | Unusable:
        row = self.option.read(fields)
        if isinstance(row, Unusable):
            return row
        values = _column_values(row.values, self.flows.columns, self.format)
        return values if isinstance(values, Unusable) else self.flows.patching(row.key, values)


@dataclass(frozen=True, slots=True)
class EventsTarget:
    option: EventsOption
    flows: EventFlows
    format: Format

    def intent(self, fields: Mapping[str, object]) -> Intent | Unusable:
        row = self.option.read(fields)
        if isinstance(row, Unusable):
            return row
        # NULL and not left out, where that can be: events with the same columns share a statement, and their order.
        columns = self.flows.columns
        given = {
            source: field
            for source, field in row.values.items()
            if field is not None or not columns[source.column].is_required
        }
        values = _column_values(given, columns, self.format)
        return values if isinstance(values, Unusable) else self.flows.appending(values)


def _column_values(
    values: Mapping[Source, object], columns: Mapping[str, ColumnType], format_: Format
) -> dict[str, object] | Unusable:
    found = {}
    for source, field in values.items():
        value = column_value(field, source, columns[source.column], format_)
        if isinstance(value, Unusable):
            return value
        found[source.column] = value
    return found


def _every_field(option: EventsOption, columns: Mapping[str, ColumnType], format_: Format) -> EventsOption:
    """``*``: each column of the table takes the field of its name, if the format has such a field."""
    wanted = tuple(name for name in columns if format_ != "combined" or name in COMBINED_FIELDS)
    if not wanted:
        raise ColumnMissing(
            f"no column of the table {option.table!r} is named like a field of the {format_} format",
            why=f"it has {', '.join(sorted(columns))}",
            fix=f"Say which column takes which field: {option.flag} {option.table}=COLUMN=FIELD,...",
        )
    return option.of_columns(wanted)


def _check_columns(option: RecordsOption | EventsOption, columns: Mapping[str, ColumnType]) -> None:
    for source in option.sources:
        if source.column not in columns:
            raise ColumnMissing(
                f"the table {option.table!r} has no column {source.column!r} that {option.flag} can fill",
                why=f"it has {', '.join(sorted(columns))}",
                fix=f"Write COLUMN={source.field} with one of them, or add the column.",
            )
