"""The embedded Valkey: one server per folder, however many processes open it.

The first user starts it, detached; the last to leave stops it. Nobody's life depends on anybody
else's, because three locks, which the kernel drops with the process that held them, say all there
is to know::

    start.lock    alone, for the time of a decision: who comes and who leaves, one at a time
    users.lock    shared, by every user; whoever gets it alone is the last one
    server.lock   alone, by the server itself, which inherits it and cannot live without it

So a server whose users were all killed is found and reused by the next user, a server that was killed
is replaced, and a process number or a socket file that was left behind means nothing: no process is
ever signalled, and the server is stopped over its socket, after it has said that this folder is its own.

In the folder::

    appendonlydir/   the data          valkey.sock   the socket (elsewhere if its path would be too long)
    namespace        see ``namespace``  valkey.pid    the server's process number, for people
    valkey.log       the server's log   *.lock        see above
"""

from __future__ import annotations

import atexit
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from writebehind.cache import socket_path
from writebehind.cache.embedded_server import START_TIMEOUT_S, STOP_TIMEOUT_S, running_server, stop_server
from writebehind.cache.file_lock import FileLock
from writebehind.errors import EmbeddedCacheError, NotOpen

_NAMESPACE = re.compile(r"[0-9a-f]{16}")
_users: set[EmbeddedCache] = set()


class EmbeddedCache:
    """One use of a folder's server. Make it with ``acquire``; it is a context manager as well.

    A forked child becomes a user of its own: its parent may leave before it.
    """

    def __init__(self, folder: Path, users: FileLock) -> None:
        """Under start.lock."""
        if not users.try_shared():  # our own processes hold it alone only while they hold start.lock too
            raise EmbeddedCacheError(f"another program has locked {folder / 'users.lock'}")
        self._folder = folder
        self._users = users
        self._socket = socket_path.choose(folder)
        self._left = threading.Lock()  # taken once, by the first release, and never given back
        self.url = f"unix://{quote(os.fsencode(self._socket))}"
        """The server's address, for redis-py."""
        self.namespace = _namespace(folder)
        """A random name, made with the folder's data and kept with it: what a ledger knows this data by."""
        self.server_pid = running_server(folder, self._socket)
        """The server's process number when it was last looked at."""

    @classmethod
    def acquire(cls, folder: Path) -> EmbeddedCache:
        """Use the server of a folder, which is made and started where it is missing.

        Blocks until the server answers, its data loaded.

        :raises ConfigurationError: where the server's binary is not installed.
        :raises EmbeddedCacheError: where the server cannot be started or does not answer; says why, with the
            last lines of its log.
        """
        with _start_errors(folder):
            folder = folder.resolve()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _decision(folder):
                users = FileLock(folder / "users.lock")
                try:
                    cache = cls(folder, users)
                except BaseException:
                    users.close()
                    raise
        _users.add(cache)
        return cache

    def ensure_running(self) -> None:
        """Start the server again if it is gone (it was killed, or ran out of memory). Cheap where it is not.

        :raises NotOpen: after ``release``.
        :raises EmbeddedCacheError: like ``acquire``.
        """
        if not self._users.is_open:
            raise NotOpen(f"the embedded cache in {self._folder} was released")
        with _start_errors(self._folder), _decision(self._folder):
            self.server_pid = running_server(self._folder, self._socket)

    def release(self) -> None:
        """Stop using the server; the last user stops it and waits until it is gone. More calls do nothing.

        :raises EmbeddedCacheError: where the server could not be stopped. It then goes on running, its data is
            safe in it, and the next user finds it.
        """
        if not self._users.is_open or not self._left.acquire(blocking=False):
            return
        _users.discard(self)
        try:
            with _decision(self._folder):
                try:
                    if self._users.try_exclusive():
                        stop_server(self._folder, self._socket)
                finally:
                    self._users.close()  # still under start.lock: who comes next must be able to share it
        except OSError as error:
            raise EmbeddedCacheError(
                f"the embedded cache in {self._folder} could not be stopped (its process is {self.server_pid})",
                why=str(error),
                fix="If its folder was removed, end that process.",
            ) from error
        finally:
            self._users.close()

    def __enter__(self) -> EmbeddedCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@contextmanager
def _decision(folder: Path) -> Iterator[None]:
    """Hold start.lock: nobody else comes or leaves meanwhile."""
    lock = FileLock(folder / "start.lock")
    try:
        if not lock.wait_exclusive(START_TIMEOUT_S + STOP_TIMEOUT_S):
            raise EmbeddedCacheError(
                f"another process has been starting or stopping the embedded cache in {folder} for too long",
                fix=f"See {folder / 'valkey.log'}; a process that is suspended would explain it.",
            )
        yield
    finally:
        lock.close()


@contextmanager
def _start_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedCacheError(
            f"the embedded cache in {folder} cannot be started",
            why=str(error),
            fix="Use a folder on a local disk that this user can write to.",
        ) from error


def _namespace(folder: Path) -> str:
    """The folder's namespace, made if it has none. Under start.lock."""
    path = folder / "namespace"
    if not path.exists():
        draft = path.with_name("namespace.new")
        with draft.open("w") as file:
            file.write(secrets.token_hex(8))
            file.flush()
            os.fsync(file.fileno())  # data under a namespace that a power cut forgot could not be flushed
        draft.replace(path)
        directory = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    name = path.read_bytes().decode(errors="replace").strip()
    if not _NAMESPACE.fullmatch(name):
        raise EmbeddedCacheError(
            f"the file {path} is damaged",
            why=f"it has {name[:40]!r} instead of 16 hexadecimal digits",
            fix="Restore it from a backup: the data in this folder is known to the database by that name.",
        )
    return name


@atexit.register
def _release_all() -> None:
    """A program that ends without closing leaves too. Registered at import, so that it runs late."""
    for cache in tuple(_users):
        cache.release()
