"""The subscription to keyspace notifications, in a thread of its own."""

from __future__ import annotations

import secrets
import threading
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.retry import Retry

from writebehind.cache.address import Address
from writebehind.cache.link import SOCKET_TIMEOUT_S, connection_options
from writebehind.cache.replies import explain
from writebehind.clock import Clock
from writebehind.errors import CacheUnavailable, WriteBehindError
from writebehind.observe import Observer, SubscriptionBroken
from writebehind.worker.capture.dirty import DirtyKeys
from writebehind.worker.capture.notifications import ensure_notifications

PING_AFTER_S = 0.5
"""After how much silence the server is asked for a sign of life; it has the socket's timeout for the answer."""
FIRST_RETRY_DELAY_S = 0.05
LONGEST_RETRY_DELAY_S = 2.0


class Listener:
    """Notes dirty keys, as long as its subscription lives.

    ``generation`` counts subscriptions, 0 before the first: what happened between two of them was not seen.
    """

    def __init__(
        self, address: Address, glob: str, mapping: str, dirty: DirtyKeys, clock: Clock, observe: Observer
    ) -> None:
        database = parse_url(address.url).get("db", 0)
        self._address = address
        self._channels = f"__keyspace@{database}__:{glob}"
        self._prefix_length = len(f"__keyspace@{database}__:")
        self._mapping = mapping
        self._dirty = dirty
        self._clock = clock
        self._observe = observe
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._connection: Any = None
        self._answered = ""
        self._thread: threading.Thread | None = None
        self.generation = 0
        self.is_alive = False
        self.error: WriteBehindError | None = None
        """Why there is no subscription at present."""

    def start(self) -> None:
        """Subscribe, and go on in a thread."""
        self._thread = threading.Thread(target=self._work, name=f"writebehind-listen-{self._mapping}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the subscription and its thread."""
        self._stopping.set()
        self._ask("alive")  # whatever comes ends the waiting
        if self._thread is not None:
            self._thread.join(2 * SOCKET_TIMEOUT_S)

    def wait_alive(self, timeout_s: float) -> int:
        """The generation of the living subscription.

        :raises WriteBehindError: there was none within the time; the reason.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self.is_alive or (self.error is not None and not self.error.retryable), timeout_s
            )
            if not self.is_alive:
                raise self.error or CacheUnavailable(f"the cache at {self._address.shown} cannot be subscribed to")
            return self.generation

    def pass_barrier(self, generation: int) -> bool:
        """Wait until everything that happened before this call has been noted; False where that cannot be known."""
        token = secrets.token_hex(8)
        if self.generation != generation or not self._ask(token):
            return False
        with self._changed:
            self._changed.wait_for(
                lambda: self._answered == token or self.generation != generation or not self.is_alive,
                SOCKET_TIMEOUT_S,
            )
            return self._answered == token and self.generation == generation

    def _ask(self, token: str) -> bool:
        """Ask for a sign of life; False where there is no subscription to ask on."""
        try:
            with self._sending:
                if self._connection is None:
                    return False
                command = self._connection.pack_command("PING", token)
                self._connection.send_packed_command(command, check_health=False)
        except (redis.RedisError, OSError):
            return False  # the listener's own thread finds out, and says why
        return True

    def _work(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            try:
                self._subscribe()
                attempt = 0
                self._listen()
            except (redis.RedisError, OSError, WriteBehindError) as error:
                known = error if isinstance(error, WriteBehindError) else explain(error, self._address.shown)
                self._broken(known)
                delay_s = min(LONGEST_RETRY_DELAY_S, FIRST_RETRY_DELAY_S * 2.0 ** min(attempt, 10))
                attempt += 1
                self._clock.wait(self._stopping, delay_s)
        self._disconnect()

    def _subscribe(self) -> None:
        pool = ConnectionPool.from_url(self._address.url, retry=Retry(NoBackoff(), 0), **connection_options())
        connection: Any = pool.make_connection()
        connection.connect()
        try:
            ensure_notifications(connection, self._address)
            connection.send_command("PSUBSCRIBE", self._channels)
            connection.read_response()
        except BaseException:
            connection.disconnect()
            raise
        with self._changed:
            with self._sending:
                self._connection = connection
                self.generation += 1
            self.is_alive = True
            self.error = None
            self._changed.notify_all()

    def _listen(self) -> None:
        connection = self._connection
        while not self._stopping.is_set():
            if connection.can_read(timeout=PING_AFTER_S):
                self._take(connection.read_response())
                continue
            self._ask("alive")
            self._take(connection.read_response())  # within the socket's timeout, or the subscription is dead

    def _take(self, message: list[bytes]) -> None:
        if message[0] == b"pmessage":
            self._dirty.note(message[2][self._prefix_length :], message[3])
        elif message[0] == b"pong" and message[1] != b"alive":
            with self._changed:
                self._answered = message[1].decode()
                self._changed.notify_all()

    def _broken(self, error: WriteBehindError) -> None:
        was_alive = self.is_alive
        self._disconnect()
        with self._changed:
            self.error = error
            self._changed.notify_all()
        if was_alive:
            self._observe(SubscriptionBroken(self._mapping, str(error)))

    def _disconnect(self) -> None:
        with self._changed, self._sending:
            connection, self._connection = self._connection, None
            self.is_alive = False
            self._changed.notify_all()
        if connection is not None:
            connection.disconnect()
