"""A write-behind cache: write to Valkey or Redis, flush to your database exactly once.

``WriteBehind`` (and ``AsyncWriteBehind``) is the door; docs/protocol.md tells what is promised and why.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from writebehind.application.asynchronous import AsyncWriteBehind
    from writebehind.application.blocking import WriteBehind
    from writebehind.client.doors.counters import AsyncCounter, Counter
    from writebehind.client.doors.events import AsyncEvents, Events
    from writebehind.client.doors.leaderboards import AsyncLeaderboard, Leaderboard
    from writebehind.client.doors.records import AsyncRecords, Records
    from writebehind.client.flows.leaderboards import BoardEntry
    from writebehind.errors import (
        BufferFull,
        CacheError,
        CacheRefused,
        CacheUnavailable,
        ColumnMissing,
        ColumnRefused,
        ConfigurationError,
        DatabaseError,
        DatabaseRefused,
        DatabaseUnavailable,
        DeadLettered,
        DurabilityUnknown,
        EmbeddedCacheError,
        FlushTimeout,
        KeyRefused,
        LedgerMissing,
        MappingConflict,
        MappingError,
        NotOpen,
        PartitionStopped,
        PartlyWritten,
        ReadUnsettled,
        SumOutOfRange,
        TableMissing,
        TotalUnavailable,
        ValueRefused,
        WriteBehindError,
    )
    from writebehind.flush.task import FlushReport
    from writebehind.inspection import MappingStatus, Status
    from writebehind.levels import Ack

__version__ = "0.1.0"

__all__ = [
    "Ack",
    "AsyncCounter",
    "AsyncEvents",
    "AsyncLeaderboard",
    "AsyncRecords",
    "AsyncWriteBehind",
    "BoardEntry",
    "BufferFull",
    "CacheError",
    "CacheRefused",
    "CacheUnavailable",
    "ColumnMissing",
    "ColumnRefused",
    "ConfigurationError",
    "Counter",
    "DatabaseError",
    "DatabaseRefused",
    "DatabaseUnavailable",
    "DeadLettered",
    "DurabilityUnknown",
    "EmbeddedCacheError",
    "Events",
    "FlushReport",
    "FlushTimeout",
    "KeyRefused",
    "Leaderboard",
    "LedgerMissing",
    "MappingConflict",
    "MappingError",
    "MappingStatus",
    "NotOpen",
    "PartitionStopped",
    "PartlyWritten",
    "ReadUnsettled",
    "Records",
    "Status",
    "SumOutOfRange",
    "TableMissing",
    "TotalUnavailable",
    "ValueRefused",
    "WriteBehind",
    "WriteBehindError",
    "__version__",
]

_HOMES = {
    "Ack": "writebehind.levels",
    "AsyncCounter": "writebehind.client.doors.counters",
    "AsyncEvents": "writebehind.client.doors.events",
    "AsyncLeaderboard": "writebehind.client.doors.leaderboards",
    "AsyncRecords": "writebehind.client.doors.records",
    "AsyncWriteBehind": "writebehind.application.asynchronous",
    "BoardEntry": "writebehind.client.flows.leaderboards",
    "BufferFull": "writebehind.errors",
    "CacheError": "writebehind.errors",
    "CacheRefused": "writebehind.errors",
    "CacheUnavailable": "writebehind.errors",
    "ColumnMissing": "writebehind.errors",
    "ColumnRefused": "writebehind.errors",
    "ConfigurationError": "writebehind.errors",
    "Counter": "writebehind.client.doors.counters",
    "DatabaseError": "writebehind.errors",
    "DatabaseRefused": "writebehind.errors",
    "DatabaseUnavailable": "writebehind.errors",
    "DeadLettered": "writebehind.errors",
    "DurabilityUnknown": "writebehind.errors",
    "EmbeddedCacheError": "writebehind.errors",
    "Events": "writebehind.client.doors.events",
    "FlushReport": "writebehind.flush.task",
    "FlushTimeout": "writebehind.errors",
    "KeyRefused": "writebehind.errors",
    "Leaderboard": "writebehind.client.doors.leaderboards",
    "LedgerMissing": "writebehind.errors",
    "MappingConflict": "writebehind.errors",
    "MappingError": "writebehind.errors",
    "MappingStatus": "writebehind.inspection",
    "NotOpen": "writebehind.errors",
    "PartitionStopped": "writebehind.errors",
    "PartlyWritten": "writebehind.errors",
    "ReadUnsettled": "writebehind.errors",
    "Records": "writebehind.client.doors.records",
    "Status": "writebehind.inspection",
    "SumOutOfRange": "writebehind.errors",
    "TableMissing": "writebehind.errors",
    "TotalUnavailable": "writebehind.errors",
    "ValueRefused": "writebehind.errors",
    "WriteBehind": "writebehind.application.blocking",
    "WriteBehindError": "writebehind.errors",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: the command line must not pay for what it does not use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
