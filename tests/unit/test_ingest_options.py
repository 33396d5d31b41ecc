"""``--counter`` and ``--leaderboard``: syntax, what they make of a record; and how a line is shown on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writebehind.errors import ConfigurationError
from writebehind.ingest import Counted, CounterOption, LeaderboardOption, Scored, Unusable, printable


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("pages.hits=path", CounterOption("pages.hits", ("path",))),
        ("pages.bytes=path:size", CounterOption("pages.bytes", ("path",), "size")),
        ("stats.hits=path+status", CounterOption("stats.hits", ("path", "status"))),
        ("web.pages.hits=user.id", CounterOption("web.pages.hits", ("user.id",))),
        (r"pages.hits=a\+b+c\:d:e\\f", CounterOption("pages.hits", ("a+b", "c:d"), "e\\f")),
        ("pages.hits=a=b", CounterOption("pages.hits", ("a=b",))),
    ],
)
def test_syntax(text: str, option: CounterOption) -> None:
    assert CounterOption.parse(text) == option


@pytest.mark.parametrize(
    "text", ["", "pages", "pages.hits", "pages.hits=", "=path", "pages=path", ".hits=path", "pages.=path", "p.h=a+",
             "p.h=+a", "p.h=a:", "p.h=:size", "p.h=a:b:c"]
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_syntax(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TABLE\.COLUMN=FIELD"):
        CounterOption.parse(text)


def test_parts() -> None:
    option = CounterOption.parse("web.pages.hits=user.id+path:size")
    assert (option.table, option.column) == ("web.pages", "hits")
    assert option.fields == ("user.id", "path", "size")
    assert option.key_columns == ("user_id", "path")


@pytest.mark.parametrize(
    ("option", "fields", "result"),
    [
        ("t.c=a", {"a": "x"}, Counted("x", 1)),
        ("t.c=a", {"a": ""}, Counted("", 1)),
        ("t.c=a", {"a": True}, Counted("true", 1)),
        ("t.c=a+b", {"a": "x", "b": "y"}, Counted(("x", "y"), 1)),
        ("t.c=a:n", {"a": "x", "n": "-5"}, Counted("x", -5)),
        ("t.c=a:n", {"a": "x", "n": "9223372036854775807"}, Counted("x", 2**63 - 1)),
        ("t.c=a", {"b": "x"}, Unusable("no field 'a'")),
        ("t.c=a", {"a": None}, Unusable("no field 'a'")),
        ("t.c=a", {"a": {}}, Unusable("the field 'a' is an object, which cannot be a key")),
        ("t.c=a", {"a": []}, Unusable("the field 'a' is an array, which cannot be a key")),
        ("t.c=a:n", {"a": "x"}, Unusable("no field 'n'")),
    ],
)
def test_reading_a_record(option: str, fields: dict[str, object], result: Counted | Unusable) -> None:
    assert CounterOption.parse(option).read(fields) == result


@pytest.mark.parametrize("amount", ["", "x", "1.5", "1e3", " 1", "1_000", "9223372036854775808", "9" * 5000, True, "٣"])
def test_an_amount_is_an_integer_of_64_bits(amount: object) -> None:
    assert CounterOption.parse("t.c=a:n").read({"a": "x", "n": amount}) == Unusable(
        "the field 'n' is not an integer of 64 bits"
    )


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("traffic.bytes=client:size", LeaderboardOption("traffic.bytes", "client", "size")),
        ("web.t.bytes=host+client:size,keep=sum", LeaderboardOption("web.t.bytes", "client", "size", "host", "sum")),
        (r"laps.best=a\,b:c\:d,keep=min", LeaderboardOption("laps.best", "a,b", "c:d", None, "min")),
    ],
)
def test_the_syntax_of_leaderboards(text: str, option: LeaderboardOption) -> None:
    assert LeaderboardOption.parse(text) == option


@pytest.mark.parametrize(
    "text", ["", "t.c", "t.c=a", "t=a:b", "t.c=:b", "t.c=a:", "t.c=a:b:c", "t.c=a+b+c:d", "t.c=a:b,sum",
             "t.c=a:b,keep=avg", "t.c=a:b,keep=", "t.c=a:b,keep=sum,keep=max"]
)  # fmt: skip
def test_a_leaderboard_that_cannot_be_read_is_refused_with_the_syntax(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TABLE\.COLUMN=MEMBER_FIELD:SCORE_FIELD.*max, min, last, sum"):
        LeaderboardOption.parse(text)


@pytest.mark.parametrize(
    ("option", "fields", "result"),
    [
        ("t.c=a:n", {"a": "x", "n": "5"}, Scored(None, "x", "5")),
        ("t.c=b+a:n", {"a": "x", "b": "y", "n": "-1.5"}, Scored("y", "x", "-1.5")),
        ("t.c=a:n", {"a": "x"}, Unusable("no field 'n'")),
        ("t.c=a:n", {"n": "1"}, Unusable("no field 'a'")),
        ("t.c=a:n", {"a": "x", "n": True}, Unusable("the field 'n' is not a number")),
    ],
)
def test_what_a_record_submits(option: str, fields: dict[str, object], result: Scored | Unusable) -> None:
    assert LeaderboardOption.parse(option).read(fields) == result


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3), st.none() | st.text(min_size=1))
def test_every_field_name_can_be_written(keys: list[str], amount: str | None) -> None:
    def escaped(name: str) -> str:
        return name.replace("\\", r"\\").replace("+", r"\+").replace(":", r"\:")

    text = "t.c=" + "+".join(map(escaped, keys)) + ("" if amount is None else ":" + escaped(amount))
    assert CounterOption.parse(text) == CounterOption("t.c", tuple(keys), amount)


@given(st.text())
def test_an_excerpt_cannot_write_to_the_terminal(text: str) -> None:
    assert all(character.isprintable() for character in printable(text))


def test_excerpts() -> None:
    assert printable("\x1b[2Jäb\t\r\n") == r"\x1b[2Jäb\t"
    assert printable(b"\xff\n".decode("utf-8", "surrogateescape")) == r"\xff"
    assert printable("x" * 500) == "x" * 120 + "…"
