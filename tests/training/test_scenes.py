"""Clips that show one scene from several sides."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.errors import TrainingError  # noqa: E402
from motionkit.shards.from_samples import write_set  # noqa: E402
from motionkit.shards.reader import ShardSet, open_shards  # noqa: E402
from motionkit.training.k2m import train  # noqa: E402
from motionkit.training.scenes import SceneSource, agreement_loss, scenes_of  # noqa: E402
from tests.training.test_k2m import _words, clips, config  # noqa: E402, F401
from tests.training.test_k2m_distil import tokenizer  # noqa: E402

#: sample, video, group, start in seconds
ROWS = [
    ("a", "v1", "stage", 0.0),
    ("b", "v2", "stage", 0.0),
    ("c", "v3", "stage", 4.0),
    ("d", "v4", "room", 0.0),
    ("e", "v4", "room", 0.0),  # a second person of the same video
    ("f", "v5", "room", 0.0),
    ("g", "v6", "else", 0.0),
]


def shards(folder: Path, rows: list[tuple[str, str, str, float]] = ROWS) -> ShardSet:
    m2d = clips(1, 40)[0].m2d.numpy()
    made = [
        {
            "sample_id": sample, "video_id": video, "group_id": group, "t0_s": start,
            "split": "train", "frames": len(m2d), "fps": 30.0, "width": 640, "height": 360,
            "m2d": m2d + np.float32(i) * 0.0, "captions": ["a person waves"],
        }
        for i, (sample, video, group, start) in enumerate(rows)
    ]  # fmt: skip
    write_set(made, folder, origin={"kind": "test"})
    return open_shards(folder)


def test_a_scene_is_one_time_of_one_group_in_several_videos(tmp_path: Path) -> None:
    assert scenes_of(shards(tmp_path / "s"), "train") == [[0, 1]]


def test_pairs_show_the_same_moments() -> None:
    one, two = clips(2, 40)
    for clip in (one, two):  # the frame's number stands in the first keypoint
        clip.m2d[:, 0, 0] = torch.arange(40.0)
    source = SceneSource([one, two], [[0, 1]], window=16, down=4)
    m2d, real = source.draw(5)
    assert m2d.shape == (10, 16, 18, 3) and bool(real.all())
    assert torch.equal(m2d[:5, :, 0, 0], m2d[5:, :, 0, 0])
    assert not torch.equal(m2d[:5, :, 5], m2d[5:, :, 5])


def test_turning_a_whole_scene_changes_nothing() -> None:
    model = tokenizer()
    m2d = torch.stack([c.m2d[:16] for c in clips(2)])
    seen = model.observe(m2d, torch.ones(2, 16, dtype=torch.bool))
    with torch.no_grad():
        lifted = model.lift(seen, quantise=False)
    before = agreement_loss(model, seen, lifted)
    turn = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    lifted.root[1] = turn @ lifted.root[1]
    assert torch.allclose(agreement_loss(model, seen, lifted), before, atol=1e-4)
    lifted.pose[1, :, 3] += 0.5
    assert float(agreement_loss(model, seen, lifted)) > float(before)


def test_training_takes_the_switch_and_refuses_it_without_scenes(tmp_path: Path) -> None:
    from dataclasses import replace

    base = config()
    t = replace(base.tokenizer, multi_view=0.5, steps=4, seed_codebooks=2)
    wanted = replace(base, tokenizer=t, text=replace(base.text, steps=0))
    shards(tmp_path / "s")
    train(wanted, shards=tmp_path / "s", out=tmp_path / "m")
    assert "multi_view" in (tmp_path / "m" / "train_log.jsonl").read_text()
    shards(tmp_path / "one", ROWS[-1:])
    with pytest.raises(TrainingError, match="multi_view"):
        train(wanted, shards=tmp_path / "one", out=tmp_path / "n")
