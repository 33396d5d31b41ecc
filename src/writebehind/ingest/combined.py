"""Access logs of Apache and nginx: the common and the combined log format.

::

    203.0.113.9 - ada [17/May/2015:10:05:03 +0000] "GET /search?q=x HTTP/1.1" 200 5120 "https://…" "Mozilla/5.0 …"
    client  ident user time                         method path     protocol  status size referer   agent

Every field is text *exactly as it was logged*, escapes of the server (``\\"``, ``\\xE2``) included, so
that the counts are those of a plain count over the file. Three are made of them: ``logged_at`` is the time in
ISO 8601, for columns of timestamps; ``path`` is the whole request target, with its query, and
``path_only`` the part before the ``?``. A ``-`` means that the field is missing, with
one exception: ``size`` is then ``0``, since that is what ``-`` stands for there (Apache's ``%b``).

A line is judged by its beginning, up to the size. After it the servers differ (some append fields,
some are cut short), so a referer or an agent that cannot be read is a missing field and no bad line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from writebehind.ingest.lines import Line, TextLine, text_lines
from writebehind.ingest.records import BadLine, Parsed, Record
from writebehind.mapping import NewKind

COMBINED_FIELDS = (
    "client",
    "ident",
    "user",
    "time",
    "logged_at",
    "method",
    "path",
    "path_only",
    "protocol",
    "status",
    "size",
    "referer",
    "agent",
)

COMBINED_KINDS: Mapping[str, NewKind] = {"logged_at": "timestamp_tz", "status": "integer", "size": "integer"}
"""What the fields hold that are not text."""

_QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
# The repetitions before the time are bounded: on a long line of brackets an unbounded one is quadratic.
_BEGINNING = re.compile(
    r"(?P<client>\S+) (?P<ident>\S+) (?P<user>.{1,256}?) \[(?P<time>[^\[\]]{1,64})\] "
    rf"(?P<request>{_QUOTED}) (?P<status>\d{{3}}|-) (?P<size>\d+|-)(?= |$)",
    re.ASCII,
)
_REFERER_AND_AGENT = re.compile(rf"\s+{_QUOTED}(?:\s+{_QUOTED})?")
_MONTHS = {
    name: f"{number:02}"
    for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)  # noqa: SIM905
}
_TIME = re.compile(r"(\d{2})/(\w{3})/(\d{4}):(\d{2}:\d{2}:\d{2}) ([+-]\d{2})(\d{2})", re.ASCII)
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110


def combined_records(lines: Iterable[Line | BadLine]) -> Iterator[Parsed]:
    """The records of an access log, one a line."""
    for line in text_lines(lines):
        yield _parse(line) if isinstance(line, TextLine) else line


def _parse(line: TextLine) -> Record | BadLine:
    beginning = _BEGINNING.match(line.text)
    if beginning is None:
        return BadLine(line.number, "not in the common or combined log format", line.text)
    request = _parse_request(beginning["request"][1:-1])
    if isinstance(request, str):
        return BadLine(line.number, request, line.text)
    fields: dict[str, object] = {
        name: _or_missing(beginning[name]) for name in ("client", "ident", "user", "time", "status")
    }
    fields["logged_at"] = iso_time(beginning["time"])
    fields.update(request)
    fields["size"] = "0" if beginning["size"] == "-" else beginning["size"]
    ending = _REFERER_AND_AGENT.match(line.text, beginning.end())
    fields["referer"] = _or_missing(ending[1]) if ending else None
    fields["agent"] = _or_missing(ending[2]) if ending else None
    return Record(line.number, fields, line.text)


def iso_time(time: str) -> str | None:
    """``17/May/2015:10:05:03 +0000`` as ``2015-05-17T10:05:03+00:00``; None where the server writes its time otherwise.

    Whether there is such a day is for the column to say.
    """
    found = _TIME.fullmatch(time)
    if found is None or (month := _MONTHS.get(found[2])) is None:
        return None
    return f"{found[3]}-{month}-{found[1]}T{found[4]}{found[5]}:{found[6]}"


def _parse_request(request: str) -> Mapping[str, object] | str:
    """Method, path and protocol of a request line, or the reason why it has none.

    Broken clients and scanners send what is no request (``-``, or the first bytes of a TLS
    handshake); servers log it all the same. A path with a space in it was sent so; it is kept.
    """
    method, space, rest = request.partition(" ")
    if not space or not _METHOD.fullmatch(method):
        return "the request has no path"
    path, space, last = rest.rpartition(" ")
    protocol: str | None = last
    if not space or not last.startswith("HTTP/"):
        path, protocol = rest, None  # HTTP/0.9 sent no protocol
    path = path.strip(" ")
    if not path or (protocol is None and (" " in path or path.startswith("HTTP/"))):
        return "the request has no path"
    return {"method": method, "path": path, "path_only": path.partition("?")[0], "protocol": protocol}


def _or_missing(text: str | None) -> str | None:
    return None if text == "-" else text
