"""docs/settings.md: its table is what ``writebehind.settings.TABLE`` renders, its TOML file is read, and the options of
mappings are those of ``writebehind.setting_sources.SECTIONS``, those of captures its ``CAPTURE_OPTIONS``.

Regenerate the table with ``python tests/docs/test_settings.py``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from writebehind.mapping import declare_capture
from writebehind.setting_kinds import Kind
from writebehind.setting_sources import CAPTURE_OPTIONS, CAPTURE_SECTION, DEFAULT_FILE, SECTIONS
from writebehind.settings import TABLE, Setting, load_settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_TABLE = re.compile(r"(?<=<!-- table: begin -->\n).*?(?=<!-- table: end -->)", re.DOTALL)
_TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def rendered() -> str:
    """The table as Markdown."""
    lines = ["| setting | variable | default | meaning | a value |", "|---|---|---|---|---|"]
    lines += [_row(setting) for setting in TABLE]
    return "\n".join(lines) + "\n"


def _row(setting: Setting) -> str:
    cells = (
        f"`{setting.name}`",
        f"`{setting.variable}`",
        _default(setting.default),
        setting.help,
        setting.kind.fix,
    )
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{value:.15g}`"
    return f"`{value}`"


def test_the_table_is_what_the_code_has() -> None:
    found = _TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert found, "docs/settings.md has lost its table's markers"
    assert found[0] == rendered(), "docs/settings.md is out of date. Run: python tests/docs/test_settings.py"


def test_the_toml_file_is_read_as_it_stands(tmp_path: Path) -> None:
    files = _TOML.findall(PAGE.read_text(encoding="utf-8"))
    assert files
    for number, text in enumerate(files):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / DEFAULT_FILE).write_text(text, encoding="utf-8")
        settings = load_settings({}, {}, folder)
        declared = re.findall(r"^\[(\w+)\.", text, re.MULTILINE)
        assert len(settings.mappings) + len(settings.captures) == len(declared), text
        assert set(declared) == {*SECTIONS, CAPTURE_SECTION}, "every kind has its example"


@pytest.mark.parametrize("section", SECTIONS)
def test_the_options_of_a_mapping_are_those_of_the_code(section: str) -> None:
    rows = rows_of(section)
    assert [name for name, _ in rows] == [*SECTIONS[section].options, "database"]
    parameters = inspect.signature(SECTIONS[section].parse).parameters
    for name, shown in rows:
        default = None if name == "database" else parameters[name].default
        if default in (None, inspect.Parameter.empty):
            assert not shown.startswith('`"') or name == "best", f"{name} has no default"  # best: depends on keep
        else:
            assert shown == (f'`"{default}"`' if isinstance(default, str) else f"`{default}`"), name


def test_the_options_of_a_capture_are_those_of_the_code() -> None:
    rows = rows_of(CAPTURE_SECTION)
    assert [name for name, _ in rows] == list(CAPTURE_OPTIONS)
    defaults = {
        name: f'`"{value}"`' if isinstance(value, str) else f"`{value}`"
        for declared in (
            declare_capture("video:{id}:likes", to="videos.likes"),
            declare_capture("board:{game}", to="scores.points", member="player"),
        )
        for name in ("missing", "keep", "partitions")
        if (value := getattr(declared.mapping, name, None)) is not None
    }
    assert {name: shown for name, shown in rows if shown.startswith(('`"', "`1"))} == defaults


@pytest.mark.parametrize("section", [*SECTIONS, CAPTURE_SECTION])
def test_the_choices_of_an_option_are_said(section: str) -> None:
    for name, kind in options_of(section).items():
        if kind.fix.startswith("Use one of "):
            choices = kind.fix.removeprefix("Use one of ").rstrip(".").split(", ")
            (row,) = re.findall(rf"^\| `{name}` .*$", text_of(section), re.MULTILINE)
            assert all(f'`"{choice}"`' in row for choice in choices), row


def options_of(section: str) -> Mapping[str, Kind]:
    return CAPTURE_OPTIONS if section == CAPTURE_SECTION else SECTIONS[section].options


def text_of(section: str) -> str:
    """What the page says under the section's heading."""
    found = re.search(rf"^### {section.capitalize()}$(.*?)(?=^#|\Z)", page(), re.MULTILINE | re.DOTALL)
    assert found, f"docs/settings.md has no section ### {section.capitalize()}"
    return found[1]


def rows_of(section: str) -> list[tuple[str, str]]:
    """The options under the section's heading, each with its default."""
    return re.findall(r"^\| `(\w+)` \| (.*?) \|", text_of(section), re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(_TABLE.sub(lambda _: rendered(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
