"""How far each joint of the built-in skeleton turns: axis-angle boxes, radians.

In this skeleton's frame (T-pose, x to the body's left, y up, facing +z). Each row is the widest
of a textbook's range of motion, of measured motion under a licence that permits it (the clips of
DeepMimic, MIT) and of this project's own procedural motions, each from its 0.25th to its 99.75th
percentile: `scripts/pose-limits.py` measures them, docs/pose-limits.md lists them. They are *not*
the AMASS statistics that the paper uses, which we may not carry: whoever has AMASS makes a file
of them with that script and names it (`pose_limits(path)`).

Knees and elbows are hinges: their boxes end where the limb is straight, and no value inside bends
it the wrong way by more than 3 degrees (the other two axes included).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import JOINT, JOINTS
from motionkit.errors import InputError

Float = NDArray[np.float64]

FORMAT: Final = "motionkit-pose-limits"
#: Joints that bend one way only: both sides of each.
HINGES: Final = ("knee", "elbow")


@dataclass(frozen=True)
class JointRange:
    """The box of a joint; of a pair, the left one's."""

    x: tuple[float, float]
    """Smallest and largest value about x, radians."""
    y: tuple[float, float]
    z: tuple[float, float]
    signs: str
    """What a positive or negative value does."""
    source: str
    """Where the ends come from."""


#: Middle joints and the left one of each pair; the right side is mirrored.
RANGES: dict[str, JointRange] = {
    "left_hip": JointRange(
        (-2.45, 0.7), (-0.8, 0.9), (-0.55, 1.0),
        "-x lifts the thigh forward, +y turns it out, +z spreads",
        "textbook: flexion 120°, extension 30°, rotation 45° each way, abduction 45°, "
        "adduction 30°; flexion widened by our own kicks and DeepMimic (roll), rotation by "
        "DeepMimic (side flip), spreading for bent hips",
    ),
    "left_knee": JointRange(
        (-0.09, 2.5), (-0.2, 0.2), (-0.15, 0.15),
        "+x bends the shin back; the leg is straight at -0.09 (the rest pose is bent by 5°)",
        "textbook: flexion 140°, extension to straight, a few degrees of play; hinge (DeepMimic "
        "overstretches it to -0.16, which is left out)",
    ),
    "left_ankle": JointRange(
        (-1.0, 0.95), (-0.7, 0.9), (-0.85, 0.65),
        "-x lifts the toes, +x points them, y turns and z tilts the foot",
        "textbook: dorsiflexion 20°, plantar flexion 50°, inversion 35°, eversion 15°; all "
        "widened by DeepMimic, whose ankles also take the shin's own turn",
    ),
    "left_foot": JointRange(
        (-0.4, 0.4), (-0.1, 0.1), (-0.1, 0.1),
        "-x lifts the toes",
        "textbook: toes 45° up and down, cut to what walking needs; no data moves it",
    ),
    "spine1": JointRange(
        (-0.3, 0.7), (-0.4, 0.4), (-0.4, 0.4),
        "+x bows, +y turns to the left, +z leans to the right",
        "textbook: thoracolumbar flexion 80°, extension 30°, rotation 45°, leaning 35° each "
        "way, over the three spine joints, most of it in the lowest",
    ),
    "spine2": JointRange(
        (-0.2, 0.5), (-0.4, 0.4), (-0.3, 0.3), "as spine1", "as spine1",
    ),
    "spine3": JointRange(
        (-0.2, 0.45), (-0.3, 0.3), (-0.25, 0.25), "as spine1",
        "as spine1; bowing and leaning widened by DeepMimic, whose one chest joint is spread "
        "evenly over the three",
    ),
    "neck": JointRange(
        (-0.5, 0.6), (-0.65, 0.65), (-0.4, 0.4),
        "+x nods, +y turns to the left, +z tilts to the right",
        "textbook: flexion 50°, extension 60°, rotation 80°, tilting 45° each way, shared by "
        "neck and head; rotation widened by DeepMimic (half of its one neck joint each)",
    ),
    "head": JointRange(
        (-0.55, 0.5), (-0.65, 0.65), (-0.4, 0.4), "as neck", "as neck",
    ),
    "left_collar": JointRange(
        (-0.2, 0.2), (-0.4, 0.3), (-0.6, 0.5),
        "-y brings the shoulder forward, +z shrugs, -z lowers it",
        "textbook: protraction 20°, retraction 15°, elevation 30° and depression 10° of hanging "
        "arms, in a rest pose whose raised arms (T-pose) have lifted the collarbone by 25° "
        "already; our own motions shrug by 0.35",
    ),
    "left_shoulder": JointRange(
        (-2.5, 1.5), (-2.0, 1.2), (-1.7, 1.5),
        "x turns the upper arm about itself, -y brings it forward, +z raises, -z lowers it",
        "textbook: abduction and flexion 180° with the collar, extension 60°, rotation 70° in "
        "and 90° out; y widened by DeepMimic (dance, spin), -x by our own raised arms, where "
        "raising and turning make one axis",
    ),
    "left_elbow": JointRange(
        (-0.15, 0.15), (-2.6, 0.08), (-0.3, 0.3),
        "-y bends the forearm forward; the arm is straight at +0.1 (the rest pose is bent by 6°)",
        "textbook: flexion 150°, extension to straight, carrying angle 15°; hinge (the forearm "
        "turns at the wrist); DeepMimic reaches +0.08",
    ),
    "left_wrist": JointRange(
        (-1.4, 1.4), (-0.6, 0.6), (-1.4, 1.2),
        "x turns the forearm, -z bends the palm down",
        "textbook: pronation and supination 80°, flexion 80°, extension 70°, 20° to the thumb "
        "and 30° to the little finger; no data moves it much",
    ),
    "left_hand": JointRange(
        (-0.05, 0.05), (-0.05, 0.05), (-0.05, 0.05), "the knuckles",
        "held still: nothing below the wrist is seen",
    ),
}  # fmt: skip


def pose_limits(path: Path | None = None) -> tuple[Float, Float]:
    """Smallest and largest axis-angle values [23, 3] in radians of joints 1..23.

    ``path`` names a file that `write_pose_limits` wrote (your own statistics); None: the built-in
    table. InputError 'pose-limits-unreadable' where the file is not one.
    """
    if path is not None:
        return _read(path)
    low, high = np.zeros((23, 3)), np.zeros((23, 3))
    for name, row in RANGES.items():
        j = JOINT[name] - 1
        low[j], high[j] = np.array([row.x, row.y, row.z]).T
        if name.startswith("left_"):
            k = JOINT["right_" + name[5:]] - 1
            low[k], high[k] = mirrored(low[j], high[j])
    return low, high


def mirrored(low: Float, high: Float) -> tuple[Float, Float]:
    """The box [3] of the joint on the other side: mirroring about the body's middle plane keeps
    x and negates y and z."""
    return (
        np.array([low[0], -high[1], -high[2]]),
        np.array([high[0], -low[1], -low[2]]),
    )


def pose_box(
    limits: tuple[Float, Float] | None = None, *, widen: float = 0.0
) -> tuple[Float, Float]:
    """Hard bounds [23, 3] round the limits: wider by a share of each half range, for a loss at
    the limits to have a say. Hinges stay as they are, else they would bend the wrong way."""
    low, high = limits or pose_limits()
    half = (high - low) / 2 * (1 + widen)
    wide = (low + high) / 2 - half, (low + high) / 2 + half
    for name in JOINTS[1:]:
        if name.endswith(HINGES):
            j = JOINT[name] - 1
            wide[0][j], wide[1][j] = low[j], high[j]
    return wide


def write_pose_limits(limits: tuple[Float, Float], path: Path, *, source: str) -> None:
    """Writes limits [23, 3] as JSON that `pose_limits` reads; ``source`` says of what they are."""
    low, high = limits
    rows = {
        name: {"min": low[j].round(4).tolist(), "max": high[j].round(4).tolist()}
        for j, name in enumerate(JOINTS[1:])
    }
    facts = {"format": FORMAT, "unit": "radians", "source": source, "joints": rows}
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(path: Path) -> tuple[Float, Float]:
    try:
        facts: Any = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        rows = [facts["joints"][name] for name in JOINTS[1:]]
        low, high = (np.array([row[end] for row in rows], dtype=float) for end in ("min", "max"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            "pose-limits-unreadable", f"{path} holds no pose limits: {error!r}"
        ) from error
    fine = low.shape == high.shape == (23, 3) and np.isfinite(low).all() and np.isfinite(high).all()
    if not fine or (low >= high).any() or max(-low.min(), high.max()) > 2 * math.pi:
        raise InputError(
            "pose-limits-unreadable",
            f"{path}: every joint needs three smallest values below three largest, in radians",
        )
    return low, high


def limits_table() -> str:
    """The built-in limits as a Markdown table, radians and degrees (docs/pose-limits.md)."""
    lines = ["| joint | x | y | z | directions | source |", "|---|---|---|---|---|---|"]
    for name, row in RANGES.items():
        ends = [
            f"{low:g} … {high:g} ({math.degrees(low):.0f}° … {math.degrees(high):.0f}°)"
            for low, high in (row.x, row.y, row.z)
        ]
        lines.append(f"| {name} | {' | '.join(ends)} | {row.signs} | {row.source} |")
    return "\n".join(lines) + "\n"


def relaxed_pose() -> Float:
    """Axis-angle [23, 3] of standing with the arms hanging: where a prediction starts."""
    pose = np.zeros((23, 3))
    pose[JOINT["left_shoulder"] - 1, 2] = -1.2
    pose[JOINT["right_shoulder"] - 1, 2] = 1.2
    pose[JOINT["left_elbow"] - 1, 1] = -0.25
    pose[JOINT["right_elbow"] - 1, 1] = 0.25
    pose[JOINT["left_knee"] - 1, 0] = 0.15
    pose[JOINT["right_knee"] - 1, 0] = 0.15
    pose[JOINT["left_hip"] - 1, 0] = -0.1
    pose[JOINT["right_hip"] - 1, 0] = -0.1
    return pose
