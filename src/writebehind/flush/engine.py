"""One flush, as a straight line: heads, seal, read, one transaction, acknowledge.

The engine is handed its cache, database, clock and observer, holds no state that matters, and can be
killed between any two lines: the next step, of any worker, reads header and head and continues. After
each step it emits that step's event.
"""

from __future__ import annotations

from collections.abc import Sequence

from writebehind.cache import calls
from writebehind.cache.link import Link as CacheLink
from writebehind.cache.link import Links
from writebehind.chain import new_identity
from writebehind.clock import Clock
from writebehind.databases.contract import Database, LedgerRow, PartitionName
from writebehind.errors import LedgerMissing, MappingConflict, PartitionStopped, RowRefused
from writebehind.flush.reader import read_batch
from writebehind.flush.task import NOTHING, Batch, FlushReport, Task, Verdicts
from writebehind.flush.transaction import LOST_BRANCH, apply_batches
from writebehind.observe import (
    Acknowledged,
    BatchApplied,
    BatchQuarantined,
    BatchRead,
    Committed,
    FenceApplied,
    HeadsRead,
    IncarnationEntered,
    Observer,
    Sealed,
    TransactionBegun,
)

LOOKS_BEFORE_RESTORED = 3
"""How often a commit number behind the cache's is read again before the database counts as restored."""
LOST_BRANCHES_BEFORE_STOP = 3
LOST_BRANCHES_WITHIN_S = 3600.0
"""How many lost branches in the present incarnation, within how long, stop a partition until a restart."""


class Engine:
    """Flushes partitions of one database. One call of ``step`` at a time per instance and table."""

    def __init__(self, cache: Links, database: Database, clock: Clock, observe: Observer, batch_fields: int) -> None:
        self._cache = cache
        self._database = database
        self._clock = clock
        self._observe = observe
        self._batch_fields = batch_fields
        self._lost_branches: dict[PartitionName, list[float]] = {}
        self._stopped: dict[PartitionName, PartitionStopped] = {}
        self._incidents: set[tuple[PartitionName, str]] = set()

    def step(self, tasks: Sequence[Task]) -> FlushReport | None:
        """Take the front batch of each partition of one table to its end; None where nothing waits.

        :raises CacheUnavailable, DatabaseUnavailable: try again; nothing is lost and nothing doubles.
        :raises PartitionStopped: cache and ledger contradict each other in one of the partitions.
        """
        started = self._clock.monotonic()
        with self._cache.borrow() as cache:
            heads = self._read_heads(tasks)
            batches, stopped = self._fronts(cache, tasks, heads)
            if not batches and stopped is not None:
                raise stopped
            if not batches:
                return None
            verdicts, report = self._apply(batches)
            lost = [batch for batch in verdicts.acknowledge if batch.task in verdicts.fence_anew]
            for batch in verdicts.acknowledge:
                if batch not in lost:
                    self._acknowledge(cache, batch, verdicts)
            for batch in lost:
                # The fence comes first: were it gone from the queue, a kill in between would leave no sign of it,
                # and its producers would never learn that they have to write again.
                self._fence_anew(cache, batch.task)
                self._acknowledge(cache, batch, verdicts)
        report.seconds = self._clock.monotonic() - started
        return report

    def _read_heads(self, tasks: Sequence[Task]) -> dict[PartitionName, LedgerRow]:
        heads = {row.name: row for row in self._database.read_partitions([task.name for task in tasks])}
        for task in tasks:
            if task.name not in heads:
                raise LedgerMissing(
                    f"{task.label} is not in the ledger", fix="Open the application, or run `writebehind init`."
                )
        self._observe(HeadsRead(tuple(task.label for task in tasks)))
        return heads

    def _fronts(
        self, cache: CacheLink, tasks: Sequence[Task], heads: dict[PartitionName, LedgerRow]
    ) -> tuple[list[Batch], PartitionStopped | None]:
        """The fronts of all chains; a partition that is stopped holds no other back."""
        batches: list[Batch] = []
        stopped: PartitionStopped | None = None
        for task in tasks:
            try:
                if task.name in self._stopped:
                    raise self._stopped[task.name]
                batch = self._front(cache, task, heads[task.name])
            except PartitionStopped as error:
                stopped = error
                continue
            if batch is not None:
                batches.append(batch)
        return batches, stopped

    def _front(self, cache: CacheLink, task: Task, head: LedgerRow) -> Batch | None:
        """Seal what is open if nothing sealed waits; the front of the chain, read whole."""
        sealed = self._seal(cache, task, head)
        self._observe(Sealed(task.label, len(sealed.front)))
        if not sealed.front:
            return None
        link = sealed.front[0]
        if link.is_fence:
            return Batch(task, link, NOTHING, head.head, sealed.incarnation)
        content = read_batch(cache, task, link)
        if content is None:
            return None
        self._observe(BatchRead(task.label, link.identity, link.size))
        return Batch(task, link, content, head.head, sealed.incarnation)

    def _seal(self, cache: CacheLink, task: Task, head: LedgerRow) -> calls.Sealed:
        known = head
        for _ in range(LOOKS_BEFORE_RESTORED):
            reply = cache.execute(
                calls.seal(
                    task.keys,
                    layout=task.layout,
                    batch=new_identity(),
                    batch_fields=self._batch_fields,
                    ledger=known.ledger_identity,
                    commit=known.commit_number,
                )
            )
            match reply:
                case calls.Sealed():
                    return reply
                case calls.NewIncarnation():
                    self._enter(cache, task, leave="")
                case calls.OtherLayout(layout):
                    raise MappingConflict(
                        f"{task.name.mapping!r} has {task.layout} partitions here and {layout} in the cache",
                        fix="Use the same partitions= everywhere.",
                    )
                case calls.Restored():
                    # Another worker may have committed since the heads were read: only the commit number is
                    # looked at anew. The head stays the one that was read before the chain was seen.
                    restored = reply
                    known = self._database.read_partitions([task.name])[0]
                    if known.ledger_identity == reply.ledger and known.commit_number >= reply.commit:
                        continue
                    self._stop_restored(known, restored, task)
        raise PartitionStopped(f"{task.label} could not be sealed in {LOOKS_BEFORE_RESTORED} tries")

    def _stop_restored(self, known: LedgerRow, reply: calls.Restored, task: Task) -> None:
        detail = {
            "commit_in_database": known.commit_number,
            "commit_in_cache": reply.commit,
            "ledger_in_database": known.ledger_identity,
            "ledger_in_cache": reply.ledger,
        }
        incident = (task.name, f"{reply.ledger} {reply.commit}")
        if incident not in self._incidents:
            with self._database.transaction() as transaction:
                rows = transaction.lock_partitions([task.name])
                transaction.add_incident(rows[0], "database_restored", detail)
            self._incidents.add(incident)
        raise PartitionStopped(
            f"{task.label} is stopped: the database is older than what it had acknowledged",
            why=f"the cache knows commit {reply.commit} of ledger {reply.ledger[:8]}, the database shows "
            f"commit {known.commit_number} of ledger {known.ledger_identity[:8]}",
            fix="The database was restored from a backup, or it is another one. Check the URL and the incident "
            "in writebehind_incidents.",
        )

    def _enter(self, cache: CacheLink, task: Task, leave: str) -> None:
        reply = cache.execute(
            calls.enter(
                task.keys,
                layout=task.layout,
                batch=new_identity(),
                fence=new_identity(),
                leave=leave,
                cached_value_ttl_ms=task.mapping.mapping.cached_value_ttl_ms,
            )
        )
        if isinstance(reply, calls.Entered) and reply.began:
            self._observe(IncarnationEntered(task.label, reply.incarnation))

    def _apply(self, batches: Sequence[Batch]) -> tuple[Verdicts, FlushReport]:
        began = self._clock.monotonic()
        try:
            verdicts, report = self._transact(batches)
        except RowRefused:
            if self._database.has_savepoints:
                raise
            verdicts, report = self._transact(batches, careful=True)
        self._observe(Committed(self._clock.monotonic() - began))
        self._tell(verdicts)
        return verdicts, report

    def _transact(self, batches: Sequence[Batch], *, careful: bool = False) -> tuple[Verdicts, FlushReport]:
        with self._database.transaction() as transaction:
            self._observe(TransactionBegun())
            return apply_batches(self._database, transaction, batches, self._observe, careful=careful)

    def _tell(self, verdicts: Verdicts) -> None:
        for batch in verdicts.applied:
            link = batch.link
            self._observe(BatchApplied(batch.task.label, link.identity, link.writes, len(batch.content)))
        for batch in verdicts.quarantined:
            self._observe(BatchQuarantined(batch.task.label, batch.link.identity, batch.link.writes, LOST_BRANCH))
        for batch in verdicts.acknowledge:
            if batch.link.is_fence and batch not in verdicts.quarantined:
                self._observe(FenceApplied(batch.task.label, batch.link.identity))

    def _acknowledge(self, cache: CacheLink, batch: Batch, verdicts: Verdicts) -> None:
        task, link = batch.task, batch.link
        cache.execute(
            calls.acknowledge(
                task.keys,
                batch=link.identity,
                ledger=verdicts.ledger[task.name].ledger_identity,
                commit=verdicts.commits[task.name],
                is_applied=link.identity not in verdicts.not_confirmed,
                forget=verdicts.forget.get(task.name, ()),
            )
        )
        self._observe(Acknowledged(task.label, link.identity))

    def _fence_anew(self, cache: CacheLink, task: Task) -> None:
        """A lost branch in the present incarnation: what follows it is lost too, unless a fence comes between."""
        now = self._clock.monotonic()
        recent = [moment for moment in self._lost_branches.get(task.name, ()) if now - moment < LOST_BRANCHES_WITHIN_S]
        self._lost_branches[task.name] = [*recent, now]
        if len(recent) + 1 >= LOST_BRANCHES_BEFORE_STOP:
            self._stopped[task.name] = PartitionStopped(
                f"{task.label} is stopped: again and again a batch does not continue the database's history",
                why="two caches probably feed one ledger",
                fix="Give each cache its own namespace=, then restart the worker; writebehind_incidents and "
                "writebehind_dead_letters have what was put aside.",
            )
            raise self._stopped[task.name]
        sealed = cache.execute(
            calls.seal(
                task.keys,
                layout=task.layout,
                batch=new_identity(),
                batch_fields=self._batch_fields,
                ledger="",
                commit=0,
            )
        )
        if isinstance(sealed, calls.Sealed):
            self._enter(cache, task, leave=sealed.incarnation)
