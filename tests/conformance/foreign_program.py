"""A program on ``foreign_client.py``: it writes all four kinds, and says what must come of it.

    python foreign_program.py PORT DATABASE LIBRARY SEED

Each line of its standard input is a number of rounds to write; it answers ``written``. At the end of the input it waits
until the database has everything, and prints as JSON what the tables must hold, and what it has met on the way.
"""

from __future__ import annotations

import json
import random
import sys
import time
import zlib
from pathlib import Path
from typing import Any

from foreign_client import Group, Lane, Server

COUNTER_PARTITIONS = 2
LOST_ANSWERS = 0.2


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# What the functions take beyond the group's head


def amounts(_lane: Lane, group: Group) -> tuple[list[str], list[object]]:
    return [f"videos:{name}:likes" for name, _ in group], ["0", *(part for entry in group for part in entry)]


def scores(lane: Lane, group: Group) -> tuple[list[str], list[object]]:
    boards: dict[str, int] = {}
    arguments: list[object] = ["max"]
    for name, change in group:
        board, member = json.loads(name)
        arguments += [name, change, member, boards.setdefault(board, len(boards) + 1)]
    return [key for board in boards for key in (f"scores:{board}:points", lane.key(f"building:{board}"))], arguments


def records(_lane: Lane, group: Group) -> tuple[list[str], list[object]]:
    return [f"profiles:{name}" for name, _ in group], ["", "", *(part for entry in group for part in entry)]


def events(_lane: Lane, group: Group) -> tuple[list[str], list[object]]:
    return [], [text for _, text in group]


# How changes follow each other


def score_then(before: str, now: str) -> str:
    if now[0] in "x=":
        return now
    if before == "x":
        return f"={now}"
    sign = "=" if before[0] == "=" else ""
    return f"{sign}{max(int(before.removeprefix('=')), int(now))}"


def score_left(lost: str, since: str) -> str | None:
    if since[0] in "x=":
        return None
    return score_then(lost, since) if lost[0] in "x=" else lost


def record_then(before: str, now: str) -> str:
    if now[0] != "u":
        return now
    if before == "d":
        return "n" + now[1:]
    return before[0] + compact({**json.loads(before[1:]), **json.loads(now[1:])})


def record_left(lost: str, since: str) -> str | None:
    if since[0] != "u":
        return None
    if lost[0] != "u":
        return record_then(lost, since)
    later = json.loads(since[1:])
    columns = {name: text for name, text in json.loads(lost[1:]).items() if name not in later}
    return f"u{compact(columns)}" if columns else None


class Program:
    """Writes at random, and keeps what the tables must hold."""

    def __init__(self, port: int, database: str, library: bytes, seed: str) -> None:
        self._chance = random.Random(seed)
        self._server = server = Server(port, library, self._chance, LOST_ANSWERS)
        self._counters = [
            Lane(server, database, "videos.likes", partition, COUNTER_PARTITIONS, "wb1_write", amounts)
            for partition in range(COUNTER_PARTITIONS)
        ]
        self._board = Lane(
            server, database, "scores.points", 0, 1, "wb1_write_scores", scores, (score_then, score_left)
        )
        self._records = Lane(
            server, database, "profiles", 0, 1, "wb1_write_records", records, (record_then, record_left)
        )
        self._log = Lane(server, database, "clicks", 0, 1, "wb1_write_events", events)
        self._lanes = [*self._counters, self._board, self._records, self._log]
        self._likes: dict[str, int] = {}
        self._scores: dict[str, str] = {}
        self._profiles: dict[str, dict[str, str | None]] = {}
        self._events = 0

    def round(self) -> None:
        """A group of each kind."""
        self._count()
        self._score()
        self._record()
        self._append()
        for lane in self._lanes:
            lane.settle()

    def _count(self) -> None:
        groups: dict[int, Group] = {}
        for _ in range(3):
            video, amount = str(self._chance.randrange(1, 20)), self._chance.randrange(-3, 10)
            self._likes[video] = self._likes.get(video, 0) + amount
            partition = zlib.crc32(video.encode()) % COUNTER_PARTITIONS
            groups.setdefault(partition, []).append((video, str(amount)))
        for partition, group in groups.items():
            self._counters[partition].write(group)

    def _score(self) -> None:
        group = []
        for _ in range(3):
            name = compact([self._chance.choice(["tetris", "gö"]), self._chance.choice(["ada", "bob", "cy"])])
            change = "x" if self._chance.random() < 0.15 else str(self._chance.randrange(10_000))
            group.append((name, change))
            before = self._scores.get(name)
            self._scores[name] = change if before is None else score_then(before, change)
        self._board.write(group)

    def _record(self) -> None:
        group = []
        for _ in range(3):
            key = str(self._chance.randrange(1, 8))
            if self._chance.random() < 0.15:
                group.append((key, "d"))
                self._profiles.pop(key, None)
                continue
            column = self._chance.choice(["name", "visits"])
            text = None if self._chance.random() < 0.1 else str(self._chance.randrange(1_000))
            group.append((key, f"u{compact({column: text})}"))
            self._profiles.setdefault(key, {"name": None, "visits": None})[column] = text
        self._records.write(group)

    def _append(self) -> None:
        group = []
        for _ in range(3):
            self._events += 1
            group.append(("", compact({"number": str(self._events), "page": "/ä"})))
        self._log.write(group)

    def expected(self) -> dict[str, Any]:
        """What the tables must hold, once the database has everything."""
        while not all(lane.is_done() for lane in self._lanes):
            time.sleep(0.02)
        return {
            "likes": {int(video): likes for video, likes in self._likes.items()},
            "scores": sorted(
                [*json.loads(name), int(score.removeprefix("="))]
                for name, score in self._scores.items()
                if score != "x"
            ),
            "profiles": sorted(
                [int(key), row["name"], None if row["visits"] is None else int(row["visits"])]
                for key, row in self._profiles.items()
            ),
            "events": self._events,
        }

    def adventures(self) -> dict[str, int]:
        """What it has met on the way."""
        return {
            "answers_lost": self._server.answers_lost,
            "incarnations": max(lane.incarnations for lane in self._lanes),
            "written_again": sum(lane.written_again for lane in self._lanes),
        }


if __name__ == "__main__":
    program = Program(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_bytes(), sys.argv[4])
    for line in sys.stdin:
        for _ in range(int(line)):
            program.round()
        print("written", flush=True)
    print(json.dumps([program.expected(), program.adventures()]), flush=True)
