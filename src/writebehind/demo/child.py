"""The demonstration's side of a process that it starts: commands down its stdin, news up its stdout.

Both are JSON, one object a line. The process ends by itself when its stdin closes, however this one dies.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from signal import Signals
from typing import Any

_POLL_S = 0.01
_LEAVE_TIMEOUT_S = 10.0
_LOG_LINES = 8


class ChildDied(Exception):
    """A process of the demonstration ended before its time, or does not answer."""


class Child:
    """One process, running a module of this package."""

    def __init__(self, name: str, module: str, folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name.replace(' ', '-')}.log"
        self._news: dict[str, Any] = {}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own module, no shell
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(),
                cwd=folder,  # no writebehind.toml of the user's there
                start_new_session=True,  # Ctrl-C is for the demonstration, which ends its processes in order
            )
        self._reader = threading.Thread(target=self._read, name=f"demo-{name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it."""
        return (self._process.poll() or 0) < 0

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._news.update(json.loads(line))

    def news(self, topic: str) -> Any:
        """The last that the process has said about a topic, or None."""
        return self._news.get(topic)

    def send(self, **command: Any) -> None:
        """Send a command.

        :raises ChildDied: nobody is there to read it.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self.died() from error

    def wait_for(self, topic: str, timeout_s: float) -> Any:
        """Wait for news about a topic.

        :raises ChildDied: the process ended without them, or took too long.
        """
        deadline = time.monotonic() + timeout_s
        while topic not in self._news:
            if not self.is_alive:
                self._reader.join(_LEAVE_TIMEOUT_S)  # it may have said it with its last words
                if topic not in self._news:
                    raise self.died()
            elif time.monotonic() >= deadline:
                raise ChildDied(f"{self.name} did not say {topic!r} within {timeout_s:g} s{self._log_tail()}")
            time.sleep(_POLL_S)
        return self._news[topic]

    def died(self) -> ChildDied:
        """The error for a process that has ended."""
        status = self._process.wait()
        how = f"was killed by {Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
        return ChildDied(f"{self.name} (process {self.pid}) {how}{self._log_tail()}")

    def _log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if self._log.exists() else []
        return "".join(f"\n    {line}" for line in lines)

    def let_go(self) -> None:
        """Close its stdin, at which it ends by itself."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it was gone before it had read everything
            self._process.stdin.close()

    def close(self) -> None:
        """Let the process end by itself, and kill it if it does not. More calls do nothing."""
        self.let_go()
        process = self._process
        assert process.stdout is not None
        try:
            process.wait(_LEAVE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._reader.join(_LEAVE_TIMEOUT_S)
        process.stdout.close()


def _environment() -> dict[str, str]:
    """This process's, without settings of the user's own cache and database, and with its import path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WRITEBEHIND_")}
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)  # noqa: PTH100
    return environment
