"""Connections between two uses: last in, first out, and never across a fork."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Connection = TypeVar("Connection")

MAX_IDLE_CONNECTIONS = 8
"""More than this many idle connections are closed rather than kept."""


class IdleConnections(Generic[Connection]):
    """A store of open connections that nobody uses at the moment; safe from several threads.

    ``close_one`` closes a connection for good. A forked child starts with an empty store, and its
    parent's connections are neither used nor closed there: both processes would speak on one socket,
    or, with SQLite, drop each other's locks.
    """

    def __init__(self, close_one: Callable[[Connection], None]) -> None:
        self._close_one = close_one
        self._of_other_processes: list[object] = []
        self._start_over()

    def take(self) -> tuple[Connection, float] | None:
        """The connection that was used last, and for how many seconds it has been idle."""
        self._check_process()
        with self._lock:
            if not self._idle:
                return None
            connection, since = self._idle.pop()
        return connection, time.monotonic() - since

    def give_back(self, connection: Connection) -> None:
        """Keep a healthy connection for the next use, or close it where enough are kept."""
        self._check_process()
        with self._lock:
            keep = not self._closed and len(self._idle) < MAX_IDLE_CONNECTIONS
            if keep:
                self._idle.append((connection, time.monotonic()))
        if not keep:
            self._close_one(connection)

    def clear(self, *, closed: bool = False) -> None:
        """Close all idle connections. With ``closed`` those in use are closed, too, when given back."""
        self._check_process()
        with self._lock:
            idle = self._idle.copy()
            self._idle.clear()
            self._closed = closed
        for connection, _ in idle:
            self._close_one(connection)

    def _start_over(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()  # a new one: another thread may have held the old one at the fork
        self._idle: list[tuple[Connection, float]] = []
        self._closed = False

    def _check_process(self) -> None:
        if self._process != os.getpid():
            self._of_other_processes.append(self._idle)  # kept: collecting them would close them
            self._start_over()
