"""Capturing one sorted set: in slices, so that the server's other clients never wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from writebehind.cache import calls
from writebehind.cache.link import Link
from writebehind.errors import KeyRefused, ValueRefused
from writebehind.mapping import BoundLeaderboard
from writebehind.values import KeyCodec
from writebehind.worker.capture.dirty import DirtyKeys
from writebehind.worker.capture.territory import Holding, Territory, TerritoryLost

SLICE_MEMBERS = 1000


@dataclass(slots=True)
class BoardOutcome:
    """What capturing a board did. ``is_done`` is false where it has to be captured again: it waits for a flush, or,
    with ``waits_for_event``, for what is known to have happened to it since.
    """

    changed: int = 0
    vanished: bool = False
    unfit: str = ""
    is_done: bool = False
    ends_left: str = ""
    """Where it is not done: the ends that have not been captured yet."""
    waits_for_event: bool = False


class _NotNow(Exception):
    """The capture of this board cannot go on now."""

    def __init__(self, *, waits_for_event: bool) -> None:
        super().__init__()
        self.waits_for_event = waits_for_event


class BoardCapturer:
    """Compares a sorted set with the copy of it that was captured last, member by member."""

    def __init__(self, territory: Territory, holding: Holding, link: Link, key: bytes, board: bytes, ends: str) -> None:
        mapping = territory.capture.mapping
        assert isinstance(mapping, BoundLeaderboard)
        self._territory = territory
        self._holding = holding
        self._link = link
        self._key = key
        self._board = board
        self._ends = ends
        self._mapping = mapping
        self._copy = holding.task.keys.captured_board(key)
        self._outcome = BoardOutcome(ends_left=ends)

    def capture(self, how: calls.How, pass_barrier: Callable[[], bool], dirty: DirtyKeys) -> BoardOutcome:
        """Capture the set whole; ``how`` says how its life ended before, or that this is the first scan."""

        def check() -> None:
            """What was just read belongs to the life that is being captured."""
            if not pass_barrier():
                raise TerritoryLost("the subscription was broken while a sorted set was read")
            if dirty.ends_since([self._key]):
                raise _NotNow(waits_for_event=True)

        try:
            self._capture(how, check)
            self._outcome.is_done = True
        except _NotNow as error:
            self._outcome.waits_for_event = error.waits_for_event
        return self._outcome

    def _capture(self, how: calls.How, check: Callable[[], None]) -> None:
        if how == "d":
            self._compare_copy(members_are_gone=True, check=lambda: None)
        elif how == "v":
            self._forget()
        self._ends = self._outcome.ends_left = ""  # what follows belongs to a new life, should this be begun again
        kind = self._link.execute(calls.key_type(self._key))
        check()
        if kind == "none":
            if how != "d":
                self._forget()
            return
        if kind != "zset":
            self._outcome.unfit = f"it is a {kind}, not a sorted set"
            return
        cursor = 0
        while True:
            part = self._link.execute(calls.scan_scores(self._key, cursor, SLICE_MEMBERS))
            check()
            scores = dict(zip(part.flat[::2], part.flat[1::2], strict=True))
            self._send("=" if how == "=" else "", self._entries(scores))
            cursor = part.cursor
            if cursor == 0:
                break
        self._compare_copy(members_are_gone=False, check=check)

    def _compare_copy(self, *, members_are_gone: bool, check: Callable[[], None]) -> None:
        """Take out of the copy what the set does not have, or everything."""
        cursor = 0
        while True:
            part = self._link.execute(calls.scan_scores(self._copy, cursor, SLICE_MEMBERS))
            members = list(dict.fromkeys(part.flat[::2]))
            if members and not members_are_gone:
                scores = self._link.execute(calls.member_scores(self._key, members))
                check()
                members = [member for member, score in zip(members, scores, strict=True) if score is None]
            self._send("", [calls.BoardEntry(self._field(member), member, "") for member in members])
            cursor = part.cursor
            if cursor == 0:
                return

    def _forget(self) -> None:
        captured = self._execute("v", [])
        self._outcome.vanished = self._outcome.vanished or (captured is not None and bool(captured.vanished))

    def _entries(self, scores: dict[bytes, bytes]) -> list[calls.BoardEntry]:
        entries = []
        for member, score in scores.items():
            try:
                entries.append(calls.BoardEntry(self._field(member), member, self._units(score)))
            except (KeyRefused, ValueRefused, UnicodeDecodeError) as error:
                self._outcome.unfit = f"a member does not fit: {error}"
        return entries

    def _field(self, member: bytes) -> bytes:
        text = member.decode()
        column = self._mapping.member_column
        if KeyCodec((column,), self._mapping.name).encode(text) != member:
            raise KeyRefused(f"the member is not how a value of {column.name!r} is written")
        given = text if self._mapping.board_column is None else (self._board.decode(), text)
        return self._mapping.keys.encode(given)

    def _units(self, score: bytes) -> str:
        scores = self._mapping.scores
        if scores.is_float:
            return scores.to_text(scores.to_units(float(score), self._mapping.name))
        try:
            exact = Decimal(repr(float(score)))
            value = int(exact) if scores.scale is None else exact
            if value != exact:
                raise ValueRefused("the score is no whole number")
        except (InvalidOperation, OverflowError) as error:
            raise ValueRefused("the score is not finite") from error
        return scores.to_text(scores.to_units(value, self._mapping.name))

    def _send(self, how: calls.How, entries: Sequence[calls.BoardEntry]) -> None:
        """Send members, as many at once as the bound on pending rows lets in."""
        waiting = [entries[first : first + SLICE_MEMBERS] for first in range(0, len(entries), SLICE_MEMBERS)]
        waiting.reverse()
        while waiting:
            some = waiting.pop()
            captured = self._execute(how, some)
            if captured is not None:
                self._outcome.changed += captured.changed
            elif len(some) == 1:
                raise _NotNow(waits_for_event=False)
            else:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]

    def _execute(self, how: calls.How, entries: Sequence[calls.BoardEntry]) -> calls.Captured | None:
        call = calls.capture_board(
            self._holding.task.keys,
            self._territory.head(self._holding),
            entries,
            key=self._key,
            how=how,
            keep=self._mapping.mapping.keep,
            board=self._board,
            board_key=self._mapping.board_key(self._board),
        )
        return self._territory.execute(self._link, self._holding, call, {self._key: self._ends})
