"""A real HTTP server on loopback that speaks the OpenAI chat protocol badly.

Its captions name the number that it reads from the pictures it was sent, so that a caption on the
wrong clip shows. It counts, by the hash of what was asked, how often it answered well and whole:
that is what would have been paid for.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import cv2
import numpy as np

from tests.backends.captioners.numbered_clips import number_in
from tests.loopback import serving

KEY = "sk-loopback-0123456789-secret"
MODEL = "toy-captioner"
#: What it can do wrong, after which the same request may be answered well.
PASSING = (
    "429", "429-soon", "500", "503", "bad-json", "html", "schema", "empty", "huge", "drop",
    "reset", "cut", "never", "another",
)  # fmt: skip

#: Number of the clip, how often it was asked before → what to do: "ok", "slow", one of `PASSING`,
#: or a status that stays ("400", "401", "404").
Manner = Callable[[int, int], str]


class FaultyServer:
    """``url`` ends with /v1. ``asked`` counts requests, ``paid`` whole good answers, both by the
    hash of the body; ``numbers`` requests by clip; ``bodies`` and ``headers`` the last request of
    each hash; ``stop_after``: so many good answers, then silence; ``release`` ends
    all silence."""

    def __init__(self, manner: Manner = lambda number, before: "ok") -> None:
        self.manner = manner
        self.url = ""
        self.key: str | None = KEY
        self.models = [MODEL]
        self.asked: Counter[str] = Counter()
        self.paid: Counter[str] = Counter()
        self.numbers: Counter[int] = Counter()
        self.did: Counter[str] = Counter()
        self.bodies: dict[str, dict[str, Any]] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.most_at_once = 0
        self.stop_after: int | None = None
        self.release = threading.Event()
        self._now = 0
        self._guard = threading.Lock()

    def enter(self, body: bytes, headers: dict[str, str]) -> tuple[str, int, int]:
        """Count a request; its hash, the clip it shows, and how often that was asked before."""
        name = hashlib.sha256(body).hexdigest()
        data = json.loads(body)
        number = shown_number(data)
        with self._guard:
            before = self.asked[name]
            self.asked[name] += 1
            self.numbers[number] += 1
            self.bodies[name], self.headers[name] = data, headers
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        return name, number, before

    def leave(self) -> None:
        with self._guard:
            self._now -= 1

    def pay(self, name: str) -> bool:
        """Count a good answer before it is sent; False where `stop_after` were given."""
        with self._guard:
            if self.stop_after is not None and self.paid.total() >= self.stop_after:
                return False
            self.paid[name] += 1
            return True


def pictures_of(data: dict[str, Any]) -> list[np.ndarray]:
    """RGB pictures of a request, in their order."""
    found = []
    for part in data["messages"][0]["content"]:
        if part["type"] == "image_url":
            head, _, text = part["image_url"]["url"].partition(",")
            assert head == "data:image/jpeg;base64"
            raw = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
            found.append(cv2.imdecode(raw, cv2.IMREAD_COLOR)[:, :, ::-1])
    return found


def shown_number(data: dict[str, Any]) -> int:
    """The number that all pictures of a request show; -1 where they do not agree."""
    found = {number_in(picture) for picture in pictures_of(data)}
    return found.pop() if len(found) == 1 else -1


def sentence(number: int, temperature: float = 0.0) -> str:
    way = "Then the person repeats" if temperature else "The person makes"
    return f"{way} movement number {number}."


def number_said(text: str) -> int:
    (found,) = re.findall(r"movement number (-?\d+)\.", text)
    return int(found)


@contextlib.contextmanager
def serve(server: FaultyServer) -> Iterator[FaultyServer]:
    """Serve until the block ends."""

    class Handler(_Handler):
        pass

    Handler.faulty = server
    with serving(Handler, server.release) as url:
        server.url = url + "/v1"
        yield server


class _Handler(BaseHTTPRequestHandler):
    faulty: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def do_GET(self) -> None:
        if self._locked_out():
            return
        if self.path == "/v1/models":
            models = [{"id": name, "object": "model"} for name in self.faulty.models]
            self._send(200, json.dumps({"object": "list", "data": models}).encode())
        else:
            self._send(404, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._locked_out():
            return
        if self.path != "/v1/chat/completions":
            self._send(404, b'{"error": {"message": "no such path"}}')
            return
        self._act(*self.faulty.enter(body, dict(self.headers)))

    def _locked_out(self) -> bool:
        wanted = self.faulty.key
        given = self.headers.get("Authorization", "")
        if wanted is None or given == f"Bearer {wanted}":
            return False
        said = {"error": {"message": f"Incorrect API key provided: {given}"}}
        self._send(401, json.dumps(said).encode())
        return True

    def _act(self, name: str, number: int, before: int) -> None:
        server = self.faulty
        what = server.manner(number, before)
        server.did[what] += 1
        good = self._answer(name, number)
        if what == "slow":
            server.release.wait(0.02 + number % 7 / 40)
        server.leave()  # whoever waits for this may ask for something else from now on
        if what in ("ok", "slow"):
            if server.pay(name):
                self._send(200, good)
            else:
                server.release.wait(60)
                self.close_connection = True
        elif what in ("429", "429-soon"):
            wait = {"Retry-After": "0"} if what == "429-soon" else {}
            self._send(429, b'{"error": {"message": "slow down"}}', wait)
        elif what.isdigit():
            said = f"{what} of {self.headers.get('Authorization')}"
            self._send(int(what), json.dumps({"error": {"message": said}}).encode())
        elif what == "another":
            other = {"X-Request-Id": "motionkit-00000000000000000000000000000000-0"}
            self._send(200, self._answer(name, number + 1), other)
        elif what == "never":
            server.release.wait(60)
            self.close_connection = True
        else:
            self._break(what, good)

    def _break(self, what: str, good: bytes) -> None:
        """Answers that are no answers, and connections that end."""
        bodies = {
            "bad-json": good[: len(good) // 2],
            "html": b"<html><body>502 Bad Gateway</body></html>",
            "schema": b'{"choices": [{"message": {"content": {"text": 7}}}]}',
            "empty": b'{"choices": [{"message": {"content": " \\n\\u200b "}}]}',
            "huge": b'{"choices": "' + b"x" * (1 << 21) + b'"}',
        }
        if what in bodies:
            kind = {"Content-Type": "text/html"} if what == "html" else {}
            self._send(200, bodies[what], kind)
            return
        self.close_connection = True
        if what == "cut":
            self._send(200, good[: len(good) // 2], {"Content-Length": str(len(good))})
        elif what == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _answer(self, name: str, number: int) -> bytes:
        data = self.faulty.bodies[name]
        text = sentence(number, data.get("temperature", 0.0))
        answer = {
            "id": f"chatcmpl-{name[:8]}",
            "object": "chat.completion",
            "model": f"{MODEL}-2026",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": f" {text}\n"},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 1000 + number, "completion_tokens": 9},
        }
        return json.dumps(answer).encode()

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        every = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for header, value in {**every, **(headers or {})}.items():
            self.send_header(header, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)
