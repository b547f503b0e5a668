"""train_log.jsonl, one JSON object a line; and the same numbers for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import MissingExtraError

Log = Callable[[dict[str, Any]], None]


class MetricLog:
    """Numbers by stage and step. A resumed run cuts what lies after its step.

    ``stages`` names the stages in their order. ``folder`` None writes nothing (the other ranks).
    ``heard`` gets every row.
    """

    def __init__(
        self,
        path: Path | None,
        stages: Sequence[str],
        heard: Log | None = None,
        *,
        tensorboard: Path | None = None,
    ) -> None:
        self.path, self.stages, self.heard = path, list(stages), heard
        self.last: dict[str, dict[str, float]] = {}
        self._curves = _Curves(tensorboard) if tensorboard is not None and path else None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

    def cut(self, stage: str, step: int) -> None:
        """Forgets lines of ``stage`` after ``step``, and of later stages."""
        if self._curves is not None:
            self._curves.begin(stage, step)
        if self.path is None:
            return
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        kept = []
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the kill cut this line in two
            theirs, mine = self.stages.index(row["stage"]), self.stages.index(stage)
            if theirs < mine or (theirs == mine and row["step"] <= step):
                kept.append(json.dumps(row))
        part = self.path.with_name(self.path.name + ".part")
        part.write_text("".join(line + "\n" for line in kept))
        part.replace(self.path)

    def write(self, stage: str, step: int, numbers: dict[str, float]) -> None:
        """A row of numbers."""
        self.last[stage] = {**self.last.get(stage, {}), **numbers}
        if self.path is None:
            return
        row = {"stage": stage, "step": step, **{k: round(v, 6) for k, v in numbers.items()}}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if self._curves is not None:
            self._curves.write(stage, step, numbers)
        if self.heard is not None:
            self.heard(row)

    def note(self, stage: str, step: int, text: str) -> None:
        """A row with a remark, such as why there is no picture."""
        if self.path is None:
            return
        row = {"stage": stage, "step": step, "note": text}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if self.heard is not None:
            self.heard(row)

    def picture(self, stage: str, step: int, image: NDArray[np.uint8]) -> None:
        """A picture [H, W, 3] for TensorBoard."""
        if self._curves is not None:
            self._curves.picture(stage, step, image)

    def close(self) -> None:
        """Writes out what TensorBoard still holds back."""
        if self._curves is not None:
            self._curves.close()


class _Curves:
    """Event files: FOLDER/STAGE."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise MissingExtraError(
                "tensorboard", "tensorboard", needed_for="curves for TensorBoard"
            ) from error
        self._open, self._folder = SummaryWriter, folder
        self._writers: dict[str, Any] = {}

    def begin(self, stage: str, step: int) -> None:
        """What earlier files hold after ``step`` is no longer shown."""
        folder = self._folder / stage
        self._writers[stage] = self._open(str(folder), purge_step=step + 1, flush_secs=30)

    def write(self, stage: str, step: int, numbers: dict[str, float]) -> None:
        """One scalar for each number."""
        writer = self._writers[stage]
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    def picture(self, stage: str, step: int, image: NDArray[np.uint8]) -> None:
        """An image."""
        writer = self._writers[stage]
        writer.add_image("motions", image, step, dataformats="HWC")
        writer.flush()

    def close(self) -> None:
        """Flushes and closes."""
        for writer in self._writers.values():
            writer.close()
