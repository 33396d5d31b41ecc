"""docs/protocol.md: its session is typed into a real Valkey, and its tables name what the code has."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import redis

from writebehind.cache.library import library_source
from writebehind.databases.contract import LEDGER_TABLES
from writebehind.testing.valkey import TemporaryValkey

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
_SESSION = re.compile(r"^<!-- session -->\n```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LOADING = re.compile(r"^\$ python -c (.*) \| valkey-cli -x FUNCTION LOAD\n(.*)$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"([A-Z]+)=(.*)")
_MOMENT = re.compile(r"\b[0-9]{13}\b")


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def typed_commands(session: str) -> list[tuple[str, str]]:
    """Each command with what is shown below it; lines that end in a backslash go on in the next."""
    commands: list[tuple[str, str]] = []
    for part in re.split(r"^\$ ", session.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        commands.append((command, shown.rstrip("\n")))
    return commands


def shown_reply(reply: object) -> str:
    """A reply as valkey-cli shows it on a terminal."""
    if isinstance(reply, list):
        return "\n".join(f"{number}) {shown_reply(part)}" for number, part in enumerate(reply, start=1))
    if isinstance(reply, int):
        return f"(integer) {reply}"
    assert isinstance(reply, bytes), reply
    return f'"{reply.decode()}"'


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


def test_the_session_answers_as_shown(valkey: TemporaryValkey) -> None:
    sessions = _SESSION.findall(page())
    variables: dict[str, str] = {}
    executed: list[str] = []
    with client_of(valkey) as client:
        client.function_load(library_source())
        for command, shown in typed_commands("".join(sessions)):
            words = [re.sub(r"\$\{(\w+)\}", lambda use: variables[use[1]], word) for word in shlex.split(command)]
            if assignment := _ASSIGNMENT.fullmatch(words[0]):
                variables[assignment[1]] = assignment[2]
                assert not shown
                continue
            assert words[0] == "valkey-cli", command
            reply = shown_reply(execute(client, words[1:]))
            assert without_moments(reply) == without_moments(shown), f"{command}\nanswers:\n{reply}"
            executed.append(words[2])
    for function in ("wb1_enter", "wb1_write", "wb1_seal", "wb1_acknowledge"):
        assert executed.count(function) >= 2, f"the session does not show {function}"


def test_the_library_is_loaded_as_shown(valkey: TemporaryValkey) -> None:
    (found,) = _LOADING.findall(page())
    code, shown = found
    printed = subprocess.run(
        [sys.executable, "-c", *shlex.split(code)], capture_output=True, text=True, timeout=60, check=True
    )
    with client_of(valkey) as client:
        assert shown_reply(execute(client, ["FUNCTION", "LOAD", printed.stdout])) == shown


def test_every_function_has_its_contract() -> None:
    registered = set(re.findall(r"wb1_\w+", "".join(re.findall(r"redis\.register_function.*", library_source()))))
    assert registered
    headings = " ".join(re.findall(r"^### (.*)$", page(), re.MULTILINE))
    assert registered == set(re.findall(r"wb1_\w+", headings))


def test_every_table_of_the_ledger_is_described() -> None:
    assert set(re.findall(r"^\| `(writebehind_\w+)` \|", page(), re.MULTILINE)) == set(LEDGER_TABLES)


def test_every_field_of_the_header_is_described() -> None:
    comment = library_source().partition("Header of a partition (hash):")[2].partition("\n\n")[0]
    fields = re.findall(r"^  (\w+(?:, \w+)*)  ", comment, re.MULTILINE)
    assert fields
    described = page().partition("The fields of the header:")[2].partition("An entry of the queue")[0]
    for field in ", ".join(fields).split(", "):
        assert f"`{field}`" in described, field


def test_links_within_the_page_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", page(), re.MULTILINE)
    }
    for target in re.findall(r"\]\(#([^)]*)\)", page()):
        assert target in headings, target
