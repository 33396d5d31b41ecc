"""The server's setting that makes it tell of changed keys: checked, and completed where it may be."""

from __future__ import annotations

from typing import Any

import redis

from writebehind.cache.address import Address
from writebehind.errors import CacheRefused

NEEDED = "Kg$hzxe"
"""Keyspace channels; generic commands, strings, hashes, sorted sets, expired and evicted keys."""
_EVERYTHING = "g$lshzxetd"
_SETTING = "notify-keyspace-events"


def ensure_notifications(connection: Any, address: Address) -> None:
    """Complete the setting on the server of a connection that is not subscribed yet.

    :raises CacheRefused: it may not be read or changed; says what to set.
    """
    fix = (
        f"Set {_SETTING} to {NEEDED} (or more) in the server's configuration, and let this user call CONFIG GET: "
        f"ACL SETUSER NAME +config|get. With +config|set, the worker sets it itself."
    )
    try:
        connection.send_command("CONFIG", "GET", _SETTING)
        _, found = connection.read_response()
        present = found.decode()
    except redis.ResponseError as error:
        raise CacheRefused(
            f"the cache at {address.shown} does not say whether it tells of changed keys", why=str(error), fix=fix
        ) from error
    missing = "".join(flag for flag in NEEDED if flag not in present.replace("A", _EVERYTHING))
    if not missing:
        return
    try:
        connection.send_command("CONFIG", "SET", _SETTING, present + missing)
        connection.read_response()
    except redis.ResponseError as error:
        raise CacheRefused(
            f"the cache at {address.shown} does not tell of changed keys",
            why=f"{_SETTING} is {present!r}, {missing!r} is missing, and setting it was refused: {error}",
            fix=fix,
        ) from error
