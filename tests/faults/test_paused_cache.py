"""A cache that stands still while it is written to: what was certainly not executed, and what was perhaps."""

from __future__ import annotations

import pytest

from writebehind.cache import calls, link
from writebehind.cache.address import Address
from writebehind.cache.async_link import AsyncLink
from writebehind.cache.calls import Call, WriteReply
from writebehind.cache.keys import PartitionKeys
from writebehind.cache.link import Link
from writebehind.cache.replies import NotExecuted
from writebehind.testing.valkey import TemporaryValkey

KEYS = PartitionKeys.of("tests", "videos.likes", 0)
LARGE = [b"%d:" % number + b"x" * 1_000 for number in range(2_000)]
"""Fields that no socket's buffer holds together, so that the sender has to wait for the reader."""


@pytest.fixture
def incarnation(own_valkey: TemporaryValkey, monkeypatch: pytest.MonkeyPatch) -> str:
    """A partition that is ready to be written, and calls that give up soon."""
    monkeypatch.setattr(link, "SOCKET_TIMEOUT_S", 0.2)
    first = Link(Address.parse(own_valkey.url))
    entered = first.execute(calls.enter(KEYS, layout="1", batch="b", fence="f", leave="", cached_value_ttl_ms=1_000))
    first.close()
    assert isinstance(entered, calls.Entered)
    return entered.incarnation


def group(incarnation: str) -> Call[WriteReply]:
    head = calls.GroupHead(
        layout="1", incarnation=incarnation, producer="p1", sequence=1, writes=1, max_pending_fields=0
    )
    return calls.write_amounts(
        KEYS,
        head,
        [b"videos:" + name for name in LARGE],
        [part for name in LARGE for part in (name, 1)],
        want_totals=False,
    )


async def test_an_event_loop_does_not_go_on_sending_what_it_called_unexecuted(
    own_valkey: TemporaryValkey, incarnation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transport that is closed in order sends what it has buffered as soon as the server reads again."""
    line = AsyncLink(Address.parse(own_valkey.url))
    await line.execute(calls.server_time_ms())
    own_valkey.pause()
    with pytest.raises(NotExecuted):
        await line.execute(group(incarnation))
    own_valkey.resume()
    monkeypatch.setattr(link, "SOCKET_TIMEOUT_S", 30.0)
    again = AsyncLink(Address.parse(own_valkey.url))
    reply = await again.execute(group(incarnation))
    assert isinstance(reply, calls.Written)
    assert not reply.already
    await again.close()
    await line.close()


def test_a_call_that_could_not_be_sent_whole_is_never_executed(
    own_valkey: TemporaryValkey, incarnation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Link(Address.parse(own_valkey.url))
    line.execute(calls.server_time_ms())
    own_valkey.pause()
    with pytest.raises(NotExecuted):
        line.execute(group(incarnation))
    own_valkey.resume()
    monkeypatch.setattr(link, "SOCKET_TIMEOUT_S", 30.0)
    again = Link(Address.parse(own_valkey.url))
    reply = again.execute(group(incarnation))
    assert isinstance(reply, calls.Written)
    assert not reply.already
    again.close()
    line.close()
