"""What both doors share: settings, declared counters, observers, and the database's one-time setup."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from writebehind.application.foundation import Declared, Value, database_url, prepare_database
from writebehind.client.counter import Levels
from writebehind.clock import Clock, SystemClock
from writebehind.databases import open_database
from writebehind.errors import ConfigurationError, MappingConflict
from writebehind.mapping import CounterMapping
from writebehind.observe import LogObserver, Observer, observe_all
from writebehind.settings import Settings


class Declarations:
    """The configuration and the counters of one ``WriteBehind`` before it is opened."""

    def __init__(self, settings: Settings, observers: Sequence[Observer], clock: Clock | None) -> None:
        self.settings = settings
        self.observe = observe_all([LogObserver(), *observers])
        self.clock: Clock = clock or SystemClock()
        self.counters: dict[str, Declared] = {}
        self.levels = Levels(settings.ack, settings.timeout_s)
        for mapping in settings.counters:
            self.counters[mapping.name] = Declared(mapping, int)

    def declare(
        self,
        target: str,
        *,
        key: str | Sequence[str] | None,
        value: Value,
        missing: str,
        partitions: int,
        cached_value_ttl_s: float,
        is_open: bool,
    ) -> str:
        """Add a counter; returns its name.

        :raises ConfigurationError: an argument does not fit, or it is too late.
        :raises MappingConflict: it is declared already, and differently.
        """
        if is_open:
            raise ConfigurationError(
                f"the counter {target!r} is declared after open()",
                why="its table is checked when everything is opened, before the first write",
                fix="Declare every counter before open() or `with`.",
            )
        if value is not int and value is not Decimal:
            raise ConfigurationError(f"counter({target!r}): value={value!r}", fix="Use int or decimal.Decimal.")
        mapping = CounterMapping.parse(
            target,
            key=key if key is None or isinstance(key, str) else tuple(key),
            missing=missing,
            partitions=partitions,
            cached_value_ttl_ms=int(cached_value_ttl_s * 1000),
        )
        declared = Declared(mapping, value)
        if self.counters.setdefault(mapping.name, declared) != declared:
            raise MappingConflict(
                f"the counter {mapping.name!r} is declared twice, and differently", fix="Declare it once."
            )
        return mapping.name

    def init(self) -> None:
        """Create the ledger's tables in the database, where they are missing."""
        database = open_database(database_url(self.settings))
        try:
            database.create_ledger()
        finally:
            database.close()

    def ledger_sql(self) -> str:
        """The statements that ``init`` would run, for a person to run."""
        database = open_database(database_url(self.settings))
        try:
            return database.ledger_sql()
        finally:
            database.close()

    def create_counter_table(self, table: str, key: Sequence[str], columns: Sequence[str]) -> None:
        """Create a table for counting, if it does not exist: text keys, 64-bit counts."""
        database = open_database(database_url(self.settings))
        try:
            prepare_database(self.settings, database)
            database.create_counter_table(table, key, columns)
        finally:
            database.close()
