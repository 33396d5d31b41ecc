"""Keys and amounts: what an application passes, what the cache holds, and what is refused."""

from __future__ import annotations

import decimal
import enum
import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writebehind.errors import KeyRefused, ValueRefused
from writebehind.values import INT64_MAX, INT64_MIN, Amounts, Key, KeyCodec, KeyColumn, Row, partition_of

INTEGER = KeyColumn("id", "integer", "bigint")
TEXT = KeyColumn("name", "text", "text")
UUID = KeyColumn("uid", "uuid", "uuid")
VIDEOS = KeyCodec((INTEGER,), "videos.likes")
PAGES = KeyCodec((TEXT,), "pages.views")
USERS = KeyCodec((UUID,), "users.logins")
SCORES = KeyCodec((TEXT, INTEGER, UUID), "scores.points")
AN_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")

int64 = st.integers(INT64_MIN, INT64_MAX)
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=200)


@pytest.mark.parametrize(
    ("codec", "key", "field"),
    [
        (VIDEOS, 123, b"123"),
        (VIDEOS, "123", b"123"),
        (VIDEOS, "0123", b"123"),
        (VIDEOS, "-0", b"0"),
        (VIDEOS, (123,), b"123"),
        (VIDEOS, INT64_MIN, b"-9223372036854775808"),
        (VIDEOS, enum.IntEnum("Video", {"FIRST": 1})(1), b"1"),
        (PAGES, "ada", b"ada"),
        (PAGES, "", b""),
        (PAGES, "a b:{c}\n", b"a b:{c}\n"),
        (PAGES, "é😀", "é😀".encode()),
        (USERS, AN_ID, b"12345678-1234-5678-1234-567812345678"),
        (USERS, "{12345678123456781234567812345678}", b"12345678-1234-5678-1234-567812345678"),
        (USERS, "12345678-1234-5678-1234-567812345678".upper(), b"12345678-1234-5678-1234-567812345678"),
        (SCORES, ("tetris", 7, AN_ID), b'["tetris","7","12345678-1234-5678-1234-567812345678"]'),
        (SCORES, ('"é"', "7", str(AN_ID)), '["\\"é\\"","7","12345678-1234-5678-1234-567812345678"]'.encode()),
    ],
)
def test_a_key_has_one_canonical_field_however_it_is_written(codec: KeyCodec, key: Key, field: bytes) -> None:
    assert codec.encode(key) == field


@pytest.mark.parametrize(
    ("codec", "key"),
    [
        pytest.param(VIDEOS, True, id="bool"),
        pytest.param(VIDEOS, 1.0, id="float"),
        pytest.param(VIDEOS, None, id="None"),
        pytest.param(VIDEOS, b"1", id="bytes"),
        pytest.param(VIDEOS, INT64_MAX + 1, id="above 64 bits"),
        pytest.param(VIDEOS, INT64_MIN - 1, id="below 64 bits"),
        pytest.param(VIDEOS, str(INT64_MAX + 1), id="text above 64 bits"),
        pytest.param(VIDEOS, "9" * 5_000, id="more digits than int() reads"),
        pytest.param(VIDEOS, "--5", id="two signs"),
        pytest.param(VIDEOS, "-", id="a sign alone"),
        pytest.param(VIDEOS, "", id="no digits"),
        pytest.param(VIDEOS, " 5", id="a space"),
        pytest.param(VIDEOS, "5\n", id="a line's end"),
        pytest.param(VIDEOS, "\u0665", id="a digit of another script"),
        pytest.param(VIDEOS, (1, 2), id="a tuple for one column"),
        pytest.param(PAGES, 5, id="a number for a text"),
        pytest.param(PAGES, "a\x00b", id="NUL"),
        pytest.param(PAGES, "a\ud800", id="half of a surrogate pair"),
        pytest.param(PAGES, "x" * 1_025, id="too long"),
        pytest.param(PAGES, "é" * 513, id="too long in bytes"),
        pytest.param(USERS, "1234", id="no UUID"),
        pytest.param(USERS, 5, id="a number for a UUID"),
        pytest.param(SCORES, "tetris", id="one value for three columns"),
        pytest.param(SCORES, ("tetris", 7), id="two values for three columns"),
        pytest.param(SCORES, ("te\x00tris", 7, AN_ID), id="NUL in a part"),
        pytest.param(SCORES, ("tetris", True, AN_ID), id="bool in a part"),
        pytest.param(SCORES, ("x" * 1_024, 7, AN_ID), id="too long together"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(codec: KeyCodec, key: Key) -> None:
    with pytest.raises(KeyRefused) as refused:
        codec.encode(key)
    assert codec.mapping in str(refused.value)


def test_the_longest_key_is_1024_bytes() -> None:
    assert len(PAGES.encode("x" * 1_024)) == 1_024
    assert len(PAGES.encode("é" * 512)) == 1_024


@given(int64, texts, st.uuids())
def test_every_key_comes_back_as_it_was(number: int, text: str, identity: uuid.UUID) -> None:
    assert VIDEOS.decode(VIDEOS.encode(number)) == (number,)
    assert PAGES.decode(PAGES.encode(text)) == (text,)
    assert USERS.decode(USERS.encode(identity)) == (identity,)
    assert SCORES.decode(SCORES.encode((text, number, identity))) == (text, number, identity)


@given(st.lists(st.tuples(texts, int64, st.uuids()), max_size=5, unique=True))
def test_different_keys_never_share_a_field(rows: list[Row]) -> None:
    assert len({SCORES.encode(row) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("codec", "field"),
    [
        (VIDEOS, b"ada"),
        (VIDEOS, b""),
        (PAGES, b"\xff"),
        (USERS, b"1234"),
        (SCORES, b"tetris"),
        (SCORES, b"7"),
        (SCORES, b'["tetris","7"]'),
        (SCORES, b'["tetris","7",5]'),
        (SCORES, b'["tetris",null,"12345678-1234-5678-1234-567812345678"]'),
    ],
)
def test_a_field_that_no_key_made_is_refused(codec: KeyCodec, field: bytes) -> None:
    with pytest.raises(KeyRefused):
        codec.decode(field)


INTEGERS = Amounts()
MONEY = Amounts(scale=2)


@pytest.mark.parametrize(
    ("amounts", "value", "units"),
    [
        (INTEGERS, 5, 5),
        (INTEGERS, INT64_MIN, INT64_MIN),
        (INTEGERS, Decimal("5.000"), 5),
        (INTEGERS, Decimal("1E+3"), 1_000),
        (INTEGERS, Decimal("-0"), 0),
        (MONEY, 5, 500),
        (MONEY, Decimal("1.25"), 125),
        (MONEY, Decimal("-1.25"), -125),
        (MONEY, Decimal("1.2"), 120),
        (MONEY, Decimal("1.2500"), 125),
        (MONEY, Decimal("1E+3"), 100_000),
        (MONEY, Decimal("-0.00"), 0),
        (MONEY, Decimal("0E+999999"), 0),
        (MONEY, Decimal("0E-999999"), 0),
        (MONEY, Decimal("92233720368547758.07"), INT64_MAX),
        (MONEY, Decimal("-92233720368547758.08"), INT64_MIN),
    ],
)
def test_an_amount_is_counted_in_units_of_its_column(amounts: Amounts, value: int | Decimal, units: int) -> None:
    assert amounts.to_units(value, "shop.sales") == units


@pytest.mark.parametrize(
    ("amounts", "value"),
    [
        pytest.param(INTEGERS, True, id="bool"),
        pytest.param(INTEGERS, 1.0, id="float"),
        pytest.param(INTEGERS, "1", id="text"),
        pytest.param(INTEGERS, None, id="None"),
        pytest.param(INTEGERS, INT64_MAX + 1, id="above 64 bits"),
        pytest.param(INTEGERS, INT64_MIN - 1, id="below 64 bits"),
        pytest.param(INTEGERS, Decimal("0.5"), id="half of an integer"),
        pytest.param(INTEGERS, Decimal("1E+30"), id="a large exponent"),
        pytest.param(MONEY, Decimal("1.255"), id="it would be rounded"),
        pytest.param(MONEY, Decimal("1E-999999"), id="a tiny one would be rounded"),
        pytest.param(MONEY, Decimal("1E+30"), id="a large exponent with a scale"),
        pytest.param(MONEY, Decimal("1E+999999"), id="an exponent that no memory holds"),
        pytest.param(MONEY, Decimal("92233720368547758.08"), id="one cent beyond 64 bits"),
        pytest.param(MONEY, Decimal("Infinity"), id="infinite"),
        pytest.param(MONEY, Decimal("NaN"), id="not a number"),
        pytest.param(MONEY, 1.25, id="float for money"),
    ],
)
def test_an_amount_that_cannot_be_counted_exactly_is_refused(amounts: Amounts, value: int | Decimal) -> None:
    with pytest.raises(ValueRefused) as refused:
        amounts.to_units(value, "shop.sales")
    assert "shop.sales" in str(refused.value)


@given(int64, st.integers(0, 18))
def test_every_number_of_units_comes_back_as_it_was(units: int, scale: int) -> None:
    amounts = Amounts(scale)
    assert amounts.to_units(amounts.from_units(units), "shop.sales") == units
    assert -amounts.from_units(units).as_tuple().exponent == scale  # type: ignore[union-attr, operator]


def test_no_digit_is_lost_where_the_application_computes_with_few() -> None:
    with decimal.localcontext(prec=4):
        assert str(MONEY.from_units(123_456_789)) == "1234567.89"
        assert MONEY.to_units(Decimal("1234567.89"), "shop.sales") == 123_456_789
        assert MONEY.to_units(Decimal("1234567.89"), "shop.sales", negated=True) == -123_456_789


def test_an_amount_with_the_other_sign_has_the_same_range() -> None:
    assert INTEGERS.to_units(INT64_MAX, "videos.likes", negated=True) == -INT64_MAX
    with pytest.raises(ValueRefused):
        INTEGERS.to_units(INT64_MIN, "videos.likes", negated=True)
    with pytest.raises(ValueRefused):
        INTEGERS.to_units(True, "videos.likes", negated=True)


@pytest.mark.parametrize(
    ("field", "of_16", "of_1024"),
    [
        (b"123456789", 0xCBF43926 % 16, 0xCBF43926 % 1_024),  # the check value of CRC-32 itself
        (b"", 0, 0),
        (b"123", 2, 978),
        (b"ada", 8, 872),
        (b'["tetris","7"]', 14, 414),
        ("é".encode(), 14, 318),
    ],
)
def test_a_key_stays_in_its_partition_for_ever(field: bytes, of_16: int, of_1024: int) -> None:
    """CRC-32 is part of the data's format: a change would leave pending amounts where nobody reads them."""
    assert (partition_of(field, 16), partition_of(field, 1_024)) == (of_16, of_1024)


def test_one_partition_holds_every_key() -> None:
    assert {partition_of(b"%d" % number, 1) for number in range(100)} == {0}


def test_keys_spread_over_all_partitions() -> None:
    assert {partition_of(b"%d" % number, 16) for number in range(1_000)} == set(range(16))
