"""The lease of a capture: one worker captures a mapping at a time, to save work.

Exactness does not rest on it: the cache's functions take captures from the worker alone whose token they know.
"""

from __future__ import annotations

import secrets

from writebehind.cache import calls
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.link import Links
from writebehind.clock import Clock
from writebehind.errors import CacheError
from writebehind.worker.leases import TRUSTED_SHARE


class CaptureLease:
    """Whether this process captures now."""

    def __init__(self, cache: Links, keys: PartitionKeys, clock: Clock, ttl_s: float) -> None:
        self._cache = cache
        self._keys = keys
        self._clock = clock
        self._ttl_s = ttl_s
        self._owner = secrets.token_hex(8)
        self._trusted_until = float("-inf")

    def hold(self) -> bool:
        """Take or renew the lease, where it is not trusted any more; False where another has it."""
        now = self._clock.monotonic()
        if now < self._trusted_until:
            return True
        if not self._cache.execute(calls.claim_capture(self._keys, self._owner, int(self._ttl_s * 1000))):
            return False
        self._trusted_until = now + self._ttl_s * TRUSTED_SHARE
        return True

    def release(self) -> None:
        """Give it back, so that another worker need not wait for its end; one that cannot be given back ends itself."""
        if self._trusted_until > float("-inf"):
            self._trusted_until = float("-inf")
            try:
                self._cache.execute(calls.release_capture(self._keys, self._owner))
            except CacheError:
                return
