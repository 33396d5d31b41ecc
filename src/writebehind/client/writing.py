"""How each kind of mapping writes: its groups, its rules, and the call that brings a group into the cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from writebehind.cache import calls
from writebehind.cache.calls import Argument, Call, GroupHead, WriteReply
from writebehind.cache.keys import PartitionKeys
from writebehind.changes import RecordRules, Rules, ScoreRules
from writebehind.client.change_groups import ChangeGroup
from writebehind.client.event_groups import EventGroup
from writebehind.client.groups import AmountGroup, WriteGroup
from writebehind.mapping import BoundCounter, BoundEvents, BoundLeaderboard, BoundMapping, BoundRecords


class Writing(Protocol):
    """One mapping's way to write."""

    @property
    def rules(self) -> Rules[Any] | None:
        """How changes of one key follow each other; None where that decides nothing of what is written again."""
        ...

    def new_group(self, *, want_totals: bool = False, solo: bool = False) -> WriteGroup:
        """An empty group."""
        ...

    def call(self, keys: PartitionKeys, head: GroupHead, group: Any) -> Call[WriteReply]:
        """The call that brings a group into the cache."""
        ...


class CounterWriting:
    """Amounts; sums do not depend on their order."""

    rules: Rules[Any] | None = None

    def __init__(self, counter: BoundCounter) -> None:
        self._value_key = counter.value_key

    def new_group(self, *, want_totals: bool = False, solo: bool = False) -> WriteGroup:
        return AmountGroup(want_totals=want_totals, solo=solo)

    def call(self, keys: PartitionKeys, head: GroupHead, group: AmountGroup) -> Call[WriteReply]:
        value_keys = [self._value_key(field) for field in group.amounts]
        return calls.write_amounts(keys, head, value_keys, group.flat(), want_totals=group.want_totals)


class ScoreWriting:
    """Scores by member, and the boards that they are on."""

    def __init__(self, leaderboard: BoundLeaderboard) -> None:
        self._leaderboard = leaderboard
        self.rules: Rules[Any] | None = ScoreRules(leaderboard.mapping.keep, leaderboard.scores)

    def new_group(self, *, want_totals: bool = False, solo: bool = False) -> WriteGroup:
        assert self.rules is not None
        return ChangeGroup(self.rules, _pair, want_totals=want_totals, solo=solo)

    def call(self, keys: PartitionKeys, head: GroupHead, group: ChangeGroup) -> Call[WriteReply]:
        boards: dict[bytes, int] = {}
        entries: list[Argument] = []
        flat = group.flat()
        for field, change in zip(flat[::2], flat[1::2], strict=True):
            assert isinstance(field, bytes)
            board, member = self._leaderboard.split(field)
            entries += (field, change, member, boards.setdefault(board, len(boards) + 1))
        board_keys = [key for board in boards for key in (self._leaderboard.board_key(board), keys.building(board))]
        return calls.write_scores(keys, head, board_keys, entries, keep=self._leaderboard.mapping.keep)


class RecordWriting:
    """Changes of records by key."""

    def __init__(self, records: BoundRecords) -> None:
        self._value_key = records.value_key
        self._version_column = records.mapping.version or ""
        self._rules = record_rules(records)
        self.rules: Rules[Any] | None = self._rules

    def new_group(self, *, want_totals: bool = False, solo: bool = False) -> WriteGroup:
        return ChangeGroup(self._rules, _pair, want_totals=want_totals, solo=solo)

    def call(self, keys: PartitionKeys, head: GroupHead, group: ChangeGroup) -> Call[WriteReply]:
        entries = group.flat()
        value_keys = [self._value_key(field) for field in entries[::2] if isinstance(field, bytes)]
        return calls.write_records(
            keys,
            head,
            value_keys,
            entries,
            version_column=self._version_column,
            version_kind=self._rules.version_kind,
        )


class EventWriting:
    """Events, of which every one is kept."""

    rules: Rules[Any] | None = None

    def new_group(self, *, want_totals: bool = False, solo: bool = False) -> WriteGroup:
        return EventGroup(want_totals=want_totals, solo=solo)

    def call(self, keys: PartitionKeys, head: GroupHead, group: EventGroup) -> Call[WriteReply]:
        return calls.write_events(keys, head, group.flat())


def record_rules(records: BoundRecords) -> RecordRules:
    """The rules of a record mapping: the order of acceptance, or its version column."""
    version = records.version_type
    if version is None:
        return RecordRules()
    return RecordRules("integer" if version.kind == "integer" else "text")


def writing_of(mapping: BoundMapping) -> Writing:
    """How a mapping writes, by its kind."""
    match mapping:
        case BoundCounter():
            return CounterWriting(mapping)
        case BoundLeaderboard():
            return ScoreWriting(mapping)
        case BoundRecords():
            return RecordWriting(mapping)
        case BoundEvents():
            return EventWriting()
        case _:
            raise AssertionError(f"a kind of mapping that is not known: {mapping.kind}")


def _pair(field: bytes, change: str) -> Sequence[Argument]:
    return (field, change)
