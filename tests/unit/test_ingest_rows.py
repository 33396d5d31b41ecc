"""``--records`` and ``--events``: syntax, what they make of a record, and how a field becomes a column's value."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writebehind.cli.ingest_tables import NewTable, tables_of
from writebehind.columns import ColumnKind, ColumnType
from writebehind.errors import ConfigurationError
from writebehind.ingest import (
    COMBINED_FIELDS,
    CounterOption,
    EventsOption,
    Format,
    LeaderboardOption,
    Option,
    Record,
    RecordsOption,
    Row,
    Source,
    Unusable,
    column_value,
    ndjson_records,
    read_lines,
    score_value,
)
from writebehind.mapping import NewColumn
from writebehind.scores import Scores


def records(text: str) -> RecordsOption:
    return RecordsOption.parse(text)


def events(text: str) -> EventsOption:
    return EventsOption.parse(text)


@pytest.mark.parametrize(
    ("text", "key_fields", "sources"),
    [
        ("visitors=client:path", ("client",), (Source("path", "path"),)),
        ("web.visitors=client+host:seen=logged_at,path", ("client", "host"), (("seen", "logged_at"), ("path", "path"))),
        ("users=user.id:user.name", ("user.id",), (Source("user_name", "user.name"),)),
        (r"t=a\:b:c\=d=e\,f", ("a:b",), (Source("c=d", "e,f"),)),
    ],
)
def test_the_syntax_of_records(text: str, key_fields: tuple[str, ...], sources: tuple[Source, ...]) -> None:
    option = records(text)
    assert (option.table, option.key_fields, option.sources) == (text.partition("=")[0], key_fields, sources)


@pytest.mark.parametrize(
    "text", ["", "t", "t=", "t=a", "t=a:", "t=:a", "t=a+:b", "=a:b", "t=a:b:c", "t=a:b,", "t=a:b=", "t=a:=b",
             "t=a:b=c=d", "t=a:b,b"]
)  # fmt: skip
def test_records_that_cannot_be_read_are_refused_with_the_syntax(text: str) -> None:
    with pytest.raises(ConfigurationError, match="Write TABLE=KEY_FIELD:FIELD"):
        records(text)


def test_the_syntax_of_events() -> None:
    assert events("requests=logged_at,page=path") == EventsOption(
        "requests", (Source("logged_at", "logged_at"), Source("page", "path"))
    )
    assert events("requests=*").takes_every_field
    for text in ("", "requests", "requests=", "=a", "requests=a,,b", "requests=a,a", "requests=a=b=c"):
        with pytest.raises(ConfigurationError, match="Write TABLE=FIELD,FIELD"):
            events(text)


NAMES = st.text(min_size=1)


@given(NAMES, NAMES, NAMES)
def test_every_name_can_be_written(key: str, column: str, field: str) -> None:
    def escaped(name: str) -> str:
        return "".join("\\" + character if character in "\\+:,=" else character for character in name)

    option = records(f"t={escaped(key)}:{escaped(column)}={escaped(field)}")
    assert option == RecordsOption("t", (key,), (Source(column, field),))
    assert events(f"t={escaped(column)}={escaped(field)}") == EventsOption("t", (Source(column, field),))


def test_a_field_that_a_record_lacks_is_none() -> None:
    fields = {"client": "c", "path": "/", "referer": None}
    path, referer = Source("path", "path"), Source("referer", "referer")
    assert records("t=client:path,referer").read(fields) == Row("c", {path: "/", referer: None})
    assert records("t=client+path:referer").read(fields) == Row(("c", "/"), {referer: None})
    assert records("t=user:path").read(fields) == Unusable("no field 'user'")
    assert events("t=path,referer").read(fields) == Row((), {path: "/", referer: None})
    assert events("t=referer,user").read(fields) == Unusable("none of the fields 'referer', 'user'")


def value(field: object, kind: ColumnKind, format_: Format = "combined") -> object:
    return column_value(field, Source("c", "f"), ColumnType(kind, kind.upper()), format_)


@pytest.mark.parametrize(
    ("field", "kind", "result"),
    [
        ("x", "text", "x"),
        ("", "text", ""),
        (None, "integer", None),
        ("007", "integer", 7),
        ("1.50", "decimal", Decimal("1.50")),
        ("2015-05-17T10:05:03+02:00", "timestamp_tz", datetime(2015, 5, 17, 8, 5, 3, tzinfo=UTC)),
        ("2015-05-17", "date", date(2015, 5, 17)),
        ("yes", "boolean", True),
        (False, "boolean", False),
        (True, "text", "true"),
    ],
)
def test_the_value_of_a_field(field: object, kind: ColumnKind, result: object) -> None:
    found = value(field, kind)
    assert (found, type(found)) == (result, type(result))


@pytest.mark.parametrize(
    ("field", "kind", "reason"),
    [
        ("x", "integer", "it is not a whole number"),
        ("", "integer", "it is not a whole number"),
        ("17/May/2015:10:05:03 +0000", "timestamp_tz", "it is not a moment in ISO 8601"),
        ("2015-02-31T10:05:03+00:00", "timestamp_tz", "day is out of range for month"),
    ],
)
def test_a_field_that_does_not_fit_its_column(field: object, kind: ColumnKind, reason: str) -> None:
    assert value(field, kind) == Unusable(f"the field 'f' does not fit the column 'c' of type {kind.upper()}: {reason}")


def test_an_empty_value_of_csv_is_null_where_the_column_is_no_text() -> None:
    assert value("", "integer", "csv") is None
    assert value("", "text", "csv") == ""


def test_json_keeps_its_numbers_as_they_were_written() -> None:
    line = b'{"a": {"n": 1.50, "big": 12345678901234567890, "l": [1, "1", null, true, "\\u00e4\\""]}, "s": "x", "n": 7}'
    (record,) = ndjson_records(read_lines(io.BytesIO(line)))
    assert isinstance(record, Record)
    assert value(record.fields["a"], "text", "ndjson") == (
        '{"n":1.50,"big":12345678901234567890,"l":[1,"1",null,true,"\u00e4\\""]}'
    )
    assert value(record.fields["a"], "json", "ndjson") == {
        "n": 1.5, "big": 12345678901234567890, "l": [1, "1", None, True, '\u00e4"']
    }  # fmt: skip
    assert (value(record.fields["s"], "json", "ndjson"), value(record.fields["n"], "json", "ndjson")) == ("x", 7)
    assert value('{"a": 1}', "json", "csv") == {"a": 1}


@pytest.mark.parametrize(
    ("scores", "text", "result"),
    [
        (Scores(), "12", 12),
        (Scores(scale=2), "1.5", Decimal("1.5")),
        (Scores(is_float=True), "1.5", 1.5),
        (Scores(), "1.5", Unusable("the field 'n' is not a score of this leaderboard: it is not a whole number")),
    ],
)
def test_scores(scores: Scores, text: str, result: object) -> None:
    assert score_value(text, "n", scores) == result


# The tables that --create makes

TEXT_KEY = NewColumn("client", "text", is_required=True)


def tables(
    *options: Option, keys: dict[str, list[str]] | None = None, format_: Literal["combined", "csv"] = "combined"
) -> list[NewTable]:
    return tables_of(options, keys or {}, format_)


def test_the_columns_of_a_table_are_those_of_all_its_options() -> None:
    hits, bytes_ = CounterOption.parse("t.hits=client"), LeaderboardOption.parse("t.bytes=client:size")
    last = records("t=client:seen=logged_at,path,status")
    assert tables(hits, bytes_, last) == [
        NewTable(
            "t",
            (
                TEXT_KEY,
                NewColumn("hits", "integer", is_required=True, default=0),
                NewColumn("bytes", "integer"),
                NewColumn("seen", "timestamp_tz"),
                NewColumn("path"),
                NewColumn("status", "integer"),
            ),
            ("client",),
        )
    ]
    assert tables(hits, keys={"t": ["ip"]})[0].key == ("ip",)


def test_the_columns_of_events() -> None:
    assert tables(events("t=client,status"), format_="csv") == [
        NewTable("t", (NewColumn("client"), NewColumn("status")), ())
    ]
    (table,) = tables(events("t=*"))
    assert tuple(column.name for column in table.columns) == COMBINED_FIELDS
    assert {column.name: column.kind for column in table.columns if column.kind != "text"} == {
        "logged_at": "timestamp_tz", "status": "integer", "size": "integer"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((events("t=*"),), "which fields there are is not known of csv beforehand"),
        ((CounterOption.parse("t.c=a"), records("t=b:d")), "--key t=COLUMN"),
        ((records("t=a:a"),), "'a' both the key and a column that --records fills"),
        ((CounterOption.parse("t.c=a"), records("t=a:c")), "one column 'c' of 't' for two options"),
        ((CounterOption.parse("t.c=a"), events("t=a")), "Give the events a table of their own"),
    ],
)
def test_what_create_cannot_make(options: tuple[Option, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        tables(*options, format_="csv")
