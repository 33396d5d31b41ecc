"""With the extras ``embedded`` and ``duckdb``: an event log in a file, with no server of its own."""

import duckdb

from writebehind import WriteBehind

with duckdb.connect("events.duckdb") as connection:
    connection.execute("CREATE TABLE clicks (page VARCHAR)")
wb = WriteBehind()
clicks = wb.events("clicks", database="duckdb:///events.duckdb")
wb.init()
with wb:
    clicks.extend({"page": page} for page in ("/", "/about"))
    assert wb.flush(timeout=30).rows == 2
with duckdb.connect("events.duckdb") as connection:
    assert connection.execute("SELECT page FROM clicks").fetchall() == [("/",), ("/about",)]
