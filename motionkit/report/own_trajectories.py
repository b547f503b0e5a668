"""What `generate lang2motion` left in a workspace, as cards of the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from motionkit.errors import MotionkitError, need_packages
from motionkit.metrics.trajectories import to_normalised
from motionkit.report.trails import picture, view_of

#: Files that are shown.
MOST: Final = 6


def own_trajectories(paths: Sequence[Path], cut: Callable[[str], str]) -> list[dict[str, Any]]:
    """Values for the template, of the first `MOST` files; one that cannot be drawn gives a
    ``problem``. ``cut`` shortens a text for the page."""
    return [_card(path, cut) for path in paths[:MOST]]


def _card(path: Path, cut: Callable[[str], str]) -> dict[str, Any]:
    card: dict[str, Any] = {"prompt": path.stem, "problem": ""}
    try:
        need_packages(("torch",), "train", "reading trajectories")
        from motionkit.generation.lang2motion_files import read_trajectory

        found = read_trajectory(path)
    except MotionkitError as error:
        return card | {"problem": error.message.replace(str(path), path.name)}
    grid = math.isqrt(found.points_px.shape[1])
    if grid * grid != found.points_px.shape[1]:
        return card | {"problem": f"its {found.points_px.shape[1]} points are no square grid"}
    points = to_normalised(found.points_px, found.size)
    prompt = cut(found.text) or path.stem
    svg = picture(
        points,
        grid,
        view_of([points], found.size),
        label=f"Trajectory generated for: {prompt}",
        visible=found.visible,
        bar_px=found.size[0],
    )
    return card | {"prompt": prompt, "frames": len(points), "svg": svg}
