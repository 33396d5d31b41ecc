"""What is seen while it runs: a live screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class Screen(Protocol[S_contra]):
    """Shows lines, which stay, and samples, of which the last counts."""

    sample_interval_s: float

    def say(self, text: str) -> None:
        """Print a line."""
        ...

    def show(self, sample: S_contra) -> None:
        """Show the present figures."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


def choose_screen(line: Callable[[S], str], panel: Callable[[S], RenderableType]) -> Screen[S]:
    """The live one where stdout is a terminal that can be painted on, and Rich is installed.

    A sample is shown by its ``panel`` there, and by its ``line`` elsewhere.
    """
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and find_spec("rich") is not None:
        return LiveScreen(panel)
    return PlainScreen(line)


class PlainScreen(Generic[S]):
    """One line a second."""

    sample_interval_s = 1.0

    def __init__(self, line: Callable[[S], str]) -> None:
        self._line = line

    def say(self, text: str) -> None:
        click.echo(text)

    def show(self, sample: S) -> None:
        click.echo(self._line(sample))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        pass


class LiveScreen(Generic[S]):
    """A panel that is painted anew with each sample; lines scroll above it."""

    sample_interval_s = 0.25

    def __init__(self, panel: Callable[[S], RenderableType]) -> None:
        from rich.live import Live

        self._panel = panel
        self._live = Live(auto_refresh=False)

    def say(self, text: str) -> None:
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, sample: S) -> None:
        self._live.update(self._panel(sample), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self._live.stop()
