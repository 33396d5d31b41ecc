"""The chain of sealed batches, and the one rule that decides what becomes of its front.

Pure: nothing here talks to a server. The flush engine and its tests ask ``judge``.

A batch names its parent, and the database applies it only on top of that parent, in the transaction
that moves the head. A fence is an empty batch that begins an incarnation (one continuous life of the
cache's data); an incarnation is named by its fence's identity.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import Enum

ROOT = "root"
"""The head of a partition that the database has never applied anything of."""

ANY_PARENT = "*"
"""The parent that a fence names: it follows whatever the database had applied when it was seen."""


def new_identity() -> str:
    """A random 128-bit identity, as 32 hexadecimal digits."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Link:
    """One sealed batch, as the queue in the cache describes it.

    ``birth`` is given at the batch's first write and survives a rollback that the sealing did not;
    ``writes`` counts the writes in it, ``size`` its fields; ``first_write_ms`` is the cache's clock.
    """

    identity: str
    parent: str
    incarnation: str
    birth: str
    writes: int
    size: int
    first_write_ms: int

    @property
    def is_fence(self) -> bool:
        return self.parent == ANY_PARENT

    @classmethod
    def parse(cls, entry: bytes) -> Link:
        """Read an entry of the queue: the seven parts, with spaces between."""
        identity, parent, incarnation, birth, writes, size, first_write_ms = entry.decode().split(" ")
        return cls(identity, parent, incarnation, birth, int(writes), int(size), int(first_write_ms))


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database says, under lock, of a link: the partition's head and its memory."""

    head: str
    is_applied: bool
    incarnation_closed: bool
    applied_birth_writes: int | None
    """How many writes the applied batch of the same birth had; None where there is none."""


class Verdict(Enum):
    """What to do with the front of the chain."""

    APPLY = "apply"
    APPLY_FENCE = "apply_fence"
    ACKNOWLEDGE = "acknowledge"
    LOOK_AGAIN = "look_again"
    QUARANTINE = "quarantine"


def judge(link: Link, standing: Standing, head_seen_before: str) -> Verdict:
    """Decide what becomes of the front of the chain (docs/protocol.md, "What the worker does").

    ``head_seen_before`` is the head as it was read before the link was seen: a head that has moved
    since means that this worker's view is old, and it must look again rather than judge.
    """
    if standing.is_applied:
        return Verdict.ACKNOWLEDGE
    if link.is_fence:
        if standing.incarnation_closed:
            return Verdict.QUARANTINE
        return Verdict.APPLY_FENCE if standing.head == head_seen_before else Verdict.LOOK_AGAIN
    if standing.applied_birth_writes is not None and link.writes <= standing.applied_birth_writes:
        return Verdict.ACKNOWLEDGE  # a prefix of an applied batch, sealed again after a rollback
    if standing.incarnation_closed:
        return Verdict.QUARANTINE
    if link.parent == standing.head:
        return Verdict.APPLY
    return Verdict.LOOK_AGAIN if standing.head != head_seen_before else Verdict.QUARANTINE
