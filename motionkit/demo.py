"""`motionkit demo`: the whole way on rendered videos, from pixels to generated motion.

Nothing is prepared: the videos are rendered, and everything after that is what `motionkit run`
does with anybody's videos. The renderer's 3D truth is read once, at the end, to measure the
model on clips that it never saw.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motionkit.engines.local import Progress
from motionkit.motions import generate_motion
from motionkit.pipeline import ReportOptions, make_report, run_recipe
from motionkit.recipes import load_recipe
from motionkit.workspace import Workspace, publish

VIDEOS = 72
SEED = 20
#: Four videos of each kind, from different sides: with one or two a text model learns nothing.
KINDS = (
    "walk", "wave_left", "squat", "jump_twice", "kick_right", "raise_both_arms", "run", "bow",
    "wave_right", "side_step_left", "jumping_jacks", "turn_left", "punch_right", "clap",
    "sit_down", "kick_left", "side_step_right", "wave_both",
)  # fmt: skip
TEXTS = ("a person walks", "a person waves the left hand", "a person squats")


@dataclasses.dataclass(frozen=True)
class DemoResult:
    """What the demo made and measured."""

    folder: Path
    videos: int
    clips: int
    error: dict[str, float]
    generated: dict[str, list[str]]
    kinematics: dict[str, str]
    report: Path
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """What it made and where to look."""
        error = self.error
        below = 1 - error["through_tokens_mm"] / error["mean_pose_mm"]
        lines = [
            "",
            f"Done in {self.seconds:.0f} s. {self.videos} videos gave {self.clips} clips with "
            "keypoints, tracks and captions, and a small K2M learned 3D from their 2D alone.",
            f"  3D error on {error['clips']:.0f} unseen clips (PA-MPJPE): "
            f"{error['through_tokens_mm']:.0f} mm; mean pose {error['mean_pose_mm']:.0f} mm "
            f"({100 * below:.0f} % below)",
        ]
        for text, paths in self.generated.items():
            film = next((path for path in paths if path.endswith(".mp4")), paths[0])
            lines.append(f'  "{text}": {film}   [{self.kinematics[text]}]')
        lines += [
            f"  Look first at the report, in a browser: {self.report}",
            f"  Ask the tables: motionkit status -w {self.folder / 'motion'}",
            "  Now with your own videos: motionkit run people --source FOLDER",
        ]
        return lines


def run_demo(
    folder: Path,
    *,
    workers: int = 0,
    progress: Progress | None = None,
    say: Callable[[str], None] = print,
) -> DemoResult:
    """Run the demo in ``folder``. A second run finds everything done."""
    from motionkit.synth.library import render_library

    started = time.monotonic()
    videos = folder / "videos"
    workspace = Workspace.create(folder / "motion")
    recipe = load_recipe("demo")
    made = render_library(
        videos, count=VIDEOS, seed=SEED, kinds=KINDS, workers=workers or os.cpu_count() or 1,
        progress=(lambda done, total: progress("synth", done, total)) if progress else None,
    )  # fmt: skip
    say(f"{'synth':<10} {len(made)} videos in {videos}")
    engine = dataclasses.replace(recipe.engine, workers=workers)
    results = run_recipe(
        workspace, recipe, [str(videos)], engine=engine, progress=progress,
        on_step=lambda result: say(f"{result.step:<10} {result.line}"),
    )  # fmt: skip
    shards = next(result.summary for result in results if result.step == "shards")
    error = measure(workspace, videos / "truth")
    generated, kinematics = {}, {}
    for text in TEXTS:
        motion = generate_motion(workspace, text, seed=SEED)
        generated[text] = [str(path) for path in motion.paths]
        kinematics[text] = motion.kinematics
        say(f"{'generate':<10} {text}: {motion.seconds:.1f} s of motion")
    report = make_report(workspace, ReportOptions(title="motionkit demo"))
    say(f"{'report':<10} {report.line}")
    return DemoResult(
        folder,
        len(made),
        sum(shards["samples"].values()),
        error,
        generated,
        kinematics,
        Path(report.summary["path"]),
        time.monotonic() - started,
    )


def measure(workspace: Workspace, truth: Path) -> dict[str, float]:
    """3D error of the workspace's K2M on held-out clips; kept in ``models/k2m/held_out.json``."""
    from motionkit.evaluation.held_out import held_out_error

    truth_of = {
        row["video_id"]: truth / f"{Path(row['path']).stem}.npz"
        for row in workspace.rows("videos", ["video_id", "path"])
    }
    model = workspace.path / "models" / "k2m"
    error = held_out_error(model, workspace.path / "shards", truth_of)
    values = {**dataclasses.asdict(error), "below_mean_pose": error.below_mean_pose}
    text = json.dumps(values, indent=1) + "\n"
    publish(model / "held_out.json", lambda path: path.write_text(text, "utf-8"))
    return values
