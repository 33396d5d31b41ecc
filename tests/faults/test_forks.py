"""A forked child gets a producer, an empty ring and sockets of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from writebehind.testing.valkey import TemporaryValkey

FORKING = Path(__file__).with_name("forking_application.py")


def test_parent_and_children_count_once_each(valkey: TemporaryValkey, videos) -> None:
    """In a process of its own, since pytest's has threads, which a fork should not meet."""
    finished = subprocess.run(
        [sys.executable, str(FORKING), valkey.url, videos.url], capture_output=True, text=True, check=False, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == ["producers", "4"]
    assert videos.all_likes() == {1: 4 * 100 + 10, 2: 30}
