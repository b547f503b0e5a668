"""What `motionkit plan` predicted, as it is stored, and how it compares with what came."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from motionkit.errors import UsageError
from motionkit.run_log import runs
from motionkit.workspace import STAGE_OF, Workspace, publish

NAME: Final = "plan.json"
_FORMAT: Final = "motionkit-plan"
_VERSION: Final = 1


@dataclasses.dataclass(frozen=True)
class Range:
    """A prediction: ``low`` to ``high`` is where 9 of 10 samples of this size would put it; None
    where the sample cannot tell (one video, or nothing came so far)."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class StepForecast:
    """What a step will take. Dicts are by number of workers, as text.

    ``items`` and ``kept`` of the whole set; ``kept_share`` goes on to the next step;
    ``per_video_s`` is work (worker or device seconds) for a second of video; ``start_s`` passes
    before the first item; ``processor_s`` is processor time of the work, which hardly depends on
    what else the machine does; ``slowdown`` is what an item takes with all workers over what it
    takes with one. ``memory`` is of all processes of the step together, bytes, at most; None
    where the system does not tell; ``gpu_memory`` what torch held on the devices of one process.
    """

    step: str
    mode: str
    parameters: dict[str, Any]
    items: Range
    kept: Range
    kept_share: float | None
    sample_items: int
    per_video_s: float | None
    start_s: float
    slowdown: float
    processor_s: Range
    hours: dict[str, Range]
    bytes: Range
    memory: dict[str, int | None]
    gpu_memory: int | None
    prompt_tokens: Range
    completion_tokens: Range
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class Forecast:
    """A plan. ``workers`` is the number a run takes by itself here; ``made`` seconds since 1970;
    ``whole`` says what there is (videos, seconds, bytes, probed, unreadable), ``sample`` what was
    tried. ``cost`` is in the unit of the prices that were given; None without prices."""

    recipe: str
    made: float
    seed: int
    workers: int
    machine: dict[str, Any]
    whole: dict[str, Any]
    sample: dict[str, Any]
    steps: list[StepForecast]
    hours: dict[str, Range]
    disk_bytes: Range
    prompt_tokens: Range
    completion_tokens: Range
    cost: Range | None
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"format": _FORMAT, "version": _VERSION, **dataclasses.asdict(self)}

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        text = json.dumps(self.as_dict(), indent=1)
        publish(path, lambda temporary: temporary.write_text(text + "\n", "utf-8"))


def read_plan(path: Path) -> dict[str, Any] | None:
    """A saved plan as plain values; None where there is none. UsageError for another file."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", hint="delete it, or plan anew"
        ) from error
    if not isinstance(data, dict) or (data.get("format"), data.get("version")) != (
        _FORMAT,
        _VERSION,
    ):
        raise UsageError(f"{path} is no plan of this version.", hint="delete it, or plan anew")
    return data


def compare(workspace: Workspace, stages: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The workspace's plan beside what its runs took since; None where there is no plan.

    ``stages`` is what `status.status` gives. ``steps`` has for each step: ``predicted_s``,
    ``low_s`` and ``high_s`` with the planned number of workers, ``actual_s`` (wall seconds of the
    runs since, the one going on included; None where there was none), ``predicted_items`` and
    ``items`` (rows), ``predicted_bytes`` and ``bytes`` of its table, ``complete`` (nothing is
    pending), and ``same_parameters``. The totals are over the steps that have run.
    """
    plan = read_plan(workspace.path / NAME)
    if plan is None:
        return None
    known = {row["stage"]: row for row in stages}
    tables = {stage: table for table, stage in STAGE_OF.items()}
    spent: dict[str, float] = {}
    for run in runs(workspace):
        if run["time"] >= plan["made"]:
            step = str(run.get("step"))
            spent[step] = spent.get(step, 0.0) + run["seconds"]
    steps = []
    for step in plan["steps"]:
        name = step["step"]
        hours = step["hours"].get(str(plan["workers"]))
        row = known.get(name)
        going = (row or {}).get("running")
        if going and going["per_s"]:
            spent[name] = spent.get(name, 0.0) + going["done"] / going["per_s"]
        current = workspace.current(tables[name]) if name in tables else None
        steps.append(
            {
                "step": name,
                "predicted_s": _seconds(hours, "value"),
                "low_s": _seconds(hours, "low"),
                "high_s": _seconds(hours, "high"),
                "actual_s": round(spent[name], 1) if name in spent else None,
                "predicted_items": round(step["items"]["value"]),
                "items": _rows(row),
                "predicted_bytes": round(step["bytes"]["value"]),
                "bytes": None if current is None else _size(workspace, tables[name], current),
                "complete": None if row is None else not row["pending"] and not going,
                "same_parameters": _same(current, step["parameters"]),
            }
        )
    ran = [step for step in steps if step["actual_s"] is not None]
    return {
        "made": plan["made"],
        "recipe": plan["recipe"],
        "workers": plan["workers"],
        "steps": steps,
        "predicted_s": round(sum(step["predicted_s"] or 0.0 for step in ran), 1),
        "actual_s": round(sum(step["actual_s"] for step in ran), 1),
    }


def _seconds(hours: Mapping[str, Any] | None, key: str) -> float | None:
    value = (hours or {}).get(key)
    return None if value is None else round(value * 3600, 1)


def _rows(row: Mapping[str, Any] | None) -> int | None:
    if row is None:
        return None
    return int(row["kept"] + sum(row["dropped"].values()) + sum(row["failed"].values()))


def _size(workspace: Workspace, table: str, current: Mapping[str, Any]) -> int:
    return sum(p.stat().st_size for p in workspace.parts(table, str(current["fingerprint"])))


def _same(current: Mapping[str, Any] | None, planned: Mapping[str, Any]) -> bool | None:
    """Whether a step last ran with the planned parameters, its inputs' names left out."""
    if current is None or "parameters" not in current:
        return None
    left_out = ("sources", "workspace")
    now = {k: v for k, v in current["parameters"].items() if k not in left_out}
    return now == {k: v for k, v in planned.items() if k not in left_out}
