"""A piece of network between two programs on loopback: it flows, drips, is silent, forgets connections, or is cut."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.peers.process import HOST, free_port

CHUNK = 4096
FORGOTTEN_S = 200.0  # until a forgotten connection is closed: longer than either end may wait for the other


class Link:
    """One connection: its end near to who opened it, and the far one."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.ends = (near, far)
        self.forgotten = False

    def reset(self) -> None:
        """End it as a broken network does: both sides get a reset, and what was on its way is lost."""
        for end in self.ends:
            with suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            end.transport.abort()


class Relay:
    """Listens on `port` for what is meant for the target's port, from `start` to `stop`."""

    def __init__(self, target: int) -> None:
        self.port, self.target = free_port(), target
        self._links: set[Link] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._bytes_per_s = float("inf")
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"relay {self.port}", daemon=True)

    def start(self) -> None:
        """Let it flow."""
        self._thread.start()
        self._do(self._listen())

    def stop(self) -> None:
        """End all connections."""
        if self._thread.is_alive():
            self._do(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Reset all connections, and refuse new ones until the end."""
        self._do(self._refuse())
        try:
            yield
        finally:
            self._do(self._listen())

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Take connections and bytes, and hold them all back until the end."""
        self._loop.call_soon_threadsafe(self._flowing.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._flowing.set)

    @contextmanager
    def slow(self, bytes_per_s: float) -> Iterator[None]:
        """Let no more pass, in each direction of each connection, until the end."""
        self._bytes_per_s = bytes_per_s
        try:
            yield
        finally:
            self._bytes_per_s = float("inf")

    def forget(self) -> int:
        """Let the connections that there are pass nothing any more, not even their end; return how many there are."""
        links = list(self._links)
        for link in links:
            link.forgotten = True
        return len(links)

    # --- what runs on the relay's own thread

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        while True:
            try:
                self._server = await asyncio.start_server(self._serve, HOST, self.port)
                return
            except OSError:  # somebody else's connection was given the port meanwhile
                await asyncio.sleep(0.1)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.reset()

    async def _end(self) -> None:
        await self._refuse()
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _serve(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_reader, far = await asyncio.open_connection(HOST, self.target)
        except OSError:  # nobody is there at the moment
            Link(near, near).reset()
            return
        link = Link(near, far)
        self._links.add(link)
        try:
            await asyncio.gather(self._pass(link, near_reader, far), self._pass(link, far_reader, near))
        except (OSError, asyncio.CancelledError):  # the latter when the relay stops
            link.reset()
        finally:
            self._links.discard(link)
            for end in link.ends:
                end.close()

    async def _pass(self, link: Link, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        """Pass on what comes from one end until it closes, and that it has closed."""
        while data := await source.read(CHUNK):
            await self._passage(link)
            await asyncio.sleep(len(data) / self._bytes_per_s)
            to.write(data)
            await to.drain()
        await self._passage(link)
        to.write_eof()

    async def _passage(self, link: Link) -> None:
        await self._flowing.wait()
        if link.forgotten:
            await asyncio.sleep(FORGOTTEN_S)
            raise ConnectionResetError
