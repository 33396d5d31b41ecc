"""The wheel with the extra `embedded`: from a write to a row in the SQLite file."""

import sqlite3

from writebehind import WriteBehind

wb = WriteBehind()
wb.create_counter_table("pages", key=["path"], columns=["hits"])
hits = wb.counter("pages.hits", missing="insert")
with wb:
    hits.add("/")
    assert hits.incr("/", 2) == 3
    report = wb.flush()
assert report.rows == 1, report
with sqlite3.connect(".writebehind/data.db") as connection:
    rows = connection.execute("SELECT path, hits FROM pages").fetchall()
assert rows == [("/", 3)], rows
