"""The recipe over the sample: every step is run, and what it takes is written down.

Steps whose items run in worker processes run twice, with one worker and with all: what workers
cost each other (memory, caches, the clock of the processor) is then measured and not guessed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from motionkit.engines.local import EngineOptions
from motionkit.errors import InputError, MotionkitError
from motionkit.pipeline import STAGES, StepResult, make_report, make_shards, run_step
from motionkit.plan.measure import measured, read_costs
from motionkit.plan.sample import Drawn
from motionkit.plan.stretch import copy_stretch
from motionkit.stage import mode_of
from motionkit.workspace import Workspace

#: Roles whose work runs in the workers; the rest is a device's or a server's.
_IN_WORKERS: Final = ("process", "read")
_ON_DEVICE: Final = ("infer", "follow", "finish")
#: Clips that a report draws; the rest of its work is small.
REPORT_CLIPS: Final = 8
#: A long video's stretch is taken where it is this much longer than what is taken of it.
_WORTH_CUTTING: Final = 1.5


@dataclasses.dataclass
class VideoCost:
    """What one video of the sample took in one step. Seconds are of work: ``work_s`` in workers,
    ``device_s`` on a device, ``call_s`` in calls to a server."""

    items: int = 0
    kept: int = 0
    work_s: float = 0.0
    device_s: float = 0.0
    call_s: float = 0.0
    cpu_s: float = 0.0
    bytes: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0


@dataclasses.dataclass
class StepTrial:
    """One step over the sample.

    ``mode`` is that of the stage (items, batches, streams, calls), ``parent`` for stages that run
    in the engine's own process, or ``whole`` for steps that are not stages. ``costs`` has one
    entry a video of the sample (of ``whole`` steps: none). ``start_s`` and ``wall_s`` by number of
    workers; ``slowdown`` is what an item took with all workers over what it took with one;
    ``gap_s`` the time in which the engine itself was at work and its one worker waited.
    ``end_s`` is what a stage with a device took after its last item (tables merged).
    A step that ``grows`` does so with the clips, up to ``at_most`` of them where that is not 0.
    ``longest_s`` and ``mean_square_s2`` describe the single items.
    """

    step: str
    mode: str
    costs: list[VideoCost]
    wall_s: dict[int, float] = dataclasses.field(default_factory=dict)
    start_s: dict[int, float] = dataclasses.field(default_factory=dict)
    slowdown: float = 1.0
    gap_s: float = 0.0
    end_s: float = 0.0
    longest_s: float = 0.0
    mean_square_s2: float = 0.0
    at_once: int = 1
    device_names: list[str] = dataclasses.field(default_factory=list)
    bytes_fixed: int = 0
    peak_worker: int | None = None
    peak_device: int | None = None
    peak_gpu: int | None = None
    grows: bool = True
    at_most: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def devices(self) -> int:
        """Devices that share the work, at least one."""
        return max(1, len(self.device_names))

    @property
    def items(self) -> int:
        """Items of the sample."""
        return sum(cost.items for cost in self.costs)


@dataclasses.dataclass(frozen=True)
class Tried:
    """A video of the sample as it was tried: ``share`` of its seconds, and of the seconds that
    are used (1, 1 unless a stretch of it stood for the whole)."""

    drawn: Drawn
    path: str
    share: float
    used_share: float


def lay_out(drawn: Sequence[Drawn], folder: Path, most_s: float, seed: int) -> list[Tried]:
    """Put the sample into ``folder``: a manifest that names it, and stretches of at most about
    ``most_s`` seconds of longer videos (0: whole videos)."""
    chance = random.Random(seed)
    tried = []
    with (folder / "sample.jsonl").open("w", encoding="utf-8") as manifest:
        for number, one in enumerate(drawn):
            at = chance.random()
            video = one.video
            path, share, used_share = video.path, 1.0, 1.0
            rows: list[dict[str, Any]] = [_row(row) for row in video.rows]
            if most_s and video.kind == "file" and video.seconds > most_s * _WORTH_CUTTING:
                target = folder / f"stretch-{number:04d}.mkv"
                seconds = _stretch(one, target, most_s, at)
                if seconds:
                    path, rows = str(target), []
                    share = min(1.0, seconds / video.seconds)
                    used_share = min(1.0, seconds / video.used_s)
            for row in rows or [{}]:
                manifest.write(json.dumps({**row, "path": path}) + "\n")
            tried.append(Tried(one, path, share, used_share))
    return tried


def _stretch(one: Drawn, target: Path, most_s: float, at: float) -> float:
    """Copy a stretch of the video, inside one that its manifest names; 0 where it cannot be."""
    import av

    video = one.video
    named = [
        (r.start_s or 0.0, r.end_s or video.seconds) for r in video.rows if r.start_s or r.end_s
    ]
    start, end = named[int(at * len(named))] if named else (0.0, video.seconds)
    most_s = min(most_s, max(end - start, 1.0))
    try:
        return copy_stretch(video.path, target, start + at * max(0.0, end - start - most_s), most_s)
    except (InputError, av.FFmpegError, ValueError):
        target.unlink(missing_ok=True)  # tried as a whole, then
        return 0.0


def _row(row: Any) -> dict[str, Any]:
    return {
        "start": row.start_s,
        "end": row.end_s,
        "captions": row.captions,
        "licence": row.licence,
        **({"url": row.url} if row.url else {}),
    }


@dataclasses.dataclass
class Trial:
    """Runs steps over the sample in the workspace ``folder``/trial; see `run`. ``busy`` says that
    the machine has other work."""

    folder: Path
    tried: Sequence[Tried]
    engine: EngineOptions
    recipe: dict[str, Any]
    say: Callable[[str], None] | None = None
    busy: bool = False

    def __post_init__(self) -> None:
        self.place = self.folder / "trial"
        Workspace.create(self.place)
        self.by_video = {one.path: i for i, one in enumerate(self.tried)}
        self.workers = self.engine.workers or os.cpu_count() or 1
        self.beside = 0  # bytes of the workspace beside its tables: what stages keep there

    def run(self, steps: Mapping[str, Any]) -> list[StepTrial]:
        """Every step that can be tried, in order; what cannot be is there with a note."""
        found: list[StepTrial] = []
        for step, parameters in steps.items():
            started = time.monotonic()
            if step in STAGES:
                made = self._stage(step, parameters)
            elif step.startswith("train"):
                made = StepTrial(step, "whole", [], notes=["training is not planned"], grows=False)
            else:
                made = self._whole(step, parameters, found[-1].items if found else 0)
            found.append(made)
            if self.say is not None:
                self.say(
                    f"{step:<10} {made.items or '-'} items, {time.monotonic() - started:.1f} s"
                )
        return found

    # ---------------------------------------------------------------- stages of the engine

    def _stage(self, step: str, parameters: Any) -> StepTrial:
        if step == "ingest":
            manifest = str(self.folder / "sample.jsonl")
            parameters = dataclasses.replace(parameters, sources=(manifest,))
        mode = mode_of(parameters)
        parent = bool(getattr(parameters, "in_process", False))
        made = StepTrial(step, "parent" if parent else mode, [VideoCost() for _ in self.tried])
        made.at_once = int(getattr(parameters, "at_once", 1))
        alone = mode == "items" and not parent
        first = 1 if alone else self.workers
        lines, began, ended = self._once(made, parameters, first, keep=True)
        self._account(made, lines, parameters.table)
        busy = sum(line["work_s"] for line in lines if line["role"] in (*_IN_WORKERS, *_ON_DEVICE))
        left = ended - began - made.start_s[first] - busy
        made.gap_s = max(0.0, left) if alone or parent else 0.0
        if alone and self.workers > 1 and made.items > 1:
            again, *_ = self._once(made, parameters, self.workers, keep=False)
            # Where others want the cores too, waiting for one says nothing of our own workers.
            clock = "cpu_s" if self.busy else "work_s"
            both = [
                sum(line[clock] for line in each if line["role"] == "process")
                for each in (lines, again)
            ]
            made.slowdown = max(1.0, both[1] / both[0]) if both[0] else 1.0
        if mode != "items" and not parent:
            made.end_s = max(0.0, ended - max([began, *(line["end"] for line in lines)]))
        if not made.items:
            made.notes.append("nothing of the sample came this far: try a larger --sample")
        return made

    def _once(
        self, made: StepTrial, parameters: Any, workers: int, *, keep: bool
    ) -> tuple[list[dict[str, Any]], float, float]:
        """One run: the lines it wrote, and the monotonic times of its beginning and end."""
        table = self.place / "tables" / parameters.table
        if not keep:
            shutil.rmtree(table, ignore_errors=True)
        folder = self.folder / f"{made.step}-{workers}-{int(keep)}"
        folder.mkdir()
        stage = measured(parameters, folder)
        engine = dataclasses.replace(self.engine, workers=workers)
        if made.mode not in ("items", "parent"):
            engine = self.engine  # the engine itself knows how many readers a device wants
        began = time.monotonic()
        result = run_step(Workspace(self.place), made.step, stage, engine)
        ended = time.monotonic()
        made.device_names = list(result.summary.get("devices", []))
        lines = read_costs(folder)
        work = [line["start"] for line in lines if line["role"] != "setup"]
        made.wall_s[workers] = ended - began
        made.start_s[workers] = (min(work) if work else ended) - began
        return lines, began, ended

    def _account(self, made: StepTrial, lines: list[dict[str, Any]], table: str) -> None:
        """Give every video what its items took."""
        workspace = Workspace(self.place)
        if made.step == "ingest":  # afterwards items carry the id that the content gave
            for row in workspace.rows("videos", ["path", "video_id"]):
                self.by_video.setdefault(row["video_id"], self.by_video[row["path"]])
        units: dict[int, float] = defaultdict(float)
        shared = shared_cpu = 0.0
        singles = []
        for line in lines:
            place = self.by_video.get(line["video"])
            cost = made.costs[place] if place is not None else VideoCost()
            if line["role"] in _IN_WORKERS:
                cost.work_s += line["work_s"]
                units[place or 0] += line["units"]
            elif line["role"] == "call":
                cost.call_s += line["work_s"]
            elif line["role"] == "infer":  # of several videos at once: shared out by units below
                shared, shared_cpu = shared + line["work_s"], shared_cpu + line["cpu_s"]
            elif line["role"] in _ON_DEVICE:
                cost.device_s += line["work_s"]
            if line["role"] not in ("setup", "infer"):
                cost.cpu_s += line["cpu_s"]
                singles.append(line["work_s"])
        whole = sum(units.values())
        for place, count in units.items() if whole else ():
            made.costs[place].device_s += shared * count / whole
            made.costs[place].cpu_s += shared_cpu * count / whole
        made.longest_s = max(singles, default=0.0)
        made.mean_square_s2 = sum(s * s for s in singles) / len(singles) if singles else 0.0
        self._peaks(made, lines)
        self._rows(made, workspace, table)

    def _peaks(self, made: StepTrial, lines: list[dict[str, Any]]) -> None:
        on_device = {line["pid"] for line in lines if line["role"] in (*_ON_DEVICE, "call")}
        for line in lines:
            if line["peak"] is not None:
                name = "peak_device" if line["pid"] in on_device else "peak_worker"
                setattr(made, name, max(getattr(made, name) or 0, line["peak"]))
            if line["gpu_peak"] is not None:
                made.peak_gpu = max(made.peak_gpu or 0, line["gpu_peak"])

    def _rows(self, made: StepTrial, workspace: Workspace, table: str) -> None:
        """Items, kept ones, tokens and bytes, from the rows that were written."""
        columns = ["outcome", "video_id", *(["path"] if table == "videos" else [])]
        columns += ["captions"] if table == "captions" else []
        for row in workspace.rows(table, columns, outcome=None):
            of = row["path"] if table == "videos" else row["video_id"]
            place = self.by_video.get(of or row["item_id"].partition("-")[0])
            if place is None:
                continue
            cost = made.costs[place]
            cost.items += 1
            cost.kept += row["outcome"] == "kept"
            for caption in row.get("captions") or [] if table == "captions" else []:
                prompt, completion = _tokens(caption["detail"])
                cost.prompt_tokens += prompt
                cost.completion_tokens += completion
        made.bytes_fixed, payload = _sizes(self.place / "tables" / table)
        beside = self._beside_tables()
        payload, self.beside = payload + max(0, beside - self.beside), beside
        for cost in made.costs:
            cost.bytes = payload * cost.items / max(1, made.items)

    def _beside_tables(self) -> int:
        """Bytes of caches and the like, without the engine's own small files."""
        engines = ("tables", "current", "running", "recipes")
        folders = [p for p in self.place.iterdir() if p.is_dir() and p.name not in engines]
        return sum(_bytes_below(folder) for folder in folders)

    # ---------------------------------------------------------------- steps that are none

    def _whole(self, step: str, parameters: Any, clips: int) -> StepTrial:
        """Shards and the like: once to have all loaded, and once to measure what grows."""
        made = StepTrial(step, "whole", [])
        try:
            began = time.monotonic()
            self._make(step, parameters, self.folder / "first")
            between = time.monotonic()
            result = self._make(step, parameters, self.folder / "second")
            ended = time.monotonic()
        except MotionkitError as error:
            made.notes.append(f"not tried: {error}")
            return made
        made.grows = step in ("shards", "report")
        made.wall_s[1] = ended - between
        made.start_s[1] = max(0.0, between - began - (ended - between))
        items = clips if step == "report" else sum(result.summary.get("samples", {}).values())
        made.at_most = REPORT_CLIPS if step == "report" else 0
        made.costs = [
            VideoCost(items=items, work_s=ended - between,
                      bytes=_bytes_below(self.folder / "second"))
        ]  # fmt: skip
        if not made.grows:
            made.notes.append("taken as it is for the sample")
        return made

    def _make(self, step: str, parameters: Any, out: Path) -> StepResult:
        workspace = Workspace(self.place)
        if step == "shards":
            return make_shards(workspace, parameters, self.recipe, out)
        if step == "report":
            out.mkdir(exist_ok=True)
            return make_report(workspace, parameters, out / "report.html")
        return run_step(workspace, step, parameters, self.engine, recipe=self.recipe)


def _tokens(detail: str | None) -> tuple[int, int]:
    from motionkit.backends.captioners import tokens_of

    return tokens_of(detail)


def _sizes(folder: Path) -> tuple[int, int]:
    """Bytes of a table that do not grow with its rows (schemas, indexes), and those that do."""
    size = payload = 0
    for path in folder.glob("part-*.parquet"):
        size += path.stat().st_size
        data = pq.read_metadata(path)
        for group in range(data.num_row_groups):
            row_group = data.row_group(group)
            payload += sum(
                row_group.column(i).total_compressed_size for i in range(row_group.num_columns)
            )
    return size - payload, payload


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
