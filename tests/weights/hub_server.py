"""A Hugging Face Hub, a GitHub and a misbehaving network, on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback import serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """``repos``: name → file → bytes. ``files``: any other path → bytes. Files of repositories
    are large (LFS, with a SHA-256) where their name ends in a weights' ending.

    ``cut``: how many times each file breaks off after half. ``lie``: files whose content is not
    what the listing says. ``status``: path part → code to answer with. ``wait``: asked files hang
    until `release` is set.
    """

    def __init__(self) -> None:
        self.url = ""
        self.repos: dict[str, dict[str, bytes]] = {}
        self.files: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}
        self.lie: dict[str, bytes] = {}
        self.status: dict[str, int] = {}
        self.wait: set[str] = set()
        self.started = threading.Event()
        self.release = threading.Event()
        self.asked: list[tuple[str, dict[str, str]]] = []

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextlib.contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    class Handler(_Handler):
        pass

    Handler.hub = hub
    with serving(Handler, hub.release) as url:
        hub.url = url
        yield hub


def is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".pth", ".bin", ".pt"))


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        self.hub.asked.append((path, dict(self.headers)))
        for part, code in self.hub.status.items():
            if part in path:
                return self._answer(code, b"{}")
        if path.startswith("api/models/"):
            return self._api(path.removeprefix("api/models/"))
        if path in self.hub.files:
            return self._file(path, self.hub.files[path], {})
        repo, found, rest = path.partition("/resolve/")
        name = rest.partition("/")[2]
        if found and name in self.hub.repos.get(repo, {}):
            data = self.hub.repos[repo][name]
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
            return self._file(name, self.hub.lie.get(name, data), headers)
        return self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _api(self, rest: str) -> None:
        repo, _, tail = rest.partition("/revision/")
        if not tail:
            repo, _, tail = rest.partition("/tree/")
        files = self.hub.repos.get(repo)
        if files is None:
            return self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        entries: list[dict[str, Any]] = []
        for name, data in files.items():
            sha = hashlib.sha256(data).hexdigest()
            lfs = {"oid": sha, "sha256": sha, "size": len(data), "pointerSize": 1}
            entry = {"rfilename": name, "path": name, "type": "file", "size": len(data)}
            entry |= {"oid": sha[:40], "blobId": sha[:40]}
            entries.append(entry | ({"lfs": lfs} if is_large(name) else {}))
        if "/tree/" in rest:
            return self._answer(200, json.dumps(entries).encode())
        answer = {"id": repo, "sha": COMMIT, "siblings": entries, "private": False, "tags": []}
        return self._answer(200, json.dumps(answer).encode())

    def _file(self, name: str, data: bytes, headers: dict[str, str]) -> None:
        start, status = 0, 200
        if asked := self.headers.get("Range"):
            start, status = int(asked.removeprefix("bytes=").split("-")[0]), 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        headers["Content-Length"] = str(len(body))
        if self.command == "GET":
            if self.hub.cut.get(name, 0) > 0:
                self.hub.cut[name] -= 1
                body = body[: len(body) // 2]
                self.close_connection = True
            if name in self.hub.wait:
                self._answer(status, body[: len(body) // 2], headers)
                self.wfile.flush()
                self.hub.started.set()
                self.hub.release.wait(20)
                self.close_connection = True
                return
        self._answer(status, body, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)
