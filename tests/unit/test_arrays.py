"""Binary arrays are byte for byte what PostgreSQL sends and takes."""

from __future__ import annotations

import math
import struct
import uuid
from typing import Any

import pytest
from psycopg.adapt import Transformer
from psycopg.pq import Format

from writebehind.databases.postgresql.arrays import Float8Array, Int8Array, TextArray, UuidArray
from writebehind.values import INT64_MAX, INT64_MIN


def decoded(array: Any) -> Any:
    """What psycopg reads from the bytes, as if a server had sent them."""
    return Transformer().get_loader(array.array_oid, Format.BINARY).load(array.data)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [0],
        [INT64_MIN, -1, 0, 1, INT64_MAX],
        list(range(-999, 1001)),  # whole chunks
        list(range(2345)),  # chunks and a rest
        [None],
        [1, None, INT64_MIN, None],
    ],
)
def test_integers(values: list[int | None]) -> None:
    assert decoded(Int8Array.encode(values)) == values
    assert decoded(Int8Array.encode(tuple(values))) == values


@pytest.mark.parametrize("values", [[], [0.0], [0.1, -1e300, 5e-324, math.inf, 3]])
def test_floats(values: list[float]) -> None:
    assert decoded(Float8Array.encode(values)) == values


@pytest.mark.parametrize(
    "values",
    [[], [""], [None], ["", None, "b", None], ["a", "naïve", "日本", "%s", '"', "a,b", "{}", "NULL", "x" * 5000]],
)
def test_texts(values: list[str | None]) -> None:
    assert decoded(TextArray.encode(values)) == values


def test_uuids() -> None:
    values = [uuid.UUID(int=number) for number in (0, 1, 2**128 - 1)]
    assert decoded(UuidArray.encode(values)) == values
    assert decoded(UuidArray.encode([])) == []


def test_the_bytes_are_those_of_array_send() -> None:
    assert Int8Array.encode([7, None]).data == struct.pack(">iiIiiiqi", 1, 1, 20, 2, 1, 8, 7, -1)


@pytest.mark.parametrize("number", [INT64_MAX + 1, INT64_MIN - 1])
@pytest.mark.parametrize("others", [[], [None], list(range(1000))])
def test_integers_beyond_64_bits_are_refused(number: int, others: list[int | None]) -> None:
    with pytest.raises(struct.error):
        Int8Array.encode([number, *others])


def test_halves_of_surrogate_pairs_are_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        TextArray.encode(["\ud800"])


def test_the_element_types_are_the_servers() -> None:
    assert [(kind.element_oid, kind.array_oid) for kind in (Int8Array, Float8Array, TextArray, UuidArray)] == [
        (20, 1016),
        (701, 1022),
        (25, 1009),
        (2950, 2951),
    ]
