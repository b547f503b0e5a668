"""What goes wrong on the way to a video, as stable codes: the one edge for foreign errors.

Errors of urllib, fsspec, the operating system and yt-dlp come in, `Fault` comes out. yt-dlp's
classes are recognised by name, so that this module needs no optional package.
"""

from __future__ import annotations

import email.utils
import errno
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from motionkit.errors import InputError
from motionkit.video.sidecars import clean_text

#: Codes after which the same request may well succeed a little later.
PASSING: Final = frozenset({"network", "server-error", "rate-limited"})
_LOCAL_ERRNOS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.ENAMETOOLONG}
)
#: What sites say in words only; the first that fits counts. Matched on yt-dlp's messages.
_WORDS: Final = (
    ("cannot-write", r"no space left|unable to (open for writing|write data)|read-only file"),
    ("too-large", r"larger than max-filesize"),
    ("private", r"private video|video is private|this video is only available to (the )?owner"),
    ("blocked", r"not a bot|captcha|sign in to|log ?in|account cookies|members?[- ]only"
                r"|requires authentication|confirm your age|age[- ]restricted|cloudflare"),
    ("geo-blocked", r"not (made .{0,40}|been made )?available .{0,30}(country|region|location)"
                    r"|geo[- ]?restrict|geo[- ]?block"),
    ("rate-limited", r"too many requests|rate[- ]limit"),
    ("dead-link", r"video (is )?(unavailable|not available|no longer available)|been removed"
                  r"|does not exist|no longer exists|account .{0,40}terminated|not found"
                  r"|has been deleted"),
    ("unsupported-address", r"unsupported url|is not a valid url|drm protected"
                            r"|file:// urls? (are|is) disabled|no suitable (info)?extractor"
                            r"|no supported javascript|unsupported protocol|unsupported scheme"),
    ("no-format", r"requested format is not available"),
    ("not-a-video", r"no video formats found|no media (found|formats)"),
    ("network", r"name or service not known|getaddrinfo|connection (reset|refused|aborted)"
                r"|timed out|remote end closed|certificate|ssl:|incomplete ?read"
                r"|more expected|network is unreachable|failed to resolve"),
)  # fmt: skip
_Result = TypeVar("_Result")


class Fault(InputError):
    """A failed request. ``wait_s`` is what the server asked us to wait, where it did."""

    def __init__(
        self, code: str, message: str, *, wait_s: float | None = None, hint: str | None = None
    ) -> None:
        super().__init__(code, message, hint=hint)
        self.wait_s = wait_s


def fault_of(error: BaseException, address: str) -> Fault:
    """The fault that ``error`` means for ``address``.

    Classes that say it plainly come first, then the site's words, then the HTTP status, then
    the system's network errors; what none of them tells is `extraction-failed`. Answers that the
    errors hold open are closed.
    """
    chain = list(_chain(error))
    for link in chain:
        if _status(link) is not None and hasattr(link, "close"):
            link.close()
    for link in chain:
        if isinstance(link, Fault):
            return link
        if isinstance(link, InputError):
            return Fault(link.code, link.message)
    said = [re.sub(r"^ERROR: ", "", clean_text(str(link))) for link in chain[:2]]
    inner = [words for words in said[1:] if words not in said[0]]
    text = "; ".join(filter(None, [said[0], *inner])) or type(error).__name__
    message = f"{address}: {text}"
    names = {cls.__name__ for link in chain for cls in type(link).__mro__}
    if "GeoRestrictedError" in names:
        return Fault("geo-blocked", message)
    if "UnsupportedError" in names:
        return Fault("unsupported-address", message)
    for code, pattern in _WORDS:
        if re.search(pattern, text, re.IGNORECASE):
            return Fault(code, message, wait_s=_wait_asked(chain))
    for link in chain:
        status = _status(link)
        if status is not None:
            return Fault(_code_of_status(status), message, wait_s=_wait_asked(chain))
    for link in chain:
        known = _code_of_system_error(link)
        if known is not None:
            return Fault(known, message)
    if names & {"TransportError", "IncompleteRead", "ContentTooShortError", "HTTPException"}:
        return Fault("network", message)
    return Fault("extraction-failed", message)


def with_retries(
    work: Callable[[], _Result],
    *,
    retries: int,
    backoff_s: float,
    longest_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> _Result:
    """What ``work`` gives, tried up to ``retries`` times more after a passing fault.

    Waits ``backoff_s``, twice that, four times …; longer where the server asks for it. A wait
    over ``longest_s`` is not waited: the fault is raised, and `retry` comes back to it.
    """
    attempt = 0
    while True:
        try:
            return work()
        except Fault as fault:
            if fault.code not in PASSING or attempt >= retries:
                raise
            wait = max(backoff_s * 2**attempt, fault.wait_s or 0.0)
            if wait > longest_s:
                raise
            attempt += 1
            sleep(wait)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those it was made of, each once."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        link = waiting.pop(0)
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        wrapped = getattr(link, "exc_info", None)  # yt-dlp's DownloadError, ExtractorError
        waiting += [wrapped[1]] if isinstance(wrapped, tuple) and len(wrapped) == 3 else []
        waiting += [getattr(link, "cause", None), getattr(link, "reason", None)]
        waiting += [link.__cause__, link.__context__]


def _status(link: BaseException) -> int | None:
    for name in ("status", "code"):  # yt-dlp and aiohttp, urllib
        value = getattr(link, name, None)
        if isinstance(value, int) and 300 <= value < 600:
            return value
    return None


def _code_of_status(status: int) -> str:
    if status in (404, 410):
        return "dead-link"
    if status in (401, 402, 403, 407):
        return "blocked"
    if status == 451:
        return "geo-blocked"
    if status == 429:
        return "rate-limited"
    if status in (408, 425):
        return "network"
    if status >= 500:
        return "server-error"
    return "refused" if status >= 400 else "unsupported-address"  # a redirect we do not follow


def _code_of_system_error(link: BaseException) -> str | None:
    if isinstance(link, OSError) and link.errno in _LOCAL_ERRNOS:
        return "cannot-write"
    if isinstance(link, (TimeoutError, ConnectionError, ssl.SSLError, socket.gaierror)):
        return "network"
    if isinstance(link, (FileNotFoundError, IsADirectoryError)):
        return "dead-link"  # a remote file system's: local files are opened elsewhere
    if isinstance(link, PermissionError):
        return "blocked"
    if isinstance(link, ImportError):
        return "unsupported-address"
    if isinstance(link, OSError) and link.errno is not None:
        return "network"
    return None


def _wait_asked(chain: list[BaseException]) -> float | None:
    """Seconds of a Retry-After header (a number, or a date), where an answer had one."""
    for link in chain:
        answer = getattr(link, "response", link)  # yt-dlp's; urllib's error is the answer itself
        headers: Any = getattr(answer, "headers", None)
        value = headers.get("Retry-After") if hasattr(headers, "get") else None
        if not value:
            continue
        if str(value).strip().isdigit():
            return float(value)
        try:
            asked = email.utils.parsedate_to_datetime(str(value)).timestamp()
        except (TypeError, ValueError):
            continue
        return max(0.0, asked - time.time())
    return None
