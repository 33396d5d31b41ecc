"""The demonstration's commands to a process of clients, which reads them while it does other things."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from writebehind.demo.parent import command


class Orders:
    """What the demonstration says, read while other things go on."""

    def __init__(self) -> None:
        self.stopping = False
        """It said so, or it is gone."""
        self._commands: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen(self) -> None:
        """Read stdin to its end."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while not self.stopping:
            said = command(await reader.readline())
            self.stopping = bool(said.get("stop"))
            await self._commands.put(said)

    async def next(self) -> dict[str, Any]:
        """The next command; after the end of it all, to stop."""
        if self.stopping and self._commands.empty():
            return {"stop": True}
        return await self._commands.get()
