"""What an event log does."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence

from writebehind.client.delivery import Delivery
from writebehind.client.event_groups import NO_FIELD
from writebehind.client.flows.base import Intent, Write, WriteFlows
from writebehind.client.flushing import FlushDesk
from writebehind.columns import ColumnType
from writebehind.databases.contract import Database, DeadLetter
from writebehind.errors import ValueRefused
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
    ) -> None:
        super().__init__(log, deliveries, database, flush_desk, observe)
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
        return bool(letter.value == write.change)
