"""The server that other tests rely on does what its methods say, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from writebehind.cache.server_process import server_binary
from writebehind.testing.valkey import BINARY_VARIABLE, TemporaryValkey

WaitUntil = Callable[[Callable[[], bool]], None]


def process_is_gone(pid: int) -> bool:
    """Also true of a process that has ended and that its parent has not collected."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


def increment(server: TemporaryValkey, times: int = 1) -> int:
    with server.client() as client:
        return [client.incr("n") for _ in range(times)][-1]


def test_data_survives_a_stop_and_a_kill(own_valkey: TemporaryValkey) -> None:
    increment(own_valkey)
    url = own_valkey.url
    own_valkey.restart()
    assert increment(own_valkey) == 2
    own_valkey.kill()
    assert not own_valkey.is_running
    own_valkey.start()
    assert own_valkey.url == url
    assert own_valkey.keys() == own_valkey.keys_without_expiry() == {b"n"}


def test_a_cut_append_only_file_forgets_the_end(own_valkey: TemporaryValkey) -> None:
    increment(own_valkey, times=10)
    own_valkey.stop()
    base, newest = own_valkey.append_only_files()
    assert (".base." in base.name, ".incr." in newest.name) == (True, True)
    assert own_valkey.cut_append_only_file(3) == 3  # not even the last command is whole
    own_valkey.start()
    assert increment(own_valkey) == 10
    own_valkey.kill()
    own_valkey.cut_append_only_file(1_000_000)
    own_valkey.start()
    assert increment(own_valkey) == 1


def test_wipe_snapshot_and_restore(own_valkey: TemporaryValkey, tmp_path: Path) -> None:
    increment(own_valkey, times=5)
    with pytest.raises(RuntimeError, match="the server runs"):
        own_valkey.wipe()
    own_valkey.stop()
    own_valkey.snapshot(tmp_path / "snapshot")
    own_valkey.wipe()
    own_valkey.start()
    assert own_valkey.keys() == set()
    own_valkey.stop()
    own_valkey.restore(tmp_path / "snapshot")
    own_valkey.start()
    assert increment(own_valkey) == 6


def test_a_paused_server_answers_nothing_until_it_is_resumed(own_valkey: TemporaryValkey) -> None:
    own_valkey.pause()
    with redis.Redis.from_url(own_valkey.url, socket_timeout=0.05, retry=None) as client:
        with pytest.raises(redis.TimeoutError):
            client.ping()
        own_valkey.resume()
        assert client.ping()
    own_valkey.pause()
    own_valkey.kill()


def test_tcp_without_persistence() -> None:
    with TemporaryValkey(appendonly=False, config={"maxmemory": "50mb"}, tcp=True) as server:
        assert server.url.startswith("redis://127.0.0.1:")
        with server.client() as client:
            assert client.config_get("maxmemory") == {"maxmemory": str(50 * 1024 * 1024)}
        increment(server)
        url = server.url
        server.restart()
        assert server.url == url
        assert server.keys() == set()


def test_a_server_that_cannot_start_shows_its_log() -> None:
    server = TemporaryValkey(config={"no-such-setting": "1"})
    with pytest.raises(RuntimeError, match="no-such-setting"):
        server.start()
    server.close()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_behind_whatever_ends_its_process(
    ending: signal.Signals, tmp_path: Path, wait_until: WaitUntil
) -> None:
    program = """if True:
        import sys
        from writebehind.testing.valkey import TemporaryValkey
        server = TemporaryValkey()
        server.start()
        print(server.pid, flush=True)
        sys.stdin.read()
    """
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # so that whatever is left is here
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(ending)
        process.wait()
    wait_until(lambda: process_is_gone(pid))
    wait_until(lambda: not list(tmp_path.iterdir()))


def test_the_shared_fixture_is_empty_at_first(valkey: TemporaryValkey) -> None:
    assert valkey.keys() == set()
    increment(valkey)


def test_the_shared_fixture_is_empty_again(valkey: TemporaryValkey) -> None:
    assert valkey.keys() == set()


@pytest.mark.parametrize("by_variable", [True, False])
def test_another_server_can_be_named(by_variable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other-server"
    other.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nexec {server_binary()} "$@"\n')
    other.chmod(0o755)
    if by_variable:
        monkeypatch.setenv(BINARY_VARIABLE, str(other))
    with TemporaryValkey(binary=None if by_variable else other) as server, server.client() as client:
        assert client.ping()
    assert "locale-collate" not in (tmp_path / "arguments").read_text()  # Redis 7.0 would refuse it
