"""One frozen event per thing that happened.

The engine emits an event *after* each step of a flush. The steps are these events: a test that kills
the worker at every one of them cannot forget a step that is added later. No event carries a key or a
value of the user's, so that none can reach a log or a label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``level`` is how loudly a log should say it."""

    level: ClassVar[str] = "debug"


@dataclass(frozen=True, slots=True)
class LeaseClaimed(Event):
    """This worker may flush these partitions for a while."""

    partitions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeaseLost(Event):
    """Another worker flushes this partition now."""

    partition: str


@dataclass(frozen=True, slots=True)
class HeadsRead(Event):
    """The heads of a flush's partitions were read in the database."""

    partitions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sealed(Event):
    """A partition's open batch was sealed, if there was one; ``queue_length`` batches wait."""

    partition: str
    queue_length: int


@dataclass(frozen=True, slots=True)
class BatchRead(Event):
    """The front batch of a partition was read whole from the cache."""

    partition: str
    batch: str
    size: int


@dataclass(frozen=True, slots=True)
class TransactionBegun(Event):
    """The database transaction of a flush was begun."""


@dataclass(frozen=True, slots=True)
class PartitionsLocked(Event):
    """The ledger rows of the flush's partitions are locked."""

    partitions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowsWritten(Event):
    """The rows of one table were written, in ``statements`` statements; not committed yet."""

    table: str
    rows: int
    statements: int


@dataclass(frozen=True, slots=True)
class DeadLettersWritten(Event):
    """Dead letters were written; not committed yet."""

    table: str
    letters: int
    level: ClassVar[str] = "warning"


@dataclass(frozen=True, slots=True)
class MarksWritten(Event):
    """The producers' marks of a batch were written; not committed yet."""

    partition: str
    lanes: int


@dataclass(frozen=True, slots=True)
class HeadMoved(Event):
    """The head of a partition was moved; not committed yet."""

    partition: str
    batch: str


@dataclass(frozen=True, slots=True)
class Committed(Event):
    """The flush's transaction is committed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CommitUnclear(Event):
    """The commit's outcome is not known; the next step settles it by reading the head."""

    error: str
    level: ClassVar[str] = "warning"


@dataclass(frozen=True, slots=True)
class BatchApplied(Event):
    """A batch is in the database: how many writes, in how many rows, how old its first write was."""

    partition: str
    batch: str
    writes: int
    rows: int
    level: ClassVar[str] = "info"


@dataclass(frozen=True, slots=True)
class FenceApplied(Event):
    """The database knows a new incarnation of a partition's cache."""

    partition: str
    incarnation: str
    level: ClassVar[str] = "info"


@dataclass(frozen=True, slots=True)
class BatchQuarantined(Event):
    """A batch that the database's history does not continue was put aside for a person."""

    partition: str
    batch: str
    writes: int
    why: str
    level: ClassVar[str] = "error"


@dataclass(frozen=True, slots=True)
class Acknowledged(Event):
    """A batch was removed from the cache after its commit."""

    partition: str
    batch: str


@dataclass(frozen=True, slots=True)
class FlushFailed(Event):
    """A step failed and will be tried again after ``delay_s`` seconds."""

    table: str
    error: str
    attempt: int
    delay_s: float
    level: ClassVar[str] = "warning"


@dataclass(frozen=True, slots=True)
class IncarnationEntered(Event):
    """A client or a worker met a new incarnation of the cache and put a fence into the chain.

    That is also how a partition begins; that writes were lost, ``WriterSettled`` and ``BatchQuarantined`` say.
    """

    partition: str
    incarnation: str
    level: ClassVar[str] = "info"


@dataclass(frozen=True, slots=True)
class WriterSettled(Event):
    """A producer learned what the database has of its writes before a rollback, and wrote the rest again."""

    partition: str
    confirmed_groups: int
    rewritten_groups: int
    level: ClassVar[str] = "warning"


@dataclass(frozen=True, slots=True)
class EmbeddedCacheRestarted(Event):
    """The embedded server was gone, and runs again; ``why`` says how that was noticed."""

    why: str
    level: ClassVar[str] = "warning"


@dataclass(frozen=True, slots=True)
class EmbeddedCacheFailed(Event):
    """The embedded server is gone and could not be started again; it is tried again soon."""

    error: str
    level: ClassVar[str] = "error"


@dataclass(frozen=True, slots=True)
class WritesAbandoned(Event):
    """A client was closed with writes that could not be sent within ``drain_timeout_s`` seconds."""

    drain_timeout_s: float
    level: ClassVar[str] = "error"


@dataclass(frozen=True, slots=True)
class KeysCaptured(Event):
    """What plain commands did to some of an application's keys is in the open batch."""

    mapping: str
    keys: int
    changed: int


@dataclass(frozen=True, slots=True)
class CaptureRescanned(Event):
    """All keys of a capture were compared with what had been captured of them; ``why`` says what made it necessary."""

    mapping: str
    keys: int
    why: str
    level: ClassVar[str] = "info"


@dataclass(frozen=True, slots=True)
class KeysVanished(Event):
    """Captured keys expired, were evicted or were found missing; their rows stay as they are."""

    mapping: str
    keys: int
    level: ClassVar[str] = "warning"


@dataclass(frozen=True, slots=True)
class KeysUnfit(Event):
    """Keys fit a capture's pattern, and their names or values do not fit its mapping; they are left alone."""

    mapping: str
    keys: int
    level: ClassVar[str] = "warning"


@dataclass(frozen=True, slots=True)
class SubscriptionBroken(Event):
    """The subscription to keyspace notifications ended; it is made anew, and all keys are looked at."""

    mapping: str
    error: str
    level: ClassVar[str] = "warning"


@dataclass(frozen=True, slots=True)
class CaptureFailed(Event):
    """A capture failed and will be tried again after ``delay_s`` seconds; nothing is lost."""

    mapping: str
    error: str
    delay_s: float
    level: ClassVar[str] = "warning"


Observer = Callable[[Event], None]
"""Called in the thread where the thing happened; it must be quick, and what it raises reaches the engine."""


def ignore(event: Event) -> None:
    """The observer that is told everything and does nothing."""
