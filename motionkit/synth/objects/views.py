"""How the camera moves: similarities that carry the whole scene with them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

#: Move → how often a video has it.
VIEWS: Final[dict[str, float]] = {
    "still": 0.64,
    "pan_left": 0.07,
    "pan_right": 0.07,
    "zoom_in": 0.05,
    "zoom_out": 0.05,
    "shake": 0.12,
}
#: Largest shares that a move covers; the ground must reach as far beyond the picture.
PAN: Final = (0.03, 0.05)
"""Share of the width a second."""
ZOOM: Final = (0.05, 0.08)
"""Logarithm of the scale a second."""
SHAKE: Final = 0.006
"""Share of the width: standard deviation."""


def view_course(move: str, width: int, height: int, t: F64, rng: np.random.Generator) -> F64:
    """Scene pixels to picture pixels, [T, 2, 3]; the first frame is the scene itself but for the
    shake. A camera that pans to the left carries the scene to the right."""
    scale, x, y = np.ones_like(t), np.zeros_like(t), np.zeros_like(t)
    if move.startswith("pan"):
        x = (1 if move == "pan_left" else -1) * rng.uniform(*PAN) * width * t
    elif move.startswith("zoom"):
        scale = np.exp((1 if move == "zoom_in" else -1) * rng.uniform(*ZOOM) * t)
    elif move == "shake":
        rough = rng.normal(0, 1, (len(t) + 4, 2))
        smooth = (rough[:-4] + rough[1:-3] + rough[2:-2] + rough[3:-1] + rough[4:]) / np.sqrt(5)
        x, y = np.clip(smooth - smooth[0], -3, 3).T * SHAKE * width
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    view = np.zeros((len(t), 2, 3))
    view[:, 0, 0] = view[:, 1, 1] = scale
    view[:, 0, 2] = middle[0] * (1 - scale) + x
    view[:, 1, 2] = middle[1] * (1 - scale) + y
    return view


def margin(view: F64, width: int, height: int) -> int:
    """Pixels that the ground must reach beyond the picture on every side."""
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], float)
    scene = (corners[None] - view[:, None, :, 2]) / view[:, None, :1, 0]
    beyond = max(
        float(-scene.min()),
        float((scene[..., 0] - (width - 1)).max()),
        float((scene[..., 1] - (height - 1)).max()),
    )
    return int(np.ceil(max(beyond, 0.0))) + 2
