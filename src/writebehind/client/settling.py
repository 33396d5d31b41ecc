"""Settling: what became of a lane whose incarnation has ended (docs/protocol.md, "Settling").

When a fence of an incarnation that the client has met since is applied in the database, all that survived
of the old lane lies before it. One small transaction then closes the old incarnation, so that nothing more
of it can ever be applied, and reads the old lane's mark: that is final.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from writebehind.cache import calls
from writebehind.client.delivery import Delivery
from writebehind.client.effects import Procedure, ask_cache, ask_database
from writebehind.client.partition import Partition
from writebehind.databases.contract import Database, PartitionName
from writebehind.observe import Observer, WriterSettled


def final_mark(
    database: Database, name: PartitionName, producer: str, incarnation: str, met_since: Sequence[str]
) -> int | None:
    """The final mark of (producer, incarnation), or None while it can still change."""
    with database.transaction() as transaction:
        rows = transaction.lock_partitions([name])
        if not rows or not transaction.any_fence_applied(rows[0], met_since):
            return None
        transaction.close_incarnation(rows[0], incarnation)
        return transaction.read_mark(rows[0], producer, incarnation)


def settle(partition: Partition, database: Database, observe: Observer) -> Procedure[None]:
    """Settle every old lane of a partition whose end is final by now, the oldest first: what is written again of an
    older one is part of what the younger one's writes are compared with, and must not be counted there twice.

    :raises DatabaseUnavailable: it has to be tried again.
    """
    lane = partition.lane
    for old in list(lane.old):
        mark = yield from ask_database(
            partial(final_mark, database, partition.name, lane.producer, old.incarnation, tuple(old.met_since))
        )
        if mark is None:
            return  # nor are the younger ones final
        confirmed, again = lane.settled(old, mark)
        if confirmed or again:
            observe(WriterSettled(partition.label, confirmed, again))


def refresh(delivery: Delivery) -> Procedure[None]:
    """Learn how far the database has this producer, and whether the cache was rolled back, without writing."""
    lane = delivery.partition.lane
    incarnation = lane.incarnation
    reply = yield from ask_cache(calls.confirmed(delivery.partition.keys, lane.producer))
    if isinstance(reply, calls.Confirmed) and reply.incarnation == incarnation:
        lane.confirm(reply.sequence, incarnation)
    else:
        present = reply.incarnation if isinstance(reply, calls.Confirmed) else ""
        yield from delivery.meet(present, leaving=incarnation)
