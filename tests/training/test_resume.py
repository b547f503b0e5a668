"""Killed and started again, a training ends with the curve and weights of an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.errors import TrainingError, UsageError  # noqa: E402
from motionkit.training import random_state  # noqa: E402
from motionkit.training.checkpoint import load_checkpoint  # noqa: E402
from motionkit.training.options import StageOptions  # noqa: E402
from tests.training.toy import ToyRun, options, run_options, train  # noqa: E402

ROOT = Path(__file__).parents[2]


class Killed(BaseException):
    pass


def run_killed(out: Path, stage: StageOptions, steps: tuple[int, ...]) -> dict[Any, float]:
    """The curve of a run that died after each of ``steps``, and was started again each time."""
    curve: dict[Any, float] = {}
    for step in (*steps, None):
        rows: list[dict[str, Any]] = []

        def hear(row: dict[str, Any], step: int | None = step, rows: list[Any] = rows) -> None:
            rows.append(row)
            if row["step"] == step:
                raise Killed

        try:
            curve.update(train(out, stage, run_options(), heard=hear).curve)
        except Killed:
            assert rows[-1]["step"] == step
    return curve


def same(whole: ToyRun, other: Path) -> None:
    """The last checkpoints, tensor by tensor, and the logs, line by line."""
    mine = load_checkpoint(other / "resume_line.safetensors")[0]
    theirs = load_checkpoint(other.parent / "whole" / "resume_line.safetensors")[0]
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        equal = torch.equal(value.nan_to_num(), mine[name].nan_to_num())
        assert equal, name
    logs = [(p / "log.jsonl").read_text() for p in (other, other.parent / "whole")]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 3, "ema": 0.9},
        {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "linear"},
    ],
    ids=["plain", "accumulation and running mean", "adamw"],
)
@pytest.mark.parametrize("steps", [(1,), (6,), (9, 11), (12,)])
def test_the_curve_is_bit_equal(
    changes: dict[str, Any], steps: tuple[int, ...], tmp_path: Path
) -> None:
    stage = options(**changes)
    whole = train(tmp_path / "whole", stage, run_options())
    assert ("line", 12, "gradient") in whole.curve and len(whole.curve) > 36
    curve = run_killed(tmp_path / "cut", stage, steps)
    for key, value in curve.items():
        assert value == whole.curve[key], key
    same(whole, tmp_path / "cut")


def test_every_generator_comes_back(tmp_path: Path) -> None:
    import random

    import numpy as np

    def draws() -> list[float]:
        return [torch.rand(()).item(), np.random.normal(), random.gauss(0, 1), random.random()]

    random_state.seed_all(5)
    draws()
    state = random_state.capture()
    first = draws()
    assert draws() != first
    random_state.restore(state)
    assert draws() == first
    with random_state.preserved():
        draws()
    random_state.restore(state)
    with random_state.preserved():
        draws()
    assert draws() == first
    random_state.seed_all(5, rank=1)
    one = draws()
    random_state.seed_all(5)
    assert draws() != one


_SCRIPT = """
import sys, time
from pathlib import Path
from tests.training.toy import options, run_options, train
train(Path(sys.argv[1]), options(steps=60), run_options(), heard=lambda row: time.sleep(0.02))
"""


def _start(out: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _SCRIPT, str(out)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, cwd=ROOT)


def _wait_for_rows(log: Path, count: int) -> None:
    for _ in range(2400):
        if log.exists() and log.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{log} has no {count} rows")


def test_a_process_killed_outright_goes_on_bit_equal(tmp_path: Path) -> None:
    out = tmp_path / "cut"
    process = _start(out)
    try:
        _wait_for_rows(out / "log.jsonl", 14)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    torch.set_num_threads(1)
    whole = train(tmp_path / "whole", options(steps=60), run_options())
    again = train(out, options(steps=60), run_options())
    assert 0 < len(again.curve) < len(whole.curve)
    assert all(whole.curve[key] == value for key, value in again.curve.items())
    same(whole, out)


def test_a_process_told_to_end_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    out = tmp_path / "cut"
    process = _start(out)
    try:
        _wait_for_rows(out / "log.jsonl", 6)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert b"run the same command again" in said
    step = int(load_checkpoint(out / "resume_line.safetensors")[1]["step"])
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert step == max(row["step"] for row in rows)


def test_a_damaged_checkpoint_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    train(tmp_path, options(steps=4), run_options())
    path = tmp_path / "resume_line.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TrainingError, match="cannot be read as a checkpoint"):
        train(tmp_path, options(steps=4), run_options())
    assert path.exists()


def test_another_number_of_devices_is_refused(tmp_path: Path) -> None:
    from motionkit.training.stage_state import StageState
    from tests.training.toy import ToyModel

    train(tmp_path, options(steps=4), run_options())
    state = StageState.begin(ToyModel(), "line", options(steps=4))
    with pytest.raises(UsageError, match="on 1 devices, not on 2"):
        state.load(tmp_path / "resume_line.safetensors", rank=1, world=2)
