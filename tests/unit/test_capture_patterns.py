"""Which keys a pattern names, and which patterns are refused."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writebehind.errors import ConfigurationError
from writebehind.mapping import CaptureMapping, CapturePattern
from writebehind.mapping.capture import could_name_the_same

LITERALS = st.text(st.characters(codec="utf-8", exclude_characters="{}"), min_size=1, max_size=6)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=6)


def test_a_placeholder_names_a_key_column() -> None:
    pattern = CapturePattern.parse("video:{id}:likes")
    assert pattern.placeholders == ("id",)
    assert pattern.glob == "video:*:likes"
    assert pattern.match(b"video:123:likes") == ("123",)
    assert pattern.match(b"video::likes") is None
    assert pattern.match(b"video:123:likes:more") is None


def test_several_placeholders_stand_in_any_order() -> None:
    pattern = CapturePattern.parse("shop:{shop}:{item}")
    assert pattern.match(b"shop:7:a:b") == ("7", "a:b")


def test_braces_and_glob_characters_of_the_keys_own() -> None:
    pattern = CapturePattern.parse("a*[{{x}}]?:{id}")
    assert pattern.glob == r"a\*\[{x}\]\?:*"
    assert pattern.match(b"a*[{x}]?:7") == ("7",)


def test_a_key_that_is_not_utf_8_is_not_captured() -> None:
    assert CapturePattern.parse("video:{id}").match(b"video:\xff") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty pattern"),
        ("video:{id", "no partner"),
        ("video:id}", "no partner"),
        ("video:{}", "empty placeholder"),
        ("video:{id}{other}", "touch each other"),
        ("video:{id}:{id}", "twice"),
        ("{id}", "library's own keys"),
        ("{id}:likes", "library's own keys"),
        ("wb:{{{id}}}:open", "library's own keys"),
        ("w{id}", "library's own keys"),
    ],
)
def test_what_is_no_pattern_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CapturePattern.parse(text)


def test_an_unknown_baseline_is_refused_with_what_each_means() -> None:
    with pytest.raises(ConfigurationError, match="rows are right"):
        CaptureMapping.parse("video:{id}", to="videos.likes", baseline="mine")


@given(LITERALS, TEXTS, LITERALS, TEXTS)
def test_what_a_pattern_was_made_of_it_finds_again_or_reads_as_another_one(
    first: str, one: str, second: str, other: str
) -> None:
    pattern = CapturePattern.parse(f"x{first}{{a}}{second}{{b}}")
    key = f"x{first}{one}{second}{other}"
    texts = pattern.match(key.encode())
    assert texts is not None
    assert f"x{first}{texts[0]}{second}{texts[1]}" == key, "one reading is one key"


@given(st.lists(st.sampled_from(["a", "b", "*", "?", "[", "\\", "]"]), min_size=1, max_size=6))
def test_the_glob_of_a_literal_matches_it_alone(characters: list[str]) -> None:
    text = "x" + "".join(characters)
    glob = CapturePattern.parse(text.replace("{", "{{")).glob
    unescaped, index = "", 0
    while index < len(glob):
        index += glob[index] == "\\"
        assert index < len(glob)
        unescaped += glob[index]
        index += 1
    assert unescaped == text


SHAPES = st.lists(st.sampled_from(["a", "b", "ab", None]), min_size=1, max_size=4)


@given(SHAPES, SHAPES)
def test_two_shapes_overlap_exactly_when_some_key_fits_both(left: list[str | None], right: list[str | None]) -> None:
    def fits(key: str, shape: list[str | None]) -> bool:
        return fnmatchcase(key, "".join("?*" if part is None else part for part in shape))

    keys = [""]
    for _ in range(8):
        keys = [*keys, *(key + letter for key in keys[-(2**8) :] for letter in "ab")]
    found = any(fits(key, left) and fits(key, right) for key in set(keys))
    if found:
        assert could_name_the_same(left, right)
    if not could_name_the_same(left, right):
        assert not found
