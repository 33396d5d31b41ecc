"""A process's side of its conversation with the demonstration that started it; see ``child``."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any


def tell(**news: Any) -> None:
    """Say something to the demonstration, from any thread. If it is gone, stdin will tell soon enough."""
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), json.dumps(news).encode() + b"\n")


def command(line: str | bytes) -> dict[str, Any]:
    """A command, or that to stop where there is none: the demonstration is gone."""
    found: dict[str, Any] = json.loads(line) if line else {"stop": True}
    return found
