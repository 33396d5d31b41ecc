"""Opening: everything that needs an answer from a server, checked once, before the first write."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeAlias

from writebehind.cache.address import Address
from writebehind.cache.embedded import EmbeddedCache
from writebehind.cache.link import Link
from writebehind.cache.probe import probe
from writebehind.cache.replies import NotExecuted
from writebehind.databases import open_database
from writebehind.databases.contract import Database, PartitionName
from writebehind.databases.urls import redact_url
from writebehind.errors import ColumnRefused, ConfigurationError, LedgerMissing
from writebehind.mapping import (
    BoundCapture,
    BoundCounter,
    BoundLeaderboard,
    BoundMapping,
    BoundRecords,
    CounterMapping,
    DeclaredCapture,
    EventMapping,
    Kind,
    LeaderboardMapping,
    RecordMapping,
    bind_capture,
)
from writebehind.settings import Settings

Value: TypeAlias = type[int] | type[float] | type[Decimal]
AnyMapping: TypeAlias = CounterMapping | LeaderboardMapping | RecordMapping | EventMapping

_KINDS: dict[type[AnyMapping], Kind] = {
    CounterMapping: "counter",
    LeaderboardMapping: "leaderboard",
    RecordMapping: "record",
    EventMapping: "event",
}


@dataclass(frozen=True, slots=True)
class Declared:
    """A mapping as the application declared it.

    ``value`` is the type of its totals or scores, None where it has none; ``database`` the URL of a database of its
    own, None for the common one.
    """

    mapping: AnyMapping
    value: Value | None = None
    database: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A mapping that is bound to its table, and the URL of the database that has it."""

    mapping: BoundMapping
    database_url: str


@dataclass(frozen=True, slots=True)
class Foundation:
    """What opening found. Everything else is built on it without asking a server again."""

    settings: Settings
    address: Address
    namespace: str
    mappings: tuple[Placed, ...]
    captures: tuple[BoundCapture, ...]
    embedded: EmbeddedCache | None


def database_url(settings: Settings) -> str:
    """The configured database, or the SQLite file beside the embedded cache."""
    if settings.database is not None:
        return settings.database
    settings.folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{(settings.folder / 'data.db').absolute()}"


def database_urls(settings: Settings, declared: Sequence[Declared]) -> dict[str, bool]:
    """The URLs of all databases that are used, each with whether it is the file that nobody configured."""
    urls: dict[str, bool] = {}
    if not declared or any(each.database is None for each in declared):
        urls[database_url(settings)] = settings.database is None
    for each in declared:
        if each.database is not None:
            urls.setdefault(each.database, False)
    return urls


def prepare_database(settings: Settings, database: Database) -> None:
    """The SQLite file that nobody configured gets its ledger at once: there is nobody else to create it."""
    if settings.database is None:
        database.create_ledger()


def lay(settings: Settings, declared: Sequence[Declared], captures: Mapping[str, DeclaredCapture]) -> Foundation:
    """Check the cache, bind every mapping to its table, and enter the partitions in the ledger.

    :raises WriteBehindError: whatever does not fit, at this earliest moment; nothing was written.
    """
    embedded = EmbeddedCache.acquire(settings.folder) if settings.cache is None else None
    try:
        address = Address.parse(embedded.url if embedded is not None else settings.cache or "")
        implied = embedded.namespace if embedded is not None else "default"
        namespace = settings.namespace or implied
        _check_cache(address, settings)
        mappings, bound_captures = _place(settings, declared, captures, namespace, is_implied=namespace == implied)
    except BaseException:
        if embedded is not None:
            embedded.release()
        raise
    return Foundation(settings, address, namespace, mappings, bound_captures, embedded)


def _place(
    settings: Settings,
    declared: Sequence[Declared],
    captures: Mapping[str, DeclaredCapture],
    namespace: str,
    *,
    is_implied: bool,
) -> tuple[tuple[Placed, ...], tuple[BoundCapture, ...]]:
    prefix = b"" if is_implied else f"{namespace}:".encode()
    with ExitStack() as stack:
        databases: dict[str, Database] = {}
        for url, is_unconfigured in database_urls(settings, declared).items():
            database = databases[url] = open_database(url)
            stack.callback(database.close)
            if is_unconfigured:
                database.create_ledger()
        placed = []
        for each in declared:
            url = each.database or database_url(settings)
            bound: Any = replace(_bind(databases[url], url, each), value_prefix=prefix)  # type: ignore[type-var]
            placed.append((bound, url))
        placed = _without_shared_columns(placed)
        by_name = {bound.name: bound for bound, _ in placed}
        bound_captures = [bind_capture(each.capture, by_name[to]) for to, each in captures.items()]
        for bound, url in placed:  # once all of them fit
            _declare(databases[url], url, namespace, bound)
    return tuple(Placed(bound, url) for bound, url in placed), tuple(bound_captures)


def _without_shared_columns(placed: Sequence[tuple[Any, str]]) -> list[tuple[Any, str]]:
    """Records leave a column alone that is a counter or a leaderboard too: each would make the other's cached values
    wrong, and a put would set a count to its default.

    :raises ColumnRefused: the records name such a column.
    """
    owners: dict[tuple[str, str, str], BoundMapping] = {}
    for bound, url in placed:
        if isinstance(bound, BoundCounter | BoundLeaderboard):
            owners[url, bound.mapping.table, bound.mapping.column] = bound
    result: list[tuple[Any, str]] = []
    for bound, url in placed:
        if isinstance(bound, BoundRecords):
            for column in bound.columns:
                owner = owners.get((url, bound.mapping.table, column))
                if owner is None:
                    continue
                why = f"it is the {owner.kind} {owner.name!r}"
                if column in bound.mapping.columns or column == bound.mapping.version:
                    raise ColumnRefused(
                        f"the column {column!r} of the records {bound.name!r} has another mapping",
                        why=why,
                        fix="Leave it out of columns=.",
                    )
                bound = bound.without(column, why)
        result.append((bound, url))
    return result


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


def _bind(database: Database, url: str, declared: Declared) -> BoundMapping:
    mapping = declared.mapping
    kind = _KINDS[type(mapping)]
    if kind not in database.kinds:  # before its table is looked at, which could only say so of each column
        raise ConfigurationError(
            f"{mapping.name!r} is a {kind}, and the database {redact_url(url)!r} cannot serve those",
            why=f"{database.dialect} serves {', '.join(sorted(database.kinds))} mappings",
            fix="Give the mapping another database.",
        )
    bound: BoundMapping = mapping.bind(database.table_shape(mapping.table))
    if isinstance(bound, BoundCounter):
        _check_value(declared, "integer" if bound.amounts.scale is None else "decimal", "counter")
    elif isinstance(bound, BoundLeaderboard):
        scores = "float" if bound.scores.is_float else "integer" if bound.scores.scale is None else "decimal"
        _check_value(declared, scores, "leaderboard")
    return bound


_HOLDS = {"integer": ("integers", int), "decimal": ("decimals", Decimal), "float": ("floating-point numbers", float)}


def _check_value(declared: Declared, kind: str, method: str) -> None:
    words, value = _HOLDS[kind]
    if declared.value not in (None, value):
        assert declared.value is not None
        raise ColumnRefused(
            f"the column of {declared.mapping.name!r} holds {words}, and its {method} was declared for "
            f"{declared.value.__name__}",
            fix=f'Declare it with {method}("{declared.mapping.name}", value={value.__name__}).',
        )


def _declare(database: Database, url: str, namespace: str, mapping: BoundMapping) -> None:
    names = [PartitionName(namespace, mapping.name, number) for number in range(mapping.mapping.partitions)]
    try:
        database.declare_partitions(names, mapping.declaration())
    except LedgerMissing as error:
        raise LedgerMissing(
            error.what,
            why=error.why,
            fix=f"Run `writebehind init --database {redact_url(url)}` once, or call init().",
        ) from error
