"""``writebehind status``: what is at risk, and for how long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from writebehind.cli.connection import connection_options
from writebehind.cli.loading import application_or_connection

if TYPE_CHECKING:
    from writebehind import MappingStatus, Status
    from writebehind.inspection import CaptureStatus


@click.command()
@click.argument("application", metavar="[MODULE:NAME]", required=False)
@connection_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(
    application: str | None, cache: str | None, database: str | None, config: Path | None, as_json: bool
) -> None:
    """Show what is pending in the cache, how old it is, and what the database could not take.

    The mappings are those of the application's WriteBehind object MODULE:NAME, or those that the TOML
    file declares.
    """
    with application_or_connection(application, cache, database, config) as wb:
        snapshot = wb.status()
    if as_json:
        click.echo(json.dumps(asdict(snapshot), indent=2, default=dict))
        return
    for line in _described(snapshot):
        click.echo(line)


def _described(snapshot: Status) -> list[str]:
    lines = [
        f"cache      {snapshot.cache}",
        *(f"{'database' if not place else '':9}  {url}" for place, url in enumerate(snapshot.databases or ["none"])),
        f"namespace  {snapshot.namespace}",
        f"at risk    {_at_risk(snapshot.pending_writes, snapshot.pending_keys, snapshot.oldest_pending_s)}",
        f"incidents  {_known(snapshot.incidents)}",
    ]
    lines += _described_mappings(snapshot.mappings, with_database=len(snapshot.databases) > 1)
    lines += [_described_capture(capture) for capture in snapshot.captures]
    if not snapshot.mappings:
        lines.append("nothing is declared: name MODULE:NAME, or declare them in a TOML file")
    return lines


def _described_mappings(mappings: Sequence[MappingStatus], *, with_database: bool) -> list[str]:
    """A line for each mapping; its database is named where there are several."""
    kinds = max((len(mapping.kind) for mapping in mappings), default=0)
    names = max((len(mapping.name) for mapping in mappings), default=0)
    lines = []
    for mapping in mappings:
        # An event has no key, and is a write of its own.
        keys = None if mapping.kind == "event" and mapping.pending_writes else mapping.pending_keys
        at_risk = _at_risk(mapping.pending_writes, keys, mapping.oldest_pending_s)
        where = f"; in {mapping.database}" if with_database else ""
        letters = _known(mapping.dead_letters)
        lines.append(
            f"{mapping.kind:{kinds}}  {mapping.name:{names}}  at risk {at_risk}; dead letters {letters}{where}"
        )
    return lines


def _described_capture(capture: CaptureStatus) -> str:
    words = f"{capture.pattern} -> {capture.to}: {capture.captured:,} captured, {capture.vanished:,} vanished"
    if capture.vanished_keys:
        words += f" (last {capture.vanished_keys[-1]})"
    words += f", {capture.unfit:,} unfit"
    if capture.unfit_keys:
        words += f" ({capture.unfit_keys[-1]})"
    return words if capture.subscription_alive else f"{words}; no worker is subscribed"


def _at_risk(writes: int, keys: int | None, oldest_s: float) -> str:
    """``keys`` is None of what has none."""
    if keys == 0:
        return "nothing"
    what = _many(writes, "event") if keys is None else f"{_many(writes, 'write')} to {_many(keys, 'row')}"
    return f"{what}, the oldest {oldest_s:.1f} s old"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _known(count: int | None) -> str:
    return "unknown, the database does not answer" if count is None else f"{count:,}"
