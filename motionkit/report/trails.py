"""Trajectories of a grid of points as inline SVG: trails, and the grid as a net.

What is drawn is bounded whatever the model: of a finer grid or a longer motion some rows, columns
and frames. The page's script reads the places out of the paths and moves the points along them;
without it the picture stands at the last frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

Float = NDArray[np.floating]

#: Drawn at most: points a side, and frames.
SIDE: Final = 6
FRAMES: Final = 48
#: Size of a picture in the units of its paths.
WIDTH: Final = 1000
HEIGHT: Final = 640
#: The least that is shown, as a share of the picture's height: smaller motions are not enlarged
#: beyond it.
_LEAST: Final = 0.3
#: Places farther out than this (in heights of the picture) are drawn there.
_FAR: Final = 3.0
_BARS: Final = (5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True)
class View:
    """The part of a video's picture that is drawn. Places are in heights of that picture."""

    left: float
    top: float
    zoom: float
    """Units a height of the picture."""
    aspect: float
    """Width of the picture over its height."""

    def places(self, points: Float) -> NDArray[np.int64]:
        """Normalised points [..., 2] → whole units."""
        at = (_heights(points, self.aspect) - (self.left, self.top)) * self.zoom
        return np.rint(at).astype(np.int64)


def view_of(ways: Sequence[Float], size: tuple[int, int]) -> View:
    """A view that holds trajectories [T, N, 2] of a picture of ``size``, with a margin."""
    aspect = size[0] / size[1]
    reach = np.concatenate([_heights(way, aspect).reshape(-1, 2) for way in ways])
    low, high = reach.min(0), reach.max(0)
    middle = (low + high) / 2
    height = max(_LEAST, (high[1] - low[1]) * 1.16, (high[0] - low[0]) * 1.16 * HEIGHT / WIDTH)
    zoom = HEIGHT / height
    return View(middle[0] - WIDTH / zoom / 2, middle[1] - height / 2, zoom, aspect)


def thinned(points: NDArray[Any], grid: int) -> NDArray[Any]:
    """Of [T, N, …] at most `FRAMES` frames and `SIDE` × `SIDE` points, the first and last ones
    among them: [T', side, side, …]."""
    net = points.reshape(len(points), grid, grid, *points.shape[2:])
    side = np.unique(np.rint(np.linspace(0, grid - 1, min(grid, SIDE))).astype(int))
    frames = np.unique(np.rint(np.linspace(0, len(net) - 1, min(len(net), FRAMES))).astype(int))
    return net[frames][:, side][:, :, side]


def picture(
    points: Float,
    grid: int,
    view: View,
    *,
    label: str,
    visible: NDArray[np.bool_] | None = None,
    ghost: Float | None = None,
    bar_px: float | None = None,
) -> Markup:
    """A trajectory [T, N, 2] as SVG. ``visible`` [T, N] False draws a point hollow; ``ghost``
    [T, N, 2] is another trajectory whose net stands behind; ``bar_px``: width of the whole
    picture in pixels, for the bar that shows the scale."""
    net = view.places(thinned(points, grid))
    columns = net.shape[2]
    parts = [_ground(view)]
    for column in range(columns):
        parts.append(
            Markup('<path class="trail t{}" d="{}"/>').format(
                _tone(column, columns), _trails(net[:, :, column])
            )
        )
    parts.append(Markup('<path class="net first" d="{}"/>').format(_net(net[0])))
    if ghost is not None:
        behind = view.places(thinned(ghost, grid))
        parts.append(Markup('<path class="net ghost" d="{}"/>').format(_net(behind[-1])))
    parts.append(Markup('<path class="net now" d="{}"/>').format(_net(net[-1])))
    shown = np.ones(net.shape[:3], bool) if visible is None else thinned(visible, grid)
    parts.append(_dots(net[-1], shown[-1]))
    if bar_px is not None:
        parts.append(_bar(view, bar_px))
    hidden = Markup("")
    if not shown.all():  # column after column, of each point all frames
        marks = "".join("01"[int(not seen)] for seen in shown.transpose(2, 1, 0).ravel())
        hidden = Markup(' data-hidden="{}"').format(marks)
    head = Markup(
        '<svg class="way" viewBox="0 0 {} {}" role="img" aria-label="{}" data-rows="{}"{}>'
    ).format(WIDTH, HEIGHT, label, net.shape[1], hidden)
    return head + Markup("").join(parts) + Markup("</svg>")


def sketch(points: Float, grid: int, size: tuple[int, int], *, label: str) -> Markup:
    """A small still picture of a trajectory, without what moves."""
    view = view_of([points], size)
    net = view.places(thinned(points, grid))[:: max(1, math.ceil(len(points) / 24))]
    last = view.places(thinned(points, grid)[-1:])
    net = np.concatenate([net, last])
    some = np.unique([0, net.shape[2] // 2, net.shape[2] - 1])
    rows = np.unique([0, net.shape[1] // 2, net.shape[1] - 1])
    parts = [_ground(view)]
    for column in some:
        parts.append(
            Markup('<path class="trail t{}" d="{}"/>').format(
                _tone(int(column), net.shape[2]), _trails(net[:, rows][:, :, column])
            )
        )
    parts.append(Markup('<path class="net first" d="{}"/>').format(_net(net[0])))
    parts.append(Markup('<path class="net now" d="{}"/>').format(_net(net[-1])))
    return (
        Markup('<svg class="way sketch" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, HEIGHT, label
        )
        + Markup("").join(parts)
        + Markup("</svg>")
    )


def _heights(points: Float, aspect: float) -> Float:
    """Normalised → heights of the picture, (0, 0) its upper left corner."""
    wide = np.clip(np.asarray(points, np.float64), -2 * _FAR, 2 * _FAR)
    return np.asarray((wide + 1) / 2 * (aspect, 1.0))


def _tone(column: int, columns: int) -> int:
    """Colour of a column of the grid: 0 to 5 from the left."""
    return round(5 * column / max(1, columns - 1))


def _ground(view: View) -> Markup:
    """The video's picture."""
    x, y = -view.left * view.zoom, -view.top * view.zoom
    return Markup(
        '<rect class="ground" x="{:.0f}" y="{:.0f}" width="{:.0f}" height="{:.0f}"/>'
    ).format(x, y, view.aspect * view.zoom, view.zoom)


def _trails(ways: NDArray[np.int64]) -> str:
    """Path data of [T, P, 2]: of each point its first place, then the steps."""
    parts = []
    for way in ways.transpose(1, 0, 2):
        steps = " ".join(f"{x},{y}" for x, y in np.diff(way, axis=0).tolist())
        parts.append(f"M{way[0, 0]},{way[0, 1]}l{steps}")
    return "".join(parts)


def _net(places: NDArray[np.int64]) -> str:
    """Path data of the lines between neighbours of a grid [rows, columns, 2]."""
    lines = [*places, *places.transpose(1, 0, 2)]
    return "".join("M" + "L".join(f"{x},{y}" for x, y in line.tolist()) for line in lines)


def _dots(places: NDArray[np.int64], shown: NDArray[np.bool_]) -> Markup:
    """Circles column after column, in the order of the trails."""
    columns = places.shape[1]
    return Markup("").join(
        Markup('<circle class="t{}{}" cx="{}" cy="{}" r="9"/>').format(
            _tone(column, columns),
            "" if shown[row, column] else " hidden-point",
            int(places[row, column, 0]),
            int(places[row, column, 1]),
        )
        for column in range(columns)
        for row in range(places.shape[0])
    )


def _bar(view: View, width_px: float) -> Markup:
    """A bar of a round number of pixels, at most a quarter of the view."""
    unit = view.aspect * view.zoom / width_px  # of one pixel
    fits = [pixels for pixels in _BARS if pixels * unit <= WIDTH / 4]
    pixels = fits[-1] if fits else _BARS[0]
    return Markup(
        '<g class="scale"><path d="M24,{0}h{1:.0f}"/><text x="24" y="{2}">{3} px</text></g>'
    ).format(HEIGHT - 24, pixels * unit, HEIGHT - 38, pixels)
