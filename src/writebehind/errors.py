"""Every error that the library raises, in one tree.

::

    WriteBehindError
    ├── ConfigurationError        a setting is wrong; nothing was contacted yet
    ├── NotOpen                   used before open() or after close()
    ├── MappingError              a mapping and its table do not fit
    │   ├── TableMissing
    │   ├── ColumnMissing
    │   ├── ColumnRefused         the column is there, with a type or constraint that cannot serve
    │   └── MappingConflict       the same mapping was declared differently elsewhere
    ├── ValueRefused              this key or this amount cannot be written; nothing was
    │   ├── KeyRefused
    │   └── SumOutOfRange
    ├── BufferFull                a bound was reached; nothing was written
    ├── DurabilityUnknown         the outcome is not known yet; the token settles it later
    ├── PartlyWritten             of a call with several writes, only the first were accepted
    ├── TotalUnavailable          the write was accepted, its total could not be read
    ├── DeadLettered              the write reached the database's dead letters, not its row
    ├── ReadUnsettled             an exact read found no quiet moment within its tries
    ├── FlushTimeout              flush(timeout=) ended before everything was applied
    ├── PartitionStopped          what cache and ledger hold cannot both be true; a person must decide
    ├── CacheError
    │   ├── CacheUnavailable      (retryable) down, loading, unreachable, or out of time
    │   ├── CacheRefused          permission, configuration or version; a retry does not help
    │   └── EmbeddedCacheError    the embedded server could not be started
    └── DatabaseError
        ├── DatabaseUnavailable   (retryable) down, restarting, deadlock, out of connections
        ├── DatabaseRefused       permission or configuration; a retry does not help
        ├── LedgerMissing         `writebehind init` has not been run in this database
        └── RowRefused            a row's data was refused (SQLSTATE class 22 or 23)

Each message says what happened, to what, why, and what to do; the parts are attributes too.
"""

from __future__ import annotations

from typing import ClassVar


class WriteBehindError(Exception):
    """The root of the tree.

    ``what`` happened (and to what), ``why`` (the cause in words, often the server's own), and the
    ``fix``: what to do about it. ``retryable`` says whether the same call can succeed later unchanged.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        self.what = what
        self.why = why
        self.fix = fix
        super().__init__(what, why, fix)

    def __str__(self) -> str:
        sentence = self.what if not self.why else f"{self.what}: {self.why}"
        return sentence if not self.fix else f"{sentence.rstrip('.')}. {self.fix}"


class ConfigurationError(WriteBehindError):
    """A setting is wrong. The message names the setting, where it came from and the fix."""


class NotOpen(WriteBehindError):
    """The object was used before ``open()`` or after ``close()``."""


class MappingError(WriteBehindError):
    """A mapping and the table that it names do not fit."""


class TableMissing(MappingError):
    """The mapping's table does not exist, or is not visible to this user."""


class ColumnMissing(MappingError):
    """The mapping names a column that the table does not have."""


class ColumnRefused(MappingError):
    """The column exists, but its type or a constraint of its table cannot serve the mapping."""


class MappingConflict(MappingError):
    """The mapping is declared differently by another process, or twice in this one."""


class ValueRefused(WriteBehindError, ValueError):
    """A key or an amount that cannot be written. Nothing was written."""


class KeyRefused(ValueRefused):
    """The key's type or length does not fit the mapping's key column."""


class SumOutOfRange(ValueRefused):
    """The sum would leave the range of a signed 64-bit integer. Nothing was written."""


class BufferFull(WriteBehindError):
    """A bound (the cache's memory, the mapping's pending rows, the producer's ring) was reached.

    Nothing was written. Retry after a flush.
    """

    retryable: ClassVar[bool] = True


class DurabilityUnknown(WriteBehindError):
    """The write was sent and its outcome is not known within the timeout.

    It is neither success nor failure: while this process lives the client keeps the write and
    settles it by asking again with the same sequence number, so calling again would count twice.
    ``token`` names the write (partition, producer, incarnation, sequence number).
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "", token: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.token = token


class PartlyWritten(WriteBehindError):
    """Of a call with several writes only the first ``written`` were accepted, or are on their way and are settled by
    this process; the others were not written.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "", written: int = 0) -> None:
        super().__init__(what, why=why, fix=fix)
        self.written = written


class TotalUnavailable(WriteBehindError):
    """The write was accepted at the level asked for; only its total could not be read."""


class DeadLettered(WriteBehindError):
    """The write reached the database as a dead letter: its row was missing, or refused it."""


class ReadUnsettled(WriteBehindError):
    """An exact read found no consistent moment within its bounded tries."""

    retryable: ClassVar[bool] = True


class FlushTimeout(WriteBehindError):
    """``flush(timeout=)`` ended before all that was pending at the call was in the database.

    What was not applied is safe in the cache; the next flush continues.
    """

    retryable: ClassVar[bool] = True


class PartitionStopped(WriteBehindError):
    """A partition's flushing was stopped because cache and ledger contradict each other."""


class CacheError(WriteBehindError):
    """Anything that the cache said, or did not say."""


class CacheUnavailable(CacheError):
    """The cache is down, loading, unreachable or too slow."""

    retryable: ClassVar[bool] = True


class CacheRefused(CacheError):
    """The cache refuses: permission, configuration, version. A retry does not help."""


class EmbeddedCacheError(CacheError):
    """The embedded server could not be started or reached."""


class DatabaseError(WriteBehindError):
    """Anything that the database said, or did not say."""


class DatabaseUnavailable(DatabaseError):
    """Errors that time can mend: SQLSTATE classes 08, 40, 53, 57 and 25006; SQLite's busy."""

    retryable: ClassVar[bool] = True


class DatabaseRefused(DatabaseError):
    """Permission, schema or configuration (SQLSTATE class 42, 28 and the like)."""


class LedgerMissing(DatabaseError):
    """The ledger's tables are not in this database."""


class RowRefused(DatabaseError):
    """A row's data was refused (SQLSTATE class 22 or 23). ``sqlstate`` is the database's code."""

    def __init__(self, what: str, *, why: str = "", fix: str = "", sqlstate: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.sqlstate = sqlstate
