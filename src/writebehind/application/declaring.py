"""What both doors share: settings, declared mappings, observers, and the database's one-time setup."""

from __future__ import annotations

from collections.abc import Sequence

from writebehind.application.foundation import (
    AnyMapping,
    Declared,
    Value,
    database_url,
    database_urls,
    prepare_database,
)
from writebehind.client.doors.base import Levels
from writebehind.clock import Clock, SystemClock
from writebehind.databases import open_database
from writebehind.databases.urls import redact_url
from writebehind.errors import ConfigurationError, MappingConflict
from writebehind.mapping import DeclaredCapture, NewColumn, counter_columns
from writebehind.observe import LogObserver, Observer, observe_all
from writebehind.settings import Settings


class Declarations:
    """The configuration and the mappings of one ``WriteBehind`` before it is opened."""

    def __init__(self, settings: Settings, observers: Sequence[Observer], clock: Clock | None) -> None:
        self.settings = settings
        self.observe = observe_all([LogObserver(), *observers])
        self.clock: Clock = clock or SystemClock()
        self.mappings: dict[str, Declared] = {}
        self.levels = Levels(settings.ack, settings.timeout_s)
        for mapping, database in settings.mappings:
            self.mappings[mapping.name] = Declared(mapping, None, database)
        self._from_file = set(self.mappings)
        self.captures: dict[str, DeclaredCapture] = {}
        for capture in settings.captures:
            self._add_capture(capture)

    def declare(
        self, mapping: AnyMapping, *, value: Value | None = None, database: str | None = None, is_open: bool
    ) -> str:
        """Add a mapping; returns its name.

        :raises ConfigurationError: it is too late, or its database's URL is none.
        :raises MappingConflict: it is declared already, and differently.
        """
        if is_open:
            raise ConfigurationError(
                f"{mapping.name!r} is declared after open()",
                why="its table is checked when everything is opened, before the first write",
                fix="Declare everything before open() or `with`.",
            )
        if database is not None:
            open_database(database).close()  # contacts nothing, and refuses what is no URL
        declared = Declared(mapping, value, database)
        before = self.mappings.get(mapping.name)
        if before is not None and mapping.name in self._from_file:  # the file knows no types of totals
            before = Declared(before.mapping, value, before.database)
        if before is not None and before != declared:
            raise MappingConflict(f"{mapping.name!r} is declared twice, and differently", fix="Declare it once.")
        self.mappings[mapping.name] = declared
        return mapping.name

    def declare_capture(self, declared: DeclaredCapture, *, is_open: bool) -> None:
        """Add a capture, and its mapping where that is not declared by itself, before or after.

        :raises ConfigurationError: it is too late, or the mapping has one already.
        """
        if is_open:
            raise ConfigurationError(
                f"{declared.capture.where} comes after open()",
                why="its table is checked when everything is opened, before the first write",
                fix="Declare everything before open() or `with`.",
            )
        if declared.database is not None:
            open_database(declared.database).close()  # contacts nothing, and refuses what is no URL
        self._add_capture(declared)

    def _add_capture(self, declared: DeclaredCapture) -> None:
        to = declared.capture.to
        if self.captures.setdefault(to, declared) != declared:
            raise ConfigurationError(
                f"{declared.capture.where}: keys are captured for {to!r} already, by another pattern or otherwise",
                why="one row would have two keys",
                fix="Declare one capture for each mapping.",
            )

    @property
    def declared(self) -> tuple[Declared, ...]:
        """All mappings, in the order of their declaration; then those that captures alone describe.

        :raises MappingConflict: a capture describes a mapping otherwise than it is declared.
        """
        mappings = dict(self.mappings)
        for capture in self.captures.values():
            found = mappings.setdefault(capture.capture.to, Declared(capture.mapping, None, capture.database))
            if capture.has_options and (found.mapping, found.database) != (capture.mapping, capture.database):
                raise MappingConflict(
                    f"{capture.capture.where} describes {capture.capture.to!r} otherwise than it is declared",
                    fix="Leave the mapping's own options out of the capture.",
                )
        return tuple(mappings.values())

    @property
    def databases(self) -> tuple[str, ...]:
        """The URLs of all databases that are used, without their passwords."""
        return tuple(redact_url(url) for url in database_urls(self.settings, self.declared))

    def init(self) -> None:
        """Create the ledger's tables in every database, where they are missing."""
        for url in database_urls(self.settings, self.declared):
            database = open_database(url)
            try:
                database.create_ledger()
            finally:
                database.close()

    def ledger_sql(self) -> str:
        """The statements that ``init`` would run, for a person to run; each database's under its name."""
        urls = database_urls(self.settings, self.declared)
        parts = []
        for url in urls:
            database = open_database(url)
            try:
                heading = f"-- For the database {redact_url(url)}\n\n" if len(urls) > 1 else ""
                parts.append(heading + database.ledger_sql())
            finally:
                database.close()
        return "\n".join(parts)

    def create_counter_table(self, table: str, key: Sequence[str], columns: Sequence[str]) -> None:
        """Create a table for counting, if it does not exist: text keys, 64-bit counts."""
        self.create_table(table, counter_columns(key, columns), key)

    def create_table(
        self, table: str, columns: Sequence[NewColumn], key: Sequence[str] = (), *, url: str | None = None
    ) -> None:
        """Create a table, if it does not exist, in the common database or the one at ``url``."""
        database = open_database(url or database_url(self.settings))
        try:
            if url is None:
                prepare_database(self.settings, database)
            database.create_table(table, columns, key)
        finally:
            database.close()
