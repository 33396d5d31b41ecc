"""A Click group that imports a command when it is called, and turns our errors into messages."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

import click

from writebehind.errors import ConfigurationError, WriteBehindError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class LazyCommand(NamedTuple):
    """Where a command is, and what ``--help`` says of it without importing it."""

    module: str
    attribute: str
    summary: str


class Refusal(click.ClickException):
    """An error of the library as a message on stderr, with exit status 1."""

    exit_code = EXIT_FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"writebehind: {self.format_message()}", file=file or sys.stderr)


class ConfigurationRefusal(Refusal):
    """The same for a wrong setting, with exit status 2."""

    exit_code = EXIT_USAGE


class LazyGroup(click.Group):
    """The commands by name, in the order in which help shows them."""

    def __init__(self, *args: Any, lazy_commands: dict[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy_commands = lazy_commands

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        return list(self._lazy_commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        command = self._lazy_commands.get(cmd_name)
        if command is None:
            return None
        found = getattr(importlib.import_module(command.module), command.attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self._lazy_commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise ConfigurationRefusal(str(error)) from error
        except WriteBehindError as error:
            raise Refusal(str(error)) from error
        except KeyboardInterrupt:
            click.echo(
                "writebehind: interrupted; what the cache has accepted is safe there, "
                "and the next flush brings it to the database",
                err=True,
            )
            ctx.exit(EXIT_INTERRUPTED)

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:
        # What a person should see, a command says itself; `worker` is the one that shows the log.
        logging.getLogger("writebehind").addHandler(logging.NullHandler())
        # A terminal that cannot show an arrow shall see an escape, not a traceback.
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        return super().main(args, *more, **extra)
