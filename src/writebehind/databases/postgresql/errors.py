"""psycopg's errors as the library's, by SQLSTATE.

========================  =====================  =================================================
SQLSTATE                  becomes                because
========================  =====================  =================================================
22, 23, 44, P0001         RowRefused             the data of a row, a constraint, a trigger's RAISE
none, 08, 40, 53, 57, 58  DatabaseUnavailable    connection, deadlock, resources, restart, disk
25006, 25P03, 55P03,      DatabaseUnavailable    read-only for now, timeouts, locks
55006
42P01 of our tables       LedgerMissing          ``writebehind init`` was never run
everything else           DatabaseRefused        permission, schema, configuration
========================  =====================  =================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from writebehind.databases.ledger import ledger_missing
from writebehind.errors import DatabaseError, DatabaseRefused, DatabaseUnavailable, RowRefused

_ROW_CLASSES = ("22", "23", "44")
_ROW_STATES = ("P0001",)
_PASSING_CLASSES = ("08", "40", "53", "57", "58")
_PASSING_STATES = ("25006", "25P03", "25P04", "55P03", "55006")

_FIXES = {
    "42501": "Grant this user the right (SELECT, INSERT, UPDATE and DELETE on the tables), or run it as their owner.",
    "42P01": "Create the table, or correct its name or the search_path.",
    "42703": "Add the column, or correct its name; restart the worker after a change of the schema.",
    "25006": "The server is read-only now: it may be a replica. It is tried again.",
    "53300": "Raise max_connections, or close other connections.",
    "57014": "Raise statement_timeout for this user, or make flushes smaller.",
    "57P03": "The server is starting or recovering. It is tried again.",
}
_FIX_OF_CLASS = {
    "28": "Correct the user and the password in the database's URL, or pg_hba.conf.",
    "3D": "Create the database, or correct its name in the URL.",
}
# A failed connection has no SQLSTATE, only the server's words; these mean that trying again is no use.
_REFUSED_CONNECTIONS = {
    "password authentication failed": "28P01",
    "no password supplied": "28P01",
    "no pg_hba.conf entry": "28000",
    "Peer authentication failed": "28000",
    "role ": "28000",
    "database ": "3D000",
}

COMMIT_UNKNOWN = "the outcome of the commit is not known"


def is_connection_lost(error: psycopg.Error) -> bool:
    """Whether the error says that the session is gone, rather than that a statement failed."""
    state = error.sqlstate
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (
        state is None or state.startswith("08") or state in ("57P01", "57P02", "57P03", "57P05", "25P03", "25P04")
    )


def translate(error: psycopg.Error, doing: str) -> DatabaseError:
    """The library's error for a driver's; ``doing`` says what was tried, for the message."""
    state = error.sqlstate or ""
    why = (error.diag.message_primary or str(error)).strip()
    if error.diag.message_detail:
        why += f" ({error.diag.message_detail.strip()})"
    if state[:2] in _ROW_CLASSES or state in _ROW_STATES:
        return RowRefused(f"{doing} was refused", why=why, sqlstate=state)
    if not state and isinstance(error, psycopg.DataError):  # the driver's own: NUL in a text, for example
        return RowRefused(f"{doing} was refused", why=why, sqlstate="22000")
    lost = not state and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    if lost or state[:2] in _PASSING_CLASSES or state in _PASSING_STATES:
        return DatabaseUnavailable(f"{doing} failed", why=why, fix=_FIXES.get(state, ""))
    if state == "42P01" and "writebehind_" in why:
        return ledger_missing(why)
    fix = _FIXES.get(state) or _FIX_OF_CLASS.get(state[:2], "")
    if state:
        why += f" [SQLSTATE {state}]"
    return DatabaseRefused(f"{doing} was refused", why=why, fix=fix)


def translate_connecting(error: psycopg.Error, where: str) -> DatabaseError:
    """The error for a connection that could not be opened; ``where`` is the redacted URL."""
    why = str(error).strip()
    if "FATAL" in why:
        for words, state in _REFUSED_CONNECTIONS.items():
            if words in why and (words[-1] != " " or "does not exist" in why):
                fix = _FIX_OF_CLASS[state[:2]]
                return DatabaseRefused(f"the database {where!r} refused the connection", why=why, fix=fix)
    return DatabaseUnavailable(f"the database {where!r} could not be reached", why=why)


def translate_commit(error: psycopg.Error) -> DatabaseError:
    """The error of a COMMIT: a lost connection leaves its outcome open, everything else is a rollback."""
    if is_connection_lost(error):
        return DatabaseUnavailable(COMMIT_UNKNOWN, why=str(error).strip(), fix="Read the head on a new connection.")
    return translate(error, "the commit")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise the library's errors for what the driver raises inside the block."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, doing) from error
