"""The exact read: database at its head + sealed batches after that head + open batch.

The chain and the pending amounts are read first, then row and head in one SQL statement. Only batches
after that head are added; a head that is not in the chain that was read means: read again. ``Loader`` is
the ``Source`` at which readers gather, so that misses of one instant become one SELECT, and each key is
loaded once however many callers wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from writebehind.cache import calls
from writebehind.chain import Link
from writebehind.client.delivery import Delivery, other_layout
from writebehind.client.effects import Procedure, ask_cache, ask_database, pause
from writebehind.client.gathering import Gathered, Gathering
from writebehind.databases.contract import CounterRead, Database
from writebehind.errors import ReadUnsettled, WriteBehindError

MOST_TRIES = 100
TRY_AGAIN_AFTER_S = 0.005
LOAD_FIELDS = 5_000
"""The most keys of one load: bounds the statement and the function call."""


class LoadGroup(Gathered):
    """Fields whose totals are loaded together."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[bytes, None] = {}
        self.totals: dict[bytes, int] = {}


class Loader(Gathering[LoadGroup]):
    """Loads totals of one partition from the database and fills them into the cache. Thread-safe."""

    def __init__(self, delivery: Delivery, database: Database) -> None:
        super().__init__()
        self._delivery = delivery
        self._database = database

    def join(self, fields: Sequence[bytes]) -> LoadGroup:
        """Gather with the callers that wait for the next load."""
        with self._lock:
            if not self._waiting or len(self._waiting[-1].fields) + len(fields) > LOAD_FIELDS:
                self._waiting.append(LoadGroup())
            group = self._waiting[-1]
            group.fields.update(dict.fromkeys(fields))
            return group

    def deliver(self, group: LoadGroup) -> Procedure[None]:
        """Load the group's fields; an error goes to exactly its callers."""
        try:
            group.totals = yield from self._load(list(group.fields))
        except WriteBehindError as error:
            self._finish(group, error)
        else:
            self._finish(group)

    def _load(self, fields: list[bytes]) -> Procedure[dict[bytes, int]]:
        partition = self._delivery.partition
        counter = partition.counter
        rows = [counter.keys.decode(field) for field in fields]
        chain: tuple[Link, ...] = ()
        for _ in range(MOST_TRIES):
            reply = yield from ask_cache(calls.pending(partition.keys, chain, fields, layout=partition.layout))
            match reply:
                case calls.OtherChain(now):
                    chain = now
                    continue
                case calls.NewIncarnation():
                    yield from self._delivery.enter()
                    continue
                case calls.OtherLayout(layout):
                    raise other_layout(partition, layout)
            front = chain[0].identity if chain else None
            read = yield from ask_database(partial(self._database.read_counter, partition.name, counter, rows, front))
            first = first_batch_to_add(reply, read)
            if first is None:
                yield from pause(TRY_AGAIN_AFTER_S)
                continue
            pending = [sum(column) for column in zip(*reply.amounts[first:], strict=True)]
            totals = {
                field: read.values.get(row, 0) + amount
                for field, row, amount in zip(fields, rows, pending, strict=True)
            }
            yield from self._fill(fields, totals, reply)
            return totals
        raise ReadUnsettled(
            f"no exact read of {partition.label} within {MOST_TRIES} tries",
            why="the database's head is not where the cache's chain begins",
            fix="A worker settles this; check that one runs, and `writebehind status`.",
        )

    def _fill(self, fields: list[bytes], totals: dict[bytes, int], reply: calls.Pending) -> Procedure[None]:
        partition = self._delivery.partition
        entries: list[bytes | str | int] = []
        for field, open_amount in zip(fields, reply.amounts[-1], strict=True):
            entries += (field, totals[field], open_amount)
        yield from ask_cache(
            calls.fill(
                partition.keys,
                [partition.counter.value_key(field) for field in fields],
                entries,
                layout=partition.layout,
                last=reply.last,
                generation=reply.generation,
                ttl_ms=partition.counter.mapping.cached_value_ttl_ms,
            )
        )


def first_batch_to_add(pending: calls.Pending, read: CounterRead) -> int | None:
    """The index of the first batch that the database has not applied; None where that cannot be told.

    The open batch has the index ``len(pending.chain)``.
    """
    chain = pending.chain
    for index, link in enumerate(chain):
        if link.identity == read.head:
            return index + 1
    if not chain:
        return 0 if read.head == pending.last else None
    front = chain[0]
    if read.front_is_applied:
        return None  # the database has moved beyond what was read of the chain
    if front.is_fence or front.parent == read.head:
        return 0
    return None
