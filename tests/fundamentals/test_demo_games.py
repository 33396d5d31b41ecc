"""The demonstration's games: who writes what, the journal of it, and the audit of every row."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from writebehind.demo.games.audit import Rows, audit_games, possible_rows, top_by_journal
from writebehind.demo.games.journal import Change, Journal, Key, Outcome, Write, read_journal
from writebehind.demo.games.report import verdict_on
from writebehind.demo.games.scenario import CLICKS, CLIENTS, PLAYERS, PROFILES, SCORES, games

ADA = ("ada",)


def profile(operation: str, outcome: Outcome = "acknowledged", **columns: object) -> Write:
    return Write(PROFILES, ((ADA, [operation, columns]),), outcome)


def score(player: str, points: int, outcome: Outcome = "acknowledged") -> Write:
    return Write(SCORES, ((("maze", player), [points]),), outcome)


WRITES = [
    score("ada", 700),
    score("bob", 900),
    score("ada", 300),
    profile("put", name="Ada", games=1, last_seen_us=1),
    profile("patch", plan="gold", games=2),
    Write(CLICKS, (((1,), ["ada", "jump", 5]), ((2,), ["ada", "turn", 5])), "acknowledged"),
]
STORED: dict[str, Rows] = {
    SCORES: {("maze", "ada"): [(700,)], ("maze", "bob"): [(900,)]},
    PROFILES: {ADA: [("Ada", "gold", 2, 1)]},
    CLICKS: {(1,): [("ada", "jump", 5)], (2,): [("ada", "turn", 5)]},
}


def test_the_audit_passes_rows_that_are_what_the_answers_make_of_them() -> None:
    for outcome in audit_games(WRITES, STORED):
        assert verdict_on(outcome)[-1] == "audit: every row is right, difference 0"
    assert [outcome.acknowledged for outcome in audit_games(WRITES, STORED)] == [3, 2, 2]


@pytest.mark.parametrize(
    ("mapping", "key", "rows", "shown"),
    [
        (SCORES, ("maze", "ada"), [(300,)], "maze/ada: by the answers (700,), stored (300,)"),
        (SCORES, ("maze", "bob"), [], "maze/bob: by the answers (900,), stored no row"),
        (PROFILES, ADA, [("Ada", "free", 2, 1)], "ada: by the answers ('Ada', 'gold', 2, 1), stored"),
        (PROFILES, ("eve",), [(None, "free", 0, None)], "eve: by the answers no row, stored"),
        (CLICKS, (2,), [("ada", "turn", 5)] * 2, "stored ('ada', 'turn', 5) and ('ada', 'turn', 5)"),
        (CLICKS, (3,), [("ada", "turn", 5)], "3: by the answers no row, stored ('ada', 'turn', 5)"),
    ],
)
def test_the_audit_finds_a_manipulated_row(mapping: str, key: Key, rows: list[Change], shown: str) -> None:
    stored = STORED | {mapping: {**STORED[mapping], key: rows}}
    (wrong,) = [outcome for outcome in audit_games(WRITES, stored) if outcome.differences]  # type: ignore[arg-type]
    assert wrong.mapping == mapping
    lines = verdict_on(wrong)
    assert any(shown in line for line in lines), lines
    assert lines[-1] == "audit: 1 row is wrong"


def test_a_write_without_an_answer_may_be_there_until_a_later_one_decides() -> None:
    put, patch = profile("put", games=1), profile("patch", games=2)
    there = (None, "free", 1, None)
    assert possible_rows([put, profile("delete", "unanswered")]) == {ADA: {there, None}}
    assert possible_rows([put, profile("delete", "refused")]) == {ADA: {there}}
    assert possible_rows([put, profile("patch", "unanswered", plan="club"), patch]) == {
        ADA: {(None, "free", 2, None), (None, "club", 2, None)}
    }
    assert possible_rows([put, profile("delete", "unanswered"), put]) == {ADA: {there}}
    assert possible_rows([score("ada", 5), score("ada", 9, "unanswered"), score("ada", 7)]) == {
        ("maze", "ada"): {(7,), (9,)}
    }
    assert possible_rows([score("ada", 5, "refused")]) == {("maze", "ada"): {None}}


def test_the_top_is_known_unless_a_score_is_open() -> None:
    writes = [*WRITES, score("eve", 700)]
    assert top_by_journal(writes, "maze", 2) == [("bob", 900), ("eve", 700)]  # as Redis ranks equal scores
    assert top_by_journal([*writes, score("ada", 800, "unanswered")], "maze", 2) is None
    assert top_by_journal(writes, "race", 2) == []


def test_a_journal_tells_what_was_answered_also_where_its_writer_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "games.journal"
    assert read_journal(path) == []
    journal = Journal(path)
    for write in WRITES:
        number = journal.begin(write.mapping, write.changes)
        journal.end(number, write.outcome)
    journal.begin(SCORES, WRITES[0].changes)
    journal.close()
    whole = [*WRITES, Write(SCORES, WRITES[0].changes, "unanswered")]
    assert read_journal(path) == whole
    with path.open("ab") as file:
        file.write(b'[8,"scores.po')
    assert read_journal(path) == whole


def test_clients_never_play_for_one_player_and_repeat_their_games() -> None:
    players, click_ids, operations = [], Counter[int](), Counter[str]()
    for client in range(len(CLIENTS)):
        played = list(islice(games(client), 200))
        assert played == list(islice(games(client), 200))
        players.append({game.player for game in played})
        click_ids.update(id_ for game in played for id_ in game.clicks)
        operations.update(game.operation for game in played)
    assert sum(map(len, players)) == len(set().union(*players)) <= len(PLAYERS)
    assert set(click_ids.values()) == {1}
    assert operations.keys() == {"put", "patch", "delete"}
