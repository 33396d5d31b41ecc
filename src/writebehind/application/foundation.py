"""Opening: everything that needs an answer from a server, checked once, before the first write."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from writebehind.cache.address import Address
from writebehind.cache.embedded import EmbeddedCache
from writebehind.cache.link import Link
from writebehind.cache.probe import probe
from writebehind.cache.replies import NotExecuted
from writebehind.databases import open_database
from writebehind.databases.contract import Database, PartitionName
from writebehind.errors import ColumnRefused, LedgerMissing
from writebehind.mapping import BoundCounter, CounterMapping, bind_counter
from writebehind.settings import Settings

Value: TypeAlias = type[int] | type[Decimal]


@dataclass(frozen=True, slots=True)
class Declared:
    """A counter as the application declared it: its mapping, and the type of its totals."""

    mapping: CounterMapping
    value: Value


@dataclass(frozen=True, slots=True)
class Foundation:
    """What opening found. Everything else is built on it without asking a server again."""

    settings: Settings
    address: Address
    namespace: str
    database_url: str
    counters: tuple[BoundCounter, ...]
    embedded: EmbeddedCache | None


def database_url(settings: Settings) -> str:
    """The configured database, or the SQLite file beside the embedded cache."""
    if settings.database is not None:
        return settings.database
    settings.folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{(settings.folder / 'data.db').absolute()}"


def prepare_database(settings: Settings, database: Database) -> None:
    """The SQLite file that nobody configured gets its ledger at once: there is nobody else to create it."""
    if settings.database is None:
        database.create_ledger()


def lay(settings: Settings, declared: Sequence[Declared]) -> Foundation:
    """Check the cache, bind every mapping to its table, and enter the partitions in the ledger.

    :raises WriteBehindError: whatever does not fit, at this earliest moment; nothing was written.
    """
    embedded = EmbeddedCache.acquire(settings.folder) if settings.cache is None else None
    try:
        address = Address.parse(embedded.url if embedded is not None else settings.cache or "")
        namespace = settings.namespace or (embedded.namespace if embedded is not None else "default")
        _check_cache(address, settings)
        url = database_url(settings)
        database = open_database(url)
        try:
            prepare_database(settings, database)
            prefix = f"{settings.namespace}:".encode() if settings.namespace is not None else b""
            counters = tuple(replace(_bind(database, each), value_prefix=prefix) for each in declared)
            for counter in counters:
                _declare(database, namespace, counter)
        finally:
            database.close()
    except BaseException:
        if embedded is not None:
            embedded.release()
        raise
    return Foundation(settings, address, namespace, url, counters, embedded)


def _check_cache(address: Address, settings: Settings) -> None:
    link = Link(address)
    try:
        _while_loading(lambda: probe(link, allow_eviction=settings.allow_eviction), settings.timeout_s)
    finally:
        link.close()


def _while_loading(check: Callable[[], None], timeout_s: float) -> None:
    """A server that has just been started answers LOADING for a while: that is worth waiting for."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            check()
        except NotExecuted as error:
            if "loading" not in error.why.lower() or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _bind(database: Database, declared: Declared) -> BoundCounter:
    counter = bind_counter(declared.mapping, database.table_shape(declared.mapping.table))
    scale = counter.amounts.scale
    if scale and declared.value is int:
        raise ColumnRefused(
            f"the column of {counter.name!r} has {scale} decimal places, and its counter was declared for ints",
            fix=f'Declare it with counter("{counter.name}", value=Decimal).',
        )
    if scale is None and declared.value is Decimal:
        raise ColumnRefused(
            f"the column of {counter.name!r} holds integers, and its counter was declared with value=Decimal",
            fix="Leave value= out, or use a NUMERIC column with a scale.",
        )
    return counter


def _declare(database: Database, namespace: str, counter: BoundCounter) -> None:
    names = [PartitionName(namespace, counter.name, number) for number in range(counter.mapping.partitions)]
    try:
        database.declare_partitions(names, counter.declaration())
    except LedgerMissing as error:
        raise LedgerMissing(
            error.what, why=error.why, fix="Run `writebehind init --database URL` once, or call init()."
        ) from error
