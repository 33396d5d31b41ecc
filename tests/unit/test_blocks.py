"""SQL in named, commented blocks."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from writebehind.databases.blocks import load_blocks, parse_blocks

FILES = [
    (f"writebehind.databases.{dialect}", file.name)
    for dialect in ("postgresql", "sqlite")
    for file in resources.files(f"writebehind.databases.{dialect}").iterdir()
    if file.name.endswith(".sql") and file.name != "schema.sql"
]


def test_a_block_ends_at_the_next_name_and_comments_are_not_sent() -> None:
    text = (
        "-- A file.\n\n-- name: one\n-- Why %s is here.\nSELECT 1\n  -- more\n  , 2;\n\n-- name: two\nSELECT '-- no';\n"
    )
    assert parse_blocks(text, "a.sql") == {"one": "SELECT 1\n  , 2;", "two": "SELECT '-- no';"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SELECT 1;\n", "a.sql:1: SQL before"),
        ("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n", "a.sql:3: the block 'one' is there twice"),
        ("-- name: one\n-- nothing\n", "the block 'one' is empty"),
    ],
)
def test_a_file_with_a_mistake_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        parse_blocks(text, "a.sql")


@pytest.mark.parametrize(("package", "file"), FILES)
def test_every_file_of_ours_has_a_header_and_blocks(package: str, file: str) -> None:
    assert resources.files(package).joinpath(file).read_text("utf-8").startswith("-- ")
    assert load_blocks(package, file)
    assert load_blocks(package, file) is load_blocks(package, file)


def test_blocks_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        load_blocks(*FILES[0])["one"] = "SELECT 2"  # type: ignore[index]
