"""What a capturer reads of an application's keys, and how it becomes entries of a capture."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from writebehind.cache import calls
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.link import Link
from writebehind.errors import ValueRefused
from writebehind.mapping import BoundCounter, BoundRecords
from writebehind.values import INT64_MAX, INT64_MIN

_NUMBER = re.compile(rb"(-?)([0-9]{1,40})(?:\.([0-9]{1,40}))?")


@dataclass(frozen=True, slots=True)
class Unfit:
    """A key's value does not fit its mapping; why."""

    why: str


class Gone:
    """The key does not live."""


GONE = Gone()


@dataclass(frozen=True, slots=True)
class Found:
    """A dirty key as it comes to the cache's function: its ends have been weighed."""

    key: bytes
    field: bytes
    how: calls.How
    value: object
    """What ``read`` found; ``GONE`` where the key does not live."""


class Reader(Protocol):
    """How keys of one kind are read, and captured."""

    def read(self, link: Link, keys: Sequence[bytes]) -> Mapping[bytes, object]:
        """What each key holds: a value for ``Found``, ``GONE``, or ``Unfit``."""
        ...

    def how(self, ends: str) -> calls.How:
        """How a key comes, of which these ends were seen."""
        ...

    def call(
        self, keys: PartitionKeys, head: calls.CaptureHead, found: Sequence[Found]
    ) -> calls.Call[calls.CaptureReply]:
        """The capture of keys of one partition."""
        ...


class CounterReader:
    """Strings that hold numbers. ``baseline``: what the first scan adds, by field, where that is not nothing."""

    def __init__(self, counter: BoundCounter, baselines: Callable[[Mapping[bytes, int]], Mapping[bytes, int]]) -> None:
        self._counter = counter
        self._baselines = baselines

    def read(self, link: Link, keys: Sequence[bytes]) -> Mapping[bytes, object]:
        values = dict(zip(keys, link.execute(calls.string_values(keys)), strict=True))
        absent = [key for key, value in values.items() if value is None]
        types = dict(zip(absent, link.execute_all([calls.key_type(key) for key in absent]), strict=True))
        found: dict[bytes, object] = {}
        for key, value in values.items():
            if value is not None:
                found[key] = self._units(value)
            else:
                found[key] = GONE if types[key] == "none" else Unfit(f"it is a {types[key]}, not a string")
        return found

    def _units(self, text: bytes) -> int | Unfit:
        match = _NUMBER.fullmatch(text)
        if match is None:
            return Unfit("it holds no decimal number")
        sign, whole, places = match.groups()
        scale = self._counter.amounts.scale or 0
        places = (places or b"").rstrip(b"0")
        if len(places) > scale:
            return Unfit(f"it has more than {scale} decimal places")
        units = int(sign + whole + places.ljust(scale, b"0"))
        return units if INT64_MIN <= units <= INT64_MAX else Unfit("it is beyond 64 bits")

    def how(self, ends: str) -> calls.How:
        return ends[:1]  # type: ignore[return-value]  # lives after the first end were never captured

    def call(
        self, keys: PartitionKeys, head: calls.CaptureHead, found: Sequence[Found]
    ) -> calls.Call[calls.CaptureReply]:
        first = {each.field: each.value for each in found if each.how == "=" and isinstance(each.value, int)}
        baselines = self._baselines(first) if first else {}
        return calls.capture_counters(
            keys,
            head,
            [
                calls.CounterEntry(
                    each.key,
                    each.field,
                    self._counter.value_key(each.field),
                    each.how,
                    each.value if isinstance(each.value, int) else None,
                    baselines.get(each.field, 0),
                )
                for each in found
            ],
        )


@dataclass(frozen=True, slots=True)
class HashFound:
    """A hash's columns in their canonical texts, and its version ('' without one)."""

    columns: Mapping[str, str]
    version: str


class RecordReader:
    """Hashes of column to text."""

    def __init__(self, records: BoundRecords) -> None:
        self._records = records
        self._names = list(records.columns)

    def read(self, link: Link, keys: Sequence[bytes]) -> Mapping[bytes, object]:
        types = dict(zip(keys, link.execute_all([calls.key_type(key) for key in keys]), strict=True))
        hashes = [key for key, kind in types.items() if kind == "hash"]
        texts = dict(
            zip(hashes, link.execute_all([calls.hash_values(key, self._names) for key in hashes]), strict=True)
        )
        found: dict[bytes, object] = {}
        for key, kind in types.items():
            if kind == "hash":
                found[key] = self._columns(texts[key])
            else:
                found[key] = GONE if kind == "none" else Unfit(f"it is a {kind}, not a hash")
        return found

    def _columns(self, texts: Sequence[bytes | None]) -> HashFound | Unfit:
        columns: dict[str, str] = {}
        for name, text in zip(self._names, texts, strict=True):
            if text is None:
                continue
            try:
                columns[name] = self._records.columns[name].canonical(text.decode())
            except (ValueRefused, UnicodeDecodeError) as error:
                return Unfit(f"its field {name!r} does not fit the column: {error}")
        version = self._records.mapping.version
        if version is None:
            return HashFound(columns, "")
        if version not in columns:
            return Unfit(f"it has no field {version!r}, the version")
        return HashFound(columns, columns[version])

    def how(self, ends: str) -> calls.How:
        # A deletion deletes the row, in whichever life it was.
        return "d" if "d" in ends else ends[:1]  # type: ignore[return-value]

    def call(
        self, keys: PartitionKeys, head: calls.CaptureHead, found: Sequence[Found]
    ) -> calls.Call[calls.CaptureReply]:
        version_type = self._records.version_type
        kind = "" if version_type is None else "integer" if version_type.kind == "integer" else "text"
        entries = [
            calls.RecordEntry(
                each.key,
                each.field,
                self._records.value_key(each.field),
                each.how,
                json.dumps(each.value.columns, ensure_ascii=False) if isinstance(each.value, HashFound) else "",
                each.value.version if isinstance(each.value, HashFound) else "",
            )
            for each in found
        ]
        return calls.capture_records(
            keys, head, entries, version_column=self._records.mapping.version or "", version_kind=kind
        )
