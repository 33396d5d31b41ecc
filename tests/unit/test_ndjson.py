"""NDJSON: nested fields, numbers as they were written, and nothing that can crash the reader."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writebehind.ingest import (
    MAX_LINE_SIZE_BYTES,
    BadLine,
    Counted,
    CounterOption,
    EmptyLine,
    Parsed,
    Record,
    ndjson_records,
    read_lines,
)


def parse(data: bytes | str) -> list[Parsed]:
    encoded = data.encode() if isinstance(data, str) else data
    return list(ndjson_records(read_lines(io.BytesIO(encoded))))


def field(line: str, path: str) -> object:
    [record] = parse(line)
    assert isinstance(record, Record), record
    return record.fields.get(path)


def test_fields_are_named_by_their_path() -> None:
    line = '{"a": {"b": {"c": "deep"}}, "a.x": "flat", "list": [1]}'
    assert field(line, "a.b.c") == "deep"
    assert field(line, "a.x") == "flat"
    assert field(line, "a.b.d") is None
    assert field(line, "list.0") is None
    assert field(line, "a.b.c.d") is None


@pytest.mark.parametrize("number", ["1", "-7", "1.50", "1E400", "123456789012345678901234567890", "9" * 5000])
def test_numbers_keep_their_text(number: str) -> None:
    assert field(f'{{"n": {number}}}', "n") == number


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON: "),
        ('{"a": 1} {"a": 2}', "not JSON: Extra data at column 10"),
        ('{"a": NaN}', "not JSON: NaN is not a JSON number"),
        ("[1]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_object_is_a_bad_line(line: str, reason: str) -> None:
    [first, second] = parse(line + '\n{"a": 1}\n')
    assert isinstance(first, BadLine)
    assert first.reason.startswith(reason)
    assert isinstance(second, Record)


def test_lines_that_are_empty_too_long_or_not_utf8() -> None:
    long = b'{"a": "' + b"x" * MAX_LINE_SIZE_BYTES + b'"}'
    parsed = parse(b'\xef\xbb\xbf{"a": 1}\r\n\r\n' + long + b'\n{"a": "\xff"}\n{"a": 2}')
    assert [(type(each), each.line_number) for each in parsed] == [
        (Record, 1),
        (EmptyLine, 2),
        (BadLine, 3),
        (BadLine, 4),
        (Record, 5),
    ]


def test_a_line_of_exactly_the_longest_size_is_read() -> None:
    frame = len('{"a": ""}')
    longest = '{"a": "' + "x" * (MAX_LINE_SIZE_BYTES - frame) + '"}'
    for end in ("", "\n", "\r\n"):
        assert [type(each) for each in parse(longest + end + ('{"a": 1}' if end else ""))] == [Record] * (1 + bool(end))
    assert isinstance(parse(longest + " ")[0], BadLine)


JSON = st.recursive(
    st.none() | st.booleans() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON, max_size=4))
def test_what_json_writes_is_read_back(members: dict[str, object]) -> None:
    [record] = parse(json.dumps(members, ensure_ascii=False))
    assert isinstance(record, Record)
    assert dict(record.fields) == members


@given(st.integers(-(2**63), 2**63 - 1), st.booleans())
def test_keys_and_amounts_of_objects(number: int, flag: bool) -> None:
    option = CounterOption.parse("t.c=flag+n:n")
    [record] = parse(json.dumps({"flag": flag, "n": number}))
    assert isinstance(record, Record)
    assert option.read(record.fields) == Counted(("true" if flag else "false", str(number)), number)


@given(st.binary(max_size=300))
def test_any_bytes_give_one_result_for_each_line(data: bytes) -> None:
    parsed = parse(data)
    assert [each.line_number for each in parsed] == list(range(1, len(io.BytesIO(data).readlines()) + 1))
