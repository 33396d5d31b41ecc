"""What one flush works on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from writebehind.cache.keys import MARK_FIELD, PartitionKeys
from writebehind.chain import Link
from writebehind.databases.contract import LedgerRow, PartitionName
from writebehind.errors import KeyRefused
from writebehind.mapping import BoundMapping


@dataclass(frozen=True, slots=True)
class Task:
    """One partition as the flush sees it."""

    name: PartitionName
    keys: PartitionKeys
    mapping: BoundMapping

    @property
    def layout(self) -> str:
        return str(self.mapping.mapping.partitions)

    @property
    def label(self) -> str:
        """For people: ``videos.likes/0``."""
        return f"{self.name.mapping}/{self.name.partition}"

    @property
    def is_event_log(self) -> bool:
        """Whether its batches are streams."""
        return self.mapping.kind == "event"

    def value_keys(self, fields: Iterable[bytes]) -> tuple[bytes, ...]:
        """The cached values that changes of these fields change; none of what is no field of this mapping."""
        keys: dict[bytes, None] = {}
        for each in () if self.is_event_log else fields:
            if each != MARK_FIELD:
                with suppress(KeyRefused):
                    keys[self.mapping.value_key(each)] = None
        return tuple(keys)


@dataclass(frozen=True, slots=True)
class CapturedPart:
    """What a batch has captured of one key; see ``lua/capture.lua``.

    ``start``: what had been captured of the key before, None where it does not matter; ``value``: what has been
    captured with this batch; ``amount``: the captured part of the field's amount.
    """

    key: str
    start: int | None
    value: int
    amount: int

    @classmethod
    def parse(cls, text: bytes) -> CapturedPart:
        """Read what the cache's functions wrote."""
        start, value, amount, key = text.split(b" ", 3)
        return cls(key.decode(), None if start == b"=" else int(start), int(value), int(amount))


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of a batch: changes by field, or the events with their positions; and marks by producer."""

    changes: Mapping[bytes, bytes]
    events: Sequence[tuple[int, bytes]]
    marks: Mapping[str, int]
    captured: Mapping[bytes, CapturedPart] = field(default_factory=dict)
    """By field: which part of its amount was captured from a key of the application's own."""

    def __len__(self) -> int:
        return len(self.changes) or len(self.events)


NOTHING = Content({}, (), {})
"""What is in a fence."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A front link of a chain with its content.

    ``head_seen_before`` is the database's head as it was read before the link was seen; ``incarnation``
    is the cache's present one.
    """

    task: Task
    link: Link
    content: Content
    head_seen_before: str
    incarnation: str

    def value_keys(self) -> tuple[bytes, ...]:
        """The cached values that its changes have changed."""
        return self.task.value_keys(self.content.changes)


@dataclass(slots=True)
class FlushReport:
    """What a flush did: batches and rows applied, writes that they stood for, SQL statements that wrote
    rows, dead letters, quarantined batches, and how long it took.
    """

    batches: int = 0
    writes: int = 0
    rows: int = 0
    statements: int = 0
    dead_letters: int = 0
    quarantined: int = 0
    seconds: float = 0.0

    def add(self, other: FlushReport) -> None:
        """Take another report's figures into this one; the time is whoever's measures the whole."""
        self.batches += other.batches
        self.writes += other.writes
        self.rows += other.rows
        self.statements += other.statements
        self.dead_letters += other.dead_letters
        self.quarantined += other.quarantined


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became of the fronts of one transaction. Everything in ``acknowledge`` leaves the cache now."""

    ledger: Mapping[PartitionName, LedgerRow]
    commits: Mapping[PartitionName, int]
    acknowledge: tuple[Batch, ...]
    applied: tuple[Batch, ...]
    quarantined: tuple[Batch, ...]
    not_confirmed: frozenset[str]
    """Identities of batches whose producers must keep their writes: the database does not have them."""
    forget: Mapping[PartitionName, tuple[bytes, ...]]
    fence_anew: tuple[Task, ...]


def group_by_table(tasks: Iterable[Task]) -> list[tuple[Task, ...]]:
    """Tasks of one database that share a table's statement, in a stable order."""
    groups: dict[tuple[object, ...], list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.mapping.table_group, []).append(task)
    return [tuple(group) for group in groups.values()]
