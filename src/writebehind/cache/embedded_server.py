"""The server process of an embedded cache's folder: found or started, asked who it is, stopped.

The callers see to it that one process at a time is in here for a folder (start.lock, see ``embedded``).
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import redis

from writebehind.cache import socket_path
from writebehind.cache.file_lock import POLL_S, FileLock
from writebehind.cache.server_process import control_client, leave_running, log_size_bytes, log_tail, reap, start_server
from writebehind.errors import EmbeddedCacheError

START_TIMEOUT_S = 30.0
"""How long a server may take until it answers, its data loaded."""

STOP_TIMEOUT_S = 30.0
"""How long a server may take to write its data and end."""

MAX_LOG_SIZE_BYTES = 1_048_576
"""A log that is larger when a server starts is put aside as ``valkey.log.1``."""


def running_server(folder: Path, socket: Path) -> int:
    """Make sure that the folder's server runs and answers; its process number.

    :raises ConfigurationError: where there is no binary.
    :raises EmbeddedCacheError: where it ends, refuses to serve, or does not get ready in time.
    :raises OSError: where the folder cannot be used.
    """
    log = folder / "valkey.log"
    log_start_bytes = 0
    process: subprocess.Popen[bytes] | None = None
    lock = FileLock(folder / "server.lock")
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            # Tried again and again: a server that is being killed keeps its lock until it is really gone.
            if process is None and lock.try_exclusive():
                if log_size_bytes(log) > MAX_LOG_SIZE_BYTES:
                    log.replace(log.with_name("valkey.log.1"))
                log_start_bytes = log_size_bytes(log)
                socket_path.prepare(socket, folder)
                process = start_server(_settings(folder, socket), folder=folder, log=log, inherit=(lock.descriptor,))
                leave_running(process)
                lock.hand_over()  # from here on the server alone holds it
            try:
                with control_client(socket) as client:
                    client.ping()
                    return _check_identity(client, folder, socket)
            except (redis.ConnectionError, redis.TimeoutError) as error:  # not there yet, or still loading
                answer = str(error)
            except redis.RedisError as error:
                raise EmbeddedCacheError(
                    f"the embedded cache in {folder} runs and refuses to serve",
                    why=f"it answered {str(error)!r}, and its log says\n{log_tail(log)}\n",
                ) from error
            if process is not None and process.poll() is not None:
                raise EmbeddedCacheError(
                    f"the embedded cache in {folder} ended with the exit status {process.returncode} at its start",
                    why=f"its log says\n{log_tail(log, log_start_bytes)}\n",
                    fix=f"Mend what the log names. If it is the append-only file: {folder / 'appendonlydir'} can be "
                    "repaired with valkey-check-aof, or moved away, and with it every write that was not flushed yet.",
                )
            if time.monotonic() >= deadline:
                raise EmbeddedCacheError(
                    f"the embedded cache in {folder} runs, but did not get ready within {START_TIMEOUT_S:g} s",
                    why=f"it answered {answer!r}, and its log says\n{log_tail(log, log_start_bytes)}\n",
                    fix="Try again if it still loads its data.",
                )
            time.sleep(POLL_S)
    finally:
        lock.close()


def _settings(folder: Path, socket: Path) -> dict[str, str]:
    return {
        "port": "0",  # no network at all
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "pidfile": str(folder / "valkey.pid"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",  # pending data is never evicted
    }


def _check_identity(client: redis.Redis, folder: Path, socket: Path) -> int:
    """Is the server behind the socket the one of this folder? Its process number."""
    server_folder = Path(client.config_get("dir")["dir"] or "")
    if not server_folder.exists() or not folder.samefile(server_folder):
        raise EmbeddedCacheError(
            f"the server at {socket} is not the embedded cache of {folder}",
            why=f"it keeps its data in {server_folder}",
            fix="Stop that server, or use another folder.",
        )
    return int(client.info("server")["process_id"])


def stop_server(folder: Path, socket: Path) -> None:
    """End the folder's server, if it runs, its data written, and wait until it is gone.

    :raises EmbeddedCacheError: where it does not end.
    :raises OSError: where the folder cannot be used.
    """
    lock = FileLock(folder / "server.lock")
    try:
        if lock.try_exclusive():
            return
        try:
            with control_client(socket, timeout_s=STOP_TIMEOUT_S) as client:
                _check_identity(client, folder, socket)
                client.shutdown()
        except redis.RedisError as error:
            if not lock.try_exclusive():  # else it ended by itself, and there is nothing left to stop
                raise EmbeddedCacheError(
                    f"the embedded cache in {folder} could not be stopped",
                    why=f"{error}, and its log says\n{log_tail(folder / 'valkey.log')}\n",
                    fix="It goes on running and its data is safe in it; the next user finds it.",
                ) from error
        if not lock.wait_exclusive(STOP_TIMEOUT_S):
            raise EmbeddedCacheError(
                f"the embedded cache in {folder} was told to stop and did not end within {STOP_TIMEOUT_S:g} s",
                why=f"its log says\n{log_tail(folder / 'valkey.log')}\n",
            )
        socket_path.remove(socket, folder)
        reap()
    finally:
        lock.close()
