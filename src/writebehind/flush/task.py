"""What one flush works on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from writebehind.cache.keys import PartitionKeys
from writebehind.chain import Link
from writebehind.databases.contract import LedgerRow, PartitionName
from writebehind.mapping import BoundCounter


@dataclass(frozen=True, slots=True)
class Task:
    """One partition as the flush sees it."""

    name: PartitionName
    keys: PartitionKeys
    counter: BoundCounter

    @property
    def layout(self) -> str:
        return str(self.counter.mapping.partitions)

    @property
    def label(self) -> str:
        """For people: ``videos.likes/0``."""
        return f"{self.name.mapping}/{self.name.partition}"

    @property
    def table_group(self) -> tuple[object, ...]:
        """Partitions that are equal in this share a transaction, and a statement."""
        mapping = self.counter.mapping
        return (mapping.table, tuple(column.name for column in self.counter.keys.columns), mapping.missing)


@dataclass(frozen=True, slots=True)
class Batch:
    """A front link of a chain with what was read of it: amounts by field, marks by producer.

    ``head_seen_before`` is the database's head as it was read before the link was seen; ``incarnation``
    is the cache's present one.
    """

    task: Task
    link: Link
    amounts: Mapping[bytes, int]
    marks: Mapping[str, int]
    head_seen_before: str
    incarnation: str


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
    """Tasks that share a table's statement, in a stable order."""
    groups: dict[tuple[object, ...], list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.table_group, []).append(task)
    return [tuple(group) for group in groups.values()]
