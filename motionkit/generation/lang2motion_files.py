"""Generated trajectories as files: points as .npz and .json, trails as .png, .mp4 and .gif."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError, UsageError
from motionkit.generation.lang2motion_grid import StartGrid
from motionkit.training.lang2motion_data import in_pixels
from motionkit.video.trail_style import COLOURS, check_trails

Frame = NDArray[np.uint8]
Float = NDArray[np.float32]

FORMATS: Final = ("npz", "json", "png", "mp4", "gif")
DEFAULT_FORMATS: Final = ("npz", "mp4")
#: Frames a second where neither the caller nor the grid's sample states any.
FPS: Final = 10.0
#: The colour that is each point's own.
BY_PLACE: Final = "place"
#: Farther from the picture's corner, in pixels, no point of a picture can be.
_FARTHEST: Final = 1e6
#: A larger .npz is no trajectory, bytes.
_LARGEST: Final = 256 << 20
#: Long side of what is drawn: small pictures are enlarged, large ones shrunk.
_SIDES: Final = (480, 1280)
#: Frames whose trails one picture shows.
_LONGEST_STILL: Final = 600


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How trails are drawn for people (what the encoder reads is drawn by the stage `overlays`,
    cyan at 0.5)."""

    colour: str = BY_PLACE
    """A colour of `trail_style.COLOURS`, or ``place``: each point has its own, by where it stands
    in the grid, so that what spins or turns over can be told from what does not."""
    opacity: float = 0.8
    """0 to 1."""
    trail: int = 30
    """Frames behind that a trail of the film shows; old pieces fade out."""

    def __post_init__(self) -> None:
        if self.colour != BY_PLACE and self.colour not in COLOURS:
            raise UsageError(
                f"there is no colour {self.colour!r}.",
                hint=f"choose from: {', '.join([BY_PLACE, *COLOURS])}",
            )
        check_trails("cyan", self.opacity, self.trail)

    def colours(self, points: int) -> list[tuple[int, int, int]]:
        """RGB of each of so many points."""
        from motionkit.video.grid_trails import colours_by_place

        if self.colour == BY_PLACE:
            return colours_by_place(points)
        return [COLOURS[self.colour]] * points


@dataclass(frozen=True)
class Trajectory:
    """A generated motion."""

    points: Float
    """[T, N, 2] normalised: −1 and 1 at the picture's edges; row 0 is the grid's."""
    points_px: Float
    """[T, N, 2] pixels; row 0 is the given grid, to the bit."""
    start: StartGrid
    fps: float
    text: str
    latent: Float
    """[D], length 1."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else says how it was made: seed, model, encoder, …; JSON-able."""


def trajectory(
    points: Float, start: StartGrid, fps: float, text: str, latent: Float, facts: Mapping[str, Any]
) -> Trajectory:
    """``points`` [T, N, 2] normalised with their pixels; the first frame is ``start`` itself."""
    pixels = in_pixels(points, *start.size)
    pixels[0] = start.points
    return Trajectory(points, pixels, start, fps, text, latent, facts)


def check_formats(formats: Sequence[str]) -> None:
    """UsageError for a format that is not written, or none."""
    unknown = [f for f in formats if f not in FORMATS]
    if unknown or not formats:
        said = f"unknown format {unknown[0]!r}." if unknown else "no format to write."
        raise UsageError(said, hint=f"choose from: {', '.join(FORMATS)}")


def write_trajectory(
    made: Trajectory,
    out: Path,
    stem: str,
    formats: Sequence[str],
    *,
    image: Frame | None = None,
    drawing: Drawing | None = None,
) -> tuple[Path, ...]:
    """Write ``out``/``stem``.FORMAT, in the order of ``formats``; each appears when complete."""
    drawing = drawing or Drawing()
    out.mkdir(parents=True, exist_ok=True)
    paths = tuple(out / f"{stem}.{name}" for name in formats)
    for name, path in zip(formats, paths, strict=True):
        if name == "npz":
            _publish(path, lambda part: _write_npz(made, part))
        elif name == "json":
            text = json.dumps(as_json(made), sort_keys=True, allow_nan=False)
            _publish(path, lambda part, text=text: part.write_text(text + "\n", "utf-8"))
        elif name == "png":
            write_png(path, still(made, image, drawing))
        else:
            from motionkit.video.film import write_film

            write_film(path, film(made, image, drawing), fps=made.fps)
    return paths


def _publish(path: Path, write: Any) -> None:
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_npz(made: Trajectory, part: Path) -> None:
    arrays: dict[str, Any] = {
        "points": made.points,
        "points_px": made.points_px,
        "grid": np.int64(round(made.points.shape[1] ** 0.5)),
        "size": np.array(made.start.size, np.int64),
        "fps": np.float64(made.fps),
        "text": np.array(made.text),
        "source": np.array(made.start.source),
        "latent": made.latent,
        "facts": np.array(json.dumps(dict(made.facts), sort_keys=True)),
    }
    if made.start.mask is not None:
        arrays["mask"] = made.start.mask
    with part.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def as_json(made: Trajectory) -> dict[str, Any]:
    """What the .npz holds, for JSON: points as nested lists, the mask as COCO run lengths."""
    from motionkit.rle import encode_rle

    return {
        "format": "motionkit-trajectory",
        "version": 1,
        "text": made.text,
        "fps": made.fps,
        "size": list(made.start.size),
        "grid": round(made.points.shape[1] ** 0.5),
        "source": made.start.source,
        "points_px": made.points_px.tolist(),
        "points": made.points.tolist(),
        "mask": None if made.start.mask is None else encode_rle(made.start.mask),
        "latent": made.latent.tolist(),
        **made.facts,
    }


@dataclass(frozen=True)
class ReadTrajectory:
    """An .npz of trajectories, of `generate` or of anybody."""

    points_px: Float
    """[T, N, 2]."""
    visible: NDArray[np.bool_]
    """[T, N]."""
    size: tuple[int, int]
    fps: float | None
    text: str


def read_trajectory(path: Path) -> ReadTrajectory:
    """Read ``points_px`` [T, N, 2], ``size`` (width, height), and where they are there ``visible``
    [T, N], ``fps`` and ``text``. InputError 'trajectory-unreadable' for anything else; nothing
    pickled is loaded."""
    if not path.is_file():
        raise InputError(
            "trajectory-unreadable",
            f"{path} is a folder" if path.is_dir() else f"there is no file {path}",
            hint="give an .npz that 'motionkit generate lang2motion' wrote",
        )
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is too large")
        with zipfile.ZipFile(path) as archive:
            if any(info.file_size > _LARGEST for info in archive.infolist()):
                raise ValueError("its arrays are too large")
        with np.load(path, allow_pickle=False) as file:
            points = np.asarray(file["points_px"], np.float32)
            wide, high = (int(v) for v in np.asarray(file["size"]).ravel())
            seen = np.asarray(file["visible"]) if "visible" in file else None
            fps = float(file["fps"]) if "fps" in file else None
            text = str(file["text"]) if "text" in file and file["text"].dtype.kind == "U" else ""
        if points.ndim != 3 or points.shape[2] != 2 or not len(points) or not points.shape[1]:
            raise ValueError(f"points_px has shape {points.shape}, not [T, N, 2]")
        if not np.isfinite(points).all():
            raise ValueError("its points are not finite")
        if np.abs(points).max() > _FARTHEST:
            raise ValueError(f"a point is {np.abs(points).max():.3g} pixels from the corner")
        if seen is not None and (seen.dtype != np.bool_ or seen.shape != points.shape[:2]):
            raise ValueError(f"visible is {seen.dtype} of shape {seen.shape}")
        if seen is not None and not seen.any():
            raise ValueError("no point is visible in any frame")
        if min(wide, high) < 1 or max(wide, high) > 16384:
            raise ValueError(f"its picture is {wide}×{high}")
        if fps is not None and not 0 < fps <= 1000:
            raise ValueError(f"its rate is {fps}")
    except (OSError, ValueError, KeyError, TypeError, OverflowError, EOFError, zipfile.BadZipFile,
            MemoryError) as error:  # fmt: skip
        raise InputError(
            "trajectory-unreadable",
            f"{path} holds no trajectory: {str(error)[:200]}",
            hint="give an .npz that 'motionkit generate lang2motion' wrote",
        ) from error
    visible = np.ones(points.shape[:2], np.bool_) if seen is None else seen
    return ReadTrajectory(points, visible, (wide, high), fps, text)


def ground(start: StartGrid, image: Frame | None) -> tuple[Frame, float]:
    """What trails are drawn on (the image, or black with the mask in dark grey) and by how much
    the picture was enlarged."""
    import cv2

    width, height = start.size
    low, high = _SIDES
    scale = min(max(1.0, low / max(width, height)), high / max(width, height))
    size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    if image is not None:
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8), scale
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    if start.mask is not None:
        inside = cv2.resize(start.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        canvas[inside > 0] = 46
    return canvas, scale


def film(made: Trajectory, image: Frame | None, drawing: Drawing) -> Iterator[Frame]:
    """The frames of the film: the grid as it stands, trails behind it, and where it began."""
    from motionkit.video.grid_trails import draw_grid_trails

    canvas, scale = ground(made.start, image)
    points = _scaled(made.points_px, scale)
    colours = drawing.colours(points.shape[1])
    for t in range(len(points)):
        shown = points[max(0, t - drawing.trail) : t + 1]
        yield draw_grid_trails(
            canvas, shown, began=points[0], colours=colours, opacity=drawing.opacity
        )


def still(made: Trajectory, image: Frame | None, drawing: Drawing) -> Frame:
    """One picture of the whole motion: the grid where it began (grey), at three moments between,
    and where it ends, with all trails."""
    from motionkit.video.grid_trails import draw_grid_trails

    canvas, scale = ground(made.start, image)
    points = _scaled(made.points_px, scale)
    between = [round(share * (len(points) - 1)) for share in (0.25, 0.5, 0.75)]
    # of a very long motion the newest part: a stroke for each frame of it would hide itself
    shown = points[-_LONGEST_STILL:]
    return draw_grid_trails(
        canvas, shown, began=points[0], colours=drawing.colours(points.shape[1]),
        opacity=drawing.opacity,
        outlines=[points[t] for t in between if len(points) <= _LONGEST_STILL],
    )  # fmt: skip


def _scaled(points: Float, scale: float) -> NDArray[np.float64]:
    """Pixel centres are whole numbers: the picture's edge is at −0.5."""
    made: NDArray[np.float64] = (points.astype(np.float64) + 0.5) * scale - 0.5
    return made


def write_png(path: Path, image: Frame) -> None:
    """One RGB picture; its folder is made, and it appears when complete."""
    import cv2

    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"no PNG of {image.shape}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _publish(path, lambda part: part.write_bytes(data.tobytes()))
