"""docs/settings.md: its table is what ``writebehind.settings.TABLE`` renders, and its TOML file is read.

Regenerate the table with ``python tests/docs/test_settings.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

from writebehind.setting_sources import DEFAULT_FILE
from writebehind.settings import TABLE, Setting, load_settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_TABLE = re.compile(r"(?<=<!-- table: begin -->\n).*?(?=<!-- table: end -->)", re.DOTALL)
_TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


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
        assert len(settings.counters) == text.count("[counters."), text


if __name__ == "__main__":
    PAGE.write_text(_TABLE.sub(lambda _: rendered(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
