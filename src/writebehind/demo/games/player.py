"""A process of clients: each plays games on a schedule, and writes what comes of them; the journal knows what was
acknowledged.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Tally
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from writebehind import (
    AsyncEvents,
    AsyncLeaderboard,
    AsyncRecords,
    AsyncWriteBehind,
    DurabilityUnknown,
    PartlyWritten,
    WriteBehindError,
)
from writebehind.demo.games.journal import Change, Journal, Key
from writebehind.demo.games.scenario import BOARDS, CLICKS, CLIENTS, MAPPINGS, PROFILES, SCORES, Game, games
from writebehind.demo.histogram import BUCKETS, Histogram, quantile
from writebehind.demo.orders import Orders
from writebehind.demo.parent import tell
from writebehind.demo.scenario import Scenario

PLACES_SHOWN = 3
_PROGRESS_INTERVAL_S = 0.1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Doors:
    """The three mappings."""

    def __init__(self, wb: AsyncWriteBehind, events: str) -> None:
        self.scores: AsyncLeaderboard[int] = wb.leaderboard(SCORES, member="player", board="game", keep="max")
        self.profiles: AsyncRecords = wb.records(PROFILES)
        self.clicks: AsyncEvents = wb.events(CLICKS, database=events)


class Clients:
    """All clients of this process."""

    def __init__(self, scenario: Scenario, doors: Doors, journal: Journal, orders: Orders) -> None:
        self.games = 0
        self.acknowledged: Tally[str] = Tally()
        """Scores, changes of profiles, and clicks, by mapping."""
        self.refusals: Tally[str] = Tally()
        self.latencies = {mapping: Histogram([0] * BUCKETS) for mapping in MAPPINGS}
        self._scenario = scenario
        self._doors = doors
        self._journal = journal
        self._orders = orders

    async def play(self, begin: float) -> None:
        """Let every client work its schedule off. A client that is late plays on without a pause, to the same end."""
        await asyncio.gather(*(self._client(begin, number) for number in range(len(CLIENTS))))

    async def _client(self, begin: float, number: int) -> None:
        interval = len(CLIENTS) / self._scenario.game_rate
        due = begin + interval * number / len(CLIENTS)  # clients take turns
        end = begin + self._scenario.game_seconds
        for game in games(number):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if max(due, time.monotonic()) >= end or self._orders.stopping:
                return
            await self._finish(game)
            due += interval

    async def _finish(self, game: Game) -> None:
        """Write what comes of a game."""
        doors, now = self._doors, datetime.now(UTC)
        now_us = (now - _EPOCH) // timedelta(microseconds=1)
        await self._write(
            SCORES,
            [((game.board, game.player), [game.points])],
            doors.scores.submit(game.player, game.points, board=game.board),
        )
        if game.operation == "delete":
            await self._write(PROFILES, [((game.player,), ["delete", {}])], doors.profiles.delete(game.player))
        else:
            write = doors.profiles.put if game.operation == "put" else doors.profiles.patch
            await self._write(
                PROFILES,
                [((game.player,), [game.operation, game.profile | {"last_seen_us": now_us}])],
                write(game.player, game.profile | {"last_seen": now}),
            )
        await self._write(
            CLICKS,
            [((id_,), [game.player, move, now_us]) for id_, move in game.clicks.items()],
            doors.clicks.extend(
                [{"id": id_, "user": game.player, "move": move, "at": now} for id_, move in game.clicks.items()]
            ),
        )
        self.games += 1

    async def _write(self, mapping: str, changes: Sequence[tuple[Key, Change]], call: Awaitable[None]) -> None:
        write = self._journal.begin(mapping, changes)
        called = time.monotonic()
        try:
            await call
        except (DurabilityUnknown, PartlyWritten) as error:  # the audit allows both outcomes
            self.refusals[str(error)] += 1
            self._journal.end(write, "unanswered")
        except WriteBehindError as error:
            self.refusals[str(error)] += 1
            self._journal.end(write, "refused")
        else:
            self._journal.end(write, "acknowledged")
            self.latencies[mapping].record(time.monotonic() - called)
            self.acknowledged[mapping] += len(changes)

    async def top(self) -> list[tuple[str, int]]:
        """The first places of the first board."""
        try:
            places = await self._doors.scores.top(PLACES_SHOWN, board=BOARDS[0])
        except WriteBehindError as error:
            self.refusals[str(error)] += 1
            return []
        return [(str(place.member), place.score) for place in places]

    async def tell_progress(self) -> None:
        """Tell how far all are, until cancelled."""
        while True:
            tell(games=self.games, written=self.acknowledged)
            await asyncio.sleep(_PROGRESS_INTERVAL_S)


async def main() -> None:
    """Open, play, look at a board, leave."""
    orders = Orders()
    listening = asyncio.create_task(orders.listen())
    start = await orders.next()
    if "scenario" not in start:
        return
    journal = Journal(Path(start["journal"]))
    wb = AsyncWriteBehind(folder=Path(start["cache"]), database=start["database"])
    clients = Clients(Scenario(**start["scenario"]), Doors(wb, start["events"]), journal, orders)
    async with wb:
        tell(ready=True)
        order = await orders.next()
        telling = asyncio.create_task(clients.tell_progress())
        if "begin" in order:
            await clients.play(order["begin"])
        ended = time.monotonic()
        telling.cancel()
        top = await clients.top()
    journal.close()
    tell(
        games=clients.games,
        written=clients.acknowledged,
        played={
            "ended": ended,
            "refusals": clients.refusals,
            "top": top,
            "latencies_s": {
                mapping: [quantile(latencies.counts(), share) for share in (0.50, 0.99)]
                for mapping, latencies in clients.latencies.items()
            },
        },
    )
    listening.cancel()


if __name__ == "__main__":
    asyncio.run(main())
