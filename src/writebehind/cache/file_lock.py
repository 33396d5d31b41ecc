"""Advisory locks on files (flock), made safe to fork.

flock belongs to the open file, which a fork shares: a child that lives on would keep a lock that its
parent gave up, and unlock what its parent still holds. So a forked child closes what it inherited,
without unlocking it, and has a lock of its own on what was held shared: taken by its parent before
the fork, so that there is no instant without it. A program that is executed inherits nothing, because
every descriptor is close-on-exec. The kernel drops the lock of a process that dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

POLL_S = 0.005
"""How long to sleep between two looks at something that sends no notice when it changes."""

_gate = threading.Lock()
_open_locks: set[FileLock] = set()


class FileLock:
    """A lock on one file, which is created where it is missing; not held until it is taken.

    Every object is a user of its own, also within one process.

    :raises OSError: where the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process = os.getpid()
        self._shared = False
        self._for_child: int | None = None
        with _gate:  # no fork may happen between the opening and the note of it
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _open_locks.add(self)

    @property
    def is_open(self) -> bool:
        """Whether this process may still hold the lock."""
        return self._descriptor is not None and self._process == os.getpid()

    @property
    def descriptor(self) -> int:
        """The open file, to be handed to a child process that shall hold the lock for its whole life."""
        assert self._descriptor is not None, "the lock is closed"
        return self._descriptor

    def try_exclusive(self) -> bool:
        """Take the lock for this user alone; False where others have it, and then this one has it no more."""
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Take the lock together with others; False where somebody has it alone."""
        return self._try(fcntl.LOCK_SH)

    def wait_exclusive(self, timeout_s: float) -> bool:
        """Take the lock alone, waiting for it; False when the time is over."""
        deadline = time.monotonic() + timeout_s
        while not self.try_exclusive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        return True

    def close(self) -> None:
        """Give the lock up. More calls do nothing."""
        if self._descriptor is not None:
            # Not left to the closing: a child that is being forked right now has the open file as well.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.hand_over()

    def hand_over(self) -> None:
        """Stop using the file and leave the lock with the child process that was given the descriptor."""
        with _gate:
            _open_locks.discard(self)
            descriptor, self._descriptor = self._descriptor, None
            _close(descriptor)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self.descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            self._shared = False
            return False
        self._shared = kind == fcntl.LOCK_SH
        return True

    def _before_fork(self) -> None:
        if self._shared:
            try:
                self._for_child = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
                fcntl.flock(self._for_child, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                # The file was removed, or no descriptor is left. The child will hold nothing, and
                # ``is_open`` tells it so.
                self._drop_spare()

    def _drop_spare(self) -> None:
        spare, self._for_child = self._for_child, None
        _close(spare)

    def _after_fork_in_child(self) -> None:
        _close(self._descriptor)
        self._descriptor, self._for_child = self._for_child, None
        self._process = os.getpid()
        if self._descriptor is None:
            _open_locks.discard(self)


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _before_fork() -> None:
    _gate.acquire()
    for lock in _open_locks:
        lock._before_fork()


def _after_fork_in_parent() -> None:
    for lock in _open_locks:
        lock._drop_spare()
    _gate.release()


def _after_fork_in_child() -> None:
    for lock in tuple(_open_locks):
        lock._after_fork_in_child()
    _gate.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
