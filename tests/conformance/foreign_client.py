"""A client in "another language": sockets, JSON and SQL, and nothing of writebehind's.

Written from docs/functions.md and docs/protocol.md alone, and short enough to be translated. ``foreign_program.py``
uses it: that has the four kinds.
"""

from __future__ import annotations

import random
import secrets
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

PRODUCER = secrets.token_hex(12)
TTL_MS = 60_000
Group = list[tuple[str, str]]
"""Field and change of each entry, in the order of the writes. Events have the field ''."""


class AnswerLost(Exception):
    """The call was sent, perhaps, and was not answered."""


class Server:
    """One connection, opened when it is needed. Of some groups it loses the answer: it hangs up before reading it."""

    def __init__(self, port: int, library: bytes, chance: random.Random, lost_answers: float) -> None:
        self._port, self._library, self._chance, self._lost_answers = port, library, chance, lost_answers
        self._socket: socket.socket | None = None
        self.answers_lost = 0

    def call(self, *words: object) -> Any:
        """The reply of one command. Where nothing was executed, it is sent again until it is.

        :raises AnswerLost: it may have been executed.
        """
        loses = str(words[1]).startswith("wb1_write") and self._chance.random() < self._lost_answers
        while True:
            try:
                return self._exchange([w if isinstance(w, bytes) else str(w).encode() for w in words], loses)
            except RuntimeError as error:
                if "Function not found" in str(error):
                    self._exchange([b"FUNCTION", b"LOAD", b"REPLACE", self._library], False)
                elif "LOADING" in str(error):
                    time.sleep(0.01)
                else:
                    raise

    def _exchange(self, words: list[bytes], loses_answer: bool) -> Any:
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=10)
                self._file = self._socket.makefile("rb")
            self._socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            if loses_answer:
                self.answers_lost += 1
                time.sleep(0.002)  # or the server may find the connection closed before it has read the call
                raise ConnectionError("hung up")
            return self._reply()
        except (OSError, EOFError) as error:
            if self._socket is not None:
                self._file.close()
                self._socket.close()
                self._socket = None
            raise AnswerLost from error

    def _reply(self) -> Any:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RuntimeError(rest)
        if kind == b"$" and rest != "-1":
            return self._file.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        return {b":": int, b"+": str, b"$": lambda _: None}[kind](rest)


@dataclass
class OldLane:
    """What is not known to be in the database of an incarnation that has ended."""

    incarnation: str
    groups: list[tuple[int, Group]]
    fences_met_since: list[str] = field(default_factory=list)
    written_since: dict[str, str] = field(default_factory=dict)


class Lane:
    """One partition's ordered groups.

    ``more(lane, group)``: the keys and arguments that the kind's function takes. ``rules``, where the order matters:
    two changes as one, and what is to be written again of a change when another was written since.
    """

    def __init__(
        self,
        server: Server,
        database: str,
        mapping: str,
        partition: int,
        partitions: int,
        function: str,
        more: Callable[[Lane, Group], tuple[list[str], list[object]]],
        rules: tuple[Callable[[str, str], str], Callable[[str, str], str | None]] | None = None,
    ) -> None:
        self._server, self._database = server, database
        self._mapping, self._partition, self._layout = mapping, partition, partitions
        self._function, self._more, self._rules = function, more, rules
        self._number, self._unconfirmed, self._old = 0, list[tuple[int, Group]](), list[OldLane]()
        self._met = [self._entered("")]
        self.written_again = 0

    @property
    def incarnations(self) -> int:
        """How many it has met."""
        return len(self._met)

    def key(self, name: str) -> str:
        return f"wb:{{default:{self._mapping}:{self._partition}}}:{name}"

    def _fcall(self, function: str, keys: list[str], *arguments: object) -> Any:
        return self._server.call("FCALL", function, len(keys), *keys, *arguments)

    def _entered(self, leave: str) -> str:
        """The incarnation to write in; entering it again changes nothing, so a lost answer is no trouble."""
        while True:
            batch, fence = secrets.token_hex(16), secrets.token_hex(16)
            names = ["header", "open", "open:lanes", "lanes", "queue", f"batch:{batch}", f"batch:{batch}:lanes"]
            names += [f"batch:{batch}:captured", "open:captured"]
            try:
                reply = self._fcall(
                    "wb1_enter", [self.key(n) for n in names], self._layout, batch, fence, leave, TTL_MS
                )
            except AnswerLost:
                time.sleep(0.01)
                continue
            assert reply[0] == "OK", reply
            return str(reply[1])

    def write(self, group: Group) -> None:
        """Write one group, once. It may stay behind in an old lane: ``settle`` decides then."""
        tried = False
        keys, arguments = self._more(self, group)
        keys = [self.key(name) for name in ("header", "open", "open:lanes", "lanes")] + keys
        while True:
            head = (self._layout, self._met[-1], PRODUCER, self._number + 1, len(group), 0)
            try:
                status, *rest = self._fcall(self._function, keys, *head, *arguments)
            except AnswerLost:
                tried = True  # the same call again, until there is an answer
                time.sleep(0.001)
                continue
            if status in ("OK", "ALREADY"):
                self._number += 1
                self._unconfirmed.append((self._number, group))
                self._confirm(int(rest[0]))
                self._note(group)
                return
            assert status in ("NEW", "GAP"), [status, *rest]
            self._go_on(rest[0] if status == "NEW" else self._met[-1], group if tried else None)
            if tried:
                return

    def _note(self, group: Group) -> None:
        """This group was written after those of the old lanes, or may have been."""
        for old in self._old if self._rules else ():
            for name, change in group:
                before = old.written_since.get(name)
                old.written_since[name] = change if before is None else self._rules[0](before, change)

    def _confirm(self, number: int) -> None:
        self._unconfirmed = [entry for entry in self._unconfirmed if entry[0] > number]

    def _go_on(self, incarnation: str, tried: Group | None) -> None:
        """Begin a new lane; what is not confirmed stays behind."""
        behind = self._unconfirmed
        if tried is not None:
            self._note(tried)
            behind.append((self._number + 1, tried))
        self._old.append(OldLane(self._met[-1], behind))
        if incarnation == "" or incarnation in self._met:
            incarnation = self._entered(incarnation)
        self._number, self._unconfirmed = 0, []
        self._met.append(incarnation)
        for old in self._old:
            old.fences_met_since.append(incarnation)

    def settle(self) -> None:
        """Write again what the database turns out not to have; an old lane waits for the ones before it."""
        while self._old and (mark := self._final_mark(self._old[0])) is not None:
            old = self._old.pop(0)
            for number, group in old.groups:
                if number > mark and (left := list(self._left(group, old.written_since))):
                    self.written_again += len(left)
                    self.write(left)

    def _left(self, group: Group, since: dict[str, str]) -> Iterator[tuple[str, str]]:
        for name, change in group:
            left = self._rules[1](change, since[name]) if self._rules and name in since else change
            if left is not None:
                yield name, left

    def _final_mark(self, old: OldLane) -> int | None:
        with closing(sqlite3.connect(self._database, timeout=30, isolation_level=None)) as sql:
            sql.execute("BEGIN IMMEDIATE")
            select = (
                "SELECT id FROM writebehind_partitions WHERE namespace = 'default' AND mapping = ? AND partition = ?"
            )
            ((row,),) = sql.execute(select, (self._mapping, self._partition)).fetchall()
            marks = ", ".join("?" * len(old.fences_met_since))
            select = (
                f"SELECT 1 FROM writebehind_batches WHERE partition_id = ? AND kind = 'fence' AND batch IN ({marks})"
            )
            if not sql.execute(select, (row, *old.fences_met_since)).fetchall():
                sql.execute("ROLLBACK")
                return None
            closing_it = (
                "INSERT INTO writebehind_closed (partition_id, incarnation) VALUES (?, ?) ON CONFLICT DO NOTHING"
            )
            sql.execute(closing_it, (row, old.incarnation))
            select = "SELECT seq FROM writebehind_marks WHERE partition_id = ? AND producer = ? AND incarnation = ?"
            found = sql.execute(select, (row, PRODUCER, old.incarnation)).fetchall()
            sql.execute("COMMIT")
            return int(found[0][0]) if found else 0

    def is_done(self) -> bool:
        """Whether the database has everything. Asks for a flush, and finds out whether the cache was rolled back."""
        try:
            self._fcall("wb1_ask_for_flush", [self.key("header")])
            status, *rest = self._fcall("wb1_confirmed", [self.key("header"), self.key("lanes")], PRODUCER)
        except AnswerLost:
            return False
        if status == "NEW" or rest[0] != self._met[-1]:
            self._go_on(rest[0] if rest else "", None)
        else:
            self._confirm(int(rest[1]))
        self.settle()
        return not self._unconfirmed and not self._old
