"""Plain HTTP downloads with the standard library: resumed, checked, and to http(s) only."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from motionkit import __version__
from motionkit.file_hash import sha256_of
from motionkit.weights.errors import FetchError

TRIES: Final = 4
TIMEOUT_S: Final = 30.0
#: Seconds before the second try; doubled for each one after it.
PAUSE_S = 1.0
_BLOCK: Final = 1 << 20
#: Errors of the way to the server; the disk's are others.
_PASSING: Final = (
    TimeoutError, ConnectionError, urllib.error.URLError, http.client.HTTPException
)  # fmt: skip

Told = Callable[[int], None]


def get_json(url: str, headers: Mapping[str, str]) -> Any:
    """The JSON at ``url``. FetchError where there is none."""
    for attempt in range(TRIES):
        try:
            with _open(url, headers) as answer:
                return json.loads(answer.read(64 << 20))
        except ValueError as error:
            raise FetchError(f"{url} does not answer with JSON") from error
        except (OSError, http.client.HTTPException) as error:
            _give_up_or_wait(url, error, attempt)
    raise AssertionError("the last attempt raises")


def download(
    url: str, target: Path, *, headers: Mapping[str, str], size: int | None = None,
    sha256: str | None = None, told: Told = lambda _: None,
) -> None:  # fmt: skip
    """Fetch ``url`` into ``target``, which appears only when it is whole.

    What an earlier call left in ``target``.part is gone on with where a SHA-256 can tell whether
    the parts fit, and thrown away otherwise. ``told`` hears the bytes that arrived.
    """
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    if sha256 is None:
        part.unlink(missing_ok=True)
    for attempt in range(TRIES):
        try:
            _transfer(url, part, headers, size, told, resume=sha256 is not None)
            break
        except _PASSING as error:
            _give_up_or_wait(url, error, attempt)
    if sha256 is not None and (found := sha256_of(part)) != sha256:
        part.unlink()
        raise FetchError(
            f"{target.name} has the SHA-256 {found}, but the server says {sha256}",
            hint="fetch it again; if it stays so, do not trust the source",
        )
    part.replace(target)


def _transfer(
    url: str, part: Path, headers: Mapping[str, str], size: int | None, told: Told, *, resume: bool
) -> None:
    """One request; the bytes go to the end of ``part``. Raises where fewer come than were said."""
    have = part.stat().st_size if resume and part.exists() else 0
    if size is not None and have >= size:
        if have == size:
            return
        have = 0
    wanted = {**headers, "Range": f"bytes={have}-"} if have else dict(headers)
    with _open(url, wanted) as answer:
        told_start = answer.headers.get("Content-Range", "")
        if have and not (answer.status == 206 and told_start.startswith(f"bytes {have}-")):
            have = 0  # the server sends it all
        length = answer.headers.get("Content-Length")
        expected = size if size is not None else have + int(length) if length else None
        with part.open("ab" if have else "wb") as stream:
            stream.truncate(have)
            while block := answer.read(_BLOCK):
                have += len(block)
                if expected is not None and have > expected:
                    raise FetchError(f"{url} sends more than the {expected} bytes it promised")
                stream.write(block)
                told(len(block))
    if expected is not None and have < expected:
        raise http.client.IncompleteRead(b"", expected - have)


def _open(url: str, headers: Mapping[str, str]) -> Any:
    request = urllib.request.Request(url)
    request.add_header("User-Agent", f"motionkit/{__version__}")
    request.add_header("Accept-Encoding", "identity")
    for name, value in headers.items():
        # A token is for the host that was named: a redirect to a file store does not get it.
        (request.add_unredirected_header if name == "Authorization" else request.add_header)(
            name, value
        )
    return _opener().open(request, timeout=TIMEOUT_S)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to http."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise FetchError(f"{req.full_url} leads to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()  # bare: no handler for file:, ftp: or data:
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _give_up_or_wait(url: str, error: BaseException, attempt: int) -> None:
    """Raise `FetchError` where another try cannot help or was the last; else wait."""
    host = urlsplit(url).hostname
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        if error.code in (401, 403):
            raise FetchError(
                f"{host} refuses {url} ({error.code})",
                hint="where the model asks you to accept its licence, do so on its page, then set "
                "HF_TOKEN to a token of yours",
            ) from error
        if error.code == 404:
            raise FetchError(
                f"there is no {url} (404)", hint="check the name and --revision"
            ) from error
        lasting = error.code < 500 and error.code not in (408, 425, 429)
        reason = f"{error.code} {error.reason}"
    else:
        lasting = False
        reason = str(getattr(error, "reason", "")) or str(error) or type(error).__name__
    if lasting or attempt == TRIES - 1:
        raise FetchError(
            f"{url} could not be fetched: {reason}",
            hint="run the same command again: what has arrived is kept",
        ) from error
    time.sleep(PAUSE_S * 2**attempt)
