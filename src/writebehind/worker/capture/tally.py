"""What a capture has done and met, kept small, and told to whoever asks for the status."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

SHOWN_NAMES = 20
KNOWN_UNFIT = 10_000


@dataclass(slots=True)
class Tally:
    """Counts of one capture. ``captured`` and ``vanished`` count happenings, over all workers that ever captured;
    ``unfit`` the keys that do not fit at present, as far as they were seen since the last scan.
    """

    captured: int = 0
    vanished: int = 0
    vanished_names: list[str] = field(default_factory=list)
    last_rescan_ms: int = 0
    subscription_alive: bool = False
    told_ms: int = 0
    unfit: int = 0
    unfit_names: list[str] = field(default_factory=list)

    def to_text(self) -> str:
        """As it is left in the cache."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: bytes | None) -> Tally:
        """What ``to_text`` wrote; all zero where there is none."""
        if text is None:
            return cls()
        known: dict[str, Any] = json.loads(text)
        return cls(**{name: value for name, value in known.items() if name in cls.__dataclass_fields__})

    def note_vanished(self, keys: Iterable[bytes]) -> int:
        """These keys vanished; how many."""
        names = [shown_name(key) for key in keys]
        self.vanished += len(names)
        self.vanished_names = [*self.vanished_names, *names][-SHOWN_NAMES:]
        return len(names)


class UnfitKeys:
    """Keys that do not fit, up to a bound: to be told once each, and to be counted."""

    def __init__(self) -> None:
        self._reasons: OrderedDict[bytes, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._reasons)

    def note(self, key: bytes, reason: str) -> bool:
        """Whether this is news."""
        is_new = key not in self._reasons
        if is_new or len(self._reasons) < KNOWN_UNFIT:
            self._reasons[key] = reason
        if len(self._reasons) > KNOWN_UNFIT:
            self._reasons.popitem(last=False)
        return is_new

    def fits(self, key: bytes) -> None:
        """It does now."""
        self._reasons.pop(key, None)

    def clear(self) -> None:
        """Forget all; a scan meets them again."""
        self._reasons.clear()

    def shown(self) -> list[str]:
        """Some of them, with the reason."""
        return [f"{shown_name(key)}: {self._reasons[key]}" for key in list(self._reasons)[-SHOWN_NAMES:]]


def shown_name(key: bytes) -> str:
    """A key's name for people."""
    return key.decode("utf-8", "backslashreplace")[:200]
