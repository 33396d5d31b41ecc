"""The cache's address, from its URL; and how it is shown without its password."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from redis.connection import parse_url

from writebehind.errors import ConfigurationError

_SCHEMES = {"valkey": "redis", "valkeys": "rediss", "redis": "redis", "rediss": "rediss", "unix": "unix"}


@dataclass(frozen=True)
class Address:
    """A URL that redis-py understands, checked; ``shown`` is safe to print."""

    url: str
    shown: str

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Accept redis://, rediss://, valkey://, valkeys:// and unix://.

        :raises ConfigurationError: another scheme, or parts that do not fit it.
        """
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in _SCHEMES:
            raise ConfigurationError(
                f"the cache URL with the scheme {scheme[:20]!r} is not understood"
                if separator
                else "the cache URL has no scheme",
                fix="Write redis://HOST:PORT/DATABASE, rediss:// for TLS, valkey://, or unix:///path/to/socket.",
            )
        known = f"{_SCHEMES[scheme]}://{rest}"
        try:
            parse_url(known)
            parts = urlsplit(known)
            port = parts.port or 6379
        except ValueError:
            raise ConfigurationError(
                "the cache URL has parts that are not understood",
                why="its port, database number or options are not valid",
                fix="Write redis://[USER:PASSWORD@]HOST:PORT/DATABASE.",
            ) from None  # the reason quotes parts of the URL, and with them perhaps a password
        shown = f"unix://{parts.path}" if scheme == "unix" else f"{scheme}://{parts.hostname or 'localhost'}:{port}"
        return cls(known, shown)
