"""One HTTP request with everything bounded: time in all, bytes, and where the key goes.

http.client and nothing else. A request has its own connection, so that an answer can only be
its own; redirects are answers like others, so that a key never reaches another host; a watchdog
shuts the connection when the time is over, however slowly bytes still arrive.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import email.utils
import http.client
import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Final

from motionkit.errors import InputError, UsageError

#: Longer answers are no captions.
MAX_ANSWER_BYTES: Final = 1 << 20
_BLOCK: Final = 1 << 16


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer: HTTP status, its whole body, and the two headers that matter."""

    status: int
    body: bytes
    wait_s: float | None = None
    """What Retry-After asks for, seconds."""
    request_id: str | None = None
    """X-Request-Id."""


@dataclasses.dataclass(frozen=True)
class Address:
    """A server's base address, checked: scheme http or https, host, port, path without a slash at
    its end."""

    scheme: str
    host: str
    port: int | None
    path: str


class NoServer(InputError):
    """Nobody listens there, or the name has no address: no request can succeed."""

    def __init__(self, message: str) -> None:
        super().__init__("caption-network", message)

    def __reduce__(self) -> tuple[object, ...]:
        return (NoServer, (self.message,))


def parse_address(text: str) -> Address:
    """Check a base address such as ``http://127.0.0.1:8000/v1``.

    UsageError for other schemes, and for names, passwords and queries in it: an address may be
    shown, a key may not.
    """
    hint = "write it like http://127.0.0.1:8000/v1; the key has a variable of its own"
    try:
        parts = urllib.parse.urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise UsageError("the captioner's address is not an address", hint=hint) from error
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise UsageError("the captioner's address must not hold a name, key or query", hint=hint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("the captioner's address must begin with http:// or https://", hint=hint)
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))


def call(
    address: Address,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout_s: float,
) -> Reply:
    """One request to ``address`` + ``path``.

    Raises InputError ``caption-timeout`` after ``timeout_s`` in all, ``caption-network`` where no
    whole answer comes, ``caption-malformed`` for one over `MAX_ANSWER_BYTES`. Foreign errors do
    not stay attached: their texts may hold what was sent.
    """
    late = threading.Event()
    try:
        with _connection(address, timeout_s, late) as (connection, target):
            connection.request(method, target + path, body=body, headers=dict(headers))
            with connection.getresponse() as answer:
                data = _read(answer)
            declared = answer.headers.get("Content-Length")
            whole = len(data) >= int(declared) if declared and declared.isdigit() else None
            if whole is False or (whole is None and late.is_set()):
                raise http.client.IncompleteRead(b"")
            return Reply(
                answer.status,
                data,
                _seconds(answer.headers.get("Retry-After")),
                answer.headers.get("X-Request-Id"),
            )
    except InputError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            raise _timeout(timeout_s) from None
        if isinstance(error, (ConnectionRefusedError, socket.gaierror)):
            raise NoServer(_plain(error)) from None
        raise InputError("caption-network", _plain(error)) from None


def _timeout(timeout_s: float) -> InputError:
    return InputError(
        "caption-timeout",
        f"the captioner's server gave no whole answer in {timeout_s:g} s",
        hint="raise request_timeout_s, or ask for fewer at once: --set requests=2",
    )


def _plain(error: Exception) -> str:
    """What a network error says, in words that hold nothing of the request."""
    if isinstance(error, http.client.IncompleteRead):
        return "the captioner's server closed the connection in the middle of its answer"
    if isinstance(error, (http.client.RemoteDisconnected, ConnectionResetError)):
        return "the captioner's server closed the connection without an answer"
    if isinstance(error, ConnectionRefusedError):
        return "no captioner's server listens at its address"
    if isinstance(error, socket.gaierror):
        return "the captioner's server has no known address (DNS)"
    if isinstance(error, ssl.SSLError):
        return f"no secure connection to the captioner's server ({error.reason})"
    if isinstance(error, OSError) and error.strerror:
        return f"the connection to the captioner's server failed: {error.strerror}"
    return f"the captioner's server does not answer as HTTP does ({type(error).__name__})"


@contextlib.contextmanager
def _connection(
    address: Address, timeout_s: float, late: threading.Event
) -> Iterator[tuple[http.client.HTTPConnection, str]]:
    """An open connection that is shut at the deadline, and what stands before the path of a
    request."""
    connection, target = _open(address, timeout_s)
    held: list[socket.socket] = []  # http.client forgets it where an answer has no length

    def shut() -> None:
        late.set()
        for each in (*held, connection.sock):  # the last one: in the middle of connecting
            if each is not None:
                with contextlib.suppress(OSError):  # it was closed just now
                    each.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Timer(timeout_s, shut)
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.connect()
        held.append(connection.sock)
        if late.is_set():
            raise TimeoutError
        yield connection, target
    finally:
        watchdog.cancel()
        connection.close()


def _open(address: Address, timeout_s: float) -> tuple[http.client.HTTPConnection, str]:
    """Straight to the server, or through the proxy that the environment names for it."""
    proxy = None
    if not urllib.request.proxy_bypass(address.host):
        proxy = urllib.request.getproxies().get(address.scheme)
    if proxy is None:
        if address.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                address.host, address.port, timeout=timeout_s, context=context
            ), address.path
        return http.client.HTTPConnection(
            address.host, address.port, timeout=timeout_s
        ), address.path
    via = urllib.parse.urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    words = {}
    if via.username:
        login = f"{urllib.parse.unquote(via.username)}:{urllib.parse.unquote(via.password or '')}"
        words["Proxy-Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    if via.hostname is None:
        raise UsageError(f"the proxy for {address.scheme} has no host")
    if address.scheme == "https":
        context = ssl.create_default_context()
        tunnel = http.client.HTTPSConnection(
            via.hostname, via.port or 8080, timeout=timeout_s, context=context
        )
        tunnel.set_tunnel(address.host, address.port, headers=words)
        return tunnel, address.path
    plain = http.client.HTTPConnection(via.hostname, via.port or 8080, timeout=timeout_s)
    port = f":{address.port}" if address.port else ""
    return plain, f"http://{address.host}{port}{address.path}"


def _read(answer: http.client.HTTPResponse) -> bytes:
    data = bytearray()
    while block := answer.read(_BLOCK):
        data += block
        if len(data) > MAX_ANSWER_BYTES:
            raise InputError(
                "caption-malformed",
                f"the captioner's server answers with over {MAX_ANSWER_BYTES} bytes",
            )
    return bytes(data)


def _seconds(value: str | None) -> float | None:
    """A Retry-After header: a number of seconds, or a date."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        asked = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError):
        return None
    return max(0.0, asked - time.time())
