"""When a flush is due: by the age of the first dirty write, by size, by leftovers, or because someone asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from writebehind.cache import calls
from writebehind.cache.link import Link
from writebehind.flush.task import Task


@dataclass(frozen=True, slots=True)
class Dirt:
    """What is pending in one partition. ``oldest_ms`` is the age of the oldest pending write, by the cache's clock."""

    task: Task
    open_fields: int
    open_writes: int
    sealed: int
    sealed_fields: int
    sealed_writes: int
    oldest_ms: int
    flush_asked: bool
    incarnation: str

    @property
    def is_clean(self) -> bool:
        return not (self.open_fields or self.sealed)


def look(cache: Link, tasks: Sequence[Task]) -> list[Dirt]:
    """What is pending in each partition, in one round trip."""
    asked: list[calls.Call[object]] = [calls.server_time_ms()]
    for task in tasks:
        asked.append(calls.header(task.keys))
        asked.append(calls.batch_length(task.keys.open, is_stream=task.is_event_log))
        asked.append(calls.queue(task.keys))
    now_ms, *replies = cache.execute_all(asked)
    assert isinstance(now_ms, int)
    dirt = []
    for index, task in enumerate(tasks):
        header, open_fields, queue = replies[3 * index : 3 * index + 3]
        assert isinstance(header, calls.Header)
        assert isinstance(open_fields, int)
        assert isinstance(queue, tuple)
        first_writes = [link.first_write_ms for link in queue]
        if header.first_write_ms is not None:
            first_writes.append(header.first_write_ms)
        dirt.append(
            Dirt(
                task=task,
                open_fields=open_fields,
                open_writes=header.writes,
                sealed=len(queue),
                sealed_fields=header.sealed_fields,
                sealed_writes=sum(link.writes for link in queue),
                oldest_ms=max(0, now_ms - min(first_writes)) if first_writes else 0,
                flush_asked=header.flush_asked,
                incarnation=header.incarnation,
            )
        )
    return dirt


def is_due(dirt: Dirt, *, flush_after_ms: int, flush_rows: int) -> bool:
    """Whether a partition must be flushed now.

    The age runs from the first dirty write and is never postponed by later ones, so that a key that is
    written all the time is flushed too. Sealed batches (leftovers, and fences, for which rolled-back
    writers wait) are always due.
    """
    if dirt.is_clean:
        return False
    return bool(dirt.sealed or dirt.flush_asked or dirt.open_fields >= flush_rows or dirt.oldest_ms >= flush_after_ms)
