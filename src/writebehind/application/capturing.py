"""Declaring captures: the same for both doors, since nothing is asked of a server yet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from writebehind.mapping import CaptureKind, DeclaredCapture, Keep, Missing, declare_capture
from writebehind.mapping.capture import Baseline


class Captures(ABC):
    """The part of an application object that declares captures."""

    @abstractmethod
    def _declare_capture(self, declared: DeclaredCapture) -> None:
        """Keep a declaration."""

    def capture(
        self,
        pattern: str,
        *,
        to: str,
        baseline: Baseline | None = None,
        kind: CaptureKind | None = None,
        key: str | Sequence[str] | None = None,
        missing: Missing | None = None,
        columns: str | Sequence[str] | None = None,
        version: str | None = None,
        member: str | None = None,
        board: str | None = None,
        keep: Keep | None = None,
        partitions: int | None = None,
        database: str | None = None,
    ) -> None:
        """Let the worker carry what plain Redis commands do to an application's own keys to a mapping.

        ``pattern`` names the keys, with the key columns in braces: ``"video:{id}:likes"``. ``to`` is the mapping: a
        counter (``"videos.likes"``) for strings, a table of records (``"profiles"``) for hashes, a leaderboard
        (``"scores.points"`` with ``member=``) for sorted sets. It may be declared by itself, or by the other options
        here. ``baseline`` says what the keys are worth that exist when the worker scans them for the first time:
        ``"database"``: nothing, the rows are right; ``"cache"``: the rows become what the keys say; ``"zero"``: all
        of it is still to be added.

        :raises ConfigurationError: an argument does not fit.
        """
        self._declare_capture(
            declare_capture(
                pattern,
                to=to,
                baseline=baseline,
                kind=kind,
                key=key,
                missing=missing,
                columns=columns,
                version=version,
                member=member,
                board=board,
                keep=keep,
                partitions=partitions,
                database=database,
            )
        )
