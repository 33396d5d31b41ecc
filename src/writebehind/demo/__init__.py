"""The demonstration: a viral video's likes, through the cache into a real PostgreSQL, measured and audited.

::

    command ── run ─┬─ writer   processes of clients, which like videos and count what was acknowledged
                    │             through the cache first, then with one UPDATE each (direct)
                    ├─ worker   a process that flushes, and tells the status
                    ├─ screen   what is seen while it runs
                    ├─ report   both ways side by side
                    └─ audit    every acknowledged like against the rows in the database
"""

from writebehind.demo.command import demo

__all__ = ["demo"]
