"""How far a write must get before it is acknowledged."""

from __future__ import annotations

from typing import Literal, TypeAlias

Ack: TypeAlias = Literal["local", "memory", "replica", "disk", "database"]
LEVELS: tuple[Ack, ...] = ("local", "memory", "replica", "disk", "database")
BEYOND_MEMORY: frozenset[Ack] = frozenset({"replica", "disk", "database"})
"""The levels at which something is waited for after the cache has accepted the write."""
