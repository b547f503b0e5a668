#!/usr/bin/env python3
"""How far joints turn in folders of motion, beside the built-in limits; makes files of limits.

    scripts/pose-limits.py --synth                          # our own procedural motions
    scripts/pose-limits.py deepmimic=shared/data/mocap/deepmimic
    scripts/pose-limits.py amass=AMASS --out limits.json    # your own statistics, for training

Read below a folder: .npz (AMASS, or motionkit's), .bvh (motionkit's own, or the skeleton of the
Bandai Namco Research Motion Dataset), .txt (DeepMimic). Files that are none of these are named and
left out. With --out the limits of all that was read go into one file, hinges kept closed
(`motionkit.bodies.joint_ranges`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.deepmimic_motions import read_deepmimic
from benchmarks.mocap_motions import as_motion
from motionkit.bodies.bvh import read_bvh
from motionkit.bodies.files import motion_of_bvh
from motionkit.bodies.joint_ranges import folded, hinged, joint_ranges, share_outside
from motionkit.bodies.limits import pose_limits, write_pose_limits
from motionkit.bodies.rotations import from_axis_angle
from motionkit.bodies.skeleton import JOINT, JOINTS
from motionkit.errors import InputError

Float = NDArray[np.float64]

#: Percent of the samples that a range of the table holds.
PERCENT = 99.5


def rotations_of(path: Path) -> Float:
    """Rotations [F, 24, 3, 3] of one file."""
    if path.suffix == ".npz":
        from motionkit.exchange.amass import read_amass

        return from_axis_angle(read_amass(path).motion.poses)
    if path.suffix == ".txt":
        return read_deepmimic(path)
    bvh = read_bvh(path)
    if set(bvh.names) == set(JOINTS):
        return from_axis_angle(motion_of_bvh(bvh, path.name).poses)
    # known by its joints alone: each limb's turn about itself is taken from its bend
    return hinged(as_motion(bvh).rotations)


def motions_in(folder: Path) -> Iterator[Float]:
    """Every motion below a folder, in the order of the files' names."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".npz", ".bvh", ".txt"):
            try:
                yield rotations_of(path)
            except (InputError, ValueError, KeyError) as error:
                print(f"left out: {path.name}: {error}", file=sys.stderr)


def synth_motions(seeds: int = 2) -> Iterator[Float]:
    """Every kind of our own procedural motions."""
    from motionkit.synth.motions import KINDS, motion

    for kind in KINDS:
        for seed in range(seeds):
            yield motion(kind, seed=seed).rotations


def table(sources: dict[str, Float]) -> str:
    """Markdown: per joint and source, its range and the share of frames outside the limits."""
    limits = pose_limits()
    lines = ["| joint | source | x | y | z | outside |", "|---|---|---|---|---|---|"]
    for source, rotations in sources.items():
        outside = share_outside(rotations, limits)
        for name, values in folded(rotations).items():
            ends = np.percentile(values, [50 - PERCENT / 2, 50 + PERCENT / 2], axis=0) + 0.0
            if np.abs(ends).max() < 5e-3:
                continue  # this source does not move the joint
            cells = [f"{ends[0, k]:.2f} … {ends[1, k]:.2f}" for k in range(3)]
            lines.append(f"| {name} | {source} | {' | '.join(cells)} | {outside[name]:.1%} |")
    rows = sorted(lines[2:], key=lambda line: JOINT[line.split("|")[1].strip()])
    return "\n".join([*lines[:2], *rows]) + "\n"


def main() -> None:
    """Reads the folders and prints the table."""
    assert __doc__
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", metavar="[NAME=]FOLDER", help="motion files")
    parser.add_argument("--synth", action="store_true", help="our own procedural motions too")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write limits of it all as JSON")
    parser.add_argument(
        "--margin", type=float, default=0.05, help="radians added at both ends (default 0.05)"
    )
    args = parser.parse_args()
    sources: dict[str, Float] = {}
    for folder in args.folders:
        name, _, path = folder.rpartition("=")
        motions = list(motions_in(Path(path)))
        if not motions:
            parser.error(f"{path} holds no motion")
        sources[name or Path(path).name] = np.concatenate(motions)
    if args.synth:
        sources["synth"] = np.concatenate(list(synth_motions()))
    if not sources:
        parser.error("name a folder, or --synth")
    for name, rotations in sources.items():
        print(f"{name}: {len(rotations)} frames")
    print("\n" + table(sources), end="")
    if args.out:
        limits = joint_ranges(sources.values(), percent=PERCENT, margin=args.margin)
        write_pose_limits(limits, args.out, source=", ".join(sources))
        print(f"\nwrote {args.out}")


if __name__ == "__main__":
    main()
