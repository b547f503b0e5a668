"""What other thresholds would keep, without writing anything.

Every stored shot is judged again, exactly: under today's thresholds, under the changed ones,
under each change by itself, and under every value of a sweep. The rows are read once, a group of
shots at a time; a shot is judged anew only where one of its frames got another verdict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from motionkit.stages._judge import FRAME_PARAMETERS, REASONS, Verdicts, frame_codes, judge_shots
from motionkit.stages._scores import COLUMNS, Shots, shots_of_table
from motionkit.stages.filter import Filter
from motionkit.workspace import Workspace

_T = TypeVar("_T")
_FRAME_ONLY = {name for names in FRAME_PARAMETERS.values() for name in names}
#: Shots, times the people of each, that are judged in one go: enough that array operations cost
#: nothing to start.
_TOGETHER = 1024
#: Called after each group of shots: shots judged so far, and all of them.
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Tally:
    """What some thresholds make of the shots. ``stretches`` and ``hours`` by verdict: "kept" (its
    stretches are the clips) and every reason, in the order of `REASONS`."""

    stretches: dict[str, int]
    hours: dict[str, float]

    @property
    def clips(self) -> int:
        """Clips kept."""
        return self.stretches["kept"]

    @property
    def kept_hours(self) -> float:
        """Their length in all."""
        return self.hours["kept"]


@dataclasses.dataclass(frozen=True)
class WhatIf:
    """``today`` and ``changed`` thresholds with what they keep; ``alone`` by parameter, each
    change by itself (where there are several); ``sweeps`` by parameter and value, everything else
    as in ``changed``."""

    shots: int
    today: Filter
    changed: Filter
    before: Tally
    after: Tally
    alone: dict[str, Tally]
    sweeps: dict[str, dict[float, Tally]]

    @property
    def changes(self) -> dict[str, tuple[float, float]]:
        """Parameter → (today's value, changed value)."""
        return _changes(self.today, self.changed)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "shots": self.shots,
            "changes": {n: {"today": a, "changed": b} for n, (a, b) in self.changes.items()},
            "verdicts": [
                {
                    "verdict": name,
                    "stretches": self.before.stretches[name],
                    "hours": self.before.hours[name],
                    "changed_stretches": self.after.stretches[name],
                    "changed_hours": self.after.hours[name],
                }
                for name in self.before.stretches
            ],
            "alone": [
                {"parameter": name, "value": getattr(self.changed, name), **_kept(tally)}
                for name, tally in self.alone.items()
            ],
            "sweeps": [
                {"parameter": name, "value": value, **_kept(tally)}
                for name, values in self.sweeps.items()
                for value, tally in values.items()
            ],
        }


def what_if(
    workspace: Workspace,
    today: Filter,
    changed: Filter,
    sweeps: Mapping[str, Sequence[float]] | None = None,
    *,
    progress: Progress | None = None,
) -> WhatIf:
    """Judge every shot of the workspace's `detections` under other thresholds; writes nothing.

    ``sweeps`` maps parameters of `Filter` to values. UsageError where `detect` has not run or a
    value is not allowed.
    """
    changes = _changes(today, changed)
    asked: dict[Filter, _Counter] = {}

    def count(params: Filter) -> _Counter:
        return asked.setdefault(params, _Counter())

    before, after = count(today), count(changed)
    alone = {}
    if len(changes) > 1:
        for name, (_, value) in changes.items():
            alone[name] = count(dataclasses.replace(today, **{name: value}))
    swept = {
        name: {value: count(dataclasses.replace(changed, **{name: value})) for value in values}
        for name, values in (sweeps or {}).items()
    }
    shots = 0
    total = len(workspace.index("detections", workspace.fingerprint("detections")))
    for group in stored_shots(workspace):
        _judge_all(group, today, asked)
        shots += int(group.row[-1]) + 1
        if progress is not None:
            progress(shots, total)
    return WhatIf(
        shots=shots,
        today=today,
        changed=changed,
        before=before.tally(),
        after=after.tally(),
        alone={name: counter.tally() for name, counter in alone.items()},
        sweeps={
            name: {value: counter.tally() for value, counter in values.items()}
            for name, values in swept.items()
        },
    )


def stored_shots(workspace: Workspace) -> Iterator[Shots]:
    """All shots that the first pass measured, with every stored person; some `_TOGETHER` at a
    time."""
    index = workspace.index("detections", workspace.fingerprint("detections"))
    groups = index.groups(["outcome", *COLUMNS], None, None)
    waiting: list[pa.Table] = []
    people = 0
    for data, places in _read_ahead(groups):
        measured = pc.not_equal(data.column("outcome"), "failed").to_numpy()[places]
        whole = len(places) == data.num_rows and measured.all()
        waiting.append(data if whole else data.take(pa.array(places[measured])))
        others = pc.sum(pc.list_value_length(waiting[-1].column("others"))).as_py() or 0
        people += waiting[-1].num_rows + others
        if people >= _TOGETHER:
            yield shots_of_table(pa.concat_tables(waiting))
            waiting, people = [], 0
    if people:
        yield shots_of_table(pa.concat_tables(waiting))


def _read_ahead(source: Iterator[_T]) -> Iterator[_T]:
    """The same, the next one being read meanwhile."""
    end = object()
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, source, end)
        while (here := coming.result()) is not end:
            coming = reader.submit(next, source, end)
            yield here  # type: ignore[misc]


class _Counter:
    """Stretches and seconds by code."""

    def __init__(self) -> None:
        self.stretches = np.zeros(len(REASONS), np.int64)
        self.seconds = np.zeros(len(REASONS))

    def add(self, verdicts: Verdicts, chosen: Any = slice(None)) -> None:
        code = verdicts.code[chosen]
        length = (verdicts.t1_s - verdicts.t0_s)[chosen]
        self.stretches += np.bincount(code, minlength=len(REASONS))
        self.seconds += np.bincount(code, length, minlength=len(REASONS))

    def tally(self) -> Tally:
        names = ["kept", *REASONS[1:]]
        hours = np.where(self.stretches > 0, self.seconds / 3600, 0.0)
        return Tally(
            dict(zip(names, self.stretches.tolist(), strict=True)),
            dict(zip(names, hours.tolist(), strict=True)),
        )


def _judge_all(shots: Shots, today: Filter, asked: Mapping[Filter, _Counter]) -> None:
    """Add the verdicts on ``shots`` under every set of thresholds to its counter."""
    codes = frame_codes(shots, today)
    verdicts = judge_shots(shots, today, codes)
    for params, counter in asked.items():
        if params == today:
            counter.add(verdicts)
            continue
        theirs = frame_codes(shots, params)
        if _changes(today, params).keys() <= _FRAME_ONLY:
            again = np.zeros(len(shots), bool)
            again[shots.shot[theirs != codes]] = True
            counter.add(verdicts, ~again[verdicts.shot])
            if again.any():
                some = shots.subset(np.flatnonzero(again))
                counter.add(judge_shots(some, params, theirs[again[shots.shot]]))
        else:
            counter.add(judge_shots(shots, params, theirs))


def _changes(today: Filter, other: Filter) -> dict[str, tuple[float, float]]:
    pairs = {
        field.name: (getattr(today, field.name), getattr(other, field.name))
        for field in dataclasses.fields(Filter)
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _kept(tally: Tally) -> dict[str, Any]:
    return {"clips": tally.clips, "hours": tally.kept_hours}
