"""Pure builders of the calls that the cache is sent, and readers of its replies. No I/O here.

A ``Call`` is one command and the function that turns its raw reply into a typed one; the links (sync and
async) execute it. The contracts of the functions are in ``lua/*.lua`` and docs/protocol.md.
"""

from writebehind.cache.calls.base import Argument, Call, NewIncarnation, OtherLayout, Reply, number
from writebehind.cache.calls.flushing import (
    Restored,
    ScanSlice,
    Sealed,
    acknowledge,
    ask_for_flush,
    batch_length,
    batch_marks,
    claim,
    release,
    scan_batch,
    seal,
)
from writebehind.cache.calls.looking import Header, birth, header, queue, server_time_ms
from writebehind.cache.calls.reading import CachedValues, OtherChain, Pending, fill, pending, read
from writebehind.cache.calls.writing import (
    Confirmed,
    Entered,
    Full,
    LaneForgotten,
    Refused,
    WriteReply,
    Written,
    confirmed,
    enter,
    write,
)

__all__ = [
    "Argument",
    "CachedValues",
    "Call",
    "Confirmed",
    "Entered",
    "Full",
    "Header",
    "LaneForgotten",
    "NewIncarnation",
    "OtherChain",
    "OtherLayout",
    "Pending",
    "Refused",
    "Reply",
    "Restored",
    "ScanSlice",
    "Sealed",
    "WriteReply",
    "Written",
    "acknowledge",
    "ask_for_flush",
    "batch_length",
    "batch_marks",
    "birth",
    "claim",
    "confirmed",
    "enter",
    "fill",
    "header",
    "number",
    "pending",
    "queue",
    "read",
    "release",
    "scan_batch",
    "seal",
    "server_time_ms",
    "write",
]
