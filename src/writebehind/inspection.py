"""The status: a typed, read-only snapshot of what is at risk and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from writebehind.cache import calls
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.link import Links
from writebehind.client.lane import Lane
from writebehind.databases.contract import Database
from writebehind.errors import DatabaseError
from writebehind.flush.task import Task
from writebehind.mapping import BoundCapture, BoundMapping, Kind
from writebehind.worker.capture.tally import Tally
from writebehind.worker.schedule import Dirt, look


@dataclass(frozen=True, slots=True)
class MappingStatus:
    """One mapping. ``pending_*`` is at risk: acknowledged, not yet committed in the database.

    ``kind`` is ``counter``, ``leaderboard``, ``record`` or ``event``; ``database`` the URL without its password.
    """

    name: str
    kind: Kind
    database: str
    pending_writes: int
    pending_keys: int
    sealed_batches: int
    oldest_pending_s: float
    """The age of the oldest pending write in seconds, 0 where nothing is pending."""
    ring_groups: int
    """Groups that this process keeps for replay."""
    ring_size_bytes: int
    unsent_groups: int
    """Groups that this process has not got an answer for yet."""
    unsettled_lanes: int
    """Lanes of this process whose end in a former incarnation of the cache is not known yet."""
    released_groups: int
    """Groups that ``ring_full="release"`` let fall back to what their level alone promises."""
    lost_local_writes: int
    """Writes with ``ack="local"`` that the cache refused, with nobody waiting to be told."""
    hindrance: str
    """Why this process's writes do not get through at present, or ''."""
    dead_letters: int | None
    """Dead letters in the database; None where it could not be asked."""


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """One capture, as the worker that runs it told last; all zero where none has run yet."""

    pattern: str
    to: str
    captured: int
    """Captures of a key that changed something, since the first worker."""
    vanished: int
    """Keys that expired, were evicted or were found missing; their rows stayed as they were."""
    vanished_keys: tuple[str, ...]
    """The last of them."""
    unfit: int
    """Keys whose names or values do not fit at present; they are left alone."""
    unfit_keys: tuple[str, ...]
    """Some of them, each with the reason."""
    last_rescan_ms: int
    """When all keys were compared last, in milliseconds since 1970."""
    subscription_alive: bool
    """Whether the worker heard of changed keys when it told last."""
    told_ms: int
    """When it told last."""


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at a glance."""

    cache: str
    databases: tuple[str, ...]
    namespace: str
    pending_writes: int
    pending_keys: int
    oldest_pending_s: float
    mappings: tuple[MappingStatus, ...]
    captures: tuple[CaptureStatus, ...]
    worker_errors: Mapping[str, str]
    """By table: what the worker of this process is failing with now."""
    incidents: int | None
    """Incidents recorded in the databases; None where one could not be asked."""


@dataclass(frozen=True, slots=True)
class InspectedDatabase:
    """A database, how it is shown, and the partitions whose rows it has."""

    shown: str
    database: Database
    tasks: Sequence[Task]


def inspect(
    cache: Links,
    databases: Sequence[InspectedDatabase],
    lanes: Mapping[str, Sequence[Lane]],
    captures: Sequence[BoundCapture] = (),
    *,
    namespace: str,
    worker_errors: Mapping[str, str],
) -> Status:
    """Look at everything once; a database's being down is no error here.

    :raises CacheUnavailable: there is nothing to show without the cache.
    """
    mappings: list[MappingStatus] = []
    incidents: int | None = 0
    for inspected in databases:
        with cache.borrow() as link:
            dirt = look(link, inspected.tasks)
        letters: dict[str, int] | None
        try:
            letters = inspected.database.count_dead_letters(namespace)
            recorded = len(inspected.database.incidents(namespace))
            incidents = None if incidents is None else incidents + recorded
        except DatabaseError:
            letters = incidents = None  # shown as unknown
        for mapping in dict.fromkeys(task.mapping for task in inspected.tasks):
            of_mapping = [each for each in dirt if each.task.mapping is mapping]
            mappings.append(_mapping(mapping, inspected.shown, of_mapping, lanes.get(mapping.name, ()), letters))
    return Status(
        cache=cache.address.shown,
        databases=tuple(inspected.shown for inspected in databases),
        namespace=namespace,
        pending_writes=sum(mapping.pending_writes for mapping in mappings),
        pending_keys=sum(mapping.pending_keys for mapping in mappings),
        oldest_pending_s=max((mapping.oldest_pending_s for mapping in mappings), default=0.0),
        mappings=tuple(mappings),
        captures=tuple(_capture(cache, namespace, capture) for capture in captures),
        worker_errors=dict(worker_errors),
        incidents=incidents,
    )


def _capture(cache: Links, namespace: str, capture: BoundCapture) -> CaptureStatus:
    keys = PartitionKeys.of(namespace, capture.mapping.name, 0)
    tally = Tally.from_text(cache.execute(calls.read_status(keys.capture_status)))
    return CaptureStatus(
        pattern=capture.pattern.text,
        to=capture.mapping.name,
        captured=tally.captured,
        vanished=tally.vanished,
        vanished_keys=tuple(tally.vanished_names),
        unfit=tally.unfit,
        unfit_keys=tuple(tally.unfit_names),
        last_rescan_ms=tally.last_rescan_ms,
        subscription_alive=tally.subscription_alive,
        told_ms=tally.told_ms,
    )


def _mapping(
    mapping: BoundMapping, database: str, dirt: Sequence[Dirt], lanes: Sequence[Lane], letters: Mapping[str, int] | None
) -> MappingStatus:
    return MappingStatus(
        name=mapping.name,
        kind=mapping.kind,
        database=database,
        pending_writes=sum(each.open_writes + each.sealed_writes for each in dirt),
        pending_keys=sum(each.open_fields + each.sealed_fields for each in dirt),
        sealed_batches=sum(each.sealed for each in dirt),
        oldest_pending_s=max((each.oldest_ms for each in dirt), default=0) / 1000,
        ring_groups=sum(lane.ring.groups for lane in lanes),
        ring_size_bytes=sum(lane.ring.size_bytes for lane in lanes),
        unsent_groups=sum(lane.unsent_groups for lane in lanes),
        unsettled_lanes=sum(len(lane.old) for lane in lanes),
        released_groups=sum(lane.ring.released_groups for lane in lanes),
        lost_local_writes=sum(lane.lost_local_writes for lane in lanes),
        hindrance=next((str(lane.hindrance) for lane in lanes if lane.hindrance is not None), ""),
        dead_letters=None if letters is None else letters.get(mapping.name, 0),
    )
