"""What the rooms above need to know of any mapping that is bound to its table, whatever its kind."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["counter", "leaderboard", "record", "event"]
KINDS: tuple[Kind, ...] = ("counter", "leaderboard", "record", "event")


class Declaration(Protocol):
    """A mapping as it was declared, before its table was looked at."""

    @property
    def name(self) -> str:
        """Its identity in cache and ledger, for example ``videos.likes``."""
        ...

    @property
    def table(self) -> str: ...

    @property
    def partitions(self) -> int:
        """How many partitions its keys are spread over."""
        ...

    @property
    def cached_value_ttl_ms(self) -> int:
        """How long a value that was read from the database may be answered from the cache."""
        ...


class BoundMapping(Protocol):
    """A mapping of any kind with the codecs that its table's column types ask for."""

    @property
    def mapping(self) -> Declaration: ...

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def table_group(self) -> tuple[object, ...]:
        """Mappings of one database that are equal in this share a transaction, and a statement."""
        ...

    def declaration(self) -> dict[str, object]:
        """What two processes must agree on, as JSON-ready values; kept in the ledger."""
        ...

    def partition_of(self, field: bytes) -> int:
        """Which partition a field belongs to."""
        ...

    def value_key(self, field: bytes) -> bytes:
        """The key under which the cache holds the value that a change of ``field`` changes too."""
        ...
