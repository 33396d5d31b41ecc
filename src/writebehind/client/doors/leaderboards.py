"""The leaderboards that applications use: ``Leaderboard`` blocks, ``AsyncLeaderboard`` awaits; both do the same."""

from __future__ import annotations

from typing import Generic

from writebehind.client.doors.base import AwaitingDoor, BlockingDoor
from writebehind.client.flows.leaderboards import BoardEntry, LeaderboardFlows, ScoreType
from writebehind.levels import Ack
from writebehind.values import KeyPart


class Leaderboard(BlockingDoor[LeaderboardFlows[ScoreType]], Generic[ScoreType]):
    """A leaderboard: a score for each member of each board, in one column of one table.

    The top is the highest score (``best="lowest"``, and by default with ``keep="min"``, the lowest). Equal scores
    rank as Redis ranks them: with the highest at the top the larger member first, else the smaller, compared by the
    bytes of their text. Reads answer from the board's sorted set; where the cache does not have it, it is built from
    the database and what is pending, once for all who ask. Scores that a double cannot hold exactly are refused.
    Every write takes ``ack=`` and ``timeout=`` (seconds) and may raise what ``Counter`` says. All methods are
    thread-safe.
    """

    def submit(
        self,
        member: KeyPart,
        score: ScoreType | int,
        *,
        board: KeyPart | None = None,
        ack: Ack | None = None,
        timeout: float | None = None,
    ) -> None:
        """Submit a score, which meets the member's by the rule ``keep``. One write; builds and reads nothing."""
        flows, threads = self._world()
        self._write(flows, threads, flows.submission(member, score, board), ack, timeout)

    def remove(
        self, member: KeyPart, *, board: KeyPart | None = None, ack: Ack | None = None, timeout: float | None = None
    ) -> None:
        """Take a member off the board, and delete its row."""
        flows, threads = self._world()
        self._write(flows, threads, flows.removal(member, board), ack, timeout)

    def top(
        self, count: int, *, board: KeyPart | None = None, timeout: float | None = None
    ) -> list[BoardEntry[ScoreType]]:
        """The first ``count`` places."""
        flows, threads = self._world()
        return threads.run(flows.top(count, board, deadline=self._levels.deadline(timeout)))

    def rank(self, member: KeyPart, *, board: KeyPart | None = None, timeout: float | None = None) -> int | None:
        """The member's place, 1 at the top; None where it is not on the board."""
        flows, threads = self._world()
        return threads.run(flows.rank(member, board, deadline=self._levels.deadline(timeout)))

    def around(
        self, member: KeyPart, count: int, *, board: KeyPart | None = None, timeout: float | None = None
    ) -> list[BoardEntry[ScoreType]]:
        """The member's place with up to ``count`` places on each side; empty where it is not on the board."""
        flows, threads = self._world()
        return threads.run(flows.around(member, count, board, deadline=self._levels.deadline(timeout)))

    def score(self, member: KeyPart, *, board: KeyPart | None = None, timeout: float | None = None) -> ScoreType | None:
        """The member's score; None where it is not on the board."""
        flows, threads = self._world()
        return threads.run(flows.score(member, board, deadline=self._levels.deadline(timeout)))

    def size(self, *, board: KeyPart | None = None, timeout: float | None = None) -> int:
        """How many members the board has."""
        flows, threads = self._world()
        return threads.run(flows.size(board, deadline=self._levels.deadline(timeout)))


class AsyncLeaderboard(AwaitingDoor[LeaderboardFlows[ScoreType]], Generic[ScoreType]):
    """``Leaderboard`` for asyncio: the same names and the same behaviour, awaitable."""

    async def submit(
        self,
        member: KeyPart,
        score: ScoreType | int,
        *,
        board: KeyPart | None = None,
        ack: Ack | None = None,
        timeout: float | None = None,
    ) -> None:
        """Submit a score, which meets the member's by the rule ``keep``. One write; builds and reads nothing."""
        flows, tasks = self._world()
        await self._write(flows, tasks, flows.submission(member, score, board), ack, timeout)

    async def remove(
        self, member: KeyPart, *, board: KeyPart | None = None, ack: Ack | None = None, timeout: float | None = None
    ) -> None:
        """Take a member off the board, and delete its row."""
        flows, tasks = self._world()
        await self._write(flows, tasks, flows.removal(member, board), ack, timeout)

    async def top(
        self, count: int, *, board: KeyPart | None = None, timeout: float | None = None
    ) -> list[BoardEntry[ScoreType]]:
        """The first ``count`` places."""
        flows, tasks = self._world()
        return await tasks.run(flows.top(count, board, deadline=self._levels.deadline(timeout)))

    async def rank(self, member: KeyPart, *, board: KeyPart | None = None, timeout: float | None = None) -> int | None:
        """The member's place, 1 at the top; None where it is not on the board."""
        flows, tasks = self._world()
        return await tasks.run(flows.rank(member, board, deadline=self._levels.deadline(timeout)))

    async def around(
        self, member: KeyPart, count: int, *, board: KeyPart | None = None, timeout: float | None = None
    ) -> list[BoardEntry[ScoreType]]:
        """The member's place with up to ``count`` places on each side; empty where it is not on the board."""
        flows, tasks = self._world()
        return await tasks.run(flows.around(member, count, board, deadline=self._levels.deadline(timeout)))

    async def score(
        self, member: KeyPart, *, board: KeyPart | None = None, timeout: float | None = None
    ) -> ScoreType | None:
        """The member's score; None where it is not on the board."""
        flows, tasks = self._world()
        return await tasks.run(flows.score(member, board, deadline=self._levels.deadline(timeout)))

    async def size(self, *, board: KeyPart | None = None, timeout: float | None = None) -> int:
        """How many members the board has."""
        flows, tasks = self._world()
        return await tasks.run(flows.size(board, deadline=self._levels.deadline(timeout)))
