"""`martlet serve` as a process, and a client that says when each token arrived."""

import json
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time

ADDRESS = re.compile(r"http://([\w.-]+):(\d+)")
# An event that carries text. Random models say ordinary words: their vocabulary is made so.
TEXT = re.compile(rb'"text"\s*:\s*"[^"]')
COUNT = re.compile(rb'"completion_tokens"\s*:\s*(\d+)')
NAME = "bench"
END = b"data: [DONE]"
PATIENCE = 300


class Server:
    """A started server; its address is known when the initializer returns."""

    def __init__(self, martlet, words):
        self.errors = tempfile.TemporaryFile()
        self.began = time.perf_counter()
        environment = {k: v for k, v in os.environ.items() if k != "MARTLET_API_KEY"}
        self.process = subprocess.Popen(
            [martlet, "serve", *words, "--served-model-name", NAME, "--port", "0"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment)
        for line in self.process.stdout:
            found = ADDRESS.search(line)
            if found:
                self.address = (found[1], int(found[2]))
                break
        else:
            self.fail("the server ended before it was ready")

    @property
    def pid(self):
        return self.process.pid

    def fail(self, problem):
        self.process.kill()
        status = self.process.wait()
        self.errors.seek(0)
        said = " | ".join(self.errors.read().decode("utf-8", "replace").strip().splitlines()[-5:])
        sys.exit(f"{problem} (exit status {status}): {said}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def request(self, prompt, steps):
        body = json.dumps({
            "model": NAME, "prompt": prompt, "max_tokens": steps, "min_tokens": steps, "ignore_eos": True,
            "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}).encode()
        head = (f"POST /v1/completions HTTP/1.1\r\nHost: {self.address[0]}:{self.address[1]}\r\n"
                "Connection: close\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        return head.encode() + body

    def generate(self, prompts, steps):
        """Seconds until all prompts have their first token, and until all have `steps`: a request each, at once."""
        requests = [self.request(prompt, steps) for prompt in prompts]
        began = time.perf_counter()
        answers = [Answer(self.address, request) for request in requests]
        with selectors.DefaultSelector() as selector:
            for answer in answers:
                selector.register(answer.connection, selectors.EVENT_READ, answer)
            waiting = len(answers)
            while waiting:
                ready = selector.select(PATIENCE)
                if not ready:
                    self.fail(f"no token within {PATIENCE} s")
                for key, _ in ready:
                    if key.data.receive():
                        selector.unregister(key.data.connection)
                        key.data.connection.close()
                        waiting -= 1
        times = [answer.times(self, steps) for answer in answers]
        return max(first for first, _ in times) - began, max(last for _, last in times) - began


class Answer:
    """What came and when. Nothing is parsed before the end, so that the client takes little of the processor."""

    def __init__(self, address, request):
        self.received = bytearray()
        self.pieces = []
        self.connection = socket.create_connection(address, timeout=PATIENCE)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sendall(request)

    def receive(self):
        """Takes what is there; whether that was the end."""
        piece = self.connection.recv(1 << 16)
        self.received += piece
        self.pieces.append((time.perf_counter(), len(self.received)))
        return not piece or END in self.received[-len(piece) - len(END):]

    def times(self, server, steps):
        status = self.received.split(b"\r\n", 1)[0].decode("utf-8", "replace")
        counts, places = COUNT.findall(self.received), [found.end() for found in TEXT.finditer(self.received)]
        if " 200" not in status or not counts or not places:
            server.fail(f"{status}: {bytes(self.received[-300:])!r}")
        if int(counts[-1]) != steps:
            server.fail(f"{int(counts[-1])} tokens came in place of {steps}")
        return self.arrival(places[0]), self.arrival(places[-1])

    def arrival(self, place):
        return next(moment for moment, end in self.pieces if end >= place)
