"""A TCP proxy that treats connections as bad networks do: late, cut at a byte, silent, in slices, or slow."""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET

READ_BYTES = 1 << 16
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST instead of FIN


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What happens to a connection. Bytes are counted from host to board unless `backwards`."""

    latency_s: float = 0.0  # each way, for every byte, in order
    reset_at: int | None = None  # the connection is reset after this many bytes
    stall_at: int | None = None  # from this byte on nothing moves, in either direction; everything stays open
    half_open_at: int | None = None  # from this byte on the board hears nothing and its side stays open; the host's is closed
    slice_bytes: int | None = None  # at most so many bytes at once
    bytes_per_s: float | None = None  # a token bucket, shared by all connections of the proxy, each way its own
    burst_bytes: int = 16 << 10
    backwards: bool = False


class Bucket:
    """A token bucket: who takes waits until there is enough."""

    def __init__(self, bytes_per_s: float, burst_bytes: int) -> None:
        self._rate, self._burst = bytes_per_s, burst_bytes
        self._tokens, self._at = float(burst_bytes), time.monotonic()

    async def take(self, count: int) -> None:
        """Wait for `count` tokens."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - count
        self._at = now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._rate)


@dataclass
class FaultProxy:
    """Listens on `port` of loopback and passes on to `target_port`. `faults` holds for connections made from then on."""

    target_port: int
    faults: Faults = field(default_factory=Faults)
    port: int = 0
    passed_bytes: int = 0  # from host to board
    connections: int = 0
    _buckets: dict[bool, tuple[Faults, Bucket]] = field(default_factory=dict)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, ready: threading.Event, over: asyncio.Event) -> None:
        """Serve until `over`."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=READ_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await over.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, host_in: asyncio.StreamReader, host_out: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            board_in, board_out = await asyncio.open_connection("127.0.0.1", self.target_port, limit=READ_BYTES)
        except OSError:
            host_out.transport.abort()
            return
        self._writers += [host_out, board_out]
        pair = Pair(self, self.faults, host_out, board_out)
        for reader, writer, backwards in ((host_in, board_out, False), (board_in, host_out, True)):
            task = asyncio.create_task(pair.pump(reader, writer, backwards))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def throttle(self, faults: Faults, backwards: bool, count: int) -> None:
        """Wait until so many bytes may pass in a direction."""
        if faults.bytes_per_s is not None:
            known = self._buckets.get(backwards)
            if known is None or known[0] != faults:
                known = self._buckets[backwards] = (faults, Bucket(faults.bytes_per_s, faults.burst_bytes))
            await known[1].take(count)


class Pair:
    """The two sides of one connection."""

    def __init__(self, proxy: FaultProxy, faults: Faults, host: asyncio.StreamWriter, board: asyncio.StreamWriter) -> None:
        self._proxy, self._faults, self._host, self._board = proxy, faults, host, board
        self._counted, self._stalled = 0, asyncio.Event()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, backwards: bool) -> None:
        """Pass bytes on in one direction until something ends it."""
        faults, late = self._faults, asyncio.Queue[tuple[float, bytes]]()
        counted = backwards == faults.backwards
        sender = asyncio.create_task(self._send(late, writer, backwards))
        with suppress(OSError, asyncio.IncompleteReadError):
            while data := await reader.read(min(READ_BYTES, faults.slice_bytes or READ_BYTES)):
                if self._stalled.is_set():
                    await asyncio.Event().wait()
                data, fault = self._cut(data) if counted else (data, "")
                await self._proxy.throttle(faults, backwards, len(data))
                if data:
                    late.put_nowait((time.monotonic() + faults.latency_s, data))
                if fault:
                    await late.join()
                    await self._strike(fault)
        late.put_nowait((0.0, b""))
        await sender

    async def _send(self, late: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, backwards: bool) -> None:
        with suppress(OSError):
            while True:
                due, data = await late.get()
                if due > time.monotonic():
                    await asyncio.sleep(due - time.monotonic())
                if not data:
                    break
                if not self._stalled.is_set():
                    writer.write(data)
                    await writer.drain()
                    self._proxy.passed_bytes += 0 if backwards else len(data)
                late.task_done()
        if not self._stalled.is_set():
            writer.close()

    def _cut(self, data: bytes) -> tuple[bytes, str]:
        """Return how much of the data still passes, and what happens then."""
        for fault in ("reset_at", "stall_at", "half_open_at"):
            at = getattr(self._faults, fault)
            if at is not None and self._counted <= at < self._counted + len(data):
                data = data[: at - self._counted]
                self._counted = at + 1
                return data, fault
        self._counted += len(data)
        return data, ""

    async def _strike(self, fault: str) -> None:
        self._stalled.set()
        if fault == "reset_at":
            for side in (self._host, self._board):
                side.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, RESET)
                side.transport.abort()
        elif fault == "half_open_at":
            self._host.transport.abort()
        await asyncio.Event().wait()


@contextmanager
def proxy_to(target_port: int, faults: Faults | None = None) -> Iterator[FaultProxy]:
    """A proxy in a thread of its own, for the length of a `with`."""
    proxy, ready = FaultProxy(target_port, faults or Faults()), threading.Event()
    made: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        over = asyncio.Event()
        made.append((asyncio.get_running_loop(), over))
        await proxy.serve(ready, over)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="fault proxy", daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        loop, over = made[0]
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
