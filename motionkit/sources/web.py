"""Pages and keyword search through yt-dlp, kept on a short lead.

yt-dlp reads no configuration and no plugins of the user, writes one file of our naming, runs no
post-processor and no external program (no ffmpeg, no JavaScript runtime unless one is named),
opens no file: address, and leaves the cookies file as it is. Formats that need two streams
merged are never chosen: motion needs no sound, so a single picture stream will do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from motionkit.errors import MissingExtraError, UsageError
from motionkit.sources.addresses import WEB, is_address, scheme_of
from motionkit.sources.faults import Fault, fault_of
from motionkit.sources.parts import Limits
from motionkit.sources.plain import load_cookies
from motionkit.video.sidecars import clean_text

#: Single streams that yt-dlp fetches by itself: plain HTTP first, then segments it joins.
_FORMATS: Final = "/".join(
    f"bestvideo*[protocol={protocol}]"
    for protocol in ("https", "http", "http_dash_segments", "m3u8_native")
)
_LIST: Final = "playlist"
_NO_PLATFORM: Final = frozenset({"generic", "html5mediaembed"})  # any page with a video in it


@dataclasses.dataclass(frozen=True)
class PageOptions:
    """How yt-dlp is used."""

    limits: Limits = dataclasses.field(default_factory=Limits)
    max_height: int = 720
    max_duration_s: float = 0.0  # 0: any
    sleep_s: float = 1.0  # between the requests of one extraction
    cookies: str | None = None
    js_runtime: str = ""  # deno, node … ; empty: none


@dataclasses.dataclass(frozen=True)
class Page:
    """A video that was fetched from a page, and what the platform says of it (None: nothing)."""

    file: Path
    size_bytes: int
    ending: str
    facts: dict[str, Any]  # page_url, platform, platform_id, title, uploader, licence, duration_s


@dataclasses.dataclass(frozen=True)
class Link:
    """One result of a search."""

    url: str
    title: str | None
    platform_id: str | None


def search(query: str, platform: str, limit: int, options: PageOptions) -> list[Link]:
    """Up to ``limit`` links for a search text on ``platform`` (a search key of yt-dlp), or of the
    list (a channel, a playlist) at ``query`` if that is a web address. Raises Fault."""
    listed = is_address(query) and scheme_of(query) in WEB
    asked = query if listed else f"{platform}{limit}:{query}"
    settings: dict[str, Any] = {"extract_flat": True, "playlistend": limit, "noplaylist": False}
    with _downloader(options, settings) as yt_dlp:
        try:
            found = yt_dlp.extract_info(asked, download=False)
            entries = list(found.get("entries") or ()) if found else []
        except Exception as error:
            raise fault_of(error, query) from error
    links: dict[str, Link] = {}
    for entry in entries[:limit]:
        url = _address_of(entry or {}, query)
        if scheme_of(url) in WEB:
            name = text_or_none(entry.get("id"))
            links.setdefault(url, Link(url, text_or_none(entry.get("title")), name))
    return list(links.values())


def fetch_page(address: str, stem: Path, options: PageOptions, endings: frozenset[str]) -> Page:
    """Fetch the one video of a page into a file whose name begins with ``stem``, going on with
    what another try left of the same format. Raises Fault."""
    settings: dict[str, Any] = {
        "format": _FORMATS,
        "format_sort": [f"res:{options.max_height}", "vcodec:h264"],
        "extract_flat": "in_playlist",
        "playlistend": 2,
        "noplaylist": True,
        "ratelimit": options.limits.rate_bytes_s or None,
        "progress_hooks": [_size_guard(options.limits.max_bytes, address)],
    }
    with _downloader(options, settings) as yt_dlp:
        try:
            found = _one_video(yt_dlp, address)
            _refuse(found, options, address)
            chosen = hashlib.sha256(str(found.get("format_id")).encode()).hexdigest()[:8]
            file = stem.with_name(f"{stem.name}-{chosen}")
            yt_dlp.params["outtmpl"]["default"] = str(file).replace("%", "%%")
            done = yt_dlp.process_ie_result(found, download=True)
        except Exception as error:
            raise fault_of(error, address) from error
    if not file.is_file():
        raise Fault("extraction-failed", f"{address}: nothing was downloaded")
    size = file.stat().st_size
    declared = done.get("filesize")
    if isinstance(declared, int) and done.get("protocol") in WEB and declared != size:
        file.unlink()
        raise Fault("network", f"{address}: {size} of {declared} bytes came")
    ending = f".{done.get('ext')}".lower()
    return Page(file, size, ending if ending in endings else ".bin", _facts(done, address))


def check_search_key(platform: str) -> None:
    """UsageError for a search key that yt-dlp does not have; MissingExtraError without it."""
    need_yt_dlp()
    from yt_dlp.extractor import list_extractor_classes  # type: ignore[import-untyped]

    # A search's addresses begin with its key: "ytsearch(?P<prefix>…". Its class would say it
    # plainly, but asking yt-dlp's lazy classes for anything else makes them print.
    patterns = (cls.__dict__.get("_VALID_URL") for cls in list_extractor_classes())
    found = (re.match(r"(\w+)\(\?P<prefix>", str(pattern)) for pattern in patterns)
    keys = sorted({match.group(1) for match in found if match})
    if platform not in keys:
        raise UsageError(
            f"yt-dlp knows no search named {platform!r}.", hint=f"there are: {', '.join(keys)}"
        )


def need_yt_dlp() -> Any:
    """The package, with plugins switched off. MissingExtraError where it is not installed."""
    try:
        import yt_dlp  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("yt-dlp", "web", needed_for="fetching from web pages") from error
    with contextlib.suppress(ImportError):  # older versions have no plugins to switch off here
        from yt_dlp.globals import plugin_dirs  # type: ignore[import-untyped]

        plugin_dirs.value = []
    return yt_dlp


def text_or_none(value: object) -> str | None:
    """Untrusted text as one clean line; None where nothing is left."""
    return (clean_text(str(value)) or None) if value is not None else None


def _address_of(entry: dict[str, Any], page: str) -> str:
    """Where a result of a search is: its page; of videos that share the page asked, the file."""
    formats = entry.get("formats") or [{}]
    places = (entry.get("webpage_url"), entry.get("url"), formats[-1].get("url"))
    return next((str(place) for place in places if place and place != page), "")


@contextlib.contextmanager
def _downloader(options: PageOptions, settings: dict[str, Any]) -> Iterator[Any]:
    yt_dlp = need_yt_dlp()
    base: dict[str, Any] = {
        "quiet": True, "no_warnings": True, "noprogress": True, "logger": _Silent(),
        "color": {"stdout": "no_color", "stderr": "no_color"},
        "cachedir": False, "usenetrc": False, "updatetime": False, "geo_bypass": False,
        "enable_file_urls": False, "postprocessors": [], "fixup": "never",
        "hls_prefer_native": True, "external_downloader": None, "allow_unplayable_formats": False,
        "ffmpeg_location": "/nonexistent",  # single streams only: nothing to merge
        "js_runtimes": {options.js_runtime: {}} if options.js_runtime else {},
        "remote_components": [],
        "socket_timeout": options.limits.timeout_s, "sleep_interval_requests": options.sleep_s,
        "retries": 0, "extractor_retries": 0, "file_access_retries": 0, "fragment_retries": 2,
        "skip_unavailable_fragments": False, "continuedl": True, "ignoreerrors": False,
    }  # fmt: skip
    if options.cookies is not None:
        load_cookies(options.cookies)  # says what is wrong with it
        # As a text in memory: given a path, yt-dlp would write its cookies back to it.
        base["cookiefile"] = io.StringIO(Path(options.cookies).read_text("utf-8"))
    with yt_dlp.YoutubeDL({**base, **settings}) as made:
        yield made


def _one_video(yt_dlp: Any, address: str) -> dict[str, Any]:
    """The video of a page, or of a page that embeds exactly one."""
    found = yt_dlp.extract_info(address, download=False)
    for _ in range(3):
        if not found or found.get("_type") not in (_LIST, "multi_video"):
            break
        entries = [entry for entry in found.get("entries") or () if entry]
        if len(entries) != 1:
            what = "no video" if not entries else "several videos"
            code = "not-a-video" if not entries else "several-videos"
            raise Fault(code, f"{address} holds {what}", hint="take a list with --search ADDRESS")
        entry = entries[0]
        if entry.get("_type") not in ("url", "url_transparent"):
            return dict(yt_dlp.process_ie_result(entry, download=False))
        found = yt_dlp.extract_info(str(entry["url"]), download=False)
    if not found:
        raise Fault("not-a-video", f"{address} holds no video")
    return dict(found)


def _refuse(found: dict[str, Any], options: PageOptions, address: str) -> None:
    if found.get("is_live") or found.get("live_status") in ("is_live", "is_upcoming"):
        raise Fault("live", f"{address} is a live stream")
    length = found.get("duration")
    most_s = options.max_duration_s
    if most_s and isinstance(length, (int, float)) and length > most_s:
        raise Fault("too-long", f"{address} takes {length:g} s, max_duration_s is {most_s:g}")
    size, most = found.get("filesize"), options.limits.max_bytes
    if most and isinstance(size, int) and size > most:
        raise Fault("too-large", f"{address}: {size} bytes, max_filesize is {most}")


def _size_guard(max_bytes: int, address: str) -> Callable[[dict[str, Any]], None]:
    def check(state: dict[str, Any]) -> None:
        sizes = [state.get("downloaded_bytes"), state.get("total_bytes")]
        if max_bytes and max(s for s in [*sizes, 0] if isinstance(s, int)) > max_bytes:
            raise Fault("too-large", f"{address}: more than {max_bytes} bytes (max_filesize)")

    return check


def _facts(found: dict[str, Any], address: str) -> dict[str, Any]:
    page = str(found.get("webpage_url") or address)
    length = found.get("duration")
    platform = text_or_none(found.get("extractor_key") or found.get("extractor")) or "web"
    return {
        "page_url": page if scheme_of(page) in WEB else address,
        "platform": "web" if platform.lower() in _NO_PLATFORM else platform.lower(),
        "platform_id": text_or_none(found.get("id")),
        "title": text_or_none(found.get("title")),
        "uploader": text_or_none(found.get("uploader") or found.get("channel")),
        "licence": text_or_none(found.get("license")),
        "duration_s": float(length) if isinstance(length, (int, float)) else None,
    }


class _Silent:
    """Takes yt-dlp's messages; what counts arrives as an exception."""

    def debug(self, message: str) -> None:
        """Nothing."""

    info = warning = error = debug
