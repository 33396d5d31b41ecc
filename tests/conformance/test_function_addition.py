"""Exact 64-bit arithmetic in Lua, whose numbers are doubles: compared with Python's integers on a real server."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import product

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from writebehind.testing.valkey import TemporaryValkey
from writebehind.values import INT64_MAX, INT64_MIN

ARITHMETIC = """
redis.register_function('test_add', function(keys, args)
  local sums = {}
  for i = 1, #args, 2 do
    sums[#sums + 1] = add(args[i], args[i + 1]) or 'refused'
  end
  return sums
end)
redis.register_function('test_is_integer', function(keys, args)
  return is_integer(args[1]) and 1 or 0
end)
"""

Pair = tuple[int, int]

int64 = st.integers(INT64_MIN, INT64_MAX)
# Where digits, limbs of seven digits, doubles and 64 bits end.
EDGES = [
    sign * (power + step)
    for power in (0, 10**7, 10**14, 10**15, 2**53, 10**18, 2**62, INT64_MAX)
    for step in (-1, 0, 1)
    for sign in (1, -1)
    if INT64_MIN <= sign * (power + step) <= INT64_MAX
] + [INT64_MIN]


@pytest.fixture
def server(valkey: TemporaryValkey) -> Iterator[redis.Redis]:
    """A server with the library's own arithmetic and a way to call it."""
    common = (files("writebehind.cache") / "lua" / "common.lua").read_text()
    with valkey.client() as client:
        client.function_load(f"#!lua name=arithmetic\n{common}\n{ARITHMETIC}", replace=True)
        yield client


def check(server: redis.Redis, pairs: Sequence[Pair]) -> None:
    """The sums of all pairs, in one call; a sum beyond 64 bits is refused."""
    sums = server.fcall("test_add", 0, *[number for pair in pairs for number in pair])
    for (left, right), found in zip(pairs, sums, strict=True):
        total = left + right
        wanted = b"%d" % total if INT64_MIN <= total <= INT64_MAX else b"refused"
        assert found == wanted, f"{left} + {right}"


def test_sums_are_exact_where_digits_carry_and_ranges_end(server: redis.Redis) -> None:
    check(server, list(product(EDGES, EDGES)))


def test_sums_are_exact_for_numbers_of_every_length(server: redis.Redis) -> None:
    numbers = random.Random(20)
    lengths = [(left, right) for left in range(64) for right in range(64)]
    check(
        server,
        [
            (numbers.choice((1, -1)) * numbers.getrandbits(left), numbers.choice((1, -1)) * numbers.getrandbits(right))
            for left, right in lengths * 2
            if left and right
        ],
    )


def test_a_sum_of_opposites_is_zero_without_a_sign(server: redis.Redis) -> None:
    check(server, [(number, -number) for number in EDGES if number != INT64_MIN])


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(int64, int64), min_size=20, max_size=100))
@example([(INT64_MIN, INT64_MIN), (INT64_MAX, INT64_MAX), (INT64_MIN, INT64_MAX), (INT64_MIN, 0)])
def test_any_sum_is_exact(server: redis.Redis, pairs: list[Pair]) -> None:
    check(server, pairs)


@pytest.mark.parametrize("number", ["0", "7", "-7", str(INT64_MAX), str(INT64_MIN), "1000000000000000000"])
def test_a_64_bit_integer_is_one(server: redis.Redis, number: str) -> None:
    assert server.fcall("test_is_integer", 0, number) == 1


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "-0", "00", "07", "+7", "7 ", " 7", "7\n", "1e3", "0x10", "1.0", "nan", "inf", "\u0667"),
        *(str(INT64_MAX + 1), str(INT64_MIN - 1), "9" * 19, "1" + "0" * 19, "9" * 1_000),
    ],
)
def test_what_incrby_would_not_take_is_no_integer(server: redis.Redis, text: str) -> None:
    """The check decides before anything is written what the server's own INCRBY decides afterwards."""
    assert server.fcall("test_is_integer", 0, text) == 0
    server.set("value", text)
    with pytest.raises(redis.ResponseError, match="not an integer"):
        server.incrby("value", 0)
