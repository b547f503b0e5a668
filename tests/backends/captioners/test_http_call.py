"""One bounded HTTP request."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from motionkit.backends.captioners import http_call
from motionkit.backends.captioners.http_call import NoServer, call, parse_address
from motionkit.errors import InputError, UsageError

BODY = b'{"a": 1}'
SECRET = "sk-secret-0123456789"
HEADERS = {"Authorization": f"Bearer {SECRET}"}


@contextlib.contextmanager
def raw_server(act: Callable[[socket.socket], None]) -> Iterator[str]:
    """A socket that does ``act`` with its first connection, and closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                asked = b""
                # All of it: what is closed with something unread is reset, and not ended.
                while not asked.endswith(b"\r\n\r\n" if asked.startswith(b"GET") else BODY):
                    if not (more := connection.recv(65536)):
                        break
                    asked += more
                act(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.close()
        thread.join(5)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def post(url: str, timeout_s: float = 5.0) -> http_call.Reply:
    return call(parse_address(url), "POST", "/chat/completions", HEADERS, BODY, timeout_s)


def failure(act: Callable[[socket.socket], None], timeout_s: float = 5.0) -> InputError:
    with raw_server(act) as url, pytest.raises(InputError) as caught:
        post(url, timeout_s)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def test_a_whole_answer() -> None:
    head = b"HTTP/1.1 429 Slow\r\nContent-Length: 2\r\nRetry-After: 3\r\nX-Request-Id: a\r\n\r\n"
    with raw_server(lambda s: s.sendall(head + b"{}")) as url:
        assert post(url) == http_call.Reply(429, b"{}", 3.0, "a")


def drip(connection: socket.socket) -> None:
    """A byte now and then, for ever: no single wait is long."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.02)


def drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(200):
        connection.sendall(b"X")
        time.sleep(0.02)


def drip_unbounded(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize("act", [drip, drip_headers, drip_unbounded, lambda s: time.sleep(1)])
def test_the_time_is_for_all_of_an_answer(act: Callable[[socket.socket], None]) -> None:
    assert failure(act, timeout_s=0.3).code == "caption-timeout"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "in the middle"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc", "in the middle"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "does not answer as HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n", "does not answer as HTTP"),
    ],
)
def test_no_whole_answer_is_a_network_failure(sent: bytes, said: str) -> None:
    error = failure(lambda s: s.sendall(sent))
    assert error.code == "caption-network"
    assert said in error.message


def test_a_huge_answer_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_call, "MAX_ANSWER_BYTES", 1000)
    body = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000
    assert failure(lambda s: s.sendall(body)).code == "caption-malformed"


def test_nobody_there_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NoServer, match="listens"):
        post(f"http://127.0.0.1:{port}/v1")


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    head = b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.2/\r\nContent-Length: 0\r\n\r\n"
    with raw_server(lambda s: s.sendall(head)) as url:
        assert post(url).status == 307


def test_a_proxy_gets_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def act(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    monkeypatch.setenv("no_proxy", "")
    with raw_server(act) as url:
        monkeypatch.setenv("http_proxy", url.removesuffix("/v1"))
        real = http_call.http.client.HTTPConnection.putrequest

        def spy(self: object, method: str, target: str, *rest: object, **more: object) -> object:
            seen.append(target.encode())
            return real(self, method, target, *rest, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(http_call.http.client.HTTPConnection, "putrequest", spy)
        address = parse_address("http://captions.example:8000/v1")
        assert call(address, "GET", "/models", {}, None, 5.0).status == 200
    assert seen == [b"http://captions.example:8000/v1/models"]


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:8000/v1",
        "ftp://host/v1",
        "file:///etc/passwd",
        f"http://user:{SECRET}@host/v1",
        f"https://host/v1?key={SECRET}",
        "http://host:port/v1",
        "http:///v1",
        "",
    ],
)
def test_an_address_holds_no_secret(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Fri, 21 Oct 2199 07:28:00 GMT", 1e9, 1e10),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, low: float, high: float) -> None:
    found = http_call._seconds(value)
    assert found is not None and low <= found <= high


@pytest.mark.parametrize("value", [None, "", "soon", "nan?"])
def test_other_words_are_no_retry_after(value: str | None) -> None:
    assert http_call._seconds(value) is None
