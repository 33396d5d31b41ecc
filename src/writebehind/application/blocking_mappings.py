"""Declaring mappings, with the blocking doors that come of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any, overload

from writebehind.application.foundation import AnyMapping, Value
from writebehind.client.doors.base import Levels
from writebehind.client.doors.counters import Counter
from writebehind.client.doors.events import Events
from writebehind.client.doors.leaderboards import Leaderboard
from writebehind.client.doors.records import Records
from writebehind.client.threads import Threads
from writebehind.errors import ConfigurationError
from writebehind.mapping import (
    Best,
    CounterMapping,
    EventMapping,
    Keep,
    LeaderboardMapping,
    Missing,
    RecordMapping,
    WhenFull,
)


class BlockingMappings(ABC):
    """The declaring half of ``WriteBehind``."""

    @property
    @abstractmethod
    def _levels(self) -> Levels:
        """The defaults of all writes."""

    @abstractmethod
    def _declare(self, mapping: AnyMapping, *, value: Value | None = None, database: str | None = None) -> str:
        """Keep a declaration; its name."""

    @abstractmethod
    def _world(self, name: str) -> tuple[Any, Threads]:
        """The procedures of a mapping, and who performs them, once it is open."""

    @overload
    def counter(
        self,
        target: str,
        *,
        key: str | Sequence[str] | None = None,
        missing: Missing = "dead_letter",
        partitions: int = 1,
        cached_value_ttl: float = 60.0,
        database: str | None = None,
    ) -> Counter[int]: ...

    @overload
    def counter(
        self,
        target: str,
        *,
        value: type[Decimal],
        key: str | Sequence[str] | None = None,
        missing: Missing = "dead_letter",
        partitions: int = 1,
        cached_value_ttl: float = 60.0,
        database: str | None = None,
    ) -> Counter[Decimal]: ...

    def counter(
        self,
        target: str,
        *,
        value: type[int] | type[Decimal] = int,
        key: str | Sequence[str] | None = None,
        missing: Missing = "dead_letter",
        partitions: int = 1,
        cached_value_ttl: float = 60.0,
        database: str | None = None,
    ) -> Counter[int] | Counter[Decimal]:
        """Declare a counter on ``"table.column"`` (``"schema.table.column"``), before ``open()``.

        ``key``: the key column, or several; the primary key if left out. ``value=Decimal`` for a NUMERIC
        column with a scale. ``missing``: what a flush does with amounts whose row does not exist:
        ``"dead_letter"``, ``"insert"`` or ``"ignore"``. ``cached_value_ttl``: for how many seconds a
        change made in the database from outside may stay unseen. ``database``: the URL of a database of its own.

        :raises ConfigurationError: an argument does not fit.
        """
        if value is not int and value is not Decimal:
            raise ConfigurationError(f"counter({target!r}): value={value!r}", fix="Use int or decimal.Decimal.")
        mapping = CounterMapping.parse(
            target,
            key=key if key is None or isinstance(key, str) else tuple(key),
            missing=missing,
            partitions=partitions,
            cached_value_ttl_ms=int(cached_value_ttl * 1000),
        )
        name = self._declare(mapping, value=value, database=database)
        return Counter(name, self._levels, partial(self._world, name))

    @overload
    def leaderboard(
        self,
        target: str,
        *,
        member: str,
        board: str | None = None,
        keep: Keep = "max",
        best: Best | None = None,
        partitions: int = 1,
        cached_value_ttl: float = 3600.0,
        database: str | None = None,
    ) -> Leaderboard[int]: ...

    @overload
    def leaderboard(
        self,
        target: str,
        *,
        value: type[float],
        member: str,
        board: str | None = None,
        keep: Keep = "max",
        best: Best | None = None,
        partitions: int = 1,
        cached_value_ttl: float = 3600.0,
        database: str | None = None,
    ) -> Leaderboard[float]: ...

    @overload
    def leaderboard(
        self,
        target: str,
        *,
        value: type[Decimal],
        member: str,
        board: str | None = None,
        keep: Keep = "max",
        best: Best | None = None,
        partitions: int = 1,
        cached_value_ttl: float = 3600.0,
        database: str | None = None,
    ) -> Leaderboard[Decimal]: ...

    def leaderboard(
        self,
        target: str,
        *,
        value: type[int] | type[float] | type[Decimal] = int,
        member: str,
        board: str | None = None,
        keep: Keep = "max",
        best: Best | None = None,
        partitions: int = 1,
        cached_value_ttl: float = 3600.0,
        database: str | None = None,
    ) -> Leaderboard[int] | Leaderboard[float] | Leaderboard[Decimal]:
        """Declare a leaderboard on ``"table.column"`` (``"schema.table.column"``), before ``open()``.

        ``member`` and ``board`` are the key columns; without a ``board`` column the table is one board. ``keep``: which
        score counts: ``"max"``, ``"min"``, ``"last"`` or ``"sum"``. ``best``: which end is the top: ``"highest"``
        (the default) or ``"lowest"`` (the default with ``keep="min"``). ``value``: what its scores are, int, float
        (double precision, without sums) or Decimal (NUMERIC with a scale). A first score inserts its row.
        ``cached_value_ttl``: for how many seconds a board may be answered from the cache, and so a change made in the
        database from outside stay unseen, until it is built again. ``database``: the URL of a database of its own.

        :raises ConfigurationError: an argument does not fit.
        """
        if value not in (int, float, Decimal):
            raise ConfigurationError(
                f"leaderboard({target!r}): value={value!r}", fix="Use int, float or decimal.Decimal."
            )
        mapping = LeaderboardMapping.parse(
            target,
            member=member,
            board=board,
            keep=keep,
            best=best,
            partitions=partitions,
            cached_value_ttl_ms=int(cached_value_ttl * 1000),
        )
        name = self._declare(mapping, value=value, database=database)
        return Leaderboard(name, self._levels, partial(self._world, name))

    def records(
        self,
        table: str,
        *,
        key: str | Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        version: str | None = None,
        partitions: int = 1,
        cached_value_ttl: float = 60.0,
        database: str | None = None,
    ) -> Records:
        """Declare records: the rows of ``table``, before ``open()``.

        ``key``: the key column, or several; the primary key if left out. ``columns``: which columns are written and
        read; every one that can be if left out. ``version``: the column whose larger value wins, where the order in
        which the cache accepted the writes must not decide. ``cached_value_ttl``: for how many seconds a change made
        in the database from outside may stay unseen. ``database``: the URL of a database of its own.

        :raises ConfigurationError: an argument does not fit.
        """
        mapping = RecordMapping.parse(
            table,
            key=key if key is None or isinstance(key, str) else tuple(key),
            columns=None if columns is None else tuple(columns),
            version=version,
            partitions=partitions,
            cached_value_ttl_ms=int(cached_value_ttl * 1000),
        )
        name = self._declare(mapping, database=database)
        return Records(name, self._levels, partial(self._world, name))

    def events(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        position: str | None = None,
        partitions: int = 1,
        max_length: int | None = None,
        when_full: WhenFull | None = None,
        database: str | None = None,
    ) -> Events:
        """Declare an event log: rows appended to ``table``, before ``open()``.

        ``columns``: which columns may be written; every one that can be if left out. ``position``: a 64-bit integer
        column that receives each event's place, since a table has no order. ``max_length``: how many events of a
        partition may wait in the cache; at the bound a write blocks, or is refused with ``when_full="refuse"``;
        the settings ``max_pending_rows`` and ``buffer_full`` if left out. ``database``: the URL of a database of its
        own, for example ``"duckdb:///events.duckdb"``.

        :raises ConfigurationError: an argument does not fit.
        """
        mapping = EventMapping.parse(
            table,
            columns=None if columns is None else tuple(columns),
            position=position,
            partitions=partitions,
            max_length=max_length,
            when_full=when_full,
        )
        name = self._declare(mapping, database=database)
        return Events(name, self._levels, partial(self._world, name))
