"""The rule that decides what becomes of the front of the chain, case by case."""

from __future__ import annotations

import dataclasses

import pytest

from writebehind.chain import ANY_PARENT, ROOT, Link, Standing, Verdict, judge, new_identity

BATCH = Link("b2", "b1", "i1", "birth", writes=10, size=3, first_write_ms=1_000)
FENCE = Link("f1", ANY_PARENT, "f1", "f1", writes=0, size=0, first_write_ms=1_000)


def standing(
    head: str, *, applied: bool = False, closed: bool = False, applied_birth_writes: int | None = None
) -> Standing:
    return Standing(head, applied, closed, applied_birth_writes)


@pytest.mark.parametrize(
    ("now", "head_seen_before", "verdict"),
    [
        pytest.param(standing("b1"), "b1", Verdict.APPLY, id="its parent is the head"),
        pytest.param(standing("b1"), "b0", Verdict.APPLY, id="its parent became the head meanwhile"),
        pytest.param(standing("b0"), "b1", Verdict.LOOK_AGAIN, id="the head moved since the chain was read"),
        pytest.param(standing("b0"), "b0", Verdict.QUARANTINE, id="it continues another history"),
        pytest.param(standing(ROOT), ROOT, Verdict.QUARANTINE, id="the database has applied nothing at all"),
        pytest.param(standing("b2", applied=True), "b1", Verdict.ACKNOWLEDGE, id="it is applied already"),
        pytest.param(standing("b9", applied=True, closed=True), "b9", Verdict.ACKNOWLEDGE, id="applied, then closed"),
        pytest.param(standing("b1", closed=True), "b1", Verdict.QUARANTINE, id="its incarnation is closed"),
        pytest.param(standing("b0", closed=True), "b1", Verdict.QUARANTINE, id="closed, and the head moved"),
        pytest.param(standing("b7", applied_birth_writes=11), "b7", Verdict.ACKNOWLEDGE, id="a prefix of an applied"),
        pytest.param(standing("b7", applied_birth_writes=10), "b7", Verdict.ACKNOWLEDGE, id="the same, sealed again"),
        pytest.param(standing("b7", applied_birth_writes=9), "b7", Verdict.QUARANTINE, id="more than what was applied"),
        pytest.param(
            standing("b7", closed=True, applied_birth_writes=10), "b7", Verdict.ACKNOWLEDGE, id="a prefix, closed"
        ),
    ],
)
def test_a_batch_is_applied_only_on_top_of_its_parent(now: Standing, head_seen_before: str, verdict: Verdict) -> None:
    assert judge(BATCH, now, head_seen_before) is verdict


@pytest.mark.parametrize(
    ("now", "head_seen_before", "verdict"),
    [
        pytest.param(standing("b5"), "b5", Verdict.APPLY_FENCE, id="it follows whatever was applied"),
        pytest.param(standing(ROOT), ROOT, Verdict.APPLY_FENCE, id="the very first"),
        pytest.param(standing("b6"), "b5", Verdict.LOOK_AGAIN, id="the head moved since the chain was read"),
        pytest.param(standing("f1", applied=True), "b5", Verdict.ACKNOWLEDGE, id="it is applied already"),
        pytest.param(standing("b5", closed=True), "b5", Verdict.QUARANTINE, id="its incarnation was closed before it"),
        pytest.param(standing("b6", closed=True), "b5", Verdict.QUARANTINE, id="closed, and the head moved"),
    ],
)
def test_a_fence_moves_the_head_from_where_it_was_seen(now: Standing, head_seen_before: str, verdict: Verdict) -> None:
    assert judge(FENCE, now, head_seen_before) is verdict


def test_a_batch_that_is_a_prefix_is_never_applied_even_where_its_parent_is_the_head() -> None:
    assert judge(BATCH, standing("b1", applied_birth_writes=10), "b1") is Verdict.ACKNOWLEDGE


def test_a_link_is_read_from_its_entry_of_the_queue() -> None:
    link = Link.parse(b"b2 b1 i1 producer.i1.7 10 3 1700000000000")
    assert link == Link("b2", "b1", "i1", "producer.i1.7", writes=10, size=3, first_write_ms=1_700_000_000_000)
    assert not link.is_fence
    assert dataclasses.replace(link, parent="*").is_fence


@pytest.mark.parametrize("entry", [b"", b"b2 b1", b"b2 b1 i1 birth ten 3 0", b"b2 b1 i1 birth 10 3 0 more", b"\xff"])
def test_an_entry_that_is_none_is_an_error_and_never_guessed(entry: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Link.parse(entry)


def test_identities_are_random_and_128_bits_long() -> None:
    identities = {new_identity() for _ in range(1_000)}
    assert len(identities) == 1_000
    assert all(len(identity) == 32 and int(identity, 16) < 2**128 for identity in identities)
