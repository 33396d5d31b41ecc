"""The exact read: database at its head + sealed batches after that head + open batch.

The chain and the pending amounts are read first, then row and head in one SQL statement. Only batches
after that head are added; a head that is not in the chain that was read means: read again. ``Loader`` is
the ``Source`` at which readers gather, so that misses of one instant become one SELECT, and each key is
loaded once however many callers wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Generic, TypeVar

from writebehind.cache import calls
from writebehind.chain import Link
from writebehind.client.delivery import Delivery, other_layout
from writebehind.client.effects import Procedure, ask_cache, ask_database, pause
from writebehind.client.gathering import Gathered, Gathering
from writebehind.client.readers import Reader
from writebehind.databases.contract import Database
from writebehind.errors import ReadUnsettled, WriteBehindError

V = TypeVar("V")

MOST_TRIES = 100
TRY_AGAIN_AFTER_S = 0.005
LOAD_FIELDS = 5_000
"""The most keys of one load: bounds the statement and the function call."""


class LoadGroup(Gathered, Generic[V]):
    """Fields whose values are loaded together."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[bytes, None] = {}
        self.values: dict[bytes, V] = {}


class Loader(Gathering[LoadGroup[V]], Generic[V]):
    """Loads values of one partition from the database and fills them into the cache. Thread-safe."""

    def __init__(self, delivery: Delivery, database: Database, reader: Reader[V]) -> None:
        super().__init__()
        self._delivery = delivery
        self._database = database
        self._reader = reader

    def join(self, fields: Sequence[bytes]) -> LoadGroup[V]:
        """Gather with the callers that wait for the next load."""
        with self._lock:
            if not self._waiting or len(self._waiting[-1].fields) + len(fields) > LOAD_FIELDS:
                self._waiting.append(LoadGroup())
            group = self._waiting[-1]
            group.fields.update(dict.fromkeys(fields))
            return group

    def deliver(self, group: LoadGroup[V]) -> Procedure[None]:
        """Load the group's fields; an error goes to exactly its callers."""
        try:
            group.values = yield from self._load(list(group.fields))
        except WriteBehindError as error:
            self._finish(group, error)
        else:
            self._finish(group)

    def _load(self, fields: list[bytes]) -> Procedure[dict[bytes, V]]:
        partition, reader = self._delivery.partition, self._reader
        chain: tuple[Link, ...] = ()
        for _ in range(MOST_TRIES):
            present = partition.lane.incarnation
            reply = yield from ask_cache(
                calls.pending(partition.keys, chain, fields, layout=partition.layout, incarnation=present)
            )
            match reply:
                case calls.OtherChain(now):
                    chain = now
                    continue
                case calls.NewIncarnation(incarnation):
                    yield from self._delivery.meet(incarnation, leaving=present)
                    continue
                case calls.OtherLayout(layout):
                    raise other_layout(partition, layout)
            front = chain[0].identity if chain else None
            rows = yield from ask_database(partial(reader.rows, self._database, partition.name, fields, front))
            first = first_batch_to_add(reply.chain, reply.last, rows.head, front_is_applied=rows.front_is_applied)
            if first is None:
                yield from pause(TRY_AGAIN_AFTER_S)
                continue
            values: dict[bytes, V] = {}
            for field, *changes in zip(fields, *reply.changes[first:], strict=True):
                pending = [change for change in changes if change is not None]
                values[field] = reader.value(rows.by_field.get(field), pending)
            yield from ask_cache(reader.fill(partition, fields, values, reply))
            return values
        raise ReadUnsettled(
            f"no exact read of {partition.label} within {MOST_TRIES} tries",
            why="the database's head is not where the cache's chain begins",
            fix="A worker settles this; check that one runs, and `writebehind status`.",
        )


def first_batch_to_add(chain: Sequence[Link], last: str, head: str, *, front_is_applied: bool) -> int | None:
    """The index of the first batch of ``chain`` that the database has not applied; None where that cannot be told.

    ``last`` is the parent of the open batch, which has the index ``len(chain)``; ``front_is_applied`` says whether
    the database remembers the front of the chain.
    """
    for index, link in enumerate(chain):
        if link.identity == head:
            return index + 1
    if not chain:
        return 0 if head == last else None
    front = chain[0]
    if front_is_applied:
        return None  # the database has moved beyond what was read of the chain
    if front.is_fence or front.parent == head:
        return 0
    return None
