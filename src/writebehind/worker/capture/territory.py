"""The partitions of a captured mapping: taking them over, and the capture calls that are made in them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from writebehind.cache import calls
from writebehind.cache.link import Link
from writebehind.cache.replies import NotExecuted
from writebehind.chain import new_identity
from writebehind.databases.contract import Database
from writebehind.errors import CacheUnavailable, MappingConflict, WriteBehindError
from writebehind.flush.task import Task
from writebehind.mapping import BoundCapture

MOST_TRIES = 5


class TerritoryLost(WriteBehindError):
    """Another worker captures now, or the cache began a new life: everything has to be looked at again."""

    retryable = True


@dataclass(slots=True)
class Holding:
    """One partition that was taken over: in which incarnation, and whether its first scan is done."""

    task: Task
    incarnation: str
    scanned: bool
    lived_on: bool
    """Whether the cache's data has lived on since what is captured of it was captured."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A capture whose answer was lost: how it is called, and the keys that were taken for it, with their ends."""

    label: str
    taken: Mapping[bytes, str]
    was_executed: bool = False


class Territory:
    """All partitions of one captured mapping, under one token. Another token's calls change nothing."""

    def __init__(self, capture: BoundCapture, tasks: Sequence[Task], database: Database, max_pending_rows: int) -> None:
        self.capture = capture
        self._tasks = tuple(tasks)
        self._database = database
        self._max_pending_rows = max_pending_rows
        self._token = ""
        self._next_token: str | None = None
        self._number = 0
        self._known_scanned: set[int] = set()
        self._doubts: dict[int, Doubt] = {}
        self.holdings: list[Holding] = []

    def unscanned(self) -> set[int]:
        """Partitions whose first scan the database does not know of."""
        tasks = [task for task in self._tasks if task.name.partition not in self._known_scanned]
        if tasks:
            mark = self.capture.capture.mark
            rows = {row.name: row for row in self._database.read_partitions([task.name for task in tasks])}
            with self._database.transaction() as transaction:
                for task in tasks:
                    if transaction.read_captured(rows[task.name], [mark]).get(mark):
                        self._known_scanned.add(task.name.partition)
        return {task.name.partition for task in self._tasks} - self._known_scanned

    def captured_in_database(self, holding: Holding, limit: int) -> Iterator[dict[bytes, int]]:
        """What the database has of the keys of a partition, in slices."""
        [row] = self._database.read_partitions([holding.task.name])
        after = ""
        while True:
            with self._database.transaction() as transaction:
                found = transaction.scan_captured(row, after, limit)
            if not found:
                return
            yield {key.encode(): value for key, value in found.items() if self.capture.pattern.match(key.encode())}
            after = list(found)[-1]

    def take_over(self, link: Link) -> bool:
        """Become the one who captures, in the present incarnation of every partition; whether nobody else was since.

        :raises WriteBehindError: it could not be; try again.
        """
        unscanned = self.unscanned()
        if self._next_token is None:
            self._next_token = secrets.token_hex(16)
        self.holdings = []
        befores = []
        for task in self._tasks:
            holding, before = self._take(link, task, self._next_token, task.name.partition in unscanned)
            self.holdings.append(holding)
            befores.append(before)
        was_mine = all(before.partition(" ")[0] == self._token != "" for before in befores)
        for partition, doubt in list(self._doubts.items()):
            # Whether it was executed is known now, since it cannot be any more. Where another worker captured
            # meanwhile, it has looked at everything itself.
            self._doubts[partition] = replace(doubt, was_executed=not was_mine or befores[partition] == doubt.label)
        self._token, self._next_token = self._next_token, None
        return was_mine

    def _take(self, link: Link, task: Task, token: str, is_unscanned: bool) -> tuple[Holding, str]:
        for _ in range(MOST_TRIES):
            incarnation = link.execute(calls.header(task.keys)).incarnation
            if not incarnation:
                self._enter(link, task)
                continue
            head = calls.CaptureHead(task.layout, incarnation, 0, token, 0)
            match link.execute(calls.capture_begin(task.keys, head, mark=self.capture.capture.mark, scanned=False)):
                case calls.CaptureBegun(scanned, before):
                    lived_on = before.rpartition(" ")[2] == incarnation
                    return Holding(task, incarnation, scanned or not is_unscanned, lived_on), before
                case calls.OtherLayout(layout):
                    raise MappingConflict(
                        f"{task.name.mapping!r} has {task.layout} partitions here and {layout} in the cache",
                        fix="Use the same partitions= everywhere.",
                    )
                case _:
                    self._enter(link, task)
        raise TerritoryLost(f"the keys of {task.label} could not be taken over in {MOST_TRIES} tries")

    def _enter(self, link: Link, task: Task) -> None:
        link.execute(
            calls.enter(
                task.keys,
                layout=task.layout,
                batch=new_identity(),
                fence=new_identity(),
                leave="",
                cached_value_ttl_ms=task.mapping.mapping.cached_value_ttl_ms,
            )
        )

    def is_mine(self, link: Link) -> bool:
        """Whether nobody has taken over, and the cache lives on, as far as it can be asked."""
        found = link.execute_all([calls.captured_token(holding.task.keys) for holding in self.holdings])
        return bool(found) and all(token == self._token for token in found)

    def head(self, holding: Holding) -> calls.CaptureHead:
        """What the next capture in a partition names."""
        self._number += 1
        return calls.CaptureHead(
            holding.task.layout, holding.incarnation, self._max_pending_rows, self._token, self._number
        )

    def execute(
        self, link: Link, holding: Holding, call: calls.Call[calls.CaptureReply], taken: Mapping[bytes, str]
    ) -> calls.Captured | None:
        """What a capture did; None where the bound on pending rows is reached, and nothing was done.

        ``taken``: its keys with the ends that were seen of them. Where its answer is lost, they are kept until
        ``take_over`` has found out.
        :raises TerritoryLost: everything has to be looked at again.
        """
        try:
            reply = link.execute(call)
        except NotExecuted:
            raise
        except CacheUnavailable as error:
            label = f"{self._token} {self._number} {holding.incarnation}"
            self._doubts[holding.task.name.partition] = Doubt(label, dict(taken))
            raise TerritoryLost("the answer to a capture was lost", why=str(error)) from error
        match reply:
            case calls.Captured():
                return reply
            case calls.Full():
                link.execute(calls.ask_for_flush(holding.task.keys))
                return None
            case _:
                raise TerritoryLost(f"the keys of {holding.task.label} are not this worker's any more: {reply}")

    def keys_in_doubt(self) -> set[bytes]:
        """The keys of captures whose answers were lost."""
        return {key for doubt in self._doubts.values() for key in doubt.taken}

    def undone(self) -> dict[bytes, str]:
        """The keys of captures that were not executed after all, with their ends; asked once after ``take_over``."""
        undone: dict[bytes, str] = {}
        for doubt in self._doubts.values():
            if not doubt.was_executed:
                undone.update(doubt.taken)
        self._doubts.clear()
        return undone

    def mark_scanned(self, link: Link) -> None:
        """Note that the first scan is done, in the cache, and through the chain in the database.

        :raises TerritoryLost: it is not this worker's to say any more.
        """
        for holding in self.holdings:
            if holding.scanned:
                continue
            mark = self.capture.capture.mark
            reply = link.execute(calls.capture_begin(holding.task.keys, self.head(holding), mark=mark, scanned=True))
            if not isinstance(reply, calls.CaptureBegun):
                raise TerritoryLost(f"the keys of {holding.task.label} are not this worker's any more: {reply}")
            holding.scanned = True
