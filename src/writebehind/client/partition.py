"""Everything the client knows of one partition of one mapping: names, keys, lane."""

from __future__ import annotations

from dataclasses import dataclass

from writebehind.cache.keys import PartitionKeys
from writebehind.client.lane import Lane
from writebehind.databases.contract import PartitionName
from writebehind.mapping import BoundMapping


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition as a client sees it. ``layout`` is what every call names."""

    name: PartitionName
    keys: PartitionKeys
    mapping: BoundMapping
    lane: Lane

    @property
    def layout(self) -> str:
        return str(self.mapping.mapping.partitions)

    @property
    def label(self) -> str:
        """For people: ``videos.likes/0``."""
        return f"{self.name.mapping}/{self.name.partition}"
