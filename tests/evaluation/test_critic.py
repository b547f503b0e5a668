from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from motionkit.bodies.motion import BodyMotion  # noqa: E402
from motionkit.errors import UsageError  # noqa: E402
from motionkit.evaluation.critic import FRAMES, Critic, critic_input  # noqa: E402

#: Stands in for the public checkout: the same place, class, constructor and method.
CODE = """
import torch
from lib.utils.shapes import checked


class MotionCritic(torch.nn.Module):
    def __init__(self, device="cpu", dim_feat=256, dim_rep=512, depth=5, mlp_ratio=4):
        super().__init__()
        assert (depth, dim_feat, dim_rep, mlp_ratio) == (3, 256, 512, 4)
        self.weight = torch.nn.Parameter(torch.zeros(25, 3))

    def batch_critic(self, motion):
        checked(motion)
        return (motion * self.weight).sum((1, 2, 3))[:, None]
"""
SHAPES = """
def checked(motion):
    assert motion.shape[1:] == (60, 25, 3), motion.shape
    assert motion.dtype.is_floating_point
"""


def checkout(folder: Path, code: str = CODE, *, inner: bool = True) -> Path:
    root = folder / "MotionCritic" if inner else folder
    for name, text in (("model/critic.py", code), ("utils/shapes.py", SHAPES)):
        path = root / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def checkpoint(folder: Path, weight: torch.Tensor) -> Path:
    """As the public one: saved from a DataParallel module."""
    path = folder / "motioncritic_pre.pth"
    torch.save({"model_state_dict": {"module.weight": weight}, "epoch": 3}, path)
    return path


def motion(frames: int = 80, seed: int = 0) -> BodyMotion:
    rng = np.random.default_rng(seed)
    walk = np.stack([0.01 * np.arange(frames), np.full(frames, 0.9), np.zeros(frames)], -1)
    return BodyMotion(0.2 * rng.normal(size=(frames, 24, 3)), walk, np.zeros(10), 30.0)


def test_it_is_handed_rotations_in_radians_and_the_root_in_metres_from_its_start() -> None:
    made = motion()
    rows = critic_input(made)
    assert rows.shape == (FRAMES, 25, 3) and rows.dtype == np.float32
    assert np.allclose(rows[:, :24], made.poses[:60], atol=1e-6)
    assert np.allclose(rows[0, 24], 0)
    assert np.allclose(rows[59, 24], [0.59, 0, 0], atol=1e-6)


def test_a_shorter_motion_holds_its_last_pose() -> None:
    made = motion(20)
    rows = critic_input(made)
    assert rows.shape == (60, 25, 3)
    assert np.allclose(rows[19:, :24], made.poses[19], atol=1e-6)
    assert np.allclose(rows[20:], rows[19])


@pytest.mark.parametrize("inner", [True, False])
def test_scores_are_the_checkout_s(inner: bool, tmp_path: Path) -> None:
    weight = torch.zeros(25, 3)
    weight[24, 0] = 1.0  # the sum of the root's way along x
    path = checkpoint(tmp_path, weight)
    critic = Critic(checkout(tmp_path / "clone", inner=inner), path, trusted=True)
    for seed in range(35):  # more than one batch
        critic.add(motion(80, seed))
    critic.add(motion(20))
    found = critic.scores()
    assert found.scores[:35] == pytest.approx([0.01 * sum(range(60))] * 35, rel=1e-4)
    assert found.scores[35] == pytest.approx(0.01 * (sum(range(20)) + 40 * 19), rel=1e-4)
    assert found.held == 1
    plain = found.plain()
    assert plain["n"] == 36 and plain["max"] == pytest.approx(17.7, rel=1e-4)
    assert len(plain["checkpoint_sha256"]) == 64


def test_its_modules_do_not_stay(tmp_path: Path) -> None:
    import sys

    before, paths = set(sys.modules), list(sys.path)
    Critic(checkout(tmp_path), checkpoint(tmp_path, torch.zeros(25, 3)), trusted=True)
    assert sys.path == paths
    assert not [m for m in set(sys.modules) - before if m == "lib" or m.startswith("lib.")]
    assert not list(tmp_path.rglob("__pycache__"))


def test_without_trust_no_code_is_run(tmp_path: Path) -> None:
    broken = checkout(tmp_path, "raise RuntimeError('ran')")
    with pytest.raises(UsageError, match="runs Python code") as caught:
        Critic(broken, checkpoint(tmp_path, torch.zeros(25, 3)), trusted=False)
    assert caught.value.hint is not None and "--trust-critic" in caught.value.hint


def test_what_was_looked_for_is_named(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, torch.zeros(25, 3))
    with pytest.raises(UsageError, match=r"looked for .*lib/model/critic\.py"):
        Critic(tmp_path / "nothing", path, trusted=True)
    with pytest.raises(UsageError, match="no checkpoint"):
        Critic(checkout(tmp_path), tmp_path / "none.pth", trusted=True)
    with pytest.raises(UsageError, match="does not fit"):
        Critic(checkout(tmp_path), checkpoint(tmp_path, torch.zeros(2, 3)), trusted=True)
    with pytest.raises(UsageError, match="cannot be built"):
        Critic(checkout(tmp_path / "b", "import nothing_of_this_name"), path, trusted=True)
    with pytest.raises(UsageError, match="batch_critic"):
        code = CODE.replace("batch_critic", "score")
        Critic(checkout(tmp_path / "c", code), path, trusted=True)


class Spy:
    """Unpickling this would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return (open, (self.path, "w"))


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"model_state_dict": Spy(tmp_path / "ran")}, path)
    with pytest.raises(UsageError, match="plain weights"):
        Critic(checkout(tmp_path), path, trusted=True)
    assert not (tmp_path / "ran").exists()


def test_scores_that_do_not_fit_the_motions_are_refused(tmp_path: Path) -> None:
    code = CODE.replace("[:, None]", "[:1]")
    critic = Critic(
        checkout(tmp_path, code), checkpoint(tmp_path, torch.zeros(25, 3)), trusted=True
    )
    critic.add(motion())
    critic.add(motion())
    with pytest.raises(UsageError, match="1 scores for 2 motions"):
        critic.scores()
