"""Column values: one text for one value, what comes back from it, and what is refused."""

from __future__ import annotations

import decimal
import enum
import json
import math
import struct
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writebehind.columns import MAX_TEXT_SIZE_BYTES, ColumnKind, ColumnType
from writebehind.errors import ValueRefused

WHERE = "the column 'plan' of 'profiles'"
AN_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
IN_TOKYO = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=9)))


def column(kind: ColumnKind, **limits: Any) -> ColumnType:
    return ColumnType(kind, f"some {kind}", **limits)


CENTS = column("decimal", precision=12, scale=2)
DOUBLE = column("float", bits=64, allows_nan=True)
SINGLE = column("float", bits=32, allows_nan=True)

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
zones = st.integers(-24 * 60 + 1, 24 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes)))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
VALUES = {
    "text": texts,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "timestamp_tz": st.builds(lambda moment, zone: moment.replace(tzinfo=zone), moments, zones),
    "timestamp": st.datetimes(),
    "date": st.dates(),
    "time": st.times(),
    "uuid": st.uuids(),
    "json": json_values.filter(lambda value: value is not None),
    "bytes": st.binary(),
}


@given(st.data())
@pytest.mark.parametrize("kind", list(VALUES))
def test_every_value_comes_back_from_its_text_which_is_canonical(kind: ColumnKind, data: st.DataObject) -> None:
    kept = column(kind)
    value = data.draw(VALUES[kind])

    text = kept.encode(value, WHERE)

    assert text is not None
    back = kept.decode(text)
    assert back == value
    assert kept.encode(back, WHERE) == text
    assert kept.canonical(text) == text
    assert kept.encode(None, WHERE) is None
    assert kept.decode(None) is None


@given(VALUES["timestamp_tz"], VALUES["timestamp_tz"])
def test_moments_compare_as_their_texts(one: datetime, other: datetime) -> None:
    kept = column("timestamp_tz")
    texts = (kept.encode(one, WHERE), kept.encode(other, WHERE))
    assert (texts[0] < texts[1], texts[0] == texts[1]) == (one < other, one == other)  # type: ignore[operator]


@given(st.integers(-(10**12) + 1, 10**12 - 1), st.integers(0, 8))
def test_decimals_have_the_columns_places_however_they_are_written(units: int, zeros: int) -> None:
    value = Decimal((int(units < 0), tuple(map(int, str(abs(units)) + "0" * zeros)), -2 - zeros))
    with decimal.localcontext(prec=3):  # the caller's context must not round
        text = CENTS.encode(value, WHERE)
    assert text == f"{'-' if units < 0 else ''}{abs(units) // 100}.{abs(units) % 100:02}"
    assert CENTS.decode(text) == value


@given(st.floats(width=32))
def test_single_precision_keeps_what_it_holds(value: float) -> None:
    back = SINGLE.decode(SINGLE.encode(value, WHERE))
    assert back == value or math.isnan(value)


@pytest.mark.parametrize(
    ("kept", "value", "text"),
    [
        (column("text"), enum.StrEnum("Plan", {"PRO": "pro"}).PRO, "pro"),  # type: ignore[attr-defined]
        (column("text", max_length=5, is_padded=True), "ab      ", "ab"),
        (column("integer", bits=16), -32768, "-32768"),
        (column("integer"), enum.IntEnum("Level", {"ONE": 1}).ONE, "1"),  # type: ignore[attr-defined]
        (DOUBLE, 3, "3.0"),
        (DOUBLE, -0.0, "0.0"),
        (DOUBLE, math.nan, "nan"),
        (DOUBLE, -math.inf, "-inf"),
        (SINGLE, 0.5, "0.5"),
        (column("decimal"), Decimal("1.50"), "1.50"),
        (column("decimal"), Decimal("1E+3"), "1000"),
        (column("decimal"), Decimal("-0.00"), "0.00"),
        (column("decimal"), 7, "7"),
        (CENTS, Decimal("1.5"), "1.50"),
        (CENTS, 1, "1.00"),
        (column("decimal", precision=3, scale=5), Decimal("0.00123"), "0.00123"),
        (column("decimal", precision=3, scale=-2), 12300, "12300"),
        (column("boolean"), True, "true"),
        (column("timestamp_tz"), IN_TOKYO, "2026-01-01T18:04:05.678901+00:00"),
        (column("timestamp_tz"), datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00.000000+00:00"),
        (column("timestamp"), IN_TOKYO.replace(tzinfo=None), "2026-01-02T03:04:05.678901"),
        (column("timestamp", precision=3), datetime(2026, 1, 2, 0, 0, 0, 5000), "2026-01-02T00:00:00.005000"),
        (column("date"), date(2026, 1, 2), "2026-01-02"),
        (column("time"), time(3, 4), "03:04:00.000000"),
        (column("uuid"), str(AN_ID).upper(), str(AN_ID)),
        (column("json"), {"b": [1, 2.5, None], "a": "é\n"}, '{"b":[1,2.5,null],"a":"é\\n"}'),
        (column("bytes"), bytearray(b"\x00a"), "\\x0061"),
        (column("bytes"), memoryview(b""), "\\x"),
    ],
)
def test_the_texts(kept: ColumnType, value: object, text: str) -> None:
    assert kept.encode(value, WHERE) == text


@pytest.mark.parametrize(
    ("kept", "value", "reason"),
    [
        (column("text"), 5, "type int"),
        (column("text"), "a\x00b", "NUL"),
        (column("text"), "\ud800", "surrogate"),
        (column("text", max_length=3), "abcd", "4 characters, the column holds 3"),
        pytest.param(column("text"), "é" * (MAX_TEXT_SIZE_BYTES // 2 + 1), "bytes long", id="long text"),
        (column("text", is_required=True), None, "is NOT NULL"),
        (column("integer"), True, "type bool"),
        (column("integer"), 1.0, "type float"),
        (column("integer", bits=64), 2**63, "beyond 64 bits"),
        (column("integer", bits=32), -(2**31) - 1, "beyond 32 bits"),
        pytest.param(column("integer"), 10**5000, "beyond 64 bits", id="long integer"),
        (column("float", bits=64), math.nan, "keeps no NaN"),
        (DOUBLE, 2**53 + 1, "does not hold it exactly"),
        pytest.param(DOUBLE, 10**400, "beyond double precision", id="long float"),
        (DOUBLE, True, "type bool"),
        (SINGLE, 0.1, "of 32 bits does not hold it exactly"),
        (SINGLE, 1e39, "beyond single precision"),
        (CENTS, Decimal("1.005"), "more than 2 decimal places"),
        (CENTS, 10**10, "more digits"),
        (CENTS, 1.5, "type float"),
        (CENTS, True, "type bool"),
        (column("decimal"), Decimal("NaN"), "not a finite"),
        (column("decimal"), Decimal("1E+200000"), "more than 131072 digits"),
        (column("decimal", precision=3, scale=-2), 12345, "decimal places"),
        (column("boolean"), 1, "type int"),
        (column("timestamp_tz"), datetime(2026, 1, 2), "no time zone"),
        (column("timestamp_tz"), datetime.min.replace(tzinfo=IN_TOKYO.tzinfo), "beyond the years"),
        (column("timestamp"), IN_TOKYO, "has a time zone"),
        (column("timestamp"), date(2026, 1, 2), "type date"),
        (column("timestamp", precision=3), datetime(2026, 1, 2, 0, 0, 0, 5001), "more than 3 decimal places"),
        (column("date"), datetime(2026, 1, 2), "type datetime"),
        (column("time"), time(1, 2, tzinfo=UTC), "has a time zone"),
        (column("uuid"), "no", "not a UUID"),
        (column("json"), {1: 2}, "the name 1"),
        (column("json"), (1, 2), "no tuple"),
        (column("json"), [math.inf], "neither NaN nor infinity"),
        (column("json"), {"a": ["\x00"]}, "NUL"),
        (column("json"), {"\udfff": 1}, "surrogate"),
        pytest.param(column("json"), 10**5000, "digits", id="long number in JSON"),
        (column("json"), b"{}", "no bytes"),
        (column("bytes"), "text", "type str"),
        pytest.param(column("bytes"), b"x" * (MAX_TEXT_SIZE_BYTES // 2), "bytes long", id="long bytes"),
    ],
)
def test_what_a_column_cannot_hold_is_refused_with_the_column_and_the_reason(
    kept: ColumnType, value: object, reason: str
) -> None:
    with pytest.raises(ValueRefused, match=reason) as caught:
        kept.encode(value, WHERE)
    assert WHERE in str(caught.value)
    assert len(str(caught.value)) < 500


def test_json_within_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueRefused, match="nested too deeply"):
        column("json").encode(endless, WHERE)
    with pytest.raises(ValueRefused, match="nested too deeply"):
        column("json").canonical("[" * 100_000)


@pytest.mark.parametrize(
    ("kept", "given_text", "text"),
    [
        (column("text"), " as it is ", " as it is "),
        (column("integer"), " +042 ", "42"),
        (DOUBLE, "1", "1.0"),
        (DOUBLE, "-1E5", "-100000.0"),
        (DOUBLE, "Infinity", "inf"),
        (SINGLE, "0.1", "0.10000000149011612"),
        (CENTS, "1.5", "1.50"),
        (CENTS, "1e2", "100.00"),
        (CENTS, "-.50", "-0.50"),
        *[(column("boolean"), word, "true") for word in ("1", "true", "TRUE", "yes", "t", "on", "y")],
        *[(column("boolean"), word, "false") for word in ("0", "false", "No", "f", "off", "n")],
        (column("timestamp_tz"), "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000+00:00"),
        (column("timestamp_tz"), "2026-01-02 03:04:05.5+0530", "2026-01-01T21:34:05.500000+00:00"),
        (column("timestamp_tz"), "2026-01-02T03:04:05.123456789 -01", "2026-01-02T04:04:05.123456+00:00"),
        (column("timestamp"), "2026-01-02 03:04", "2026-01-02T03:04:00.000000"),
        (column("timestamp"), "2026-01-02", "2026-01-02T00:00:00.000000"),
        (column("date"), "2026-01-02", "2026-01-02"),
        (column("time"), "03:04", "03:04:00.000000"),
        (column("uuid"), "{12345678123456781234567812345678}", str(AN_ID)),
        (column("json"), ' { "a" : [ 1.0, "\\u00e9 b" ] } ', '{"a":[1.0,"é b"]}'),
        (column("json"), '{"a": 0.1000000000000000000001, "b": " \\" "}', '{"a":0.1000000000000000000001,"b":" \\" "}'),
        (column("bytes"), "\\xFFfe", "\\xfffe"),
    ],
)
def test_texts_of_other_programs_become_canonical(kept: ColumnType, given_text: str, text: str) -> None:
    assert kept.canonical(given_text) == text
    assert kept.canonical(text) == text


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        (column("integer"), "4.2"),
        (column("integer"), "0x10"),
        (column("integer"), "\u0661"),
        (column("integer", bits=16), "32768"),
        (column("float", bits=64), "nan"),
        (DOUBLE, "1e400"),
        (DOUBLE, "1_000"),
        (SINGLE, "1e39"),
        (CENTS, "1.005"),
        (CENTS, "NaN"),
        (column("boolean"), "2"),
        (column("boolean"), ""),
        (column("timestamp_tz"), "1767225600"),
        (column("timestamp_tz"), "20260102"),
        (column("timestamp_tz"), "2026-01-02T03:04:05"),
        (column("timestamp_tz"), "2026-02-30T00:00Z"),
        (column("timestamp_tz"), "infinity"),
        (column("timestamp"), "2026-01-02T03:04:05Z"),
        (column("timestamp"), "1767225600.5"),
        (column("date"), "2026-01-02T00:00"),
        (column("date"), "2026-13-01"),
        (column("time"), "25:00"),
        (column("uuid"), "123"),
        (column("json"), "{"),
        (column("json"), "[NaN]"),
        (column("json"), '"\\u0000"'),
        (column("json"), '[0.1000000000000000000001, "\\ud800"]'),
        (column("bytes"), "ff"),
        (column("bytes"), "\\xf"),
        (column("text"), "\x00"),
        (column("text", max_length=1), "ab"),
    ],
)
def test_texts_of_other_programs_that_a_column_cannot_hold_are_refused(kept: ColumnType, text: str) -> None:
    with pytest.raises(ValueRefused, match="cannot hold"):
        kept.canonical(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_text_for_single_precision_stands_for_the_nearest_number(value: float) -> None:
    try:
        nearest = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        with pytest.raises(ValueRefused):
            SINGLE.canonical(repr(value))
    else:
        assert SINGLE.decode(SINGLE.canonical(repr(value))) == nearest


@given(json_values)
def test_json_of_other_programs_keeps_its_meaning(value: object) -> None:
    for written in (json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False)):
        text = column("json").canonical(written)
        assert json.loads(text) == value
        if value is not None:
            assert text == column("json").encode(value, WHERE)


@pytest.mark.parametrize(
    ("kept", "text"),
    [(column("timestamp_tz"), "infinity"), (column("date"), "12026-01-01"), (column("time"), "24:00:00.000000")],
)
def test_a_text_that_no_python_value_has_is_refused(kept: ColumnType, text: str) -> None:
    with pytest.raises(ValueRefused, match="no value of Python's"):
        kept.decode(text)
