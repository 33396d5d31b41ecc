"""Reading a sealed batch whole: in slices, so that the server's other clients never wait for it."""

from __future__ import annotations

from writebehind.cache import calls
from writebehind.cache.link import Link as CacheLink
from writebehind.chain import Link
from writebehind.errors import PartitionStopped
from writebehind.flush.task import CapturedPart, Content, Task

SLICE_FIELDS = 1_000
"""Fields per HSCAN, and events per XRANGE: about 0.25 ms of the server's time each."""
MOST_TRIES = 3
EVENTS_A_MS = 2**20
"""An event's position is its place's milliseconds times this, plus its number; see ``lua/write_events.lua``."""


def read_batch(cache: CacheLink, task: Task, link: Link) -> Content | None:
    """The content of a batch; None where it is not in the cache any more.

    A sealed batch is immutable, and HSCAN may repeat a field, so fields are assigned, never added, and
    their number must be the batch's size: a short batch is never applied. A cursor is good for one
    connection and one incarnation; an error here ends the step, and the next one starts the read again.

    :raises PartitionStopped: the batch is in the chain, but parts of it are not in the cache.
    """
    key = task.keys.batch(link.identity)
    found = 0
    for _ in range(MOST_TRIES):
        changes: dict[bytes, bytes] = {}
        events: list[tuple[int, bytes]] = []
        if task.is_event_log:
            events = _read_stream(cache, key)
        else:
            changes = _scan_hash(cache, key)
        found = len(changes) or len(events)
        if found == link.size:
            captured = _read_captured(cache, task.keys.batch_captured(link.identity))
            if captured is not None:
                marks = cache.execute(calls.batch_marks(task.keys.batch_lanes(link.identity)))
                return Content(changes, events, marks, captured)
        waiting = cache.execute(calls.queue(task.keys))
        if link not in waiting:
            return None
    raise PartitionStopped(
        f"the sealed batch {link.identity} of {task.label} is not whole",
        why=f"it was sealed with {link.size} fields and has {found}",
        fix="Somebody, or an eviction, removed pending data. See docs/protocol.md, and the incident in "
        "writebehind_incidents.",
    )


def _scan_hash(cache: CacheLink, key: bytes) -> dict[bytes, bytes]:
    changes: dict[bytes, bytes] = {}
    cursor = 0
    while True:
        part = cache.execute(calls.scan_batch(key, cursor, SLICE_FIELDS))
        changes.update(zip(part.flat[::2], part.flat[1::2], strict=True))
        cursor = part.cursor
        if cursor == 0:
            return changes


def _read_captured(cache: CacheLink, key: bytes) -> dict[bytes, CapturedPart] | None:
    """What was captured for a batch, nearly always nothing; None where the reading was disturbed."""
    size = cache.execute(calls.batch_length(key))
    parts = _scan_hash(cache, key) if size else {}
    return {field: CapturedPart.parse(text) for field, text in parts.items()} if len(parts) == size else None


def _read_stream(cache: CacheLink, key: bytes) -> list[tuple[int, bytes]]:
    events: list[tuple[int, bytes]] = []
    last: tuple[int, int] | None = None
    while True:
        part = cache.execute(calls.read_stream(key, last, SLICE_FIELDS)).events
        events += [(moment_ms * EVENTS_A_MS + number, text) for (moment_ms, number), text in part]
        if len(part) < SLICE_FIELDS:
            return events
        last = part[-1][0]
