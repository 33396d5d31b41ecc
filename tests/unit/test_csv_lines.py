"""CSV: quoted line ends, honest line numbers, and a bad row that costs no other."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writebehind.errors import ConfigurationError
from writebehind.ingest import MAX_LINE_SIZE_BYTES, BadLine, EmptyLine, Parsed, Record, csv_records, read_lines


def parse(data: bytes | str, *, delimiter: str = ",", needed: tuple[str, ...] = ()) -> list[Parsed]:
    encoded = data.encode() if isinstance(data, str) else data
    return list(csv_records(read_lines(io.BytesIO(encoded)), delimiter=delimiter, needed=needed))


def rows(parsed: list[Parsed]) -> list[tuple[int, dict[str, object]]]:
    return [(each.line_number, dict(each.fields)) for each in parsed if isinstance(each, Record)]


def test_the_header_names_the_fields() -> None:
    assert rows(parse("path,hits\r\n/a,3\r\n/b,4")) == [
        (2, {"path": "/a", "hits": "3"}),
        (3, {"path": "/b", "hits": "4"}),
    ]


def test_a_delimiter_and_a_byte_order_mark() -> None:
    assert rows(parse("\ufeffpath;hits\n/a;3\n", delimiter=";", needed=("path",))) == [(2, {"path": "/a", "hits": "3"})]


def test_quoted_line_ends_keep_the_line_numbers_right() -> None:
    parsed = parse('path,note\n/a,"one\r\ntwo\n\nfour"\n/b,""\n\n/c,"a ""quoted"" word"\n')
    assert rows(parsed) == [
        (2, {"path": "/a", "note": "one\r\ntwo\n\nfour"}),
        (6, {"path": "/b", "note": ""}),
        (8, {"path": "/c", "note": 'a "quoted" word'}),
    ]
    assert [each.line_number for each in parsed if isinstance(each, EmptyLine)] == [7]


def test_an_empty_line_before_the_header() -> None:
    assert rows(parse("\n\na\n1\n")) == [(4, {"a": "1"})]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("/a", "1 values, the header has 2"),
        ("/a,1,2", "3 values, the header has 2"),
        ('"/a"x,1', "not CSV: "),
    ],
)
def test_a_bad_row_costs_no_other(row: str, reason: str) -> None:
    parsed = parse(f"path,hits\n/x,1\n{row}\n/y,2\n")
    assert [number for number, _ in rows(parsed)] == [2, 4]
    [bad] = [each for each in parsed if isinstance(each, BadLine)]
    assert bad.line_number == 3
    assert bad.reason.startswith(reason)
    assert bad.text == row + "\n"


def test_bytes_that_are_not_utf8_cost_their_row_alone_even_inside_quotes() -> None:
    parsed = parse(b'path,note\n/a,"one\n\xff"\n/b,x\n')
    assert rows(parsed) == [(4, {"path": "/b", "note": "x"})]
    assert parsed[0] == BadLine(2, "bytes that are not UTF-8 (lines 2 to 3)", '/a,"one\n')


def test_a_quote_that_is_never_closed_says_which_lines_it_took() -> None:
    [good, bad] = parse('path,hits\n/a,1\n"/b,2\n/c,3\n')
    assert isinstance(good, Record)
    assert isinstance(bad, BadLine)
    assert bad.line_number == 3
    assert bad.reason.endswith("(lines 3 to 4)")


def test_a_quote_that_is_never_closed_takes_a_bounded_part_of_the_file() -> None:
    parsed = parse('path,hits\n"/b,2\n' + "/a,1\n" * 100_000)
    assert sum(isinstance(each, BadLine) for each in parsed) == 1
    assert len(rows(parsed)) > 50_000


def test_a_line_that_is_too_long_costs_its_row() -> None:
    long = "x" * (MAX_LINE_SIZE_BYTES + 1)
    parsed = parse(f'path,hits\n/a,1\n{long}\n/b,2\n"/c\n{long}\n",3\n/d,4\n')
    assert [number for number, _ in rows(parsed)] == [2, 4, 8]
    assert [(each.line_number, each.reason) for each in parsed if isinstance(each, BadLine)] == [
        (3, "longer than 1,048,576 bytes"),
        (6, "longer than 1,048,576 bytes"),
        (5, "line 6 within it is longer than 1,048,576 bytes (lines 5 to 7)"),
    ]


def test_a_header_that_lacks_a_field_is_refused_before_any_row() -> None:
    with pytest.raises(ConfigurationError, match=r"no column 'url'.*'path', 'hits'.*--delimiter"):
        parse("path,hits\n/a,1\n", needed=("url",))


def test_a_field_that_the_header_has_twice_is_refused_only_if_it_is_needed() -> None:
    assert len(rows(parse("a,b,b\n1,2,3\n", needed=("a",)))) == 1
    with pytest.raises(ConfigurationError, match="the column 'b' 2 times"):
        parse("a,b,b\n1,2,3\n", needed=("b",))


def test_a_header_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="line 1 is no CSV header"):
        parse(b"a,\xff\n1,2\n")


def test_nothing_at_all_is_nothing() -> None:
    assert parse("") == []


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=8))
def test_what_the_csv_module_writes_is_read_back(table: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows([["a", "b"], *table])
    parsed = parse(text.getvalue())
    assert [[each.fields["a"], each.fields["b"]] for each in parsed if isinstance(each, Record)] == table
    number = 2
    for each, row in zip(parsed, table, strict=True):
        assert each.line_number == number
        number += 1 + sum(cell.count("\n") for cell in row)


@given(st.binary(max_size=300))
def test_any_bytes_below_a_header_raise_nothing(data: bytes) -> None:
    numbers = [each.line_number for each in parse(b"a,b\n" + data)]
    assert numbers == sorted(set(numbers))
