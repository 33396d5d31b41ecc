"""Records: a row for each key, its columns written one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from writebehind.columns import ColumnType, Text
from writebehind.errors import ColumnRefused, ConfigurationError
from writebehind.mapping.bound import Kind
from writebehind.mapping.naming import check_name, check_partitions, check_ttl, column_names
from writebehind.mapping.shape import TableShape, bind_key, check_columns, required_shape
from writebehind.values import KeyCodec, partition_of

VERSION_KINDS = ("integer", "timestamp_tz", "timestamp")


@dataclass(frozen=True, slots=True)
class RecordMapping:
    """Records: the rows of ``table``, by ``key`` (its primary key if empty).

    ``columns`` restricts what is written and read; empty means every column that can be. ``version`` names the
    column whose larger value wins, where the order in which the cache accepted the writes must not decide.
    """

    table: str
    key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    version: str | None = None
    partitions: int = 1
    cached_value_ttl_ms: int = 60_000

    @property
    def name(self) -> str:
        return self.table

    @classmethod
    def parse(
        cls,
        table: str,
        *,
        key: str | tuple[str, ...] | list[str] | None = None,
        columns: str | tuple[str, ...] | list[str] | None = None,
        version: str | None = None,
        partitions: int = 1,
        cached_value_ttl_ms: int = 60_000,
    ) -> RecordMapping:
        """Build a mapping from ``"table"`` (or ``"schema.table"``).

        :raises ConfigurationError: naming the argument and what it must be.
        """
        where = f"records({table!r})"
        check_name(table, where, fix='Name the table, for example "profiles".')
        check_partitions(partitions, where)
        check_ttl(cached_value_ttl_ms, where)
        keys, chosen = column_names(key, where), column_names(columns, where, "columns")
        if set(keys) & set(chosen):
            raise ConfigurationError(f"{where}: the key is also among columns={columns!r}", fix="Leave it out there.")
        if version is not None and (len(column_names(version, where, "version")) != 1 or version in keys):
            raise ConfigurationError(f"{where}: version={version!r}", fix="Name a column that is not the key.")
        if version is not None and chosen and version not in chosen:
            raise ConfigurationError(f"{where}: version={version!r} is not among columns=", fix="Name it there too.")
        return cls(table, keys, chosen, version, partitions, cached_value_ttl_ms)

    def bind(self, shape: TableShape | None) -> BoundRecords:
        """Check the mapping against its table and choose the codecs; see ``bind_records``."""
        return bind_records(self, shape)


@dataclass(frozen=True, slots=True, eq=False)
class BoundRecords:
    """A record mapping together with the codecs that its table's column types ask for.

    ``columns`` are those that are written and read, without the key. ``refusals`` says of the others why not.
    ``defaults`` are the texts that a put gives to columns it does not name; a column that is in ``columns`` and
    not there has a default that the database works out for each new row, or is ``required`` and has none.
    """

    mapping: RecordMapping
    keys: KeyCodec
    columns: Mapping[str, ColumnType]
    refusals: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Text] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    value_prefix: bytes = b""

    @property
    def name(self) -> str:
        return self.mapping.name

    @property
    def kind(self) -> Kind:
        return "record"

    @property
    def table_group(self) -> tuple[object, ...]:
        return ("record", self.name)

    @property
    def version_type(self) -> ColumnType | None:
        """The type of the version column, None where the order of acceptance decides."""
        return None if self.mapping.version is None else self.columns[self.mapping.version]

    def without(self, column: str, why: str) -> BoundRecords:
        """The same without a column, which is refused for that reason."""
        return replace(
            self,
            columns={name: kind for name, kind in self.columns.items() if name != column},
            refusals={**self.refusals, column: why},
            defaults={name: text for name, text in self.defaults.items() if name != column},
            required=self.required - {column},
        )

    def declaration(self) -> dict[str, object]:
        """What two processes must agree on, as JSON-ready values; kept in the ledger."""
        return {
            "kind": "record",
            "key": [f"{column.name}:{column.kind}" for column in self.keys.columns],
            "columns": list(self.mapping.columns),
            "version": self.mapping.version,
            "partitions": self.mapping.partitions,
            "cached_value_ttl_ms": self.mapping.cached_value_ttl_ms,
        }

    def partition_of(self, field: bytes) -> int:
        return partition_of(field, self.mapping.partitions)

    def value_key(self, field: bytes) -> bytes:
        """The cache's key of a record's hash: ``profiles:7``."""
        return b"%s%s:%s" % (self.value_prefix, self.mapping.table.encode(), field)


def bind_records(mapping: RecordMapping, shape: TableShape | None) -> BoundRecords:
    """Check a mapping against its table and choose the codecs.

    :raises TableMissing, ColumnMissing, ColumnRefused: naming table, column, type and the fix.
    """
    what = f"the records {mapping.name!r}"
    shape = required_shape(shape, mapping.table, what)
    check_columns(shape, (*mapping.columns, *((mapping.version,) if mapping.version else ())), what)
    keys = bind_key(shape, mapping.key, mapping.name, what)
    _check_exact_keys(keys, what)
    key_names = {column.name for column in keys.columns}
    columns: dict[str, ColumnType] = {}
    refusals: dict[str, str] = {}
    defaults: dict[str, Text] = {}
    required: set[str] = set()
    for column in shape.columns.values():
        if column.name in key_names or (mapping.columns and column.name not in mapping.columns):
            continue
        if column.is_generated or column.value_type is None:
            refusals[column.name] = (
                "the database computes the column itself" if column.is_generated else column.value_refusal
            )
            continue
        columns[column.name] = column.value_type
        if column.required:
            required.add(column.name)
        elif not column.default_is_computed:
            defaults[column.name] = column.default_text
    for name in (*mapping.columns, *((mapping.version,) if mapping.version else ())):
        if name in refusals:
            raise ColumnRefused(
                f"the column {name!r} of {mapping.table!r} has the type {shape.columns[name].type_name}",
                why=refusals[name],
                fix=f"Leave it out of {what}.",
            )
        if name in key_names:
            raise ColumnRefused(f"the column {name!r} of {mapping.table!r} is its key", fix="Name another.")
    if mapping.version is not None and columns[mapping.version].kind not in VERSION_KINDS:
        raise ColumnRefused(
            f"the column {mapping.version!r} of {mapping.table!r} cannot be the version of {what}",
            why=f"its type is {shape.columns[mapping.version].type_name}",
            fix="Use an integer or a timestamp.",
        )
    return BoundRecords(mapping, keys, columns, refusals, defaults, frozenset(required))


def _check_exact_keys(keys: KeyCodec, what: str) -> None:
    """:raises ColumnRefused: where several keys of the cache would be one row of the table."""
    for column in keys.columns:
        if column.needs_grouping:
            raise ColumnRefused(
                f"the key column {column.name!r} of {what} has the type {column.type_name}",
                why="the database calls different texts equal there, and which of two records is the later one would "
                "not be known",
                fix="Use a key column that tells texts apart (text, with a deterministic collation), or another key.",
            )
