"""The run's folder: the cache's data, the writers' counts, the processes' logs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from writebehind.cache.server_process import MAX_SOCKET_PATH_BYTES
from writebehind.errors import ConfigurationError

# Reads the end of this process from a pipe that closes with it, however it dies. A line means: all is well.
# The cache's server is stopped by the last of the demonstration's processes, which has a few seconds for it.
_WATCHDOG = """
read -r line && exit
sleep 1
for tenth in $(seq 30); do
    pid=$(cat "$1/valkey.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
done
test -n "$pid" && kill "$pid" 2>/dev/null
test -z "$2" || rm -rf "$2"
"""


class RunFolder:
    """A temporary folder that is gone afterwards, or one of the user's, which stays."""

    def __init__(self, keep: Path | None) -> None:
        self._keep = keep

    def __enter__(self) -> Self:
        if self._keep is None:
            self.path = _temporary_folder()
        else:
            self.path = self._keep.resolve()
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                raise ConfigurationError(
                    f"--keep {self._keep}: the folder is not empty", fix="Name one that is empty or does not exist."
                )
        self.cache = self.path / "cache"
        self._watchdog = subprocess.Popen(  # noqa: S603  # the command is a constant
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(self.cache), "" if self._keep else str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        if self._keep is None:
            shutil.rmtree(self.path)
        self._watchdog.communicate(b"\n")


def _temporary_folder() -> Path:
    """A folder whose path leaves room for a socket's name, where that is possible."""
    folder = Path(tempfile.mkdtemp(prefix="writebehind-demo-"))
    if len(os.fsencode(folder / "cache" / "valkey.sock")) > MAX_SOCKET_PATH_BYTES:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="writebehind-demo-", dir="/tmp"))
    return folder
