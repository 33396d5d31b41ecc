"""The function library's source, put together from the ``.lua`` files, and its name."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

PROTOCOL_VERSION = 1
"""The version in every function's name. It changes when a function's contract does."""

LIBRARY_NAME = f"writebehind_{PROTOCOL_VERSION}"

_FILES = (
    "common",
    "group",
    "merge_scores",
    "merge_records",
    "write",
    "write_scores",
    "write_records",
    "write_events",
    "enter",
    "seal",
    "acknowledge",
    "read",
    "fill",
    "read_records",
    "board",
    "capture",
    "ask",
    "touch",
    "lease",
)
"""In this order: each part may use what the parts before it define."""


@cache
def library_source() -> str:
    """What ``FUNCTION LOAD`` is given."""
    folder = files("writebehind.cache") / "lua"
    parts = [(folder / f"{name}.lua").read_text(encoding="utf-8") for name in _FILES]
    return f"#!lua name={LIBRARY_NAME}\n" + "\n".join(parts)
