"""Files by address: over HTTP with nothing but Python, from remote file systems with fsspec.

Only http and https answers are followed; a redirect elsewhere (file: among them) is refused.
"""

from __future__ import annotations

import dataclasses
import http.client
import http.cookiejar
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

from motionkit import __version__
from motionkit.errors import UsageError
from motionkit.sources.addresses import WEB, extension_of, file_system
from motionkit.sources.faults import Fault, fault_of
from motionkit.sources.parts import BLOCK, Limits, Part

USER_AGENT: Final = f"motionkit/{__version__}"
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_NOT_VIDEO: Final = ("text/", "audio/", "application/json", "application/xml", "application/pdf")
_ENDINGS: Final = {
    "video/mp4": ".mp4", "video/webm": ".webm", "video/quicktime": ".mov", "image/gif": ".gif",
    "video/x-matroska": ".mkv", "video/x-msvideo": ".avi", "video/mp2t": ".ts",
    "video/mpeg": ".mpg", "video/ogg": ".ogv", "video/x-flv": ".flv", "video/3gpp": ".3gp",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Direct:
    """A file that came whole: its size, and the ending its name should have."""

    size_bytes: int
    ending: str


class AnsweredWithPage(Exception):
    """The address of a file answered with an HTML page; something must look for a video in it."""


def download_http(address: str, part: Part, limits: Limits, cookies: str | None = None) -> Direct:
    """Download the file at an http(s) ``address`` into ``part``, going on where it stopped.

    Raises Fault, or AnsweredWithPage where an HTML page comes instead of a file.
    """
    request = urllib.request.Request(address)
    request.add_header("User-Agent", USER_AGENT)
    request.add_header("Accept-Encoding", "identity")
    known = part.version()
    if known is not None:
        request.add_header("Range", f"bytes={part.path.stat().st_size}-")
        request.add_header("If-Range", known)
    try:
        with _opener(cookies).open(request, timeout=limits.timeout_s) as answer:
            return _take(answer, address, part, limits)
    except (Fault, AnsweredWithPage):
        raise
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # what is there is no beginning of what is served now
                part.remove()
                raise Fault("network", f"{address}: the file changed on the way") from error
            raise fault_of(error, address) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise fault_of(error, address) from error


def download_remote(address: str, part: Part, limits: Limits) -> Direct:
    """Download a file of a remote file system (s3://, gs:// …). Raises Fault."""
    system = file_system(address)
    try:
        facts = system.info(address)
        if facts.get("type") == "directory":
            raise Fault("dead-link", f"{address} is a folder: end it with / to take its videos")
        size = facts.get("size")
        version = facts.get("ETag") or facts.get("etag") or facts.get("md5Hash")
        start = part.begin(str(version) if version else None)
        with system.open(address, "rb") as stream:
            if start:
                stream.seek(start)
            total = part.append(_blocks(stream), limits, address, total=size)
    except Fault:
        raise
    except Exception as error:
        raise fault_of(error, address) from error
    return Direct(total, extension_of(address) or ".bin")


def load_cookies(path: str | None) -> http.cookiejar.CookieJar | None:
    """The cookies of a file in Netscape's format. UsageError where it cannot be read."""
    if path is None:
        return None
    jar = http.cookiejar.MozillaCookieJar(path)
    try:
        jar.load(ignore_discard=True, ignore_expires=True)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the cookies file {path} cannot be used: {error}",
            hint="export it from a browser in Netscape's format (cookies.txt)",
        ) from error
    for cookie in jar:
        if cookie.expires == 0:  # browsers' exports write 0 for "until the browser is closed"
            cookie.expires, cookie.discard = None, True
    return jar


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https only."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        # The base class refuses file: with an error that looks like a server's, and allows ftp:.
        target = str(headers.get("location") or headers.get("uri") or "")
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", target)
        if scheme and scheme.group(1).lower() not in WEB:
            fp.close()
            raise Fault("unsupported-address", f"{req.full_url} redirects to {target[:200]!r}")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener(cookies: str | None) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()  # bare: no handler for file: or ftp:
    handlers: list[Any] = [
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ]
    jar = load_cookies(cookies)
    if jar is not None:
        handlers.append(urllib.request.HTTPCookieProcessor(jar))
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _take(answer: Any, address: str, part: Part, limits: Limits) -> Direct:
    kind = answer.headers.get_content_type() if answer.headers.get("Content-Type") else ""
    if kind in _PAGES:
        raise AnsweredWithPage(address)
    if kind.startswith(_NOT_VIDEO):
        raise Fault("not-a-video", f"{address} is {kind}")
    length = answer.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() else None
    goes_on = _start_of(answer) if answer.status == 206 else 0
    held = part.path.stat().st_size if part.path.exists() else 0
    if goes_on and goes_on == held:
        total = None if total is None else total + held
    elif goes_on:
        part.remove()
        raise Fault("network", f"{address}: the server answered with another part of the file")
    else:
        part.remove()
        strong = answer.headers.get("ETag") or ""
        version = strong if strong.startswith('"') else answer.headers.get("Last-Modified")
        part.begin(version)
    size = part.append(_blocks(answer), limits, address, total=total)
    if size == 0:
        part.remove()
        raise Fault("not-a-video", f"{address}: the answer is empty")
    return Direct(size, _ENDINGS.get(kind) or extension_of(address) or ".bin")


def _start_of(answer: Any) -> int:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found.group(1)) if found else -1


def _blocks(stream: Any) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block
