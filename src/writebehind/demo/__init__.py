"""The demonstration: a viral video's likes, then games, through the cache into real databases, measured and audited.

::

    command ── run ─┬─ writer   processes of clients, which like videos and count what was acknowledged
                    │             through the cache first, then with one UPDATE each (direct)
                    ├─ worker   a process that flushes, and tells the status; replaced when it is killed (workers)
                    ├─ screen   what is seen while it runs
                    ├─ report   both ways side by side
                    ├─ audit    every acknowledged like against the rows in the database
                    └─ games    the second act, with the other three kinds of data
"""

from writebehind.demo.command import demo

__all__ = ["demo"]
