"""Declaring mappings, with the awaiting doors that come of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any, overload

from writebehind.application.foundation import AnyMapping, Value
from writebehind.client.doors.base import Levels
from writebehind.client.doors.counters import AsyncCounter
from writebehind.client.doors.events import AsyncEvents
from writebehind.client.doors.leaderboards import AsyncLeaderboard
from writebehind.client.doors.records import AsyncRecords
from writebehind.client.tasks import Tasks
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


class AwaitingMappings(ABC):
    """The declaring half of ``AsyncWriteBehind``."""

    @property
    @abstractmethod
    def _levels(self) -> Levels:
        """The defaults of all writes."""

    @abstractmethod
    def _declare(self, mapping: AnyMapping, *, value: Value | None = None, database: str | None = None) -> str:
        """Keep a declaration; its name."""

    @abstractmethod
    def _world(self, name: str) -> tuple[Any, Tasks]:
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
    ) -> AsyncCounter[int]: ...

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
    ) -> AsyncCounter[Decimal]: ...

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
    ) -> AsyncCounter[int] | AsyncCounter[Decimal]:
        """Declare a counter, before ``open()``; see ``WriteBehind.counter``."""
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
        return AsyncCounter(name, self._levels, partial(self._world, name))

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
    ) -> AsyncLeaderboard[int]: ...

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
    ) -> AsyncLeaderboard[float]: ...

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
    ) -> AsyncLeaderboard[Decimal]: ...

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
    ) -> AsyncLeaderboard[int] | AsyncLeaderboard[float] | AsyncLeaderboard[Decimal]:
        """Declare a leaderboard, before ``open()``; see ``WriteBehind.leaderboard``."""
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
        return AsyncLeaderboard(name, self._levels, partial(self._world, name))

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
    ) -> AsyncRecords:
        """Declare records, before ``open()``; see ``WriteBehind.records``."""
        mapping = RecordMapping.parse(
            table,
            key=key if key is None or isinstance(key, str) else tuple(key),
            columns=None if columns is None else tuple(columns),
            version=version,
            partitions=partitions,
            cached_value_ttl_ms=int(cached_value_ttl * 1000),
        )
        name = self._declare(mapping, database=database)
        return AsyncRecords(name, self._levels, partial(self._world, name))

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
    ) -> AsyncEvents:
        """Declare an event log, before ``open()``; see ``WriteBehind.events``."""
        mapping = EventMapping.parse(
            table,
            columns=None if columns is None else tuple(columns),
            position=position,
            partitions=partitions,
            max_length=max_length,
            when_full=when_full,
        )
        name = self._declare(mapping, database=database)
        return AsyncEvents(name, self._levels, partial(self._world, name))
