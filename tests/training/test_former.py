from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.training.checkpoint import save_checkpoint  # noqa: E402
from motionkit.training.former import set_aside  # noqa: E402


def model(folder: Path, data: str) -> Path:
    save_checkpoint(folder / "k2m.safetensors", {"a": torch.zeros(1)}, {"data": data})
    (folder / "train_log.jsonl").write_text("{}\n")
    return folder


def test_a_model_of_the_same_data_stays(tmp_path: Path) -> None:
    folder = model(tmp_path / "k2m", "abc")
    assert set_aside(folder, "abc") is None
    assert (folder / "k2m.safetensors").exists()
    assert set_aside(tmp_path / "none", "abc") is None


def test_one_of_other_data_is_kept_whole_under_another_name(tmp_path: Path) -> None:
    first = set_aside(model(tmp_path / "k2m", "0123456789"), "new")
    second = set_aside(model(tmp_path / "k2m", "0123456789"), "new")
    assert first == tmp_path / "k2m-01234567" and second == tmp_path / "k2m-01234567-2"
    assert sorted(p.name for p in first.iterdir()) == ["k2m.safetensors", "train_log.jsonl"]
    assert not (tmp_path / "k2m").exists()
