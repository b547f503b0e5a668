"""3D from 2D alone, on motion capture: train on projections, compare with the truth.

    python -m benchmarks.k2m_mocap [--bvh FOLDER] [--index CSV] [--test NAME=FOLDER …]
        [--out OUT] [--seed 0] [--share 1.0] [--ablate] [--set KEY=VALUE …]

Trains on the training motions' 2D (`mocap_projected`; recipe pipelines/k2m-cpu.toml), lifts the
held-out ones and prints PA-MPJPE over 12 body joints in mm beside the floors, the share of frames
whose facing is more than 45° wrong, jitter (acceleration over the truth's) and the share of frames
in which a knee or an elbow bends the wrong way. ``--share`` shrinks all step counts. ``--ablate``
trains with one thing changed at a time, at the size that is given. Other people's BVH: ``--bvh``
to train on, ``--test`` to test on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.mocap_projected import View, part_of, read_folder, rows, views
from motionkit.bodies.skeleton import JOINT
from motionkit.evaluation import lifting
from motionkit.generation.lift import LiftOptions
from motionkit.models.k2m.ensemble import EnsembleConfig, lift_clips
from motionkit.models.k2m.refine import RefineConfig, refine
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.recipes import load_recipe, parse_settings
from motionkit.shards.from_samples import write_set
from motionkit.training.k2m import load_model, train
from motionkit.training.k2m_config import DistilTraining, K2MTrainConfig, changed

HELD_STYLES = ("happy", "youthful")
#: How the held-out clips are lifted: name → (through the tokens, windows and mirror image, fit).
WAYS = {
    "lift": (False, True, True),
    "lift, not fitted": (False, True, False),
    "one pass": (False, False, False),
    "tokens": (True, True, False),
    "tokens, one pass": (True, False, False),
}
#: One thing changed at a time, for --ablate: in the first round, but for the last row.
ABLATIONS: dict[str, dict[str, Any]] = {
    "everything": {},
    **{
        f"without {name}": {"tokenizer": {"losses": {name: 0.0}}}
        for name in ("rvq", "rec", "smooth", "vel", "boundary", "pose", "shape")
    },
    "without the view cue": {
        "model": {"tokenizer": {"yaw_start": False}},
        "tokenizer": {"yaw_cue": 0.0, "yaw_cue_end": 0.0},
    },
    "without the cycle": {"tokenizer": {"cycle_share": 0.0}},
    "without other proportions": {"tokenizer": {"cycle": {"proportions": 0.0}}},
    "without the picture read-out": {"tokenizer": {"flat": 0.0}},
    "without the mirror": {"tokenizer": {"mirror": False}},
    "without the path": {"tokenizer": {"path": 0.0}},
    "with views of one scene": {"tokenizer": {"multi_view": 0.5}},
    "with one further round": {"distil": {"rounds": 1}},
}


def jitter(points: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Mean acceleration of both, mm a frame², round the hips, at the truth's size."""

    def centred(p: np.ndarray) -> np.ndarray:
        return p - p[:, 11:13].mean(1, keepdims=True)

    scale = np.linalg.norm(centred(true)) / np.linalg.norm(centred(points))
    found = (np.diff(centred(p)[:, 5:] * s, n=2, axis=0) for p, s in ((points, scale), (true, 1)))
    one, two = (1000 * float(np.linalg.norm(d, axis=-1).mean()) for d in found)
    return one, two


def hinge_bends(pose: np.ndarray) -> np.ndarray:
    """How far knees and elbows bend [F, 4], radians, of a pose [F, 23, 3]; negative: wrongly."""
    knees = [pose[:, JOINT[f"{side}_knee"] - 1, 0] for side in ("left", "right")]
    elbows = [pose[:, JOINT[f"{side}_elbow"] - 1, 1] for side in ("left", "right")]
    return np.stack([*knees, -elbows[0], elbows[1]], -1)


def score(model: Tokenizer, held: Sequence[View], way: tuple[bool, bool, bool]) -> dict[str, float]:
    """What lifting ``held`` in one way gives."""
    tokens, ensemble, fit = way
    config = EnsembleConfig(quantise=tokens, flip=ensemble, window=64 if ensemble else None)
    errors, facing, jitters, wrong = [], [], [], []
    for first in range(0, len(held), 16):
        some = held[first : first + 16]
        lifted = lift_clips(model, [torch.from_numpy(v.m2d) for v in some], config)
        for view, (seen, motion) in zip(some, lifted, strict=True):
            if fit:
                motion = refine(model, seen, motion, RefineConfig(steps=LiftOptions().refine))
            with torch.no_grad():
                placed = model.place(motion, seen.height, seen.centre, seen.size, path=seen.hip)
            points = placed.points[0].double().numpy()
            errors.append(lifting.pa_mpjpe_mm(points, view.truth))
            facing.append(lifting.facing_error_deg(points, view.truth) > 45)
            jitters.append(jitter(points, view.truth))
            bends = hinge_bends(motion.pose[0].double().numpy())
            wrong.append((bends < np.radians(-8)).any(1))
    mine, true = np.array(jitters).mean(0)
    return {
        "pa_mpjpe_mm": float(np.concatenate(errors).mean()),
        "facing_wrong_percent": 100 * float(np.concatenate(facing).mean()),
        "jitter": mine / true,
        "hinges_wrong_percent": 100 * float(np.concatenate(wrong).mean()),
    }


def floors(train_on: Sequence[View], held: Sequence[View]) -> dict[str, float]:
    """PA-MPJPE of the best constant pose and of the picture itself as 3D, mm."""
    constant = lifting.mean_pose(np.concatenate([v.truth[::4] for v in train_on]))
    same = [lifting.pa_mpjpe_mm(np.broadcast_to(constant, v.truth.shape), v.truth) for v in held]
    flat = [
        lifting.pa_mpjpe_mm(lifting.flat_lift(v.m2d[:, :17, :2].astype(float)), v.truth)
        for v in held
    ]
    return {
        "best constant pose": float(np.concatenate(same).mean()),
        "the picture as it is (z = 0)": float(np.concatenate(flat).mean()),
    }


def scaled(config: K2MTrainConfig, share: float) -> K2MTrainConfig:
    """The configuration with all step counts times ``share``."""

    def less(steps: int) -> int:
        return round(steps * share)

    t = config.tokenizer
    cycle = dataclasses.replace(t.cycle, start=less(t.cycle.start))
    return dataclasses.replace(
        config,
        tokenizer=dataclasses.replace(
            t, steps=less(t.steps), seed_codebooks=less(t.seed_codebooks), cycle=cycle
        ),
        distil=dataclasses.replace(config.distil, steps=less(config.distil.steps)),
        text=dataclasses.replace(config.text, steps=less(config.text.steps)),
    )


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} as {"a": {"b": 1}}."""
    made: dict[str, Any] = {}
    for key, value in settings.items():
        *path, last = key.split(".")
        at = made
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return made


def trained(config: K2MTrainConfig, shards: Path, out: Path) -> tuple[Tokenizer, float]:
    began = time.monotonic()
    last = [began]

    def show(row: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - last[0] > 60:
            last[0] = now
            loss = row.get("loss", float("nan"))
            print(
                f"  {now - began:5.0f} s {row['stage']} {row['step']}: loss {loss:.3f}", flush=True
            )

    train(config, shards=shards, out=out, log=show)
    return load_model(out)[0], time.monotonic() - began


def main() -> None:
    real = Path(os.environ.get("MOTIONKIT_REAL_DATA", "../shared/data")) / "mocap"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bvh", type=Path, default=real / "bandai")
    parser.add_argument("--index", type=Path, default=None)
    parser.add_argument("--test", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--held", default=",".join(HELD_STYLES), help="styles to test on")
    parser.add_argument("--out", type=Path, default=Path("k2m_mocap"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of all step counts")
    parser.add_argument("--text", action="store_true", help="also train text to motion")
    parser.add_argument("--ablate", action="store_true")
    parser.add_argument("--only", nargs="*", default=None, help="some of the ablations")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    index = options.index or options.bvh.parent / "bandai_index.csv"

    parts: dict[str, list[View]] = {}
    motions = list(read_folder(options.bvh, index if index.exists() else None))
    pairs = {(m.content, m.style) for m in motions}
    styles = Counter(content for content, _ in pairs)
    for motion in motions:
        part = part_of(motion, options.held.split(","), styles)
        parts.setdefault(part, []).extend(views(motion, options.seed))
    shards = options.out / "shards"
    made = write_set(rows(parts.items()), shards, origin={"kind": "mocap-projected"})
    print(f"{made.samples} clips of {made.videos} motions, {made.hours * 60:.0f} min")
    tests = {name: parts[name] for name in ("pair", "style", "content") if name in parts}
    for item in options.test:
        name, _, folder = item.partition("=")
        tests[name] = [v for m in read_folder(Path(folder)) for v in views(m, options.seed)]

    recipe = load_recipe("k2m-cpu").steps["train.k2m"]
    base = changed(recipe, nested(parse_settings(options.set, "k2m_mocap")), "train.k2m")
    base = dataclasses.replace(scaled(base, options.share), seed=options.seed)
    if not options.text:
        base = dataclasses.replace(base, text=dataclasses.replace(base.text, steps=0))
    result: dict[str, Any] = {"floors": {}, "runs": {}}
    for name, held in tests.items():
        result["floors"][name] = floors(parts["train"], held)
        for floor, value in result["floors"][name].items():
            print(f"{floor:32s} {name:8s} {value:6.1f} mm")
    chosen = {n: c for n, c in ABLATIONS.items() if options.only is None or n in options.only}
    for name, change in (chosen if options.ablate else {"everything": {}}).items():
        folder = options.out / (name.replace(" ", "-").replace(",", ""))
        if options.ablate:
            shutil.rmtree(folder, ignore_errors=True)
        config = changed(base, change, "train.k2m")
        if options.ablate and "distil" not in change:
            config = dataclasses.replace(config, distil=DistilTraining(steps=0))
        model, seconds = trained(config, shards, folder)
        print(f"\n{name}: trained in {seconds:.0f} s", flush=True)
        some = ("one pass", "tokens, one pass")
        ways = {k: WAYS[k] for k in some} if options.ablate else WAYS
        found = result["runs"][name] = {"seconds": seconds}
        for way, how in ways.items():
            for test, held in tests.items():
                numbers = score(model, held, how)
                found.setdefault(way, {})[test] = numbers
                print(
                    f"  {way:20s} {test:8s} {numbers['pa_mpjpe_mm']:6.1f} mm  facing wrong "
                    f"{numbers['facing_wrong_percent']:4.1f} %  jitter {numbers['jitter']:4.2f} "
                    f"hinges wrong {numbers['hinges_wrong_percent']:4.2f} %", flush=True,
                )  # fmt: skip
        (options.out / "result.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
