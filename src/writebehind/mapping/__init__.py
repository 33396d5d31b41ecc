"""What an application declares: which table receives which writes, and how they merge.

A mapping is checked twice: when it is declared, for what can be known without a server, and when it is bound to its
table (``TableShape`` in, a bound mapping out). There is a module for each kind, and ``bound`` for what all share.
"""

from writebehind.mapping.bound import KINDS, BoundMapping, Kind
from writebehind.mapping.capture import BoundCapture, CaptureMapping, CapturePattern, bind_capture
from writebehind.mapping.capture_declaring import CaptureKind, DeclaredCapture, declare_capture
from writebehind.mapping.counters import MISSING_POLICIES, BoundCounter, CounterMapping, Missing, bind_counter
from writebehind.mapping.events import BoundEvents, EventMapping, WhenFull, bind_events
from writebehind.mapping.leaderboards import Best, BoundLeaderboard, Keep, LeaderboardMapping, bind_leaderboard
from writebehind.mapping.naming import MAX_NAME_LENGTH, partition_tag
from writebehind.mapping.records import BoundRecords, RecordMapping, bind_records
from writebehind.mapping.shape import ColumnShape, NewColumn, NewKind, TableShape, counter_columns

__all__ = [
    "KINDS",
    "MAX_NAME_LENGTH",
    "MISSING_POLICIES",
    "Best",
    "BoundCapture",
    "BoundCounter",
    "BoundEvents",
    "BoundLeaderboard",
    "BoundMapping",
    "BoundRecords",
    "CaptureKind",
    "CaptureMapping",
    "CapturePattern",
    "ColumnShape",
    "CounterMapping",
    "DeclaredCapture",
    "EventMapping",
    "Keep",
    "Kind",
    "LeaderboardMapping",
    "Missing",
    "NewColumn",
    "NewKind",
    "RecordMapping",
    "TableShape",
    "WhenFull",
    "bind_capture",
    "bind_counter",
    "bind_events",
    "bind_leaderboard",
    "bind_records",
    "counter_columns",
    "declare_capture",
    "partition_tag",
]
