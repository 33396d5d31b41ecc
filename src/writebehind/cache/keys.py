"""Every Redis key name, one function each. A partition's keys share a hash tag, and so a slot.

The cached values' names are the mapping's affair (``BoundCounter.value_key``): other programs read them.
"""

from __future__ import annotations

from dataclasses import dataclass

from writebehind.mapping import partition_tag

MARK_FIELD = b"\x00"
"""The field under which the mark of a capture's first scan travels in a batch; no key of a row can be it."""


@dataclass(frozen=True, slots=True)
class PartitionKeys:
    """The keys of one partition."""

    header: bytes
    open: bytes
    open_lanes: bytes
    lanes: bytes
    queue: bytes
    lease: bytes
    open_captured: bytes
    captured: bytes
    capture_lease: bytes
    capture_status: bytes
    prefix: bytes

    @classmethod
    def of(cls, namespace: str, mapping: str, partition: int) -> PartitionKeys:
        prefix = b"wb:{" + partition_tag(namespace, mapping, partition).encode() + b"}:"
        return cls(
            header=prefix + b"header",
            open=prefix + b"open",
            open_lanes=prefix + b"open:lanes",
            lanes=prefix + b"lanes",
            queue=prefix + b"queue",
            lease=prefix + b"lease",
            open_captured=prefix + b"open:captured",
            captured=prefix + b"captured",
            capture_lease=prefix + b"capture:lease",
            capture_status=prefix + b"capture:status",
            prefix=prefix,
        )

    def batch(self, identity: str) -> bytes:
        """A sealed batch: field to amount."""
        return self.prefix + b"batch:" + identity.encode()

    def batch_lanes(self, identity: str) -> bytes:
        """The lanes of a sealed batch: producer to its last sequence number in it."""
        return self.prefix + b"batch:" + identity.encode() + b":lanes"

    def batch_captured(self, identity: str) -> bytes:
        """What of a sealed batch was captured from plain keys; see ``lua/capture.lua``."""
        return self.prefix + b"batch:" + identity.encode() + b":captured"

    def captured_board(self, key: bytes) -> bytes:
        """The copy of an application's sorted set as it was last captured."""
        return self.prefix + b"captured:" + key

    def building(self, board: bytes) -> bytes:
        """Where a board's sorted set is built; ``board`` is its canonical text."""
        return self.prefix + b"building:" + board
