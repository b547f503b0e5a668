"""A real HTTP server on loopback that misbehaves on request."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

from tests.loopback import serving


class Site:
    """``url`` is the server's address; ``files`` are what it serves by path; ``asked`` counts
    requests by path, ``ranges`` lists the Range headers. ``release`` ends the slow answers."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.release = threading.Event()


@contextlib.contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Serve until the block ends."""

    class Handler(_Handler):
        pass

    Handler.site = site
    with serving(Handler, site.release) as url:
        site.url = url
        yield site


class _Handler(BaseHTTPRequestHandler):
    """Paths: ``/status/CODE/…``, ``/wait/…`` (429 once), ``/flaky/…`` (500 twice, then the file),
    ``/slow/…`` (never answers), ``/cut/…`` (half of the body the first time), ``/short/…`` (half of
    it always), ``/to/…`` (redirects), ``/to-file``, ``/page/…`` (HTML); else the file."""

    site: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        site, path = self.site, self.path
        site.asked[path] += 1
        site.headers.append(dict(self.headers))
        first, _, rest = path[1:].partition("/")
        if first == "status":
            self._answer(int(rest.split("/")[0]), b"no")
        elif first == "wait" and site.asked[path] == 1:
            self._answer(429, b"slow down", {"Retry-After": "7"})
        elif first == "flaky" and site.asked[path] <= 2:
            self._answer(500, b"oops")
        elif first == "slow":
            site.release.wait(20)
        elif first == "to":
            self._answer(302, b"", {"Location": f"/{rest}"})
        elif first == "to-file":
            self._answer(302, b"", {"Location": "file:///etc/hostname"})
        elif first == "page":
            self._answer(200, site.files[path], {"Content-Type": "text/html; charset=utf-8"})
        elif first == "note":
            self._answer(200, b"a letter", {"Content-Type": "text/plain"})
        else:
            name = rest if first in ("wait", "flaky", "cut", "short") else path[1:]
            self._file(site.files.get(name), first, site.asked[path])

    def _file(self, data: bytes | None, manner: str, time: int) -> None:
        if data is None:
            self._answer(404, b"no such file")
            return
        start, status = 0, 200
        headers = {"Content-Type": "video/mp4", "ETag": f'"{len(data)}"'}
        asked = self.headers.get("Range")
        if asked:
            self.site.ranges.append(asked)
            start, status = int(asked.removeprefix("bytes=").split("-")[0]), 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        headers["Content-Length"] = str(len(body))
        if manner == "short" or (manner == "cut" and time == 1):
            body = body[: len(body) // 2]
            self.close_connection = True
        self._answer(status, body, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)
