"""The lane, step by step and without a server: what joins, what flies, what is kept, what is written again."""

from __future__ import annotations

import pytest

from writebehind.cache.calls import Refused, Written
from writebehind.cache.replies import NotExecuted
from writebehind.client.flights import Flight
from writebehind.client.groups import GROUP_FIELDS, AmountGroup
from writebehind.client.lane import Lane
from writebehind.client.ring import RingBounds
from writebehind.errors import BufferFull, CacheUnavailable
from writebehind.values import INT64_MAX, INT64_MIN

AWAY = NotExecuted("the cache is away")
SILENT = CacheUnavailable("the cache did not answer in time")


def new_lane(*, groups: int = 100, size_bytes: int = 1_000_000, when_full: str = "block") -> Lane:
    lane = Lane("videos.likes/0", RingBounds(groups, size_bytes, when_full))
    lane.move_to("i1", leaving="")
    return lane


def send(lane: Lane) -> Flight:
    """Take the next group and begin to send it."""
    group = lane.take()
    assert group is not None
    flight = lane.depart(group)
    assert flight is not None
    return flight


def answer(*, confirmed: int = 0, totals: tuple[int, ...] = ()) -> Written:
    return Written(confirmed, "birth", 1, totals, already=False)


def write(lane: Lane, field: bytes = b"1", units: int = 1) -> AmountGroup:
    """One write that the cache accepts."""
    group, _ = lane.join(field, units)
    lane.written(send(lane), answer())
    return group


def waiting(lane: Lane) -> list[dict[bytes, int]]:
    """What the lane sends from now on, group by group."""
    sent = []
    while (group := lane.take()) is not None:
        flight = lane.depart(group)
        assert flight is not None
        sent.append(dict(group.amounts))
        lane.written(flight, answer())
    return sent


# Joining


def test_writes_that_wait_are_merged_by_key() -> None:
    lane = new_lane()
    first, _ = lane.join(b"1", 2)
    second, _ = lane.join(b"2", 5)
    third, _ = lane.join(b"1", 3)
    assert first is second is third
    assert (first.amounts, first.writes) == ({b"1": 5, b"2": 5}, 3)


def test_a_group_that_was_taken_is_joined_no_more() -> None:
    lane = new_lane()
    first, _ = lane.join(b"1", 1)
    send(lane)
    second, _ = lane.join(b"1", 1)
    assert second is not first


def test_writes_that_ask_for_their_total_never_share_a_group_with_plain_ones() -> None:
    lane = new_lane()
    plain, _ = lane.join(b"1", 1)
    total, _ = lane.join(b"1", 1, want_total=True)
    assert plain is not total
    assert lane.join(b"2", 1)[0] is plain
    assert lane.join(b"2", 1, want_total=True)[0] is total


def test_a_group_holds_a_thousand_keys_and_then_another_opens() -> None:
    lane = new_lane()
    groups = [lane.join(b"%d" % number, 1)[0] for number in range(GROUP_FIELDS + 1)]
    assert len(groups[0].amounts) == GROUP_FIELDS
    assert groups[-1] is not groups[0]


@pytest.mark.parametrize(("first", "second"), [(INT64_MAX, 1), (INT64_MIN, -1)])
def test_a_sum_beyond_64_bits_opens_another_group(first: int, second: int) -> None:
    lane = new_lane()
    lane.join(b"1", first)
    lane.join(b"1", second)
    assert waiting(lane) == [{b"1": first}, {b"1": second}]


def test_each_of_many_callers_on_one_key_gets_its_own_total() -> None:
    lane = new_lane()
    places = [lane.join(b"1", units, want_total=True)[1] for units in (5, -2, 10)]
    group, other = lane.join(b"2", 7, want_total=True)
    lane.written(send(lane), answer(totals=(113, 7)))
    assert [group.total_of(b"1", place) for place in places] == [105, 103, 113]
    assert group.total_of(b"2", other) == 7


def test_totals_that_the_answer_lacks_are_unknown_and_the_write_is_done() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1, want_total=True)
    lane.written(send(lane), answer())
    assert group.resolved
    assert group.totals_unknown


# Taking back


def test_a_write_that_was_never_sent_can_be_taken_back() -> None:
    lane = new_lane()
    group, place = lane.join(b"1", 5)
    assert lane.withdraw(group, [(b"1", 5, place)])
    assert lane.is_idle
    lane.join(b"1", 1)
    assert waiting(lane) == [{b"1": 1}]


@pytest.mark.parametrize("others", [(2,), (0,), (5, -5)])
@pytest.mark.parametrize("want_total", [False, True])
def test_taking_a_write_back_leaves_those_of_others(others: tuple[int, ...], want_total: bool) -> None:
    lane = new_lane()
    for units in others:
        lane.join(b"1", units, want_total=want_total)
    group, place = lane.join(b"1", 3, want_total=want_total)
    assert lane.withdraw(group, [(b"1", 3, place)])
    assert group.amounts == {b"1": sum(others)}
    lane.written(send(lane), answer(totals=(100,)))
    if want_total:
        assert group.total_of(b"1", len(others) - 1) == 100


def test_a_write_that_may_have_been_sent_cannot_be_taken_back() -> None:
    lane = new_lane()
    group, place = lane.join(b"1", 5)
    flight = send(lane)
    assert not lane.withdraw(group, [(b"1", 5, place)])
    lane.keep_flying(flight, SILENT)
    assert not lane.withdraw(group, [(b"1", 5, place)])
    lane.resume()
    assert not lane.withdraw(group, [(b"1", 5, place)])


def test_a_write_that_the_cache_refused_meanwhile_counts_as_taken_back() -> None:
    lane = new_lane()
    group, place = lane.join(b"1", 5)
    lane.join(b"2", 5)
    lane.refused(send(lane), Refused(0, {0: "RANGE"}))
    assert lane.withdraw(group, [(b"1", 5, place)])
    assert waiting(lane) == [{b"2": 5}]


def test_a_group_of_which_all_was_taken_back_is_never_sent() -> None:
    lane = new_lane()
    group, place = lane.join(b"1", 5)
    woken: list[bool] = []
    group.add_sleeper(lambda: woken.append(True))
    lane.withdraw(group, [(b"1", 5, place)])
    assert lane.take() is None
    assert group.resolved
    assert woken == [True]


# On the way


def test_at_most_one_group_is_on_its_way() -> None:
    lane = new_lane()
    lane.join(b"1", 1)
    flight = send(lane)
    lane.join(b"1", 1)
    assert lane.take() is None
    lane.written(flight, answer())
    assert lane.take() is not None


def test_groups_are_numbered_without_a_gap() -> None:
    lane = new_lane()
    numbers = []
    for _ in range(3):
        lane.join(b"1", 1)
        flight = send(lane)
        numbers.append(flight.sequence)
        lane.written(flight, answer())
    assert numbers == [1, 2, 3]


def test_what_was_certainly_not_executed_goes_again_under_the_same_number() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    lane.put_back(send(lane), AWAY)
    assert lane.hindrance is AWAY
    again = send(lane)
    assert (again.group, again.sequence, again.tried_before) == (group, 1, False)


def test_what_may_have_been_executed_flies_until_there_is_an_answer() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    lane.keep_flying(send(lane), SILENT)
    assert lane.take() is None
    assert lane.resume() is group
    again = lane.depart(group)
    assert again is not None
    assert (again.sequence, again.tried_before) == (1, True)
    lane.put_back(again, AWAY)  # this try was not executed, but the first one may have been
    assert not lane.withdraw(group, [(b"1", 1, 0)])
    assert lane.take() is None
    assert lane.resume() is group
    assert not lane.withdraw(group, [(b"1", 1, 0)])


def test_resuming_gives_what_waits_where_nothing_was_left_in_the_air() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    assert lane.resume() is group
    assert lane.resume() is None


def test_a_carrier_that_was_interrupted_leaves_its_group_to_another() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    flight = send(lane)
    lane.abandon(group)
    assert lane.resume() is group
    again = lane.depart(group)
    assert again is not None
    lane.written(flight, answer(confirmed=1))  # whatever the first one still says is not heard
    assert not group.resolved
    lane.written(again, answer())
    assert (lane.ring.groups, group.resolved) == (1, True)


def test_a_carrier_interrupted_after_the_answer_leaves_the_next_group_alone() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    lane.written(send(lane), answer())
    lane.join(b"1", 1)
    send(lane)
    lane.abandon(group)
    assert lane.resume() is None


def test_a_refused_entry_leaves_and_the_rest_goes_again_under_the_next_number() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    lane.join(b"2", 2)
    lane.join(b"3", 3)
    lane.refused(send(lane), Refused(0, {1: "RANGE"}))
    assert group.refused == {b"2": "RANGE"}
    assert not group.resolved
    again = send(lane)
    assert (again.group, again.sequence, group.amounts) == (group, 2, {b"1": 1, b"3": 3})


def test_a_group_of_which_everything_was_refused_is_done() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    lane.refused(send(lane), Refused(0, {0: "MISSING"}))
    assert group.resolved
    assert lane.is_idle
    assert lane.ring.groups == 0


def test_a_local_write_that_was_refused_among_others_is_tried_alone_then_counted_as_lost() -> None:
    lane = new_lane()
    lane.join(b"1", 1)
    lane.join(b"1", 2, local=True)
    lane.refused(send(lane), Refused(0, {0: "RANGE"}))
    alone = send(lane)
    assert alone.group.amounts == {b"1": 2}
    assert lane.lost_local_writes == 0
    lane.refused(alone, Refused(0, {0: "RANGE"}))
    assert lane.lost_local_writes == 1
    assert lane.is_idle


def test_a_group_that_fails_gives_its_number_to_the_next() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    refusal = BufferFull("full")
    lane.fail(send(lane), refusal)
    assert (group.error, group.resolved) == (refusal, True)
    lane.join(b"1", 1)
    assert send(lane).sequence == 1


def test_one_caller_of_the_next_group_is_woken_to_lead() -> None:
    lane = new_lane()
    assert lane.wake_next_leader()  # nothing waits: nobody is needed
    group, _ = lane.join(b"1", 1)
    assert not lane.wake_next_leader()  # somebody else must carry it
    woken: list[int] = []
    group.add_sleeper(lambda: woken.append(1))
    group.add_sleeper(lambda: woken.append(2))
    assert lane.wake_next_leader()
    assert len(woken) == 1


# The ring


def test_the_ring_keeps_a_group_until_the_database_has_it() -> None:
    lane = new_lane()
    first, second = write(lane), write(lane)
    assert (lane.ring.groups, first.confirmed) == (2, False)
    lane.confirm(1, "i1")
    assert (lane.ring.groups, first.confirmed, second.confirmed) == (1, True, False)
    lane.confirm(2, "i1")
    assert (lane.ring.groups, lane.ring.size_bytes) == (0, 0)


def test_an_answer_tells_how_far_the_database_is() -> None:
    lane = new_lane()
    first = write(lane)
    lane.join(b"1", 1)
    lane.written(send(lane), answer(confirmed=1))
    assert first.confirmed
    assert lane.ring.groups == 1


def test_a_confirmation_of_another_incarnation_says_nothing() -> None:
    lane = new_lane()
    group = write(lane)
    lane.confirm(1, "i0")
    assert not group.confirmed


def test_a_full_ring_lets_nothing_fly_until_the_database_confirms() -> None:
    lane = new_lane(groups=2)
    write(lane)
    assert lane.ring.is_half_full
    write(lane)
    lane.join(b"1", 1)
    assert lane.take() is None
    assert isinstance(lane.hindrance, BufferFull)
    lane.confirm(1, "i1")
    assert lane.take() is not None


def test_a_full_ring_can_refuse_at_the_call() -> None:
    lane = new_lane(groups=1, when_full="refuse")
    write(lane)
    with pytest.raises(BufferFull):
        lane.join(b"1", 1)
    lane.confirm(1, "i1")
    lane.join(b"1", 1)


def test_a_full_ring_can_release_its_oldest_group() -> None:
    lane = new_lane(groups=2, when_full="release")
    for _ in range(5):
        write(lane)
    assert (lane.ring.groups, lane.ring.released_groups) == (2, 3)
    lane.confirm(5, "i1")
    assert (lane.ring.groups, lane.ring.size_bytes) == (0, 0)


def test_a_ring_is_full_by_its_size_too() -> None:
    lane = new_lane(size_bytes=1)
    write(lane)
    lane.join(b"1", 1)
    assert lane.take() is None


# Incarnations


def test_a_lane_goes_on_at_once_under_new_numbers() -> None:
    lane = new_lane()
    write(lane)
    lane.move_to("i2", leaving="i1")
    assert (lane.incarnation, lane.unsettled) == ("i2", True)
    lane.join(b"1", 1)
    flight = send(lane)
    assert (flight.incarnation, flight.sequence) == ("i2", 1)


def test_a_group_that_was_refused_for_its_old_incarnation_goes_first_in_the_new_one() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    flight = send(lane)
    lane.join(b"2", 2)
    lane.not_executed(flight)
    lane.move_to("i2", leaving="i1")
    assert not lane.unsettled
    again = send(lane)
    assert (again.group, again.sequence) == (group, 1)


def test_a_group_that_may_have_been_executed_becomes_part_of_the_old_lane() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    lane.keep_flying(send(lane), SILENT)
    lane.move_to("i2", leaving="i1")
    assert lane.is_idle
    assert [old.groups for old in lane.old] == [[group]]


def moved_on_while_a_group_was_in_the_air(lane: Lane) -> tuple[Flight, Flight]:
    """The flight of the old incarnation, and the one that another thread carries in the present one."""
    lane.join(b"1", 1)
    late = send(lane)
    lane.move_to("i2", leaving="i1")
    lane.join(b"2", 1)
    return late, send(lane)


def test_a_late_answer_is_the_callers_and_what_it_acknowledged_is_settled_like_the_rest() -> None:
    lane = new_lane()
    late, present = moved_on_while_a_group_was_in_the_air(lane)
    lane.written(late, answer(confirmed=1))
    assert (late.group.resolved, late.group.confirmed) == (True, False)
    lane.written(present, answer())
    assert (lane.ring.groups, lane.unsettled) == (2, True)
    lane.settled(lane.old[0], 0)
    assert waiting(lane) == [{b"1": 1}]
    lane.confirm(2, "i2")
    assert (lane.ring.groups, lane.ring.size_bytes) == (0, 0)


@pytest.mark.parametrize("certainly_not", ["not_executed", "put_back"])
def test_a_group_that_turns_out_not_to_be_written_goes_again_without_settling(certainly_not: str) -> None:
    lane = new_lane()
    late, present = moved_on_while_a_group_was_in_the_air(lane)
    if certainly_not == "put_back":
        lane.put_back(late, AWAY)
    else:
        lane.not_executed(late)
    assert not lane.unsettled
    assert lane.take() is None, "the group of the present incarnation is still in the air"
    lane.written(present, answer())
    again = send(lane)
    assert (again.group, again.sequence, again.incarnation) == (late.group, 2, "i2")


def test_a_group_that_was_refused_late_goes_again_without_what_was_refused() -> None:
    lane = new_lane()
    late, present = moved_on_while_a_group_was_in_the_air(lane)
    lane.refused(late, Refused(0, {0: "RANGE"}))
    assert (late.group.refused, late.group.resolved, lane.unsettled) == ({b"1": "RANGE"}, True, False)
    lane.written(present, answer())


def test_a_group_that_fails_late_is_part_of_no_lane() -> None:
    lane = new_lane()
    late, present = moved_on_while_a_group_was_in_the_air(lane)
    lane.fail(late, AWAY)
    assert (late.group.error, late.group.resolved, lane.unsettled) == (AWAY, True, False)
    lane.written(present, answer())
    lane.join(b"3", 1)
    assert send(lane).sequence == 2


def test_a_group_without_an_answer_is_left_to_settling() -> None:
    lane = new_lane()
    late, present = moved_on_while_a_group_was_in_the_air(lane)
    lane.keep_flying(late, SILENT)
    assert lane.resume() is None, "the group of the present incarnation is carried by its own thread"
    assert not late.group.resolved
    assert not lane.withdraw(late.group, [(b"1", 1, 0)])
    lane.written(present, answer())
    assert [old.groups for old in lane.old] == [[late.group]]


@pytest.mark.parametrize("late_report", ["written", "refused", "put_back", "not_executed", "keep_flying", "fail"])
def test_what_is_said_of_a_group_after_it_was_settled_is_not_heard(late_report: str) -> None:
    lane = new_lane()
    late, present = moved_on_while_a_group_was_in_the_air(lane)
    lane.written(present, answer())
    lane.settled(lane.old[0], 0)
    again = send(lane)
    match late_report:
        case "written":
            lane.written(late, answer())
        case "refused":
            lane.refused(late, Refused(0, {0: "RANGE"}))
        case "put_back":
            lane.put_back(late, AWAY)
        case "not_executed":
            lane.not_executed(late)
        case "keep_flying":
            lane.keep_flying(late, SILENT)
        case "fail":
            lane.fail(late, AWAY)
    assert (again.group, late.group.resolved, late.group.executed_maybe) == (late.group, False, True)
    assert lane.resume() is None
    lane.written(again, answer())
    assert (late.group.resolved, late.group.error, lane.ring.groups) == (True, None, 2)


def test_two_threads_that_settle_at_once_settle_once() -> None:
    lane = new_lane()
    write(lane)
    lane.move_to("i2", leaving="i1")
    [old] = lane.old
    assert lane.settled(old, 0) == (0, 1)
    assert lane.settled(old, 0) == (0, 0)
    assert waiting(lane) == [{b"1": 1}]


def test_a_group_that_lost_its_number_before_it_was_sent_is_not_sent() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 1)
    assert lane.take() is group
    lane.move_to("i2", leaving="i1")  # between taking and sending
    assert lane.depart(group) is None
    assert send(lane).group is group


def test_an_old_answer_never_moves_a_lane_back() -> None:
    lane = new_lane()
    write(lane)
    lane.move_to("i3", leaving="i1")
    lane.move_to("i2", leaving="i1")
    assert lane.incarnation == "i3"
    assert [old.met_since for old in lane.old] == [["i3"]]


def test_a_lane_never_returns_to_an_incarnation_that_it_has_left() -> None:
    """Its numbers there are used up: a group under number 1 would be answered "already"."""
    lane = new_lane()
    lane.move_to("i2", leaving="i1")
    assert lane.has_left("i1")
    assert not lane.has_left("i2")
    assert not lane.has_left("i3")
    lane.move_to("i1", leaving="i2")
    assert lane.incarnation == "i2"


def test_an_old_lane_knows_every_incarnation_met_since() -> None:
    lane = new_lane()
    write(lane)
    lane.move_to("i2", leaving="i1")
    write(lane)
    lane.move_to("i3", leaving="i2")
    assert [(old.incarnation, old.met_since) for old in lane.old] == [("i1", ["i2", "i3"]), ("i2", ["i3"])]


@pytest.mark.parametrize(
    ("mark", "again"),
    [
        (0, {b"1": 1, b"2": 2, b"3": 3}),
        (1, {b"2": 2, b"3": 3}),
        (2, {b"3": 3}),
        (3, {}),
        (9, {}),
    ],
)
def test_settling_writes_again_what_is_above_the_mark(mark: int, again: dict[bytes, int]) -> None:
    lane = new_lane()
    groups = [write(lane, b"%d" % number, number) for number in (1, 2, 3)]
    lane.move_to("i2", leaving="i1")
    assert lane.ring.groups == 3
    assert lane.settled(lane.old[0], mark) == (min(mark, 3), 3 - min(mark, 3))
    assert [group.confirmed for group in groups] == [number <= mark for number in (1, 2, 3)]
    assert (lane.ring.groups, lane.ring.size_bytes, lane.unsettled) == (0, 0, False)
    assert lane.has_unsent_acknowledged_writes() is bool(again)
    assert waiting(lane) == ([again] if again else [])


def test_what_is_written_again_goes_before_what_waits() -> None:
    lane = new_lane()
    write(lane, b"1")
    lane.join(b"2", 1)
    lane.move_to("i2", leaving="i1")
    lane.settled(lane.old[0], 0)
    assert waiting(lane) == [{b"1": 1}, {b"2": 1}]


def test_what_is_written_again_is_merged_where_the_sum_allows() -> None:
    lane = new_lane()
    for units in (5, 6, INT64_MAX, 1):
        write(lane, b"1", units)
    lane.move_to("i2", leaving="i1")
    lane.settled(lane.old[0], 0)
    assert waiting(lane) == [{b"1": 11}, {b"1": INT64_MAX}, {b"1": 1}]


def test_a_group_with_waiting_callers_is_written_again_as_itself() -> None:
    lane = new_lane()
    write(lane, b"1")
    group, _ = lane.join(b"1", 5)
    lane.keep_flying(send(lane), SILENT)
    lane.move_to("i2", leaving="i1")
    lane.settled(lane.old[0], 0)
    assert not group.resolved
    assert {b"1": 5} in waiting(lane)
    assert group.resolved


def test_a_group_that_turns_out_to_be_in_the_database_is_done_and_its_total_unknown() -> None:
    lane = new_lane()
    group, _ = lane.join(b"1", 5, want_total=True)
    lane.keep_flying(send(lane), SILENT)
    lane.move_to("i2", leaving="i1")
    lane.settled(lane.old[0], 1)
    assert (group.resolved, group.confirmed, group.totals_unknown) == (True, True, True)
    assert lane.is_idle


def test_a_watched_group_is_written_again_as_itself_and_keeps_its_totals() -> None:
    lane = new_lane()
    group, place = lane.join(b"1", 5, want_total=True)
    group.watched = True
    lane.written(send(lane), answer(totals=(12,)))
    lane.move_to("i2", leaving="i1")
    lane.settled(lane.old[0], 0)
    assert not group.resolved, "whoever waits for all that is unsent waits for it"
    flight = send(lane)
    assert flight.group is group
    assert not group.want_totals
    lane.written(flight, answer())
    assert (group.total_of(b"1", place), group.totals_unknown) == (12, False)
    lane.confirm(1, "i2")
    assert (group.confirmed, lane.ring.groups, lane.ring.size_bytes) == (True, 0, 0)


def test_a_read_waits_for_local_writes_and_for_those_written_again() -> None:
    lane = new_lane()
    lane.join(b"1", 1)
    assert not lane.has_unsent_acknowledged_writes()
    lane.join(b"1", 1, local=True)
    assert lane.has_unsent_acknowledged_writes()
    flight = send(lane)
    assert lane.has_unsent_acknowledged_writes()
    lane.written(flight, answer())
    assert not lane.has_unsent_acknowledged_writes()
