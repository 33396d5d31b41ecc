"""Tests with what comes from the distribution and not from Python's index: Debian's Redis, Node with npm's ``redis``.

``make test-system`` installs what is missing (``tests/system/install``) and runs them; ``make test`` leaves them out.
A test takes ``redis_server``, a running Redis for it alone, and ``node``, which runs a program of ``tests/system/node``
and answers what it prints; or ``node_command``, where the program shall run beside the test.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from writebehind.testing.valkey import TemporaryValkey

NODE_FOLDER = Path(__file__).parent / "node"
PATIENCE_S = 60


def program(name: str) -> Path:
    """Where a program of the distribution is; the test fails where it is not."""
    found = shutil.which(name)
    assert found, f"{name} is not installed: run make test-system, or tests/system/install"
    return Path(found)


@pytest.fixture
def redis_server() -> Iterator[TemporaryValkey]:
    """A running Redis of the distribution, on a TCP port, for this test alone."""
    with TemporaryValkey(binary=program("redis-server"), tcp=True) as server:
        yield server


@pytest.fixture
def node_command() -> Callable[..., list[str]]:
    """Gives the command that runs a program of ``tests/system/node``."""
    executable = program("node")
    assert (NODE_FOLDER / "node_modules" / "redis").exists(), "npm's redis is missing: run tests/system/install"

    def command(name: str, *arguments: str) -> list[str]:
        return [str(executable), str(NODE_FOLDER / name), *arguments]

    return command


@pytest.fixture
def node(node_command: Callable[..., list[str]]) -> Callable[..., str]:
    """Runs a program of ``tests/system/node`` to its end and gives its output; the test fails if the program does."""

    def run(name: str, *arguments: str) -> str:
        done = subprocess.run(
            node_command(name, *arguments),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
