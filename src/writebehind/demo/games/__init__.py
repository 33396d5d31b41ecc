"""The demonstration's second act: games, whose scores, profiles and clicks are the other three kinds of data.

::

    act ─┬─ player    a process of clients, which play games and keep a journal of what they wrote
         ├─ worker    as in the first act, with other mappings
         ├─ stores    the tables: scores and profiles in PostgreSQL, clicks in DuckDB
         ├─ report    what became of it, by kind
         └─ audit     the journal against every row
"""
