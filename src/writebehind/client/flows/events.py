"""What an event log does."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence

from writebehind.client.delivery import Delivery
from writebehind.client.effects import Procedure, await_news
from writebehind.client.event_groups import NO_FIELD
from writebehind.client.flows.base import Intent, Write, WriteFlows
from writebehind.client.flushing import FlushDesk
from writebehind.columns import ColumnType
from writebehind.databases.contract import Database, DeadLetter
from writebehind.errors import BufferFull, PartlyWritten, ValueRefused
from writebehind.levels import BEYOND_MEMORY, Ack
from writebehind.mapping import BoundEvents
from writebehind.observe import Observer

MAX_EVENT_SIZE_BYTES = 16 * 1024 * 1024


class EventFlows(WriteFlows):
    """One event log's procedures."""

    def __init__(
        self,
        log: BoundEvents,
        deliveries: Sequence[Delivery],
        database: Database,
        flush_desk: FlushDesk,
        observe: Observer,
        replicas: int,
    ) -> None:
        super().__init__(log, deliveries, database, flush_desk, observe, replicas)
        self._log = log
        # One process appends to one partition, so that its events stay in its order.
        self._own_delivery = random.choice(self._deliveries)  # noqa: S311

    @property
    def columns(self) -> Mapping[str, ColumnType]:
        """The columns that can be written."""
        return self._log.columns

    def appending(self, event: Mapping[str, object], together: str | None = None) -> Intent:
        """One event, checked. ``together`` keeps events in one partition, and so in order, across processes."""
        delivery = self._own_delivery
        if together is not None:
            delivery = self._deliveries[self._log.partition_of(together.encode())]
        return Intent(None, NO_FIELD, self._encoded(event), delivery)

    def appending_all(self, events: Iterable[Mapping[str, object]], together: str | None = None) -> list[Intent]:
        """Several events; all are checked before the first is written."""
        return [self.appending(event, together) for event in events]

    def buffer_first(self, intents: Sequence[Intent]) -> int:
        """Put as many of a call's events as have room into this process's buffer; how many, from the first on."""
        return next((number for number, intent in enumerate(intents) if not self.buffer(intent)), len(intents))

    def append_all(self, intents: Sequence[Intent], buffered: int, level: Ack, deadline: float) -> Procedure[None]:
        """Append the events of one call, the first of which are buffered already, group by group, in their order.

        The next group begins when the one before it is written, so that what is written is always the first part.

        :raises PartlyWritten: some are in the cache or on their way, and of the others nothing is.
        """
        writes: list[Write] = []
        done = buffered
        yield from self.check(intents[done], level, deadline)
        while done < len(intents):
            delivery = intents[done].delivery
            lane = delivery.partition.lane
            try:
                group, places = lane.join_all([(intent.field, intent.change) for intent in intents[done:]])
            except BufferFull as error:
                raise self._partly_written(done, len(intents), error) from error
            group.watched = group.watched or level in BEYOND_MEMORY
            texts = [intent.change for intent in intents[done : done + len(places)]]
            writes.append(Write(None, NO_FIELD, texts, delivery, group, 0))
            while not group.resolved:
                if (yield from await_news(delivery, group, deadline)) or group.resolved:
                    continue
                parts = [(NO_FIELD, text, place) for text, place in zip(texts, places, strict=True)]
                if lane.withdraw(group, parts):
                    not_sent = self._not_sent(delivery, None)
                    raise self._partly_written(done, len(intents), not_sent) from not_sent
                for text in texts:
                    lane.give_up(group, NO_FIELD, text)
                unknown = self._unknown(writes[-1], str(lane.hindrance or "the cache has not answered"))
                raise self._partly_written(done + len(texts), len(intents), unknown) from unknown
            if group.error is not None:
                raise self._partly_written(done, len(intents), group.error) from group.error
            done += len(texts)
        for write in writes:
            yield from self._reach(write, level, deadline)

    def _partly_written(self, done: int, count: int, error: Exception) -> Exception:
        """The error of a call of which the first ``done`` are written or on their way; ``error`` where that is all."""
        if done in (0, count):
            return error
        return PartlyWritten(
            f"{done} of {count} writes to {self._name!r} were accepted, or are on their way",
            why=str(error),
            fix=f"Write the others again, from number {done} (counted from 0) on.",
            written=done,
        )

    def _encoded(self, event: Mapping[str, object]) -> str:
        if not isinstance(event, Mapping):
            raise ValueRefused(f"an event of {self._name!r} is of type {type(event).__name__}", fix="Pass a dict.")
        columns = self._log.columns
        texts = {}
        for column, value in event.items():
            column_type = columns.get(column)
            if column_type is None:
                why = self._log.refusals.get(column) or f"it has {', '.join(sorted(columns))}"
                raise ValueRefused(
                    f"the event log {self._name!r} has no column {column!r} that can be written",
                    why=why,
                    fix="Correct the name, or restart after a change of the table.",
                )
            texts[column] = column_type.encode(value, f"the column {column!r} of {self._name!r}")
        lacking = sorted(self._log.required - texts.keys())
        if lacking:
            raise ValueRefused(
                f"an event of {self._name!r} lacks {', '.join(lacking)}",
                why="these columns are NOT NULL and have no default",
                fix="Give them too.",
            )
        text = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
        if len(text) > MAX_EVENT_SIZE_BYTES:
            raise ValueRefused(
                f"an event of {self._name!r} is {len(text)} characters long",
                why=f"an event has at most {MAX_EVENT_SIZE_BYTES}",
                fix="Store what is that large elsewhere, and its address in the event.",
            )
        return text

    def _is_about(self, letter: DeadLetter, write: Write) -> bool:
        return letter.value in write.change if isinstance(write.change, list) else letter.value == write.change
