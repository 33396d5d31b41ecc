"""The input of ``ingest``: a file, a gzip file, or a stream that may be interrupted while it waits."""

from __future__ import annotations

import array
import fcntl
import gzip
import io
import os
import select
import stat
import termios
import zlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from writebehind.cli.signals import StopSignals

STANDARD_INPUT = 0
FILE_BUFFER_SIZE_BYTES = 256 * 1024
STREAM_BUFFER_SIZE_BYTES = 64 * 1024
_READ_ERRORS = (OSError, EOFError, zlib.error)
"""What reading may raise: the file system's errors, and a gzip file that is cut short or damaged."""


class InputFailed(Exception):
    """The input could not be read to its end; the message says why."""


class _Readable(Protocol):
    def readline(self, limit: int, /) -> bytes: ...


class InputSource:
    """Lines of the file ``name``, or of standard input for ``-``, until a stop is requested.

    A file stops after the present line. A stream stops after what had already arrived: what a
    program has written into the pipe before the signal is read, but nothing is waited for.
    ``stopped`` is true where a stop ended the reading. ``torn`` is true where it left the beginning of
    a line, which is dropped: half a line is another key.
    """

    def __init__(self, name: str, stop: StopSignals) -> None:
        self.name = "standard input" if name == "-" else name
        self.is_stream = False
        self.size_bytes: int | None = None
        self.stopped = False
        self.torn = False
        self._path = None if name == "-" else Path(name)
        self._stop = stop
        self._open_files = ExitStack()
        self._lines: _Readable
        self._raw: io.FileIO | None = None

    def __enter__(self) -> Self:
        if self._path is None:
            file = io.FileIO(STANDARD_INPUT, closefd=False)
        else:
            file = self._open_files.enter_context(io.FileIO(self._path))
        status = os.fstat(file.fileno())
        self.is_stream = not stat.S_ISREG(status.st_mode)
        if self.is_stream:
            self._lines = io.BufferedReader(_Stream(file.fileno(), self._stop), STREAM_BUFFER_SIZE_BYTES)
            return self
        self.size_bytes = status.st_size
        self._raw = file
        buffered = io.BufferedReader(file, FILE_BUFFER_SIZE_BYTES)
        self._lines = gzip.GzipFile(fileobj=buffered) if self.name.endswith(".gz") else buffered
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self._open_files.close()

    def readline(self, limit: int, /) -> bytes:
        """The next line, or its first ``limit`` bytes; empty at the end and after a stop.

        :raises InputFailed: the file cannot be read, or its gzip data is damaged.
        """
        if self._stop.requested and not self.is_stream:
            self.stopped = True
            return b""
        try:
            data = self._lines.readline(limit)
        except _READ_ERRORS as error:
            raise InputFailed(str(error) or type(error).__name__) from error
        if self.is_stream and self._stop.requested and len(data) < limit and not data.endswith(b"\n"):
            self.stopped = True
            self.torn = bool(data)
            return b""
        return data

    def position_bytes(self) -> int:
        """How much of the file has been read, in its own (compressed) bytes; 0 for a stream."""
        return self._raw.tell() if self._raw is not None else 0


class _Stream(io.RawIOBase):
    """A file descriptor that is at its end once a stop was requested and all that had arrived was read."""

    def __init__(self, descriptor: int, stop: StopSignals) -> None:
        self._descriptor = descriptor
        self._stop = stop
        self._last_bytes: int | None = None
        """After a stop: how many bytes may still be read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = len(buffer)
        if self._last_bytes is None:
            select.select([self._descriptor, self._stop.wake_fd], [], [])
            if self._stop.requested:
                self._last_bytes = _bytes_waiting(self._descriptor)
        if self._last_bytes is not None:
            size = min(size, self._last_bytes)
        data = os.read(self._descriptor, size) if size else b""
        if self._last_bytes is not None:
            self._last_bytes -= len(data)
        buffer[: len(data)] = data
        return len(data)


def _bytes_waiting(descriptor: int) -> int:
    """How many bytes can be read now without waiting; none where the device cannot tell."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(descriptor, termios.FIONREAD, count)
    except OSError:
        return 0  # a device without FIONREAD, such as /dev/null
    return count[0]
