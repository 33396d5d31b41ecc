"""The capturer of one mapping: a thread that carries dirty keys into the open batch.

Its order is what makes it exact. Keys are taken from the dirty ones, then read, then the subscription is asked for a
sign of life: so every event before the reading is known. A key whose life ended between the taking and the sign waits
for the next round; of all others it is known whether the value belongs to the life that was captured before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from writebehind.cache import calls
from writebehind.cache.link import Link, Links
from writebehind.clock import Clock
from writebehind.databases.contract import Database
from writebehind.errors import ConfigurationError, KeyRefused, WriteBehindError
from writebehind.flush.task import Task
from writebehind.mapping import BoundCapture, BoundCounter, BoundLeaderboard, BoundRecords
from writebehind.mapping.capture import BASELINES_MEAN
from writebehind.observe import CaptureFailed, CaptureRescanned, KeysCaptured, KeysUnfit, KeysVanished, Observer
from writebehind.worker.capture.boards import BoardCapturer
from writebehind.worker.capture.dirty import DirtyKeys
from writebehind.worker.capture.findings import GONE, CounterReader, Found, Reader, RecordReader, Unfit
from writebehind.worker.capture.lease import CaptureLease
from writebehind.worker.capture.listener import Listener
from writebehind.worker.capture.tally import Tally, UnfitKeys
from writebehind.worker.capture.territory import Holding, Territory, TerritoryLost

KEYS_A_CALL = 500
SCAN_COUNT = 1000
SUBSCRIBE_TIMEOUT_S = 5.0
TELL_EVERY_S = 1.0
SWEEPS_WHEN_ASKED = 2
"""How often what is dirty is looked at again when someone waits: a key that was deleted meanwhile takes two looks."""
REST_SHARE = 4
"""A sorted set is read whole: for each second of that, this many without."""
FIRST_RETRY_DELAY_S = 0.1
LONGEST_RETRY_DELAY_S = 5.0
PAUSED_DELAY_S = 5.0


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What a capturer needs to know of the configuration."""

    capture_every_s: float
    lease_ttl_s: float
    max_pending_rows: int


class Capturer:
    """Captures the keys of one mapping while this process holds the lease."""

    def __init__(
        self,
        cache: Links,
        database: Database,
        capture: BoundCapture,
        tasks: Sequence[Task],
        clock: Clock,
        observe: Observer,
        settings: CaptureSettings,
    ) -> None:
        self.capture = capture
        self._cache = cache
        self._database = database
        self._clock = clock
        self._observe = observe
        self._settings = settings
        self._tasks = tuple(tasks)
        self._territory = Territory(capture, tasks, database, settings.max_pending_rows)
        self._lease = CaptureLease(cache, tasks[0].keys, clock, settings.lease_ttl_s)
        self._dirty = DirtyKeys()
        self._listener: Listener | None = None
        self._generation = 0
        self._scan_reason = "the worker started"
        self._may_evict = False
        self._scanned: set[int] = set()
        """Hashes of the keys that this scan has captured: of them it is known since whether they live on."""
        self._tally = Tally()
        self._told_at = float("-inf")
        self._unfit = UnfitKeys()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._asking = threading.Condition()
        self._asked = 0
        self._answered = 0
        self._thread: threading.Thread | None = None
        self.error: str = ""
        """Why nothing is captured at present, or ''."""
        self.is_capturing = False
        """Whether this process is the one that captures, and up to date with its rescan."""
        self.stands_back = False
        """Whether another process captures."""

    # For the worker

    def prepare(self) -> None:
        """Check what must be right before anything is written.

        :raises CacheRefused: the server does not tell of changed keys, and may not be made to.
        :raises ConfigurationError: keys exist, and nobody said whose number is right.
        """
        self._listener_now().wait_alive(SUBSCRIBE_TIMEOUT_S)
        if self.capture.capture.baseline is not None or not self._territory.unscanned():
            return
        with self._cache.borrow() as link:
            for names in self._scan(link):
                known = [key for key in names if self._identified(key) is not None]
                if known and not self._is_marked(link):
                    raise ConfigurationError(
                        f"{self.capture.capture.where}: keys exist, for example {known[0].decode()!r}",
                        why="nobody said whether the rows or the keys are right",
                        fix=f"Pass baseline=. {BASELINES_MEAN}",
                    )

    def _is_marked(self, link: Link) -> bool:
        """Whether the first scan is done as far as the cache knows, and only its batch has not been flushed."""
        marks = link.execute_all([calls.captured_mark(task.keys, self.capture.capture.mark) for task in self._tasks])
        return all(marks)

    def start(self) -> None:
        """Capture in a thread of its own."""
        name = f"writebehind-capture-{self.capture.capture.to}"
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def capture_now(self, deadline: float) -> bool:
        """Wait until all that happened to the keys before this call is in the open batch; at most until the deadline
        of the clock's ``monotonic``. False where it is not; where another process captures, it is its affair.
        """
        with self._asking:
            self._asked += 1
            wanted = self._asked
            self._wake.set()
            while self._answered < wanted and not self.stands_back:
                if self._clock.monotonic() >= deadline or self._stopping.is_set():
                    return False
                self._asking.wait(0.05)
        return True

    def stop(self, deadline: float) -> bool:
        """Capture what is dirty, give the lease back, end; False where something was left for the next worker."""
        is_done = not self.error and self.capture_now(deadline)
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - self._clock.monotonic()) + 1.0)
        if self._listener is not None:
            self._listener.stop()
        self._lease.release()
        return is_done

    def abandon(self) -> None:
        """End what ``prepare`` has begun, where it is not followed by ``start``."""
        self._stopping.set()
        if self._listener is not None:
            self._listener.stop()

    # The thread

    def _work(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            wait_s = self._settings.capture_every_s
            try:
                wait_s = max(wait_s, self._turn())
                attempt, self.error = 0, ""
            except Exception as error:  # noqa: BLE001 - a thread that is gone would capture nothing, in silence
                mendable = isinstance(error, WriteBehindError) and error.retryable
                wait_s = min(LONGEST_RETRY_DELAY_S, FIRST_RETRY_DELAY_S * 2.0 ** min(attempt, 10))
                if isinstance(error, TerritoryLost):
                    self._scan_again("another worker captured, or the cache began a new life")
                    wait_s = FIRST_RETRY_DELAY_S
                elif not mendable:
                    wait_s = PAUSED_DELAY_S
                attempt += 1
                self.error = str(error)
                self._observe(CaptureFailed(self.capture.capture.to, str(error), wait_s))
            self._wake.wait(wait_s)
            self._wake.clear()
        self.is_capturing = False

    def _turn(self) -> float:
        """One look: captures what is dirty; for how many seconds to rest at least."""
        self.stands_back = not self._lease.hold()
        if self.stands_back:
            self._stand_back()
            return self._settings.lease_ttl_s / 3
        started = self._clock.monotonic()
        generation = self._listener_now().wait_alive(SUBSCRIBE_TIMEOUT_S)
        with self._cache.borrow() as link:
            if generation != self._generation:
                if self._generation:
                    self._scan_reason = "the subscription was broken"
                self._generation = generation
                self.is_capturing = False
            if not self.is_capturing:
                self._begin(link)
            with self._asking:
                asked = self._asked
            is_asked = asked != self._answered
            if is_asked and not self._listener_now().pass_barrier(generation):
                return 0.0
            is_done = self._sweep(link)
            for _ in range(SWEEPS_WHEN_ASKED if is_asked else 0):
                is_done = self._sweep(link) and is_done
            if not self._territory.is_mine(link):
                raise TerritoryLost(f"the keys of {self.capture.capture.to} are not this worker's any more")
            self._tell(link, at_once=is_asked)
        with self._asking:
            if is_done:
                self._answered = asked
            self._asking.notify_all()
        is_board = isinstance(self.capture.mapping, BoundLeaderboard)
        return REST_SHARE * (self._clock.monotonic() - started) if is_board else 0.0

    def _sweep(self, link: Link) -> bool:
        """Capture what is dirty now; False where some of it waits for a flush."""
        is_done = True
        for _ in range(-(-len(self._dirty) // KEYS_A_CALL)):
            is_done = self._capture(link, self._dirty.take(KEYS_A_CALL), is_scan=False) and is_done
        return is_done

    def _stand_back(self) -> None:
        if self.is_capturing or self._generation:
            self._scan_again("another worker captured meanwhile")
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        self._generation = 0

    def _scan_again(self, why: str) -> None:
        self.is_capturing = False
        self._scan_reason = why

    def _listener_now(self) -> Listener:
        if self._listener is None:
            self._listener = Listener(
                self._cache.address,
                self.capture.pattern.glob,
                self.capture.capture.to,
                self._dirty,
                self._clock,
                self._observe,
            )
            self._listener.start()
        return self._listener

    # Rescanning

    def _begin(self, link: Link) -> None:
        """Take the keys over, and compare all of them with what was captured."""
        self._may_evict = link.execute(calls.eviction_policy()).startswith("allkeys")
        if not self._territory.take_over(link):
            # What was noted until now, another worker may have seen and captured too.
            if not self._listener_now().pass_barrier(self._generation):
                raise TerritoryLost("the subscription was broken at the beginning of a scan")
            self._dirty.clear()
        self._dirty.put_back(self._territory.undone())
        self._tally = Tally.from_text(link.execute(calls.read_status(self._tasks[0].keys.capture_status)))
        self._unfit.clear()
        self._scanned.clear()
        count = 0
        for names in self._scan(link):
            known = [key for key in dict.fromkeys(names) if self.capture.pattern.match(key) is not None]
            count += len(known)
            self._capture_all(link, known)
        for holding in self._territory.holdings:
            for captured in _captured_names(link, holding):
                known = [key for key in captured if self.capture.pattern.match(key) is not None]
                self._capture_all(link, known)
            if isinstance(self.capture.mapping, BoundCounter) and not holding.lived_on:
                self._tell_database(link, holding)
        self._scanned.clear()
        self._territory.mark_scanned(link)
        self.is_capturing = True
        self._tally.last_rescan_ms = self._clock.wall_ms()
        self._observe(CaptureRescanned(self.capture.capture.to, count, self._scan_reason))
        self._tell(link, at_once=True)

    def _tell_database(self, link: Link, holding: Holding) -> None:
        """After a rollback the database may know keys at another worth than the cache has captured of them. It is
        told, so that what is counted from now on counts.
        """
        for known in self._territory.captured_in_database(holding, KEYS_A_CALL):
            values = self._reader().read(link, list(known)) if known else {}
            self._capture_all(link, [key for key in known if values[key] != known[key]], must_tell=True)

    def _scan(self, link: Link) -> Iterator[tuple[bytes, ...]]:
        cursor = 0
        while True:
            part = link.execute(calls.scan_names(cursor, self.capture.pattern.glob, SCAN_COUNT))
            yield part.names
            cursor = part.cursor
            if cursor == 0:
                return

    def _capture_all(self, link: Link, keys: Sequence[bytes], *, must_tell: bool = False) -> None:
        """Capture keys that a scan found; the bound on pending rows is waited for."""
        for first in range(0, len(keys), KEYS_A_CALL):
            some = keys[first : first + KEYS_A_CALL]
            while not self._capture(link, self._dirty.take_these(some), is_scan=True, must_tell=must_tell):
                if self._clock.wait(self._stopping, FIRST_RETRY_DELAY_S):
                    raise TerritoryLost("stopped during a scan; the next worker begins it again")

    # Capturing

    def _capture(self, link: Link, taken: Mapping[bytes, str], *, is_scan: bool, must_tell: bool = False) -> bool:
        """Capture keys that were taken from the dirty ones; False where some wait for a flush.

        :raises WriteBehindError: nothing is lost: what was not captured is dirty again.
        """
        rest = dict(taken)
        try:
            fields = {key: field for key in taken if (field := self._identified(key)) is not None}
            for key in taken.keys() - fields.keys():
                del rest[key]
            if not fields:
                return True
            if isinstance(self.capture.mapping, BoundLeaderboard):
                return self._capture_boards(link, fields, rest, is_scan=is_scan)
            return self._capture_values(link, fields, rest, is_scan=is_scan, must_tell=must_tell)
        except TerritoryLost:
            for key in self._territory.keys_in_doubt():
                rest.pop(key, None)
            raise
        finally:
            self._dirty.put_back(rest)

    def _capture_values(
        self, link: Link, fields: Mapping[bytes, bytes], rest: dict[bytes, str], *, is_scan: bool, must_tell: bool
    ) -> bool:
        reader = self._reader()
        keys = list(fields)
        ages = dict.fromkeys(keys, -1)
        values = reader.read(link, keys)
        if is_scan and not self._may_evict:
            ages = dict(zip(keys, link.execute_all([calls.expires_in_ms(key) for key in keys]), strict=True))
        if not self._listener_now().pass_barrier(self._generation):
            raise TerritoryLost("the subscription was broken while keys were read")
        ended = self._dirty.ends_since(keys)
        by_partition: dict[int, list[Found]] = {}
        for key, field in fields.items():
            ends, value = rest[key], values[key]
            if key in ended and not ends:
                continue  # it stays dirty, with the end that was seen
            if key in ended:
                value = GONE  # of the life that was read nobody knows whether it is this one or the next
            if isinstance(value, Unfit):
                self._note_unfit(key, value.why)
                if not ends:
                    del rest[key]
                    continue
                value = GONE
            elif value is not GONE:
                self._unfit.fits(key)
            partition = self.capture.mapping.partition_of(field)
            how = reader.how(ends)
            if not how and must_tell:
                how = "!"
            elif not how and is_scan and value is not GONE:
                how = self._how_scanned(key, partition, has_end=ages[key] >= 0)
            by_partition.setdefault(partition, []).append(Found(key, field, how, value))
        is_done = True
        for holding in self._territory.holdings:
            found = by_partition.get(holding.task.name.partition)
            if found:
                is_done = self._capture_found(link, holding, reader, found, rest) and is_done
        return is_done

    def _capture_found(
        self, link: Link, holding: Holding, reader: Reader, found: Sequence[Found], rest: dict[bytes, str]
    ) -> bool:
        """Capture keys of one partition, as many as the bound on pending rows lets in; False where some are left."""
        waiting = [found]
        while waiting:
            some = waiting.pop()
            call = reader.call(holding.task.keys, self._territory.head(holding), some)
            captured = self._territory.execute(link, holding, call, {each.key: rest[each.key] for each in some})
            if captured is not None:
                for each in some:
                    del rest[each.key]
                    if not self.is_capturing:
                        self._scanned.add(hash(each.key))
                self._note(captured, some)
            elif len(some) == 1:
                return False
            else:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
        return True

    def _how_scanned(self, key: bytes, partition: int, *, has_end: bool) -> calls.How:
        if hash(key) in self._scanned:
            return ""
        holding = next(each for each in self._territory.holdings if each.task.name.partition == partition)
        baseline = self.capture.capture.baseline
        is_counter = isinstance(self.capture.mapping, BoundCounter)
        if not holding.scanned and (baseline == "database" or (baseline == "cache" and is_counter)):
            return "="
        return "?" if self._may_evict or has_end or not holding.lived_on else ""

    def _capture_boards(
        self, link: Link, boards: Mapping[bytes, bytes], rest: dict[bytes, str], *, is_scan: bool
    ) -> bool:
        is_done = True
        for key, board in boards.items():
            partition = self._board_partition(board)
            holding = next(each for each in self._territory.holdings if each.task.name.partition == partition)
            capturer = BoardCapturer(self._territory, holding, link, key, board, rest[key])
            how: calls.How = rest[key][:1]  # type: ignore[assignment]
            if not how and is_scan and not holding.scanned and self.capture.capture.baseline == "database":
                how = "="
            outcome = capturer.capture(how, lambda: self._listener_now().pass_barrier(self._generation), self._dirty)
            if outcome.changed or outcome.vanished:
                self._tally.captured += 1
                self._observe(KeysCaptured(self.capture.capture.to, 1, outcome.changed))
            if outcome.vanished:
                self._observe(KeysVanished(self.capture.capture.to, self._tally.note_vanished([key])))
            if outcome.unfit:
                self._note_unfit(key, outcome.unfit)
            if outcome.is_done:
                del rest[key]
            else:
                rest[key] = outcome.ends_left
                is_done = is_done and outcome.waits_for_event
        return is_done

    def _board_partition(self, board: bytes) -> int:
        mapping = self.capture.mapping
        assert isinstance(mapping, BoundLeaderboard)
        return mapping.partition_of_board(board)

    def _reader(self) -> Reader:
        mapping = self.capture.mapping
        if isinstance(mapping, BoundCounter):
            return CounterReader(mapping, self._baselines)
        assert isinstance(mapping, BoundRecords)
        return RecordReader(mapping)

    def _baselines(self, units: Mapping[bytes, int]) -> Mapping[bytes, int]:
        """What the first scan adds to rows, by field: nothing, or what makes them what the keys say."""
        counter = self.capture.mapping
        if self.capture.capture.baseline != "cache":
            return {}
        assert isinstance(counter, BoundCounter)
        rows = {field: counter.keys.decode(field) for field in units}
        known = self._database.read_counter(self._tasks[0].name, counter, list(rows.values()), None).values
        return {field: units[field] - known.get(row, 0) for field, row in rows.items()}

    def _identified(self, key: bytes) -> bytes | None:
        try:
            return self.capture.identify(key)
        except KeyRefused as error:
            self._note_unfit(key, error.why or error.what)
            return None

    # Telling

    def _note(self, captured: calls.Captured, found: Sequence[Found]) -> None:
        self._tally.captured += captured.changed
        self._observe(KeysCaptured(self.capture.capture.to, len(found), captured.changed))
        if captured.vanished:
            count = self._tally.note_vanished(found[index].key for index in captured.vanished)
            self._observe(KeysVanished(self.capture.capture.to, count))
        for index in captured.unfit:
            self._note_unfit(found[index].key, "the sum would leave 64 bits")

    def _note_unfit(self, key: bytes, why: str) -> None:
        if self._unfit.note(key, why):
            self._observe(KeysUnfit(self.capture.capture.to, len(self._unfit)))

    def _tell(self, link: Link, *, at_once: bool = False) -> None:
        now = self._clock.monotonic()
        if not at_once and now - self._told_at < TELL_EVERY_S:
            return
        self._told_at = now
        self._tally.told_ms = self._clock.wall_ms()
        self._tally.subscription_alive = self._listener is not None and self._listener.is_alive
        self._tally.unfit = len(self._unfit)
        self._tally.unfit_names = self._unfit.shown()
        link.execute(calls.note_status(self._tasks[0].keys.capture_status, self._tally.to_text()))


def _captured_names(link: Link, holding: Holding) -> Iterable[list[bytes]]:
    """The names of the keys of which something was captured, in slices."""
    cursor = 0
    while True:
        part = link.execute(calls.scan_batch(holding.task.keys.captured, cursor, SCAN_COUNT))
        yield list(dict.fromkeys(part.flat[::2]))
        cursor = part.cursor
        if cursor == 0:
            return
