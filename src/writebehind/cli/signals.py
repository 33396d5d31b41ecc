"""Stopping on SIGINT and SIGTERM in an orderly way, once; the second signal leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Within the block, the first signal asks to stop and the second calls ``leave``.

    A handler that raised could tear a write in two between any two instructions. So it only notes the
    signal and makes ``wake_fd`` readable for who selects on it. Python runs handlers in the main thread
    alone, which may be deep in a database's C code for seconds; ``event`` and ``leave`` are the affair of a
    thread that the interpreter's wake-up descriptor tells of every signal at once.

    Only the main thread may enter the block. A signal that was ignored before stays ignored, as the
    shell wants it for background jobs.
    """

    def __init__(self, leave: Callable[[signal.Signals], None]) -> None:
        self.signal: signal.Signals | None = None
        self.event = threading.Event()
        self.wake_fd = -1
        self._leave = leave
        self._wake_write_fd = -1
        self._signals_fd = -1
        self._signals_write_fd = -1
        self._previous_wakeup_fd = -1
        self._previous: dict[signal.Signals, Any] = {}
        self._watcher = threading.Thread(target=self._watch, name="writebehind-signals", daemon=True)

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def __enter__(self) -> Self:
        self.wake_fd, self._wake_write_fd = os.pipe()
        self._signals_fd, self._signals_write_fd = os.pipe()
        os.set_blocking(self._signals_write_fd, False)
        self._watcher.start()
        self._previous_wakeup_fd = signal.set_wakeup_fd(self._signals_write_fd)
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        signal.set_wakeup_fd(self._previous_wakeup_fd)
        os.close(self._signals_write_fd)  # ends the watcher
        self._watcher.join()
        for descriptor in (self._signals_fd, self.wake_fd, self._wake_write_fd):
            os.close(descriptor)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self.requested:
            self.signal = signal.Signals(number)
            os.write(self._wake_write_fd, b"x")

    def _watch(self) -> None:
        while received := os.read(self._signals_fd, 1):
            if received[0] not in STOP_SIGNALS:
                continue  # a signal that somebody else handles
            if self.event.is_set():
                self._leave(signal.Signals(received[0]))
            self.event.set()
