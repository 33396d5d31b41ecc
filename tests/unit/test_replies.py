"""What redis-py raises, as our own errors: what time mends, what it does not, and what was certainly not executed."""

from __future__ import annotations

import traceback

import pytest
from redis import exceptions as redis_errors

from writebehind.cache.address import Address
from writebehind.cache.calls import server_time_ms
from writebehind.cache.link import Link
from writebehind.cache.replies import FunctionMissing, LibraryExists, NotExecuted, explain, not_executed
from writebehind.errors import (
    BufferFull,
    CacheRefused,
    CacheUnavailable,
    ConfigurationError,
    WriteBehindError,
)
from writebehind.testing.valkey import TemporaryValkey

ADDRESS = "redis://cache:6379"
PASSWORD = "s3cret-pass"


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (redis_errors.TimeoutError("Timeout reading from socket"), CacheUnavailable),
        (TimeoutError("timed out"), CacheUnavailable),
        (redis_errors.ConnectionError("Connection closed by server."), CacheUnavailable),
        (ConnectionResetError(104, "reset"), CacheUnavailable),
        (redis_errors.BusyLoadingError("Redis is loading the dataset in memory"), NotExecuted),
        (redis_errors.ReadOnlyError("You can't write against a read only replica."), NotExecuted),
        (redis_errors.ResponseError("MISCONF Errors writing to the AOF file"), NotExecuted),
        (redis_errors.ResponseError("NOREPLICAS Not enough good replicas to write."), NotExecuted),
        (redis_errors.ResponseError("BUSY Redis is busy running a script."), NotExecuted),
        (redis_errors.ResponseError("MASTERDOWN Link with MASTER is down"), NotExecuted),
        (redis_errors.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), BufferFull),
        (redis_errors.ResponseError("OOM command not allowed when used memory > 'maxmemory'."), BufferFull),
        (redis_errors.ResponseError("ERR Error in function: -OOM command not allowed"), BufferFull),
        (redis_errors.AuthenticationError("invalid username-password pair or user is disabled."), CacheRefused),
        (redis_errors.NoPermissionError("this user has no permissions to run the 'fcall' command"), CacheRefused),
        (redis_errors.ResponseError("WRONGTYPE Operation against a key"), CacheRefused),
        (redis_errors.ResponseError("ERR unknown command 'FCALL'"), CacheRefused),
        (redis_errors.ResponseError("ERR Function not found"), FunctionMissing),
        (redis_errors.ResponseError("ERR Library 'writebehind_1' already exists"), LibraryExists),
    ],
)
def test_every_error_has_one_meaning(error: Exception, ours: type[WriteBehindError]) -> None:
    explained = explain(error, ADDRESS)
    assert type(explained) is ours


@pytest.mark.parametrize("error", [redis_errors.ConnectionError("refused"), redis_errors.TimeoutError("timed out")])
def test_what_could_not_be_sent_was_certainly_not_executed(error: Exception) -> None:
    assert type(explain(error, ADDRESS)) is CacheUnavailable
    assert type(not_executed(error, ADDRESS)) is NotExecuted
    assert not_executed(error, ADDRESS).retryable


def test_a_refusal_stays_one_although_nothing_was_sent() -> None:
    error = redis_errors.AuthenticationError("invalid username-password pair")
    assert type(not_executed(error, ADDRESS)) is CacheRefused
    assert not not_executed(error, ADDRESS).retryable


def test_a_permission_error_says_what_is_needed() -> None:
    error = redis_errors.NoPermissionError("this user has no permissions to run the 'fcall' command")
    assert "fcall" in explain(error, ADDRESS).fix
    assert ADDRESS in str(explain(error, ADDRESS))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://:{PASSWORD}@cache:7000/2", "redis://cache:7000"),
        (f"valkeys://ada:{PASSWORD}@cache", "valkeys://cache:6379"),
        (f"redis://cache?password={PASSWORD}", "redis://cache:6379"),
        (f"unix://ada:{PASSWORD}@/run/valkey.sock", "unix:///run/valkey.sock"),
        ("unix:///run/valkey.sock?db=2", "unix:///run/valkey.sock"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    address = Address.parse(url)
    assert address.shown == shown
    assert PASSWORD not in repr(address)
    assert PASSWORD not in str(address)


@pytest.mark.parametrize(
    "url",
    [
        PASSWORD,
        f"http://:{PASSWORD}@cache",
        f"redis://:{PASSWORD}@cache:port",
        f"redis://:{PASSWORD}@cache:99999",
        f"redis://:{PASSWORD}@[cache",
        f"redis://cache:6379:{PASSWORD}",
        f"redis://cache?db=two&password={PASSWORD}",
    ],
)
def test_a_url_that_is_not_understood_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Address.parse(url)
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))


def test_a_password_that_the_server_refuses_is_not_in_the_error(valkey: TemporaryValkey) -> None:
    link = Link(Address.parse(f"{valkey.url}?username=nobody&password={PASSWORD}"))
    with pytest.raises(CacheRefused) as refused:
        link.execute(server_time_ms())
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))
    link.close()


def test_a_server_that_is_not_there_was_certainly_not_asked(own_valkey: TemporaryValkey) -> None:
    link = Link(Address.parse(own_valkey.url))
    assert link.execute(server_time_ms()) > 0
    own_valkey.kill()
    with pytest.raises(NotExecuted):
        link.execute(server_time_ms())
    own_valkey.start()
    assert link.execute(server_time_ms()) > 0
    link.close()
