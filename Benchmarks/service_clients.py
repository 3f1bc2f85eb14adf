"""Clients for measuring the server: requests at a fixed pace whatever the answers do, and readers of event streams."""

import asyncio
import time


def percentile(values, share):
    """The value below which the share lies; infinity without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


async def exchange(reader, writer, request):
    """One request over an open connection: (status, body). The server tells the length of what is measured here."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":", 1)[1])
    return status, await reader.readexactly(length)


def message(method, path, port, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(body)}", *headers]
    if body:
        lines.append("Content-Type: application/json")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Pace:
    """An open loop: request `n` is due at `n / rate`, and its latency counts from then, also when all connections
    are still busy with earlier ones. So a server that falls behind cannot hide it.
    """

    def __init__(self, port, connections, rate):
        self.port, self.connections, self.rate = port, connections, rate
        self.latencies, self.failures, self.answers = [], [], []

    async def run(self, seconds, request, check):
        """`request(n)` gives the bytes of request `n`; `check(n, status, body)` says what is wrong, or nothing."""
        due = asyncio.Queue()
        workers = [asyncio.create_task(self._serve(due, request, check)) for _ in range(self.connections)]
        began = time.perf_counter()
        for number in range(int(seconds * self.rate)):
            moment = began + number / self.rate
            await asyncio.sleep(max(0, moment - time.perf_counter()))
            due.put_nowait((number, moment))
        for _ in workers:
            due.put_nowait(None)
        await asyncio.gather(*workers)
        return self

    async def _serve(self, due, request, check):
        stream = None
        while (item := await due.get()) is not None:
            number, moment = item
            try:
                if stream is None:
                    stream = await asyncio.open_connection("127.0.0.1", self.port)
                status, body = await exchange(*stream, request(number))
                problem = check(number, status, body)
                if problem:
                    self.failures.append(problem)
                else:
                    self.latencies.append(time.perf_counter() - moment)
            except (OSError, asyncio.IncompleteReadError) as error:
                stream = None
                self.failures.append(str(error) or type(error).__name__)
        if stream:
            stream[1].close()


class Watcher:
    """A reader of one event stream that notes when each piece came, without looking into it."""

    def __init__(self, port, path):
        self.port, self.path = port, path
        self.arrivals = []
        self.is_open = asyncio.Event()
        self.task = None

    def start(self):
        self.task = asyncio.create_task(self._read())

    async def _read(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(message("GET", self.path, self.port, headers=["Accept: text/event-stream"]))
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(head.split(b"\r\n", 1)[0].decode())
        self.is_open.set()
        try:
            while piece := await reader.read(1 << 16):
                # A heartbeat is a comment; it is no event.
                if b"data:" in piece:
                    self.arrivals.append(time.perf_counter())
        finally:
            writer.close()
