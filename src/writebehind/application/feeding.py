"""What a program that feeds many lines into several mappings needs of a ``WriteBehind``, beyond its doors."""

from __future__ import annotations

from collections.abc import Sequence

from writebehind.application.blocking import WriteBehind
from writebehind.application.foundation import AnyMapping
from writebehind.client.core import AnyFlows
from writebehind.client.joint_writes import JointWrites
from writebehind.mapping import NewColumn


def declare(wb: WriteBehind, mapping: AnyMapping, database: str | None) -> None:
    """Declare a mapping whose totals or scores nobody will read, so that its column may hold any numbers."""
    wb._declare(mapping, database=database)


def create_table(
    wb: WriteBehind, table: str, columns: Sequence[NewColumn], key: Sequence[str], database: str | None
) -> None:
    """Create a table, if it does not exist, in the common database or the one with this URL."""
    wb._declarations.create_table(table, columns, key, url=database)


def flows_of(wb: WriteBehind, mapping: str) -> AnyFlows:
    """What an open mapping can be asked to write."""
    return wb._world(mapping)[0]


def joint_writes(wb: WriteBehind) -> JointWrites:
    """Where writes to several mappings are buffered together."""
    runtime = wb._runtime_now()
    assert wb._threads is not None
    return JointWrites(runtime.client, wb._threads)
