"""Writing rows when some are bad: the bad ones are found, the others are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from writebehind.errors import RowRefused


def write_all_but_bad(
    size: int,
    attempt: Callable[[Sequence[int]], RowRefused | None],
    is_bad: Callable[[int, RowRefused], None],
) -> None:
    """Write the rows 0 to ``size`` - 1, except those that ``is_bad`` is told of.

    ``attempt`` writes some rows whole, or nothing of them and says why. While all is well it is called once. For a
    bad row among n it is called at most log2(n) + 2 times more: the known-bad range is halved, halves that go
    through stay written, and everything that was set aside on the way is tried at once again.
    """
    aside: Sequence[int] = range(size)
    while aside:
        aside = _write_all_or_find_first_bad(aside, attempt, is_bad)


def _write_all_or_find_first_bad(
    indices: Sequence[int],
    attempt: Callable[[Sequence[int]], RowRefused | None],
    is_bad: Callable[[int, RowRefused], None],
) -> Sequence[int]:
    """Write ``indices`` whole, or find one bad row in them; returns what is still to be written."""
    error = attempt(indices)
    if error is None:
        return ()
    bad = indices
    aside: deque[Sequence[int]] = deque()
    while len(bad) > 1:
        middle = len(bad) // 2
        first, second = bad[:middle], bad[middle:]
        error_of_first = attempt(first)
        if error_of_first is None:
            bad = second  # the first half is written, so the bad row is in the second
        else:
            bad, error = first, error_of_first
            aside.appendleft(second)
    is_bad(bad[0], error)
    return [index for half in aside for index in half]
