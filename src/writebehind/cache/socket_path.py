"""Where the embedded server's Unix socket is: in its folder, unless the kernel cannot take so long a path.

Then it is in a directory of its own under the temporary directory. Which one that was is noted in the
folder, because another process may have another temporary directory.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from writebehind.cache.server_process import MAX_SOCKET_PATH_BYTES
from writebehind.errors import EmbeddedCacheError

_SOCKET = "valkey.sock"
_NOTE = "valkey.sock.path"


def choose(folder: Path) -> Path:
    """The socket of a folder's server. The caller sees to it that one process at a time asks.

    :raises EmbeddedCacheError: where even the temporary directory's path is too long.
    :raises OSError: where the folder cannot be read or written.
    """
    inside = folder / _SOCKET
    if _fits(inside):
        return inside
    # A folder that was moved or copied carries a note that is not its own: the name tells.
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    directory_name = f"writebehind-{os.getuid()}-{digest}"
    note = folder / _NOTE
    if note.exists():
        noted = Path(os.fsdecode(note.read_bytes()))
        if noted.parent.name == directory_name and noted.parent.parent.is_dir():
            return noted
    outside = Path(tempfile.gettempdir()).resolve() / directory_name / _SOCKET
    if not _fits(outside):
        raise EmbeddedCacheError(
            f"neither {inside} nor {outside} can be the embedded cache's socket",
            why=f"a socket's path has at most {MAX_SOCKET_PATH_BYTES} bytes",
            fix="Use a folder with a shorter path, or set TMPDIR to one.",
        )
    note.write_bytes(os.fsencode(outside))
    return outside


def prepare(socket: Path, folder: Path) -> None:
    """Make the socket's directory, if it is the one outside of the folder, and see that it is ours alone.

    :raises EmbeddedCacheError: where somebody else could reach into it.
    """
    directory = socket.parent
    if directory == folder:
        return  # its permissions are its owner's choice
    directory.mkdir(mode=0o700, exist_ok=True)
    state = directory.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise EmbeddedCacheError(
            f"{directory} cannot hold the embedded cache's socket",
            why="it is not a directory that belongs to this user alone",
            fix="Remove it, or use a folder with a shorter path.",
        )


def remove(socket: Path, folder: Path) -> None:
    """Take away the directory outside of the folder, once the server is gone; its socket went with it."""
    if socket.parent != folder and socket.parent.exists():
        socket.unlink(missing_ok=True)
        socket.parent.rmdir()


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES
