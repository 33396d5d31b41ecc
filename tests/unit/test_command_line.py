"""The command line as a whole: quick help, honest exit statuses, and options that are checked first."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from writebehind.cli.lazy import LazyCommand, LazyGroup
from writebehind.cli.loading import load_application
from writebehind.cli.main import COMMANDS, main
from writebehind.errors import BufferFull, ConfigurationError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


def test_version() -> None:
    assert run("--version").output == f"writebehind {version('writebehind')}\n"


def test_no_command_module_is_imported_before_its_command_is_called() -> None:
    program = (
        "import json, sys\n"
        "from writebehind.cli.main import COMMANDS, main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print('|', json.dumps([c.module for c in COMMANDS.values() if c.module in sys.modules] "
        "+ [name for name in ('rich', 'writebehind.ingest') if name in sys.modules]))\n"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(output.rpartition("|")[2]) == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
def test_every_command_has_help_and_its_summary_there(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0, result.output


def failing(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (BufferFull("no room", fix="Flush."), 1, "writebehind: no room. Flush.\n"),
        (ConfigurationError("cache=5", fix="Give a URL."), 2, "writebehind: cache=5. Give a URL.\n"),
        (KeyboardInterrupt(), 130, "writebehind: interrupted; what the cache has accepted is safe there, "
         "and the next flush brings it to the database\n"),
    ],
)  # fmt: skip
def test_errors_are_one_message_and_an_exit_status(
    error: BaseException, status: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "the_command", failing(error))
    monkeypatch.setitem(sys.modules, "failing_command", sys.modules[__name__])
    group = LazyGroup(name="writebehind", lazy_commands={"fail": LazyCommand("failing_command", "the_command", "")})
    result = CliRunner().invoke(group, ["fail"])
    assert result.exit_code == status
    assert result.stderr == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "combined"], "give --counter, --leaderboard, --records or --events"),
        (["--format", "xml", "--counter", "t.c=a"], "xml"),
        (["--format", "combined", "--counter", "t=path"], "TABLE.COLUMN=FIELD"),
        (["--format", "combined", "--counter", "t.c=url"], "no field 'url'"),
        (["--format", "combined", "--counter", "t.c=path:length"], "no field 'length'"),
        (["--format", "ndjson", "--counter", "t.c=a", "--delimiter", ";"], "--delimiter is for --format csv"),
        (["--format", "csv", "--counter", "t.c=a", "--delimiter", ";;"], "not one character"),
        (["--format", "csv", "--counter", "t.c=a", "--key", "u=id"], "no other option writes to"),
        (["--format", "csv", "--counter", "t.c=a", "--key", "t=id+name"], "reads 1 key fields"),
        (["--format", "csv", "--counter", "t.c=a", "--key", "t"], "not TABLE=COLUMN"),
        (["--format", "csv", "--counter", "t.a=a", "--create"], "both the key and a column that --counter fills"),
        (["--format", "csv", "--counter", "t.c=a", "--counter", "t.d=b", "--create"], "--key t=COLUMN"),
        (["--format", "csv", "--counter", "t.c=a", "--config", "absent.toml"], "absent.toml"),
        (["--format", "combined", "--leaderboard", "t.c=client"], "TABLE.COLUMN=MEMBER_FIELD:SCORE_FIELD"),
        (["--format", "combined", "--leaderboard", "t.c=client:bytes"], "no field 'bytes'"),
        (["--format", "combined", "--records", "t=client"], "TABLE=KEY_FIELD:FIELD"),
        (["--format", "combined", "--records", "t=client:at"], "--records reads 'at'"),
        (["--format", "combined", "--events", "t"], "TABLE=FIELD,FIELD"),
        (["--format", "combined", "--events", "t=path", "--key", "t=path"], "events have no key"),
        (["--format", "ndjson", "--events", "t=*", "--create"], "not known of ndjson beforehand"),
        (["--format", "csv", "--events", "t=a", "--database-of", "u=sqlite:///u.db"], "names the table 'u'"),
        (["--format", "csv", "--events", "t=a", "--database-of", "t"], "TABLE=URL"),
        (["--format", "csv", "--events", "t=a", "--database-of", "t=oracle://x"], "names no database that is known"),
        (
            ["--format", "csv", "--events", "t=a", "--records", "t=a:b"],
            "--records and --events cannot both write to 't'",
        ),
    ],
)
def test_wrong_usage_of_ingest_is_told_before_anything_is_contacted(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "input").write_text("")
    result = run("ingest", "input", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split()), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["input"]


def test_a_file_that_is_not_there_is_wrong_usage() -> None:
    assert run("ingest", "absent.log", "--format", "csv", "--counter", "t.c=a").exit_code == 2


@pytest.fixture
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading an application puts the working directory on the path; not beyond the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.usefixtures("own_path")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "'nothing' is not MODULE:NAME"),
        ("nothing:", "'nothing:' is not MODULE:NAME"),
        (":wb", "':wb' is not MODULE:NAME"),
        ("no_such_module:wb", "there is no module 'no_such_module'"),
        ("json:no_such_name", "'json' has no 'no_such_name'"),
        ("json:dumps", "json:dumps is not a WriteBehind: it is of type function"),
    ],
)
def test_an_application_that_cannot_be_found_is_named(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_application(name)


@pytest.mark.usefixtures("own_path")
def test_what_an_application_imports_in_vain_is_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_application.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        load_application("broken_application:wb")


def test_an_application_and_options_contradict_each_other() -> None:
    result = run("status", "shop:wb", "--cache", "redis://localhost")
    assert result.exit_code == 2
    assert "Give one of the two" in result.stderr
