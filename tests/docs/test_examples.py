"""The examples of README.md and docs/ run as they stand.

Of each document the fenced blocks are run in their order, in one folder of the document's own, with a copy of
examples/data in it:

* ```` ```python ````: a whole program, which must end with status 0.
* ```` ```console ```` with a command ``$ writebehind ...`` in it: each of its commands is run by a shell, and must
  print what is shown below it, on stdout and stderr together.

A block that is not to be run has ``<!-- not run: reason -->`` in the line above its fence. The examples' servers,
``redis://localhost:6379/0`` and ``postgresql://localhost/app``, are replaced by real, empty ones of this test; the
database has the table ``videos``, with a thousand rows, and no ledger.

What is printed is compared line by line, by this rule: white space at the end of a line does not count; the real
servers' names are turned back into the examples'; a number in front of a unit of time or of a rate (``0.41 s``,
``12 ms``, ``24,380 lines/s``) is any number; a shown line that is ``...`` stands for any number of lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from writebehind.cache.address import Address
from writebehind.databases.urls import redact_url
from writebehind.testing.postgresql import TemporaryPostgres
from writebehind.testing.valkey import TemporaryValkey

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CACHE = "redis://localhost:6379/0"
DATABASE = "postgresql://localhost/app"
PATIENCE_S = 120.0

_BLOCK = re.compile(
    r"(?:^[ ]*<!--(?P<comment>[^\n]*?)-->[ ]*\n)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_NOT_RUN = re.compile(r"\s*not run:\s*\S")
_TIMING = re.compile(r"\d[\d,.]*(?= ?(?:µs|ms|s|seconds|[a-z]+/s|/s)(?![\w/]))")
_TABLE = """
CREATE TABLE videos (
    id BIGINT PRIMARY KEY, title TEXT, likes BIGINT NOT NULL DEFAULT 0, views BIGINT NOT NULL DEFAULT 0
);
INSERT INTO videos (id, title) SELECT n, 'video ' || n FROM generate_series(1, 1000) AS n;
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a document; ``place`` is where a person finds it."""

    place: str
    language: str
    text: str
    is_marked: bool


def blocks_of(name: str, text: str) -> list[Block]:
    """All fenced blocks, in their order."""
    blocks = []
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        body = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        blocks.append(Block(f"{name}:{line}", found["language"], body, bool(_NOT_RUN.match(found["comment"] or ""))))
    return blocks


def commands_of(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what is shown below it. A backslash continues a line."""
    commands: list[tuple[str, str]] = []
    for part in re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        commands.append((command, shown))
    return commands


def is_runnable(block: Block) -> bool:
    if block.is_marked:
        return False
    if block.language == "console":
        return any(command.startswith("writebehind") for command, _ in commands_of(block.text))
    return block.language == "python"


def normalised(text: str) -> list[str]:
    """The lines by which outputs are compared; see the rule above."""
    lines = [_TIMING.sub("N", line.rstrip()) for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def agree(shown: list[str], printed: list[str]) -> bool:
    """Whether the lines are the same, where ``...`` is any number of them."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(agree(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and agree(shown[1:], printed[1:])


class Stage:
    """Where a document's examples run: a folder, and the servers that stand for those that it names."""

    def __init__(self, folder: Path, cache: str, database: str) -> None:
        self._folder = folder
        self._servers = {CACHE: cache, DATABASE: database}
        self._shown = {Address.parse(cache).shown: Address.parse(CACHE).shown, redact_url(database): DATABASE}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WRITEBEHIND_")}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        self._environment = inherited | {"PATH": programs, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}

    def run(self, block: Block) -> None:
        """Run one block; an AssertionError says what went otherwise, and where."""
        if block.language == "python":
            self._run_program(block)
        else:
            for command, shown in commands_of(block.text):
                self._run_command(block, command, shown)

    def _run_program(self, block: Block) -> None:
        program = self._folder / "example.py"
        program.write_text(self._with_servers(block.text), encoding="utf-8")
        status, printed = self._printed([sys.executable, "-X", "dev", "-W", "error", str(program)])
        assert status == 0, (
            f"{block.place}: the example ends with status {status}. Mend it, or put <!-- not run: reason --> "
            f"above its fence.\n{printed}"
        )

    def _run_command(self, block: Block, command: str, shown: str) -> None:
        status, printed = self._printed(["/bin/sh", "-c", self._with_servers(command)])
        assert agree(normalised(shown), normalised(printed)), (
            f"{block.place}: $ {command}\nends with status {status} and prints:\n{printed}\nand not:\n{shown}"
        )

    def _printed(self, arguments: list[str]) -> tuple[int, str]:
        done = subprocess.run(
            arguments,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            check=False,
        )
        printed = done.stdout.decode(errors="replace")
        for real, example in self._shown.items():
            printed = printed.replace(real, example)
        return done.returncode, printed

    def _with_servers(self, text: str) -> str:
        for example, real in self._servers.items():
            text = text.replace(example, real)
        return text


@pytest.fixture
def make_stage(
    tmp_path: Path, valkey: TemporaryValkey, request: pytest.FixtureRequest
) -> Callable[[list[Block]], Stage]:
    """Makes the stage; PostgreSQL is started only for documents that name it."""

    def make(blocks: list[Block]) -> Stage:
        shutil.copytree(ROOT / "examples" / "data", tmp_path / "examples" / "data")
        database = DATABASE
        if any(DATABASE in block.text for block in blocks):
            postgres: TemporaryPostgres = request.getfixturevalue("shared_postgres")
            database = postgres.create_database()
            with psycopg.connect(database) as connection:
                connection.execute(_TABLE)
        return Stage(tmp_path, valkey.url, database)

    return make


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_examples_run_as_they_stand(document: Path, make_stage: Callable[[list[Block]], Stage]) -> None:
    blocks = [block for block in blocks_of(document.name, document.read_text(encoding="utf-8")) if is_runnable(block)]
    if blocks:
        stage = make_stage(blocks)
        for block in blocks:
            stage.run(block)


EXAMPLE = """
<!-- not run: it needs a cluster -->
```python
raise SystemExit(1)
```

```python
import pathlib
from writebehind import WriteBehind

wb = WriteBehind(cache="redis://localhost:6379/0", database="postgresql://localhost/app")
wb.init()
likes = wb.counter("videos.likes", key="id")
with wb:
    likes.add(7, 2)
    assert likes.incr(7) == 3
pathlib.Path("writebehind.toml").write_text('[counters."videos.likes"]')
```

```console
$ writebehind status --cache redis://localhost:6379/0 \\
    --database postgresql://localhost/app
cache      redis://localhost:6379
...
incidents  0
counter  videos.likes  at risk 2 writes to 1 row, the oldest 1.5 s old; dead letters 0
```

```console
$ make demo
```
"""


def test_an_example_is_run_with_real_servers(make_stage: Callable[[list[Block]], Stage]) -> None:
    blocks = [block for block in blocks_of("EXAMPLE", EXAMPLE) if is_runnable(block)]
    assert [block.place for block in blocks] == ["EXAMPLE:7", "EXAMPLE:20"]
    stage = make_stage(blocks)
    for block in blocks:
        stage.run(block)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```python\nlikes.add(1)\n```", "EXAMPLE:1: the example ends with status 1"),
        ("\n```console\n$ writebehind --version\nwritebehind 0.0.0\n```", r"EXAMPLE:2: \$ writebehind --version"),
    ],
)
def test_an_unmarked_example_that_does_not_run_is_found(
    text: str, complaint: str, make_stage: Callable[[list[Block]], Stage]
) -> None:
    (block,) = [block for block in blocks_of("EXAMPLE", text) if is_runnable(block)]
    stage = make_stage([block])
    with pytest.raises(AssertionError, match=complaint):
        stage.run(block)


def test_timings_are_not_compared_and_all_else_is() -> None:
    shown = normalised("9 lines counted → 2 rows in 1 statement, 0.41 s (24,380 lines/s)  \n\n")
    assert shown == normalised("9 lines counted → 2 rows in 1 statement, 12.04 s (3 lines/s)")
    assert shown != normalised("9 lines counted → 3 rows in 1 statement, 0.41 s (24,380 lines/s)")
    assert agree(["a", "...", "d"], ["a", "b", "c", "d"])
    assert not agree(["a", "...", "d"], ["a", "b", "c"])
