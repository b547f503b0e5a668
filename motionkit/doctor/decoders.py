"""Both decoders on a tiny clip, made in memory, in every codec that videos of the web have.

``python -m motionkit.doctor.decoders av|decord`` answers with the pictures decoded by codec.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any, Final

from motionkit.doctor import child
from motionkit.doctor.finding import Finding
from motionkit.doctor.packages import version_of

#: Codec → encoder of PyAV's wheel, container.
_CODECS: Final = {
    "h264": ("libx264", "mp4"),
    "hevc": ("libx265", "mp4"),
    "vp9": ("libvpx-vp9", "webm"),
    "av1": ("libsvtav1", "mp4"),
}
_OPTIONS: Final = {
    "libx264": {"preset": "ultrafast", "threads": "1"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
}
_PICTURES: Final = 5
#: What decord cannot read, as measured; the decoder is chosen file by file.
_NOT_DECORD: Final = ("av1",)


def start(decoder: str) -> child.Child:
    """Try ``av`` or ``decord``, in a process of its own."""
    return child.start(__name__, decoder)


def findings(av: Mapping[str, Any], decord: Mapping[str, Any]) -> list[Finding]:
    """What both said."""
    return [_pyav(av), _decord(decord)]


def _pyav(answer: Mapping[str, Any]) -> Finding:
    cure = "pip install --force-reinstall 'av>=14,<19'"
    if "died" in answer:
        return Finding("decoder PyAV", "wrong", str(answer["died"]), cure)
    bad = {codec: text for codec, text in answer["codecs"].items() if text != "ok"}
    if bad:
        text = "; ".join(f"{codec}: {what}" for codec, what in bad.items())
        return Finding("decoder PyAV", "wrong", text, cure)
    return Finding("decoder PyAV", "ok", f"{answer['version']}: {', '.join(answer['codecs'])}")


def _decord(answer: Mapping[str, Any]) -> Finding:
    if answer.get("absent"):
        cure = "" if sys.platform == "darwin" else "pip install decord"
        return Finding("decoder decord", "absent", "not installed: PyAV decodes everything", cure)
    cure = "pip uninstall -y decord   (PyAV then decodes everything)"
    if "died" in answer:
        return Finding("decoder decord", "wrong", str(answer["died"]), cure)
    bad = {codec: t for codec, t in answer["codecs"].items() if t != "ok" and codec == "h264"}
    if bad:
        return Finding("decoder decord", "wrong", f"h264: {bad['h264']}", cure)
    good = [codec for codec, text in answer["codecs"].items() if text == "ok"]
    rest = [codec for codec in answer["codecs"] if codec not in good]
    text = f"{answer['version']}: {', '.join(good)}"
    return Finding("decoder decord", "ok", text + (f" ({', '.join(rest)}: PyAV)" if rest else ""))


def clip(codec: str) -> bytes | None:
    """Five grey pictures of 64 x 64 in a codec; None where PyAV cannot encode it."""
    import av
    import numpy as np

    encoder, container = _CODECS[codec]
    if encoder not in av.codecs_available:
        return None
    data = io.BytesIO()
    with av.open(data, "w", format=container) as out:
        stream: Any = out.add_stream(encoder, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.options = _OPTIONS[encoder]
        for level in range(_PICTURES):
            picture = np.full((64, 64, 3), 40 * level, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return data.getvalue()


def _with_av(data: bytes | None, codec: str) -> int:
    import av

    if data is None:  # no encoder in this build: at least the decoder must be there
        av.Codec(codec, "r")
        return _PICTURES
    with av.open(io.BytesIO(data)) as container:
        return sum(1 for _ in container.decode(video=0))


def _with_decord(data: bytes | None, codec: str) -> int:
    import decord

    if data is None:
        raise ValueError("no clip to try")
    return len(decord.VideoReader(io.BytesIO(data)))


def main(decoder: str) -> None:
    """Try every codec and answer."""
    package = {"av": "av", "decord": "decord"}[decoder]
    version = version_of(package)
    if version is None:
        child.answer({"absent": True} if decoder == "decord" else {"died": "no PyAV"})
        return
    import av

    av.logging.set_level(av.logging.PANIC)
    codecs: dict[str, str] = {}
    for codec in _CODECS:
        if decoder == "decord" and codec in _NOT_DECORD:
            codecs[codec] = "not by this decoder"
            continue
        try:
            data = clip(codec)
            count = (_with_av if decoder == "av" else _with_decord)(data, codec)
            codecs[codec] = "ok" if count == _PICTURES else f"{count} of {_PICTURES} pictures"
        except Exception as error:  # noqa: BLE001 - any error here is the finding
            codecs[codec] = f"{type(error).__name__}: {error}"[:200]
    child.answer({"version": version, "codecs": codecs})


if __name__ == "__main__":
    main(sys.argv[1])
