"""How far ``ingest`` has come, on stderr: a Rich bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PLAIN_INTERVAL_S = 5.0
BAR_INTERVAL_S = 0.1
SHOW_CURSOR = "\x1b[?25h"
"""For who leaves without closing the bar, which hides the cursor."""


class Progress(Protocol):
    """Told of every line; shows what it likes of it."""

    def update(self, lines: int, position_bytes: Callable[[], int]) -> None:
        """So many lines have been read, up to this position of the file."""
        ...

    def show(self, message: str) -> None:
        """Print a message on stderr without breaking what is shown there."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


def choose_progress(wanted: bool, size_bytes: int | None) -> Progress:
    """A bar where stderr is a terminal that may have colours and Rich is installed; else plain lines.

    :param size_bytes: the file's size; None for a stream, which is shown by its count alone.
    """
    if not wanted:
        return PlainProgress(None, interval_s=float("inf"))
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR") and find_spec("rich") is not None:
        return BarProgress(size_bytes)
    return PlainProgress(size_bytes)


class PlainProgress:
    """One line every few seconds."""

    def __init__(
        self,
        size_bytes: int | None,
        *,
        interval_s: float = PLAIN_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size_bytes = size_bytes
        self._interval_s = interval_s
        self._clock = clock
        self._last_s = clock()

    def update(self, lines: int, position_bytes: Callable[[], int]) -> None:
        now_s = self._clock()
        if now_s - self._last_s < self._interval_s:
            return
        self._last_s = now_s
        percent = f" ({position_bytes() / self._size_bytes:.0%})" if self._size_bytes else ""
        self.show(f"{lines:,} lines{percent}")

    def show(self, message: str) -> None:
        click.echo(message, err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        pass


class BarProgress:
    """A bar over the file's bytes; for a stream, which has no end, a spinner and the count."""

    def __init__(self, size_bytes: int | None) -> None:
        self._progress = _rich_bar(size_bytes)
        self._task = self._progress.add_task("", total=size_bytes or None, lines="0")
        self._last_s = 0.0

    def update(self, lines: int, position_bytes: Callable[[], int]) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s < BAR_INTERVAL_S:
            return
        self._last_s = now_s
        self._progress.update(self._task, completed=position_bytes(), lines=f"{lines:,}")

    def show(self, message: str) -> None:
        self._progress.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self._progress.stop()


def _rich_bar(size_bytes: int | None) -> RichProgress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        ProgressColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress

    lines = TextColumn("{task.fields[lines]} lines")
    columns: list[ProgressColumn]
    if size_bytes:
        columns = [BarColumn(), DownloadColumn(), lines, TimeRemainingColumn()]
    else:
        columns = [SpinnerColumn(), lines, TimeElapsedColumn()]
    return RichProgress(*columns, console=Console(stderr=True), transient=True)
