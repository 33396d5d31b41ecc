"""Who plays what, and what a game writes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, count, product
from typing import Literal

SCORES = "scores.points"
PROFILES = "profiles"
CLICKS = "clicks"
MAPPINGS = (SCORES, PROFILES, CLICKS)

BOARDS = ("blocks", "maze", "race")
CLIENTS = (
    "bold", "brave", "calm", "clever", "dizzy", "eager", "fancy", "gentle",
    "happy", "jolly", "keen", "lucky", "mighty", "proud", "quick", "witty",
)  # fmt: skip
"""A client plays for the players of its name, and nobody else does: one after the other, a game at a time."""
_ANIMALS = ("otter", "fox", "heron", "lynx", "badger", "raven", "tapir", "gecko", "bison", "crane")
PLAYERS = tuple(f"{client}-{animal}" for client, animal in product(CLIENTS, _ANIMALS))

_AVERAGE_POINTS = 10_000
_PLANS = ("free", "gold", "club")
_MOVES = ("start", "pause", "turn", "jump")
_LEAVES, _CHANGES_PLAN = 0.02, 0.1
_CLICK_IDS_A_CLIENT = 1_000_000_000

Operation = Literal["put", "patch", "delete"]


@dataclass(frozen=True, slots=True)
class Game:
    """One game, and what is written at its end. ``profile`` lacks the time, which is the writer's."""

    board: str
    player: str
    points: int
    operation: Operation
    profile: dict[str, object]
    clicks: dict[int, str]
    """What was clicked, by the click's own number."""


def games(client: int) -> Iterator[Game]:
    """The games of a client, one after the other, for ever. Their order is always the same.

    Some of its players play much more than others. A few delete their profile at the end of a game, and have a new
    one after the next.
    """
    chance = random.Random(client)  # noqa: S311  # games are no secret
    players = [f"{CLIENTS[client]}-{animal}" for animal in _ANIMALS]
    weights = list(accumulate(1 / rank for rank in range(1, len(players) + 1)))
    played: dict[str, int] = {}
    """By the players that have a profile."""
    click_ids = count(client * _CLICK_IDS_A_CLIENT)
    while True:
        (player,) = chance.choices(players, cum_weights=weights)
        operation: Operation = "patch" if player in played else "put"
        profile: dict[str, object] = {} if operation == "patch" else {"name": player.replace("-", " ").title()}
        profile["games"] = played[player] = played.get(player, 0) + 1
        if operation == "patch" and chance.random() < _LEAVES:
            operation, profile = "delete", {}
            del played[player]
        elif chance.random() < _CHANGES_PLAN:
            profile["plan"] = chance.choice(_PLANS)
        yield Game(
            board=chance.choice(BOARDS),
            player=player,
            points=int(chance.expovariate(1 / _AVERAGE_POINTS)),
            operation=operation,
            profile=profile,
            clicks={next(click_ids): move for move in chance.choices(_MOVES, k=3)},
        )
