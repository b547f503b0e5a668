"""The second round: labels from one's own refined answers."""

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.errors import TrainingError  # noqa: E402
from motionkit.keypoints import MIRROR  # noqa: E402
from motionkit.models.k2m.refine import RefineConfig  # noqa: E402
from motionkit.models.k2m.tokenizer import Tokenizer  # noqa: E402
from motionkit.training.k2m import train_on  # noqa: E402
from motionkit.training.k2m_config import DistilTraining, K2MTrainConfig  # noqa: E402
from motionkit.training.k2m_data import Clip  # noqa: E402
from motionkit.training.k2m_distil import _mirrored  # noqa: E402
from motionkit.training.pose_labels import as_lifted, make_labels, open_labels  # noqa: E402
from tests.training.test_k2m import _words, clips, config  # noqa: E402, F401

REFINE = RefineConfig(steps=2)


def with_distil() -> K2MTrainConfig:
    return config(distil=DistilTraining(steps=4, rounds=2, batch=4, warm_up=1, refine=REFINE))


def tokenizer() -> Tokenizer:
    torch.manual_seed(0)
    return Tokenizer(config().sizes().tokenizer)


class Killed(BaseException):
    pass


def test_a_killed_second_round_goes_on_with_its_labels(tmp_path: Path) -> None:
    data = clips()

    def run(name: str, at: int | None = None) -> Path:
        def hear(row: dict[str, object]) -> None:
            if row["stage"] == "distil_2" and row["step"] == at:
                raise Killed

        out = tmp_path / name
        train_on(with_distil(), clips=data, val=[], data_hash="x", out=out, log=hear)
        return out

    whole = run("whole")
    with pytest.raises(Killed):
        run("killed", 4)
    again = run("killed")
    for name in ("k2m.safetensors", "train_log.jsonl"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()
    assert "label" in (whole / "train_log.jsonl").read_text()


def test_labels_are_the_refined_motions(tmp_path: Path) -> None:
    model = tokenizer()
    data = [replace(c, m2d=c.m2d[: 40 - 3 * i]) for i, c in enumerate(clips())]
    make_labels(tmp_path / "a" / "x", model, data, REFINE, most=10)
    labels = open_labels(tmp_path / "a" / "x")
    assert labels.ids == ("s0", "s1", "s2", "s3")
    assert (labels.starts[1:] - labels.starts[:-1]).tolist() == [40, 37, 34, 31]
    tensors, pieces = labels.windows(6, 16, 4)
    assert tensors["label"].shape == (6, 16, 83) and bool(tensors["label_real"].all())
    lifted = as_lifted(tensors["label"], tensors["label_betas"])
    eye = lifted.root @ lifted.root.transpose(-1, -2)
    assert torch.allclose(eye, torch.eye(3).expand_as(eye), atol=5e-3)
    assert torch.equal(lifted.betas, labels.shapes[pieces])


def test_most_clips_are_spread_over_the_set(tmp_path: Path) -> None:
    data = [replace(c, sample_id=f"{i}") for i, c in enumerate(clips() * 3)]
    make_labels(tmp_path / "a" / "x", tokenizer(), data, REFINE, most=3)
    assert open_labels(tmp_path / "a" / "x").ids == ("0", "6", "11")


def test_long_clips_are_cut_in_pieces(tmp_path: Path) -> None:
    long = [Clip("long", clips(1, 300)[0].m2d, ())]
    make_labels(tmp_path / "a" / "x", tokenizer(), long, REFINE, most=10)
    labels = open_labels(tmp_path / "a" / "x")
    assert labels.ids == ("long", "long") and labels.starts.tolist() == [0, 256, 300]


def test_damaged_labels_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "x"
    make_labels(folder, tokenizer(), clips(2), REFINE, most=10)
    (folder / "frames.raw").write_bytes(b"123")
    with pytest.raises(TrainingError, match="cannot be read"):
        open_labels(folder)


def test_a_mirrored_view_has_mirrored_points() -> None:
    m2d = torch.rand(2, 3, 18, 3) * 100
    m2d[:, :, 17] = torch.tensor([640.0, 360.0, 1.0])
    points = torch.rand(2, 3, 17, 3)
    made, turned = _mirrored(m2d, points, torch.tensor([True, False]))
    assert torch.equal(made[1], m2d[1]) and torch.equal(turned[1], points[1])
    assert torch.allclose(made[0, :, 5, 0], 640 - m2d[0, :, MIRROR[5], 0])
    assert torch.equal(made[0, :, 17], m2d[0, :, 17])
    assert torch.allclose(turned[0, :, 6], points[0, :, MIRROR[6]] * torch.tensor([-1.0, 1, 1]))
