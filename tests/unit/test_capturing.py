"""The parts of a capture that ask no server: dirty keys, what counts of a batch, what is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writebehind.flush.capturing import counted_amount
from writebehind.flush.task import CapturedPart
from writebehind.worker.capture.dirty import DirtyKeys
from writebehind.worker.capture.tally import SHOWN_NAMES, Tally, UnfitKeys


def dirty(*events: tuple[bytes, bytes]) -> DirtyKeys:
    keys = DirtyKeys()
    for key, event in events:
        keys.note(key, event)
    return keys


def test_a_key_is_dirty_once_however_often_it_changes() -> None:
    keys = dirty((b"a", b"incrby"), (b"b", b"set"), (b"a", b"incrby"))
    assert keys.take(10) == {b"a": "", b"b": ""}
    assert keys.take(10) == {}


def test_a_time_to_live_is_no_change() -> None:
    assert len(dirty((b"a", b"expire"), (b"a", b"persist"))) == 0


@pytest.mark.parametrize(
    ("events", "ends"),
    [
        (["incrby", "del", "incrby"], "d"),
        (["expired", "incrby", "evicted"], "v"),
        (["expired", "set", "del", "set"], "vd"),
        (["rename_from", "expired", "del"], "dv"),
        (["move_from"], "d"),
        (["rename_to"], ""),
    ],
)
def test_ends_are_kept_in_their_order(events: list[str], ends: str) -> None:
    assert dirty(*((b"a", event.encode()) for event in events)).take(1) == {b"a": ends}


def test_what_was_put_back_comes_before_what_was_seen_since() -> None:
    keys = dirty((b"a", b"expired"))
    taken = keys.take(1)
    keys.note(b"a", b"del")
    assert keys.ends_since([b"a", b"b"]) == {b"a"}
    keys.put_back(taken)
    assert keys.take(1) == {b"a": "vd"}


def test_the_oldest_are_taken_first() -> None:
    keys = dirty(*((b"%d" % number, b"set") for number in range(5)))
    assert list(keys.take(2)) == [b"0", b"1"]
    assert keys.take_these([b"3", b"9"]) == {b"3": "", b"9": ""}
    assert list(keys.take(9)) == [b"2", b"4"]


def part(start: int | None, value: int, amount: int) -> CapturedPart:
    return CapturedPart("video:1:likes", start, value, amount)


def test_a_part_is_read_as_the_cache_wrote_it() -> None:
    assert CapturedPart.parse(b"5 7 2 a key with spaces") == CapturedPart("a key with spaces", 5, 7, 2)
    assert CapturedPart.parse(b"= 7 0 k") == CapturedPart("k", None, 7, 0)


def test_what_continues_counts_as_it_stands() -> None:
    assert counted_amount(part(5, 3, -2), 5) == -2
    assert counted_amount(part(5, 2, 2), 5) == 2, "a life ended in between"
    assert counted_amount(part(None, 50, 0), 7) == 0


def test_after_a_rollback_only_what_is_beyond_the_known_worth_counts() -> None:
    assert counted_amount(part(3, 5, 2), 5) == 0
    assert counted_amount(part(3, 6, 3), 5) == 1
    assert counted_amount(part(3, 0, -3), 5) == 0, "never lowered"


@given(st.lists(st.integers(1, 5), max_size=30), st.randoms())
def test_however_a_growing_key_is_captured_again_after_rollbacks_its_row_ends_at_its_worth(
    increments: list[int], chance: object
) -> None:
    """Each step: the key grows; it is captured and applied; or the capture is rolled back, and the key is not."""
    worth = captured = row = known = 0
    for increment in increments:
        worth += increment
        if chance.random() < 0.5:  # type: ignore[attr-defined]
            row += counted_amount(part(captured, worth, worth - captured), known)
            known = worth
            if chance.random() < 0.6:  # type: ignore[attr-defined]
                captured = worth
    row += counted_amount(part(captured, worth, worth - captured), known)
    assert row == worth


def test_the_tally_travels_as_text() -> None:
    tally = Tally(captured=3)
    assert tally.note_vanished(b"%d" % number for number in range(30)) == 30
    assert len(tally.vanished_names) == SHOWN_NAMES
    assert Tally.from_text(tally.to_text().encode()) == tally
    assert Tally.from_text(b'{"captured":1,"of a later version":2}') == Tally(captured=1)
    assert Tally.from_text(None) == Tally()


def test_unfit_keys_are_news_once() -> None:
    unfit = UnfitKeys()
    assert unfit.note(b"a", "why")
    assert not unfit.note(b"a", "another why")
    assert unfit.shown() == ["a: another why"]
    unfit.fits(b"a")
    assert len(unfit) == 0
