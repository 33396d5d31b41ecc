"""docs/protocol.md and docs/functions.md: the session is typed into a real Valkey, tables name what the code has.

Regenerate the session's replies with ``python tests/docs/test_protocol.py``, and read the difference.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from writebehind import columns
from writebehind.cache.library import library_source
from writebehind.databases.contract import LEDGER_TABLES
from writebehind.testing.valkey import TemporaryValkey

DOCS = Path(__file__).parents[2] / "docs"
LUA = Path(__file__).parents[2] / "src" / "writebehind" / "cache" / "lua"
PAGES = ("protocol.md", "functions.md")
_SESSION = re.compile(r"^<!-- session -->\n```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LOADING = re.compile(r"^\$ python -c (.*) \| valkey-cli -x FUNCTION LOAD\n(.*)$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"([A-Z]+)=(.*)")
_MOMENT = re.compile(r"\b[0-9]{13}\b")


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def typed_commands(session: str) -> list[tuple[str, str]]:
    """Each command with what is shown below it; lines that end in a backslash go on in the next."""
    commands: list[tuple[str, str]] = []
    for part in re.split(r"^\$ ", session.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        commands.append((command, shown.rstrip("\n")))
    return commands


def shown_reply(reply: object, indentation: str = "") -> str:
    """A reply as valkey-cli shows it on a terminal."""
    if reply == []:
        return "(empty array)"
    if isinstance(reply, list):
        width = len(str(len(reply)))
        inner = indentation + " " * (width + 2)
        parts = [f"{number:>{width}}) {shown_reply(part, inner)}" for number, part in enumerate(reply, start=1)]
        return f"\n{indentation}".join(parts)
    if reply is None:
        return "(nil)"
    if isinstance(reply, int):
        return f"(integer) {reply}"
    assert isinstance(reply, bytes), reply
    escaped = reply.decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def without_moments(text: str) -> str:
    """Moments in milliseconds differ with each run."""
    return _MOMENT.sub("MOMENT", text)


def client_of(valkey: TemporaryValkey) -> redis.Redis:
    """A client that speaks RESP2, as valkey-cli does."""
    return redis.Redis.from_url(valkey.url, protocol=2)


def execute(client: redis.Redis, words: list[str]) -> object:
    """The raw reply, which redis-py's own methods would turn into something else."""
    connection = client.connection_pool.get_connection()
    try:
        connection.send_command(*words)
        return connection.read_response()
    finally:
        client.connection_pool.release(connection)


def answered(sessions: str, valkey: TemporaryValkey) -> Iterator[tuple[str, list[str], str, str]]:
    """Types each command; the command, its words, what is shown below it and what was answered."""
    variables: dict[str, str] = {}
    with client_of(valkey) as client:
        client.function_load(library_source())
        for command, shown in typed_commands(sessions):
            words = [re.sub(r"\$\{(\w+)\}", lambda use: variables[use[1]], word) for word in shlex.split(command)]
            if assignment := _ASSIGNMENT.fullmatch(words[0]):
                variables[assignment[1]] = assignment[2]
                yield command, words, shown, ""
                continue
            assert words[0] == "valkey-cli", command
            yield command, words, shown, shown_reply(execute(client, words[1:]))


def with_replies(text: str, valkey: TemporaryValkey) -> str:
    """The page with the replies that the commands have now."""
    replies = [reply for _, _, _, reply in answered("".join(_SESSION.findall(text)), valkey)]
    replies = [_MOMENT.sub("1700000000000", reply) for reply in replies]

    def filled(session: re.Match[str]) -> str:
        lines, is_command = [], False
        for line in session[1].splitlines():
            if line.startswith("$ ") or is_command:
                lines.append(line)
                is_command = line.endswith("\\")
                if not is_command and (reply := replies.pop(0)):
                    lines.append(reply)
        return "<!-- session -->\n```console\n" + "\n".join(lines) + "\n```"

    return _SESSION.sub(filled, text)


def test_the_session_answers_as_shown(valkey: TemporaryValkey) -> None:
    executed: list[str] = []
    for command, words, shown, reply in answered("".join(_SESSION.findall(page("functions.md"))), valkey):
        assert without_moments(reply) == without_moments(shown), f"{command}\nanswers:\n{reply}"
        executed += words[2:3]
    for function in (
        "wb1_enter",
        "wb1_write",
        "wb1_write_scores",
        "wb1_write_records",
        "wb1_write_events",
        "wb1_seal",
        "wb1_acknowledge",
        "wb1_read_board",
        "wb1_read_records",
    ):
        assert executed.count(function) >= 2, f"the session does not show {function}"


def test_the_library_is_loaded_as_shown(valkey: TemporaryValkey) -> None:
    (found,) = _LOADING.findall(page("functions.md"))
    code, shown = found
    printed = subprocess.run(
        [sys.executable, "-c", *shlex.split(code)], capture_output=True, text=True, timeout=60, check=True
    )
    with client_of(valkey) as client:
        assert shown_reply(execute(client, ["FUNCTION", "LOAD", printed.stdout])) == shown


def test_every_function_has_its_contract() -> None:
    registered = set(re.findall(r"wb1_\w+", "".join(re.findall(r"redis\.register_function.*", library_source()))))
    assert registered
    headings = " ".join(re.findall(r"^### (.*)$", page("functions.md"), re.MULTILINE))
    assert registered == set(re.findall(r"wb1_\w+", headings))


def test_every_table_of_the_ledger_is_described() -> None:
    assert set(re.findall(r"^\| `(writebehind_\w+)` \|", page("protocol.md"), re.MULTILINE)) == set(LEDGER_TABLES)


def test_every_field_of_the_header_is_described() -> None:
    comment = library_source().partition("Header of a partition (hash):")[2].partition("\n\n")[0]
    fields = re.findall(r"^  (\w+(?:, \w+)*)  ", comment, re.MULTILINE)
    assert fields
    described = page("functions.md").partition("The fields of the header:")[2].partition("An entry of the queue")[0]
    for field in ", ".join(fields).split(", "):
        assert f"`{field}`" in described, field


def anchors(name: str) -> set[str]:
    """What links into a page may name; of equal headings the second has a number."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", page(name), re.MULTILINE):
        anchor = re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")
        found.add(f"{anchor}-1" if anchor in found else anchor)
    return found


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for target, anchor in re.findall(r"\]\(([\w.]*)(?:#([^)]*))?\)", page(name)):
        assert not target or (DOCS / target).exists(), target
        assert not anchor or anchor in anchors(target or name), f"{target}#{anchor}"


def test_every_reply_of_a_write_says_what_to_do() -> None:
    text = page("functions.md")
    writing = text.partition("## Writing")[2].partition("### wb1_write")[0]
    replies = set(re.findall(r"^\| `([A-Z]+)`", writing, re.MULTILINE))
    advice = set(re.findall(r"`([A-Z]+)`", text.partition("## How to write")[2]))
    assert replies
    assert replies <= advice


def test_the_contracts_refuse_with_the_codes_of_the_code() -> None:
    """Each writing function's codes, as its Lua source has them."""
    for name, source in {
        "wb1_write": "write",
        "wb1_write_scores": "write_scores",
        "wb1_write_records": "write_records",
        "wb1_write_events": "write_events",
    }.items():
        lua = (LUA / f"{source}.lua").read_text(encoding="utf-8")
        code = lua.rpartition("--]]")[2]
        in_code = set(re.findall(r"'(RANGE|MISSING|NUMBER|CHANGE)'", code))
        contract = page("functions.md").partition(f"### {name}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
        (row,) = re.findall(r"^\| codes \| (.*) \|$", contract, re.MULTILINE)
        assert set(re.findall(r"`([A-Z]+)`", row)) == in_code, name


def test_every_kind_of_column_has_its_text() -> None:
    """Against the table of ``columns.py``: the same examples."""
    table = columns.__doc__ or ""
    examples = re.findall(r"``([^`]+)``", table.partition("============\nkind")[2])
    section = page("functions.md").partition("## Column texts")[2].partition("\n## ")[0]
    assert len(examples) > 10
    for example in set(examples) - {"repr"}:
        assert f"`{example}`" in section, example


if __name__ == "__main__":
    with TemporaryValkey() as server:
        PAGE_WITH_SESSION = DOCS / "functions.md"
        PAGE_WITH_SESSION.write_text(with_replies(page("functions.md"), server), encoding="utf-8")
