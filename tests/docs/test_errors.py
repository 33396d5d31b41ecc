"""docs/errors.md: every error that the library can raise has its section, and the tree is the code's."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import writebehind
from writebehind import errors

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
ERRORS = {
    name: found
    for name, found in vars(errors).items()
    if inspect.isclass(found) and issubclass(found, errors.WriteBehindError) and not name.startswith("_")
}
PARTS = ("When", "Written", "Do")


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def section(name: str) -> str:
    """What stands below an error's heading; '' where it has none."""
    found = re.search(rf"^### {name}$(.*?)(?=^#|\Z)", page(), re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_says_when_what_was_written_and_what_to_do(name: str) -> None:
    text = section(name)
    assert text, f"docs/errors.md has no section ### {name}"
    for part in PARTS:
        assert re.search(rf"^\*\*{part}\.\*\* \S", text, re.MULTILINE), f"{name}: **{part}.** is missing"
    says_retry = "The same call can succeed later" in text
    assert says_retry == ERRORS[name].retryable, f"{name}: retryable is {ERRORS[name].retryable}"


def test_no_section_is_left_of_an_error_that_is_gone() -> None:
    assert set(re.findall(r"^### (\w+)$", page(), re.MULTILINE)) == set(ERRORS)


def test_the_tree_is_that_of_the_code() -> None:
    documentation = inspect.getdoc(errors)
    assert documentation
    tree = documentation.partition("::\n\n")[2].partition("\n\nEach")[0]
    assert f"```text\n{inspect.cleandoc(tree)}\n```" in page()


def test_the_tree_has_every_error_below_its_parent() -> None:
    parents: dict[int, str] = {}
    found: dict[str, str] = {}
    for line in re.findall(r"^```text\n(.*?)```", page(), re.MULTILINE | re.DOTALL)[0].splitlines():
        match = re.match(r"([│├└─ ]*)(\w+)", line)
        assert match, line
        depth = len(match[1]) // 4
        parents[depth] = match[2]
        found[match[2]] = parents.get(depth - 1, "Exception")
    assert found == {name: error.__bases__[0].__name__ for name, error in ERRORS.items()}


def test_every_error_of_the_public_names_is_documented() -> None:
    public = {name for name in writebehind.__all__ if name in ERRORS}
    assert public
    for name in public:
        assert section(name), name
