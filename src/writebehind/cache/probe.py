"""What a server must be before anything is written to it: checked once, when a client or a worker opens."""

from __future__ import annotations

from writebehind.cache.link import Link
from writebehind.errors import CacheRefused

LOWEST_VERSION = (7, 0)


def probe(link: Link, *, allow_eviction: bool) -> None:
    """Check version, role and eviction policy, then make sure of the function library.

    :raises CacheRefused: naming what is wrong and what to change.
    :raises CacheUnavailable: the server cannot be reached.
    """
    information = link.information()
    shown = link.address.shown
    version = information.get("valkey_version") or information.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2]) < LOWEST_VERSION:
        raise CacheRefused(
            f"the cache at {shown} is version {version}",
            why="functions need Redis 7.0 or Valkey",
            fix="Use Valkey 7.2 or newer, or Redis 7.0 or newer.",
        )
    if information.get("cluster_enabled") == "1":
        raise CacheRefused(
            f"the cache at {shown} is a cluster",
            why="this version speaks to one primary",
            fix="Use a standalone server.",
        )
    if information.get("role") != "master":
        raise CacheRefused(
            f"the cache at {shown} is a replica", why="writes need the primary", fix="Give the primary's address."
        )
    policy = information.get("maxmemory_policy", "noeviction")
    if policy.startswith("allkeys") and information.get("maxmemory") != "0" and not allow_eviction:
        raise CacheRefused(
            f"the cache at {shown} may evict pending data",
            why=f"its maxmemory-policy is {policy}",
            fix="CONFIG SET maxmemory-policy noeviction (or volatile-lru, which evicts cached values only); "
            "allow_eviction=True accepts the loss.",
        )
    link.load_library(replace=True)
