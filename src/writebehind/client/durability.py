"""``ack="replica"`` and ``ack="disk"``: what was accepted is waited for on replicas, or on the server's disk.

Callers of one partition and level gather: one write of no meaning and one WAIT or WAITAOF on its connection, after
their groups were accepted, speak for all of them, since the server replicates and syncs in its order. That write
names the incarnation: a cache that was rolled back in between is never taken for one that has the write.
"""

from __future__ import annotations

import time
from typing import Literal, TypeAlias

from writebehind.cache import calls
from writebehind.client.delivery import Delivery
from writebehind.client.effects import Procedure, ask_cache, ask_cache_together, await_news
from writebehind.client.gathering import Gathered, Gathering
from writebehind.errors import CacheRefused, CacheUnavailable, WriteBehindError

DurableLevel: TypeAlias = Literal["replica", "disk"]

DURABLE_LEVELS: tuple[DurableLevel, ...] = ("replica", "disk")
WAIT_MS = 1_000
"""How long the server waits at a time: less than an answer may take."""


class DurabilityGroup(Gathered):
    """Callers whose writes the next wait covers. ``reached`` says in how many places they are by then."""

    def __init__(self) -> None:
        super().__init__()
        self.incarnation = ""
        self.reached = 0
        self.is_rolled_back = False


class DurabilityDesk(Gathering[DurabilityGroup]):
    """Where the callers of one partition gather for one level. Thread-safe."""

    def __init__(self, delivery: Delivery, level: DurableLevel, replicas: int) -> None:
        super().__init__()
        self._delivery = delivery
        self._level = level
        self._needed = replicas if level == "replica" else 1
        self._checks = _Checks(self)
        self._checked_in = ""
        """The incarnation in which the server was found able to give the level."""

    def check(self, deadline: float) -> Procedure[None]:
        """Make sure, before anything is written, that the server can give the level truthfully.

        Asked once in each incarnation, for all who ask at that moment.
        :raises CacheRefused: it cannot; says what to change.
        """
        incarnation = self._delivery.partition.lane.incarnation
        if self._checked_in == incarnation:
            return
        group = self._checks.join()
        while not group.resolved:
            if not (yield from await_news(self._checks, group, deadline)):
                raise CacheUnavailable("the cache did not say in time what it can promise", fix="Nothing was written.")
        if group.error is not None:
            raise group.error
        self._checked_in = incarnation

    def examine(self) -> Procedure[None]:
        """Ask the server what it can promise."""
        yield from (self._check_replicas() if self._level == "replica" else self._check_disk())

    def _check_replicas(self) -> Procedure[None]:
        found = yield from ask_cache(calls.information("replication"))
        connected = int(found.get("connected_slaves", "0"))
        if connected < self._needed:
            raise CacheRefused(
                f'ack="replica" needs {self._needed} connected replicas, and the cache has {connected}',
                fix='Attach replicas, lower the setting replicas=, or use ack="memory". Nothing was written.',
            )

    def _check_disk(self) -> Procedure[None]:
        persistence = yield from ask_cache(calls.information("persistence"))
        if persistence.get("aof_enabled") != "1":
            raise _no_disk("it has no append-only file", "CONFIG SET appendonly yes")
        if not (yield from ask_cache(calls.knows_command("WAITAOF"))):
            raise _no_disk("its version has no WAITAOF", "Use Valkey, or Redis 7.2 or newer")
        try:
            policy = yield from ask_cache(calls.fsync_policy())
        except CacheRefused as error:
            raise _no_disk(f"its appendfsync cannot be read ({error.why})", "Allow this user CONFIG GET") from error
        if policy != "always":
            # Under everysec Valkey 9.1 answered WAITAOF before its fsync in 39 of 40 tries.
            raise _no_disk(f"its appendfsync is {policy}", "CONFIG SET appendfsync always")

    def reach(self, incarnation: str, deadline: float) -> Procedure[DurabilityGroup]:
        """Wait until what was accepted in ``incarnation`` before this call is that safe, or cannot be found to be."""
        while True:
            with self._lock:
                if not self._waiting or self._waiting[-1].incarnation != incarnation:
                    group = DurabilityGroup()
                    group.incarnation = incarnation
                    self._waiting.append(group)
                group = self._waiting[-1]
            while not group.resolved:
                if not (yield from await_news(self, group, deadline)):
                    return group
            if group.error is not None:
                raise group.error
            if group.is_rolled_back or group.reached >= self._needed or time.monotonic() >= deadline:
                return group

    def is_reached_by(self, group: DurabilityGroup) -> bool:
        """Whether a group's callers may be told that they have the level."""
        return group.resolved and not group.is_rolled_back and group.reached >= self._needed

    def shortfall(self, group: DurabilityGroup) -> str:
        """Why a group's callers cannot be told so, in words."""
        if group.is_rolled_back:
            return "the cache was rolled back"
        if self._level == "disk":
            return "the cache has not synced it to its disk in time"
        return f"{group.reached} of {self._needed} replicas had it in time"

    def deliver(self, group: DurabilityGroup) -> Procedure[None]:
        """One wait for the whole group; a lost connection is an unreached group, and its callers ask again."""
        wait = (
            calls.wait_for_replicas(self._needed, WAIT_MS) if self._level == "replica" else calls.wait_for_disk(WAIT_MS)
        )
        try:
            touch = calls.touch(self._delivery.partition.keys, group.incarnation)
            touched, reached = yield from ask_cache_together(touch, wait)
        except CacheUnavailable as error:
            self._delivery.partition.lane.hindrance = error
            self._finish(group)
            raise
        except WriteBehindError as error:
            self._finish(group, error)
            return
        group.is_rolled_back = not isinstance(touched, calls.Touched)
        group.reached = reached
        self._finish(group)


class _Checks(Gathering[Gathered]):
    """Callers that wait for one examination of the server."""

    def __init__(self, desk: DurabilityDesk) -> None:
        super().__init__()
        self._desk = desk

    def join(self) -> Gathered:
        with self._lock:
            if not self._waiting:
                self._waiting.append(Gathered())
            return self._waiting[-1]

    def deliver(self, group: Gathered) -> Procedure[None]:
        """Examine once for the whole group; an error goes to exactly its callers."""
        try:
            yield from self._desk.examine()
        except WriteBehindError as error:
            self._finish(group, error)
        else:
            self._finish(group)


def _no_disk(why: str, fix: str) -> CacheRefused:
    return CacheRefused(
        'the cache cannot give ack="disk" truthfully',
        why=why,
        fix=f'{fix}, or use ack="memory". Nothing was written.',
    )
