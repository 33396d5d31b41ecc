"""``WriteBehind``: the door for threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType

from writebehind.application.blocking_mappings import BlockingMappings
from writebehind.application.capturing import Captures
from writebehind.application.declaring import Declarations
from writebehind.application.foundation import AnyMapping, Value, lay
from writebehind.application.runtime import Runtime
from writebehind.client.core import AnyFlows
from writebehind.client.doors.base import Levels
from writebehind.client.threads import Threads
from writebehind.clock import Clock
from writebehind.errors import CacheUnavailable, NotOpen
from writebehind.flush.task import FlushReport
from writebehind.inspection import Status
from writebehind.mapping import DeclaredCapture
from writebehind.observe import Observer, WritesAbandoned
from writebehind.settings import Settings


class WriteBehind(BlockingMappings, Captures):
    """A write-behind cache: writes go to Valkey or Redis, a worker flushes them to the database.

    Settings are keyword arguments (``cache``, ``database``, ``flush_after``, ...: docs/settings.md), over
    environment variables (``WRITEBEHIND_CACHE``, ...), over ``writebehind.toml``. With nothing given, an
    embedded Valkey and a SQLite file in ``./.writebehind/`` serve.

    Declare counters, then use it as a context manager, or with ``open()`` and ``close()``. Thread-safe; a
    forked child gets a producer, an empty ring and connections of its own.

    :raises ConfigurationError: every setting that is wrong, at once.
    """

    def __init__(self, *, observers: Sequence[Observer] = (), clock: Clock | None = None, **settings: object) -> None:
        self._declarations = Declarations(Settings.load(**settings), observers, clock)
        self._runtime: Runtime | None = None
        self._threads: Threads | None = None
        self._process_id = 0
        self._lock = threading.Lock()

    # Declaring: see BlockingMappings

    @property
    def _levels(self) -> Levels:
        return self._declarations.levels

    def _declare(self, mapping: AnyMapping, *, value: Value | None = None, database: str | None = None) -> str:
        return self._declarations.declare(mapping, value=value, database=database, is_open=self._runtime is not None)

    def _declare_capture(self, declared: DeclaredCapture) -> None:
        self._declarations.declare_capture(declared, is_open=self._runtime is not None)

    # The database's one-time setup

    def init(self) -> None:
        """Create the ledger's tables in the database, where they are missing."""
        self._declarations.init()

    @property
    def databases(self) -> tuple[str, ...]:
        """The URLs of all databases that are used, without their passwords."""
        return self._declarations.databases

    def ledger_sql(self) -> str:
        """The statements that ``init`` would run, for a person to run."""
        return self._declarations.ledger_sql()

    def create_counter_table(self, table: str, key: Sequence[str], columns: Sequence[str]) -> None:
        """Create a table for counting, if it does not exist: text keys, 64-bit counts."""
        self._declarations.create_counter_table(table, key, columns)

    # Life

    def open(self) -> WriteBehind:
        """Check cache, tables and ledger, and begin. Opening what is open changes nothing.

        :raises WriteBehindError: whatever does not fit, before anything is written.
        """
        with self._lock:
            if self._runtime is None:
                declarations = self._declarations
                foundation = lay(declarations.settings, declarations.declared, declarations.captures)
                self._begin(Runtime(foundation, declarations.clock, declarations.observe))
                threads = self._threads
                assert threads is not None
                try:
                    threads.run(self._runtime_now().client.enter_all())
                except BaseException:
                    self._end()
                    raise
        return self

    def _begin(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._process_id = os.getpid()
        self._threads = Threads(runtime.links, runtime.housekeeping, runtime.settings.linger_ms / 1000)
        self._threads.start()

    def close(self) -> None:
        """Send what is buffered and, where this process runs a worker, flush, both within ``drain_timeout``.

        What is not flushed by then stays safe in the cache. Closing what is closed changes nothing.
        :raises CacheUnavailable: writes with ``ack="local"`` could not be sent; they are gone.
        """
        with self._lock:
            runtime, threads = self._runtime, self._threads
            if runtime is None or threads is None:
                return
            if self._process_id != os.getpid():  # inherited through a fork: the parent's, not ours to end
                self._runtime = self._threads = None
                return
            try:
                sent = threads.run(runtime.leave())
                runtime.stop_worker()
            finally:
                self._end()
        if not sent:
            raise self._abandoned(runtime)

    def _end(self) -> None:
        runtime, threads = self._runtime, self._threads
        self._runtime = self._threads = None
        if threads is not None:
            threads.stop()
        if runtime is not None:
            runtime.close()

    def _abandoned(self, runtime: Runtime) -> CacheUnavailable:
        self._declarations.observe(WritesAbandoned(runtime.settings.drain_timeout_s))
        return CacheUnavailable(
            "closed with writes that were not sent to the cache",
            why=f"it could not be reached for {runtime.settings.drain_timeout_s:g} s",
            fix='They are lost. Use ack="memory" where that must not go unnoticed, or a longer drain_timeout.',
        )

    def __enter__(self) -> WriteBehind:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _runtime_now(self) -> Runtime:
        runtime = self._runtime
        if runtime is None:
            raise NotOpen("this WriteBehind is not open", fix="Use it in a `with` block, or call open() first.")
        if self._process_id != os.getpid():
            runtime = self._begin_in_child(runtime)
        return runtime

    def _begin_in_child(self, inherited: Runtime) -> Runtime:
        """After a fork: the parent's lanes and sockets are not ours; build everything anew on what it found.

        The inherited objects are kept, unused, so that nothing is closed on the parent's behalf.
        """
        self._lock = threading.Lock()
        runtime = Runtime(inherited.foundation, self._declarations.clock, self._declarations.observe)
        self._inherited = inherited
        self._begin(runtime)
        return runtime

    def _world(self, name: str) -> tuple[AnyFlows, Threads]:
        runtime = self._runtime_now()
        assert self._threads is not None
        return runtime.flows[name], self._threads

    # Flushing

    def flush(self, timeout: float | None = None) -> FlushReport:
        """Flush everything that was written before this call, and report what was done.

        That includes what this process wrote before a rollback of the cache and has not settled yet.
        Works with or without a worker; one that is at it already is waited for.
        :raises FlushTimeout: not all of it was in the database within ``timeout`` seconds.
        """
        runtime = self._runtime_now()
        assert self._threads is not None
        deadline = time.monotonic() + self._declarations.levels.timeout(timeout)
        report = FlushReport()
        self._threads.run(runtime.client.flush(partial(runtime.flush, deadline, report), deadline))
        return report

    def status(self) -> Status:
        """A typed, read-only snapshot of what is at risk and where."""
        return self._runtime_now().status()

    def start_worker(self) -> None:
        """Flush in background threads of this process until ``close()``, which drains."""
        self._runtime_now().start_worker()

    def run_worker(self, stop: threading.Event) -> bool:
        """Be a worker until ``stop`` is set, then drain; True where nothing is left in the cache."""
        runtime = self._runtime_now()
        runtime.start_worker()
        stop.wait()
        return runtime.stop_worker()
