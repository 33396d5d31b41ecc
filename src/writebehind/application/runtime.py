"""What runs on a foundation: connections, lanes, flushers. Built without asking a server anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from writebehind.application.foundation import Foundation
from writebehind.cache import calls
from writebehind.cache.embedded import EmbeddedCache
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.link import Links
from writebehind.client.core import AnyFlows, Client, ClientSettings
from writebehind.client.delivery import Delivery, DeliverySettings
from writebehind.client.effects import Procedure, ask_cache, ask_database
from writebehind.client.flushing import FlushDesk
from writebehind.client.ring import RingBounds
from writebehind.clock import Clock
from writebehind.databases import open_database
from writebehind.databases.contract import Database, PartitionName
from writebehind.databases.urls import redact_url
from writebehind.errors import CacheError, CacheUnavailable, FlushTimeout, WriteBehindError
from writebehind.flush.engine import Engine
from writebehind.flush.task import FlushReport, Task, group_by_table
from writebehind.inspection import InspectedDatabase, Status, inspect
from writebehind.observe import EmbeddedCacheFailed, EmbeddedCacheRestarted, Observer
from writebehind.worker.capture.capturer import Capturer, CaptureSettings
from writebehind.worker.flusher import Flusher
from writebehind.worker.leases import Leases
from writebehind.worker.worker import Worker, WorkerSettings


class Runtime:
    """Everything that a process holds while it is open. A forked child builds its own."""

    def __init__(self, foundation: Foundation, clock: Clock, observe: Observer) -> None:
        settings = foundation.settings
        self.foundation = foundation
        self.settings = settings
        self.links = Links(foundation.address)
        self.databases = {url: open_database(url) for url in dict.fromkeys(p.database_url for p in foundation.mappings)}
        self.worker: Worker | None = None
        self._clock = clock
        self._observe = observe
        self.client = Client(
            foundation.namespace,
            self.links,
            ClientSettings(
                DeliverySettings(settings.batch_fields, settings.max_pending_rows, settings.buffer_full == "refuse"),
                RingBounds(settings.ring_groups, settings.ring_bytes, settings.ring_full),
                settings.replicas,
            ),
            observe,
        )
        self.tasks = {url: self._tasks(url) for url in self.databases}
        self.flushers = [
            flusher for url, database in self.databases.items() for flusher in self._flushers(url, database)
        ]
        self.flows: Mapping[str, AnyFlows] = self._flows()

    def _tasks(self, url: str) -> tuple[Task, ...]:
        namespace = self.foundation.namespace
        return tuple(
            Task(PartitionName(namespace, mapping.name, n), PartitionKeys.of(namespace, mapping.name, n), mapping)
            for mapping in (placed.mapping for placed in self.foundation.mappings if placed.database_url == url)
            for n in range(mapping.mapping.partitions)
        )

    def _flushers(self, url: str, database: Database) -> Sequence[Flusher]:
        engine = Engine(self.links, database, self._clock, self._observe, self.settings.batch_fields)
        leases = Leases(self._clock, self._observe, self.settings.lease_ttl_s)
        groups = group_by_table(self.tasks[url])
        return [Flusher(self.links, engine, leases, self._clock, tasks) for tasks in groups]

    def _flows(self) -> dict[str, AnyFlows]:
        desks = {
            task.name.mapping: desk
            for flusher in self.flushers
            for desk in [FlushDesk(partial(flusher.flush_all, report=FlushReport()))]
            for task in flusher.tasks
        }
        return {
            placed.mapping.name: self.client.bind(
                placed.mapping, self.databases[placed.database_url], desks[placed.mapping.name]
            )
            for placed in self.foundation.mappings
        }

    def housekeeping(self) -> Procedure[tuple[bool, list[Delivery]]]:
        """The client's housekeeping; and an embedded server that was killed is started again."""
        embedded = self.foundation.embedded
        if embedded is not None:
            try:
                yield from ask_cache(calls.server_time_ms())
            except CacheUnavailable as error:
                yield from ask_database(partial(self._revive, embedded, error))
        return (yield from self.client.housekeeping())

    def _revive(self, embedded: EmbeddedCache, why: CacheUnavailable) -> None:
        """Start the embedded server if it is gone. Where that fails, it is tried again at the next turn."""
        before = embedded.server_pid
        try:
            embedded.ensure_running()
        except CacheError as error:
            self._observe(EmbeddedCacheFailed(str(error)))
        else:
            if embedded.server_pid != before:
                self._observe(EmbeddedCacheRestarted(str(why)))

    def leave(self) -> Procedure[bool]:
        """Bring what only this process has into the cache, within ``drain_timeout``; False where that failed."""
        deadline = self._clock.monotonic() + self.settings.drain_timeout_s
        return self.client.leave(partial(self.flush, deadline, FlushReport()), deadline)

    def flush(self, deadline: float, report: FlushReport) -> None:
        """Flush everything that is in the cache now; what is done is added to ``report``. Waits for the database.

        :raises FlushTimeout: the deadline (of the clock's ``monotonic``) passed first.
        """
        started = self._clock.monotonic()
        for capturer in self.worker.capturers if self.worker is not None else ():
            if not capturer.capture_now(deadline):
                raise FlushTimeout(
                    f"what plain commands did to the keys of {capturer.capture.mapping.name!r} was not captured",
                    why=capturer.error,
                    fix="It is safe in those keys; flush again.",
                )
        failure: WriteBehindError | None = None
        for flusher in self.flushers:
            try:
                flusher.flush_all(deadline, report)
            except WriteBehindError as error:  # it must not keep the tables after it from being flushed
                failure = failure or error
        if failure is not None:
            raise failure
        report.seconds += self._clock.monotonic() - started

    def status(self) -> Status:
        """A snapshot. Asks cache and database."""
        lanes = {
            name: [
                delivery.partition.lane
                for delivery in self.client.deliveries
                if delivery.partition.name.mapping == name
            ]
            for name in self.flows
        }
        return inspect(
            self.links,
            [InspectedDatabase(redact_url(url), database, self.tasks[url]) for url, database in self.databases.items()],
            lanes,
            self.foundation.captures,
            namespace=self.foundation.namespace,
            worker_errors=self.worker.all_errors() if self.worker is not None else {},
        )

    def start_worker(self) -> Worker:
        """Flush in threads of this process from now on; again is no error."""
        if self.worker is None:
            settings = self.settings
            worker = Worker(
                self.flushers,
                self._capturers(),
                self._clock,
                self._observe,
                WorkerSettings(settings.flush_after_s, settings.flush_rows, settings.poll_s),
            )
            try:
                worker.start()
            except BaseException:
                worker.abandon()
                raise
            self.worker = worker
        return self.worker

    def _capturers(self) -> list[Capturer]:
        settings = self.settings
        urls = {placed.mapping.name: placed.database_url for placed in self.foundation.mappings}
        capturers = []
        for capture in self.foundation.captures:
            url = urls[capture.mapping.name]
            tasks = [task for task in self.tasks[url] if task.name.mapping == capture.mapping.name]
            chosen = CaptureSettings(settings.capture_every_s, settings.lease_ttl_s, settings.max_pending_rows)
            database = self.databases[url]
            capturers.append(Capturer(self.links, database, capture, tasks, self._clock, self._observe, chosen))
        return capturers

    def stop_worker(self) -> bool:
        """Stop the worker, if one runs, and drain; True where nothing is left."""
        worker, self.worker = self.worker, None
        return worker is None or worker.stop(self.settings.drain_timeout_s)

    def close(self) -> None:
        """Close connections, and leave the embedded server."""
        self.links.close()
        for database in self.databases.values():
            database.close()
        if self.foundation.embedded is not None:
            self.foundation.embedded.release()
