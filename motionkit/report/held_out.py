"""The 3D error of a trained model on held-out clips (held_out.json), as a card of the page."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from motionkit.report.charts import bars, number

#: Key in the file, what the bar is called, CSS class.
_BARS: Final = (
    ("through_tokens_mm", "through the tokens", "kept"),
    ("without_tokens_mm", "without tokens", "kept"),
    ("mean_pose_mm", "mean pose", "middle"),
    ("flat_mm", "picture as it is", "middle"),
)


def held_out_section(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """One card for each file; a file that cannot be used gives a ``warning`` that says why."""
    return [_card(path) for path in paths]


def _card(path: Path) -> dict[str, Any]:
    name = f"{path.parent.name}/{path.name}"
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        return {"warning": f"{name} cannot be read: {error.strerror or error}"}
    except (ValueError, RecursionError):
        return {"warning": f"{name} is no JSON and is left out."}
    if not isinstance(found, dict):
        return {"warning": f"{name} holds no table of values and is left out."}
    for key in ("clips", "frames", *(key for key, _, _ in _BARS)):
        if not _usable(found.get(key)):
            return {"warning": f"{name} is left out: its '{key}' is no positive number."}
    rows = [(label, float(found[key]), style) for key, label, style in _BARS]
    chart = bars(
        rows,
        title=f"3D error of {path.parent.name} on held-out clips",
        x_label="PA-MPJPE, mm",
        label_width=125,
    )
    return {
        "warning": "",
        "name": path.parent.name,
        "clips": number(found["clips"]),
        "frames": f"{int(found['frames']):,}",
        "chart": chart,
        "says": _says(found),
    }


def _usable(value: Any) -> bool:
    """A positive finite number of a size that can be drawn; True and False are none."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    return good and 0 < value < 1e12 and math.isfinite(value)


def _says(found: dict[str, Any]) -> str:
    clips = "1 clip" if found["clips"] == 1 else f"{number(found['clips'])} clips"
    mean, flat = (_against(found, key) for key in ("mean_pose_mm", "flat_mm"))
    return (
        f"Measured on {clips} the model never saw; training saw no 3D. Through the tokens, as the "
        f"model is used, its error lies {mean} that of the best constant pose and {flat} that of "
        "the picture as it is, which takes every depth as 0. Each frame is laid over the truth by "
        "shift, turn and size before the mean distance over twelve body joints is taken."
    )


def _against(found: dict[str, Any], other: str) -> str:
    share = 1 - found["through_tokens_mm"] / found[other]
    return f"{abs(share) * 100:.0f} % {'below' if share >= 0 else 'above'}"
