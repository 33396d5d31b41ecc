"""Access logs: every field as it was logged, and a reason for every line that has no path."""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writebehind.ingest import COMBINED_FIELDS, BadLine, EmptyLine, Parsed, Record, combined_records, read_lines

SAMPLE = Path(__file__).parents[2] / "examples" / "data" / "access-sample.log"
LINE = (
    '83.149.9.216 - ada [17/May/2015:10:05:03 +0000] "GET /a/b.png?x=1&y=%20 HTTP/1.1" 200 203023 '
    '"http://example.org/" "Mozilla/5.0 (Macintosh)"'
)


def parse(data: bytes | str) -> list[Parsed]:
    encoded = data.encode() if isinstance(data, str) else data
    return list(combined_records(read_lines(io.BytesIO(encoded))))


def parse_one(line: str) -> Parsed:
    [parsed] = parse(line)
    return parsed


def fields_of(line: str) -> dict[str, object]:
    parsed = parse_one(line)
    assert isinstance(parsed, Record), parsed
    return dict(parsed.fields)


def request(text: str) -> str:
    return f'192.0.2.1 - - [17/May/2015:10:05:03 +0000] "{text}" 400 0'


def test_every_field_is_the_text_of_the_log() -> None:
    assert fields_of(LINE) == {
        "client": "83.149.9.216",
        "ident": None,
        "user": "ada",
        "time": "17/May/2015:10:05:03 +0000",
        "logged_at": "2015-05-17T10:05:03+00:00",
        "method": "GET",
        "path": "/a/b.png?x=1&y=%20",
        "path_only": "/a/b.png",
        "protocol": "HTTP/1.1",
        "status": "200",
        "size": "203023",
        "referer": "http://example.org/",
        "agent": "Mozilla/5.0 (Macintosh)",
    }
    assert set(fields_of(LINE)) == set(COMBINED_FIELDS)


def test_the_common_format_has_no_referer_and_no_agent() -> None:
    fields = fields_of(request("GET /x HTTP/1.0"))
    assert (fields["path"], fields["referer"], fields["agent"]) == ("/x", None, None)


@pytest.mark.parametrize("client", ["2001:db8::1", "::ffff:192.0.2.1", "host.example.org", "fe80::1%eth0"])
def test_clients_may_be_any_address_or_name(client: str) -> None:
    assert fields_of(LINE.replace("83.149.9.216", client))["client"] == client


def test_a_user_may_have_spaces_and_brackets() -> None:
    assert fields_of(LINE.replace(" ada ", " ada [the] first "))["user"] == "ada [the] first"


@pytest.mark.parametrize(
    ("time", "logged_at"),
    [
        ("01/Jan/2024:00:00:00 -0330", "2024-01-01T00:00:00-03:30"),
        ("31/Dec/1999:23:59:60 +1400", "1999-12-31T23:59:60+14:00"),  # whether that is a moment the column says
        ("17/Mai/2015:10:05:03 +0000", None),
        ("2015-05-17T10:05:03Z", None),
    ],
)
def test_the_time_is_there_in_iso_8601_too(time: str, logged_at: str | None) -> None:
    fields = fields_of(LINE.replace("17/May/2015:10:05:03 +0000", time))
    assert (fields["time"], fields["logged_at"]) == (time, logged_at)


def test_escaped_quotes_do_not_end_a_field() -> None:
    fields = fields_of(LINE.replace("http://example.org/", r"say \"hi\" \\").replace("(Macintosh)", r"\"quoted\""))
    assert fields["referer"] == r"say \"hi\" \\"
    assert fields["agent"] == r"Mozilla/5.0 \"quoted\""
    assert fields_of(LINE.replace("/a/b.png", r"/a\"b"))["path"] == r"/a\"b?x=1&y=%20"


def test_a_size_that_was_not_logged_is_zero_and_other_dashes_are_missing() -> None:
    fields = fields_of(LINE.replace("203023", "-").replace('"http://example.org/"', '"-"'))
    assert (fields["size"], fields["referer"], fields["ident"]) == ("0", None, None)


@pytest.mark.parametrize(
    "ending", ['"unclosed agent', "", " ", '"-', ' 0.003 "10.0.0.1"', '"a" "b" "c" rt=0.1', 'nonsense "x']
)
def test_what_follows_the_size_never_makes_a_line_bad(ending: str) -> None:
    assert fields_of(request("GET /x HTTP/1.1") + " " + ending)["path"] == "/x"


def test_fields_after_the_agent_are_allowed() -> None:
    fields = fields_of(LINE + ' "198.51.100.7" 0.003')
    assert fields["agent"] == "Mozilla/5.0 (Macintosh)"


@pytest.mark.parametrize(
    ("text", "path", "protocol"),
    [
        ("GET / HTTP/1.1", "/", "HTTP/1.1"),
        ("GET /old", "/old", None),
        ("OPTIONS * HTTP/1.1", "*", "HTTP/1.1"),
        ("CONNECT example.org:443 HTTP/1.1", "example.org:443", "HTTP/1.1"),
        ("GET http://example.org/x HTTP/1.1", "http://example.org/x", "HTTP/1.1"),
        ("GET /with space.html HTTP/1.1", "/with space.html", "HTTP/1.1"),
        ("GET /umlaut/ä HTTP/2.0", "/umlaut/ä", "HTTP/2.0"),
        (r"GET /\xC3\xA4 HTTP/1.1", r"/\xC3\xA4", "HTTP/1.1"),
    ],
)
def test_requests(text: str, path: str, protocol: str | None) -> None:
    fields = fields_of(request(text))
    assert (fields["path"], fields["protocol"]) == (path, protocol)


@pytest.mark.parametrize(
    "text", ["-", "", r"\x16\x03\x01\x02", r"\x16\x03 \x01 x", "GET", "GET ", "GET HTTP/1.1", "GET  HTTP/1.1", "a b c"]
)
def test_a_request_without_a_path_is_a_bad_line(text: str) -> None:
    assert parse_one(request(text)) == BadLine(1, "the request has no path", request(text))


@pytest.mark.parametrize("line", ["nonsense", '"GET / HTTP/1.1" 200 5', LINE[:60], "{}", LINE.replace("200", "OK")])
def test_what_is_no_access_log_is_a_bad_line(line: str) -> None:
    assert parse_one(line) == BadLine(1, "not in the common or combined log format", line)


def test_line_ends_byte_order_mark_and_empty_lines() -> None:
    parsed = parse("\ufeff" + LINE + "\r\n\r\n  \n" + LINE)
    assert [(type(each), each.line_number) for each in parsed] == [
        (Record, 1),
        (EmptyLine, 2),
        (EmptyLine, 3),
        (Record, 4),
    ]


def test_bytes_that_are_not_utf8_cost_one_line() -> None:
    parsed = parse(LINE.encode() + b"\n\xff\xfe broken\n" + LINE.encode() + b"\n")
    assert [type(each) for each in parsed] == [Record, BadLine, Record]
    assert parsed[1] == BadLine(2, "the byte 0xff at column 1 is not UTF-8", "\udcff\udcfe broken")


@pytest.mark.parametrize("filler", ["[", " [", '"', "\\", " ", 'a "', "] [", " [a] "])
def test_a_long_hostile_line_is_judged_at_once(filler: str) -> None:
    # A quadratic pattern would need hours for these; the test's own time is the assertion.
    assert isinstance(parse_one("a b " + filler * (1_000_000 // len(filler))), BadLine | EmptyLine)


TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters='"\\[]\x7f'), min_size=1)
QUOTED = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters='"\\\x7f'), min_size=1)


@given(client=TOKENS, path=TOKENS, referer=QUOTED, agent=QUOTED, size=st.integers(0, 2**63 - 1))
def test_what_a_server_writes_is_read_back(client: str, path: str, referer: str, agent: str, size: int) -> None:
    line = f'{client} - - [17/May/2015:10:05:03 +0000] "GET {path} HTTP/1.1" 200 {size} "{referer}" "{agent}"'
    fields = fields_of(line)
    assert (fields["client"], fields["path"], fields["size"]) == (client, path, str(size))
    assert fields["referer"] == (None if referer == "-" else referer)
    assert fields["agent"] == (None if agent == "-" else agent)


@given(st.binary(max_size=400))
def test_any_bytes_give_one_result_for_each_line(data: bytes) -> None:
    assert [each.line_number for each in parse(data)] == list(range(1, len(io.BytesIO(data).readlines()) + 1))


def access_logs() -> list[Path]:
    whole = os.environ.get("WRITEBEHIND_ACCESS_LOG")
    return [SAMPLE, Path(whole)] if whole else [SAMPLE]


@pytest.mark.parametrize("log", access_logs(), ids=lambda log: log.name)
@pytest.mark.parametrize(
    ("field", "pattern"),
    [("path", r'"[A-Z]+ (\S+)'), ("client", r"(\S+)"), ("status", r'.*?" (\d{3}) ')],
)
def test_the_counts_are_those_of_a_plain_counter(log: Path, field: str, pattern: str) -> None:
    find = re.compile(pattern if field != "path" else ".*?" + pattern)
    plain = Counter(find.match(line)[1] for line in log.read_text().splitlines())  # type: ignore[index]
    parsed = parse(log.read_bytes())
    assert Counter(each.fields[field] for each in parsed if isinstance(each, Record)) == plain
    assert plain.total() == len(parsed)
