"""Settings: who wins, what is refused, how all of it is said at once and without passwords."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from writebehind.errors import ConfigurationError
from writebehind.mapping import CounterMapping, EventMapping, LeaderboardMapping, RecordMapping
from writebehind.settings import TABLE, Settings, load_settings


def load(tmp_path: Path, toml: str = "", /, environment: dict[str, str] | None = None, **arguments: object) -> Settings:
    if toml:
        (tmp_path / "writebehind.toml").write_text(toml)
    return load_settings(arguments, environment or {}, tmp_path)


def problems(
    tmp_path: Path, toml: str = "", /, environment: dict[str, str] | None = None, **arguments: object
) -> list[str]:
    """The error's lines, one for each problem."""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, toml, environment, **arguments)
    heading, *lines = str(caught.value).split("\n")
    count = "one problem" if len(lines) == 1 else f"{len(lines)} problems"
    assert heading == f"the configuration has {count}:"
    return [line.removeprefix("  - ") for line in lines]


def test_the_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings == Settings(folder=tmp_path / ".writebehind")
    assert (settings.cache, settings.flush_after_s, settings.ack, settings.mappings) == (None, 10.0, "memory", ())


def test_load_reads_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WRITEBEHIND_FLUSH_ROWS", "7")
    assert Settings.load(flush_after=3).flush_rows == 7


def test_the_table_describes_every_field() -> None:
    assert [row.field for row in TABLE] == [
        each.name for each in fields(Settings) if each.name not in ("mappings", "captures")
    ]
    assert all(row.help.endswith(".") and row.kind.fix.endswith(".") for row in TABLE)
    by_name = {row.name: row for row in TABLE}
    assert by_name["flush_after"].variable == "WRITEBEHIND_FLUSH_AFTER"
    assert by_name["flush_after"].field == "flush_after_s"
    assert by_name["linger_ms"].field == "linger_ms"
    for row in TABLE:
        if row.default is not None:
            assert row.kind.check(row.default) == row.default


def test_arguments_win_over_variables_over_the_file_over_the_defaults(tmp_path: Path) -> None:
    toml = "flush_after = 1\nflush_rows = 1\nbatch_fields = 1\n"
    environment = {"WRITEBEHIND_FLUSH_AFTER": "2", "WRITEBEHIND_FLUSH_ROWS": "2"}
    settings = load(tmp_path, toml, environment, flush_after=3, timeout=None)
    assert (settings.flush_after_s, settings.flush_rows, settings.batch_fields) == (3.0, 2, 1)
    assert settings.timeout_s == 5.0


def test_every_source_takes_every_type(tmp_path: Path) -> None:
    toml = (
        'cache = "redis://a/0"\nlinger_ms = 0\nallow_eviction = true\nack = "local"\nfolder = "data"\nring_groups = 9\n'
    )
    from_file = load(tmp_path, toml)
    (tmp_path / "writebehind.toml").unlink()
    environment = {
        "WRITEBEHIND_CACHE": "redis://a/0",
        "WRITEBEHIND_LINGER_MS": "0.0",
        "WRITEBEHIND_ALLOW_EVICTION": "true",
        "WRITEBEHIND_ACK": "local",
        "WRITEBEHIND_FOLDER": "data",
        "WRITEBEHIND_RING_GROUPS": "9",
        "PATH": "not ours",
    }
    from_environment = load(tmp_path, environment=environment)
    from_arguments = load(
        tmp_path,
        cache="redis://a/0",
        linger_ms=0,
        allow_eviction=True,
        ack="local",
        folder=Path("data"),
        ring_groups=9,
    )
    assert from_file == from_environment == from_arguments
    assert from_file.folder == tmp_path / "data"


def test_a_named_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "a.toml").write_text('flush_rows = 5\nfolder = "data"')
    (tmp_path / "b.toml").write_text("flush_rows = 6")
    by_variable = load(tmp_path, environment={"WRITEBEHIND_CONFIG": "etc/a.toml"})
    assert by_variable.flush_rows == 5
    assert by_variable.folder == tmp_path / "etc" / "data"
    assert load(tmp_path, environment={"WRITEBEHIND_CONFIG": "etc/a.toml"}, config="b.toml").flush_rows == 6
    assert load(tmp_path, "flush_rows = 7", config=tmp_path / "b.toml").flush_rows == 6


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    toml = 'flush_after = "10"\nflush_row = 1\n[counters."videos.likes"]\nmissing = "sometimes"\n'
    environment = {"WRITEBEHIND_FLUSH_AFTER": "soon", "WRITEBEHIND_TIMOUT": "3"}
    assert problems(tmp_path, toml, environment, flush_after=-1, flush_aftr=1, ack="safe", batch_fields=2.5) == [
        "flush_row (writebehind.toml) is not a setting. Did you mean flush_rows?",
        "WRITEBEHIND_TIMOUT (environment variable) is not a setting. Did you mean WRITEBEHIND_TIMEOUT?",
        "flush_aftr (argument) is not a setting. Did you mean flush_after?",
        "flush_after (writebehind.toml: flush_after) is '10': it is text and not a number. "
        "Use a positive number of seconds, for example 10 or 0.5.",
        "flush_after (environment variable WRITEBEHIND_FLUSH_AFTER) is 'soon': it is not a number in digits. "
        "Use a positive number of seconds, for example 10 or 0.5.",
        "flush_after (argument flush_after) is -1: it is not above zero. "
        "Use a positive number of seconds, for example 10 or 0.5.",
        "ack (argument ack) is 'safe': it is not one of the choices. "
        "Use one of local, memory, replica, disk, database.",
        "batch_fields (argument batch_fields) is 2.5: it is a fraction and not a whole number. "
        "Use a whole number of rows, from 1 to 1000000.",
        "missing (writebehind.toml: counters.\"videos.likes\".missing) is 'sometimes': it is not one of the choices. "
        "Use one of dead_letter, insert, ignore.",
    ]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("flush_after", float("nan"), "it is not finite"),
        ("flush_after", float("inf"), "it is not finite"),
        ("flush_after", 0, "it is not above zero"),
        ("flush_after", True, "it is true or false and not a number"),
        ("flush_after", 10**30, "it is more than"),
        ("linger_ms", -1, "it is negative"),
        ("flush_rows", True, "it is true or false and not a whole number"),
        ("flush_rows", 0, "it is not between 1 and"),
        ("allow_eviction", 1, "it is a number and neither true nor false"),
        ("ack", ["memory"], "it is not one of the choices"),
        ("ring_full", "drop", "it is not one of the choices"),
        ("buffer_full", "release", "Use one of block, refuse"),
        ("cache", "localhost:6379", "it is not a URL"),
        ("cache", "http://localhost", "its scheme is none of redis, "),
        ("database", 5, "it is a number and not text"),
        ("database", "mongodb://localhost", "its scheme is none of postgresql, "),
        ("namespace", "a b", "it has characters or a length that are not allowed"),
        ("namespace", "", "it is empty"),
        ("folder", "", "it is empty"),
        ("folder", 5, "it is a number and not a path"),
        ("config", "absent.toml", "No such file"),
    ],
)
def test_arguments_that_are_refused(tmp_path: Path, name: str, value: object, reason: str) -> None:
    (line,) = problems(tmp_path, **{name: value})
    assert line.startswith(f"{name} (argument {name}) is ")
    assert reason in line


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("FLUSH_AFTER", " 10"),
        ("FLUSH_AFTER", "1_0"),
        ("FLUSH_AFTER", "10s"),
        ("FLUSH_AFTER", "nan"),
        ("FLUSH_AFTER", "٣"),
        ("FLUSH_AFTER", ""),
        ("FLUSH_ROWS", "1.0"),
        ("FLUSH_ROWS", "1e3"),
        ("ALLOW_EVICTION", "yes"),
        ("ALLOW_EVICTION", "True"),
    ],
)
def test_variables_are_read_strictly(tmp_path: Path, name: str, text: str) -> None:
    (line,) = problems(tmp_path, environment={f"WRITEBEHIND_{name}": text})
    assert f"(environment variable WRITEBEHIND_{name}) is {text!r}: it is " in line


def test_settings_that_do_not_go_together(tmp_path: Path) -> None:
    first, second = problems(tmp_path, flush_rows=100, max_pending_rows=10, poll=5, lease_ttl=5)
    assert "flush_rows (100) is more than max_pending_rows (10)" in first
    assert "poll (5 s) is not below lease_ttl (5 s)" in second


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "flush_after = \n")
    assert line.startswith("config (in the working directory) is 'writebehind.toml': it is not TOML: ")
    assert "line 1" in line
    (tmp_path / "latin.toml").write_bytes(b'cache = "\xe9"')
    (line,) = problems(tmp_path, environment={"WRITEBEHIND_CONFIG": "latin.toml"}, config=None)
    assert line.startswith("config (environment variable WRITEBEHIND_CONFIG) is 'latin.toml': it is not TOML: ")


def test_counters(tmp_path: Path) -> None:
    toml = """
        [counters."videos.likes"]
        key = "id"
        missing = "insert"
        [counters."shop.scores.points"]
        key = ["board", "player"]
        partitions = 4
        cached_value_ttl_ms = 500
    """
    assert load(tmp_path, toml).mappings == (
        (CounterMapping("videos", "likes", ("id",), "insert"), None),
        (CounterMapping("shop.scores", "points", ("board", "player"), partitions=4, cached_value_ttl_ms=500), None),
    )


def test_every_kind_of_mapping(tmp_path: Path) -> None:
    toml = """
        [leaderboards."scores.points"]
        member = "player"
        board = "game"
        keep = "min"
        [records.profiles]
        key = "id"
        version = "updated_at"
        [events.clicks]
        position = "place"
        max_length = 5
        when_full = "refuse"
        database = "duckdb:///events.duckdb"
    """
    assert load(tmp_path, toml).mappings == (
        (LeaderboardMapping("scores", "points", "player", "game", "min", "lowest"), None),
        (RecordMapping("profiles", ("id",), version="updated_at"), None),
        (EventMapping("clicks", position="place", max_length=5, when_full="refuse"), "duckdb:///events.duckdb"),
    )


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("counters = 5", ["(writebehind.toml: counters) is not a table"]),
        ("[counters]\nlikes = 5", ["(writebehind.toml: counters.\"likes\") is not a table"]),
        ("[counters.videos.likes]\nkey = 'id'", ["without quotes", 'Write [counters."videos.likes"]']),
        ("[counters.likes]\nkey = 'id'", ["'likes' (writebehind.toml: counters.\"likes\")", "TABLE.COLUMN"]),
        ("[counters.'a.b']\nkeys = 'id'", ["keys (writebehind.toml: counters.\"a.b\")", "Did you mean key?"]),
        ("[counters.'a.b']\nkey = 5", ["counters.\"a.b\".key", "neither a name nor a list of names"]),
        ("[counters.'a.b']\nkey = ['id', 'id']", ["counters.\"a.b\"", "different ones"]),
        ("[leaderboards.'a.b']\nkeep = 'max'", ["leaderboards.\"a.b\"", 'member = "player"']),
        ("[records.profiles]\nmissing = 'insert'", ["missing (writebehind.toml: records.\"profiles\")"]),
        ("[events.clicks]\ndatabase = 'mongo://x'", ["events.\"clicks\".database", "its scheme is none of"]),
        ("[counters.'a.b']\npartitions = true", ["counters.\"a.b\".partitions", "not a whole number"]),
    ],
)  # fmt: skip
def test_counters_that_are_refused(tmp_path: Path, toml: str, parts: list[str]) -> None:
    (line,) = problems(tmp_path, toml)
    assert all(part in line for part in parts), line


def test_captures(tmp_path: Path) -> None:
    toml = """
        [capture."video:{id}:likes"]
        to = "videos.likes"
        baseline = "cache"
        [capture."user:{id}"]
        to = "profiles"
        [capture."board:{game}"]
        to = "scores.points"
        member = "player"
    """
    captures = load(tmp_path, toml).captures
    assert [each.capture.pattern.text for each in captures] == ["video:{id}:likes", "user:{id}", "board:{game}"]
    assert [each.mapping for each in captures] == [
        CounterMapping("videos", "likes", ("id",)),
        RecordMapping("profiles", ("id",)),
        LeaderboardMapping("scores", "points", "player", "game", "last", "highest"),
    ]
    assert captures[0].capture.baseline == "cache"


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("capture = 5", ["capture (writebehind.toml: capture) is not a table"]),
        ("[capture]\n'v:{id}' = 5", ["the capture 'v:{id}'", "is not a table"]),
        ("[capture.'v:{id}']", ["does not say where to", "to ="]),
        ("[capture.'v:{id}']\nto = 'a.b'\nbaselin = 'zero'", ["baselin (writebehind.toml", "Did you mean baseline?"]),
        ("[capture.'v:{id}']\nto = 'a.b'\nbaseline = 'mine'", ["baseline", "database, cache, zero"]),
        ("[capture.'v:{id}']\nto = 'a.b'\ncolumns = 'x'", ["columns= does not belong to a counter"]),
        ("[capture.'{id}']\nto = 'a.b'", ["the library's own keys"]),
        ("[captures.'v:{id}']\nto = 'a.b'", ["Did you mean capture?"]),
    ],
)  # fmt: skip
def test_captures_that_are_refused(tmp_path: Path, toml: str, parts: list[str]) -> None:
    (line,) = problems(tmp_path, toml)
    assert all(part in line for part in parts), line


def test_counters_are_no_argument(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, counters=())
    assert line.startswith("counters (argument) is not a setting.")


@pytest.mark.parametrize(
    "value",
    [
        "http://user:hunter2@host/0",
        "http://:hunter2@host/0",
        "http://user:hun@ter2/hunter2@host:port/0",
        "http://host/app?password=hunter2",
        "user=me password=hunter2",
    ],
)
@pytest.mark.parametrize("name", ["cache", "database", "namespace"])
def test_passwords_are_not_shown(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, **{name: value})
    assert "ter2" not in str(caught.value)
    assert "ter2" not in repr(caught.value)
    assert "***" in str(caught.value)


def test_a_url_may_name_several_hosts(tmp_path: Path) -> None:
    url = "postgresql://user@a:5432,b:5432/app"
    assert load(tmp_path, database=url).database == url


@pytest.mark.parametrize("url", ["postgresql://h/app", "postgres://h/app", "sqlite:///a.db", "duckdb:///a.duckdb"])
def test_every_database_can_be_the_common_one(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, database=url).database == url


def test_the_settings_can_be_printed(tmp_path: Path) -> None:
    settings = load(tmp_path, cache="redis://user:hunter2@host/0")
    assert "hunter2" not in repr(settings)
    assert "cache='redis://user:***@host/0'" in repr(settings)
    assert settings.cache == "redis://user:hunter2@host/0"
