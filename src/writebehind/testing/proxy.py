"""A proxy between a client and a cache that tests can cut: before a request is forwarded, or before its answer is."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType


class CutProxy:
    """Forwards connections from a Unix socket of its own to another.

    ``cut_answers(n)`` lets the next ``n`` requests reach the server and drops their answers with the
    connection; ``cut_requests(n)`` drops them before they reach it. Used as a context manager.
    """

    def __init__(self, folder: Path, target: str) -> None:
        self.path = folder / "proxy.sock"
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._answers_to_cut = 0
        self._requests_to_cut = 0
        self.cuts = 0
        """How many exchanges were cut so far."""

    @property
    def url(self) -> str:
        """What a client connects to."""
        return f"unix://{self.path}"

    def cut_answers(self, count: int) -> None:
        """Drop the answers of the next ``count`` requests, after the server has executed them."""
        with self._lock:
            self._answers_to_cut = count

    def cut_requests(self, count: int) -> None:
        """Drop the next ``count`` requests before the server sees them."""
        with self._lock:
            self._requests_to_cut = count

    def __enter__(self) -> CutProxy:
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # closed by its own thread already
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # the listener was closed
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._target)
            except OSError:
                client.close()  # the server is away, and so are we
                continue
            with self._lock:
                self._open += (client, server)
            self._start(self._exchange, client, server)

    def _take(self, what: str) -> bool:
        with self._lock:
            left = getattr(self, what)
            if left:
                setattr(self, what, left - 1)
                self.cuts += 1
            return bool(left)

    def _exchange(self, client: socket.socket, server: socket.socket) -> None:
        """One request, one answer, as the library speaks; a large request may come in several parts."""
        with client, server:
            server.settimeout(None)
            with contextlib.suppress(OSError):  # either side went away: so does the other
                self._start_pump(client, server)

    def _start_pump(self, client: socket.socket, server: socket.socket) -> None:
        while request := client.recv(1 << 20):
            calls_a_writer = b"wb1_write" in request
            if calls_a_writer and self._take("_requests_to_cut"):
                return
            server.sendall(request)
            answer = server.recv(1 << 20)
            if not answer or (calls_a_writer and self._take("_answers_to_cut")):
                return
            client.sendall(answer)
