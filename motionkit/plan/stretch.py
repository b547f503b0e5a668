"""A piece of a long video as a file of its own: its packets are copied, nothing is encoded."""

from __future__ import annotations

from pathlib import Path

from motionkit.video.container import open_video


def copy_stretch(path: str, target: Path, start_s: float, seconds: float) -> float:
    """Copy about ``seconds`` of the video stream from the key frame before ``start_s`` on, into
    the Matroska file ``target``. Returns the seconds copied; 0 where there were none.

    Raises InputError as `container.open_video`, and FFmpeg's errors where the stream cannot stand
    in such a file.
    """
    import av

    container, stream = open_video(path)
    begin: int | None = None
    shown: list[float] = []
    with container, av.open(str(target), "w", format="matroska") as out:
        copy = out.add_stream_from_template(stream)
        tick = float(stream.time_base)
        origin = stream.start_time or 0
        container.seek(origin + int(start_s / tick), stream=stream, backward=True)
        for packet in container.demux(stream):
            if packet.dts is None or packet.pts is None:
                continue
            if begin is None:
                if not packet.is_keyframe:  # Matroska's index may lead into the middle
                    continue
                begin = packet.dts
            elif (packet.dts - begin) * tick >= seconds:
                break
            packet.pts -= begin
            packet.dts -= begin
            shown += [packet.pts * tick, (packet.pts + (packet.duration or 0)) * tick]
            packet.stream = copy
            out.mux(packet)
    return max(shown) - min(shown) if shown else 0.0
