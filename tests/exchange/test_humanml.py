"""HumanML3D-style folders: lines, lists, statistics, and folders of others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.exchange.formats import export_set, import_set
from motionkit.exchange.humanml import read_humanml, text_line
from motionkit.shards.reader import open_shards
from tests.exchange.sets import all_rows, make_set, person, thing


def test_the_layout(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", [*(person(n) for n in range(16)), thing(3)])
    facts = export_set(source, tmp_path / "out", "humanml3d")
    assert facts["left_out"] == {"object": 1}
    lists = {s: (tmp_path / "out" / f"{s}.txt").read_text().split() for s in ("train", "val")}
    assert [len(names) for names in lists.values()] == [8, 4]
    everything = (tmp_path / "out" / "all.txt").read_text().split()
    assert len(everything) == 16
    points = []
    for name in lists["train"]:
        array = np.load(tmp_path / "out" / "joints2d" / f"{name}.npy")
        assert (array.shape, array.dtype) == ((20, 18, 3), np.float32)
        points.append(array[:, :17])
        first = (tmp_path / "out" / "texts" / f"{name}.txt").read_text().splitlines()[0]
        _, tokens, start, end = first.split("#")
        assert tokens.startswith("person/OTHER walks/OTHER")
        assert (float(start), float(end)) == (0, 0)
    flat = np.concatenate(points)
    seen = flat[:, 0, 2] > 0.5
    mean, std = (np.load(tmp_path / "out" / f"{n}.npy") for n in ("Mean", "Std"))
    np.testing.assert_allclose(mean[0], flat[seen, 0, :2].mean(0), rtol=1e-5)
    np.testing.assert_allclose(std[0], flat[seen, 0, :2].std(0), rtol=1e-4)


def test_a_line_holds_any_caption() -> None:
    assert text_line("A man's #1 jump\n high") == (
        "A man's 1 jump high#a/OTHER man's/OTHER jump/OTHER high/OTHER#0.0#0.0"
    )


def make_folder(folder: Path) -> Path:
    """What others have: joints2d, texts with parts of speech and times, a list."""
    for name in ("joints2d", "texts"):
        (folder / name).mkdir(parents=True)
    for name in ("000001", "M000001"):
        np.save(folder / "joints2d" / f"{name}.npy", np.ones((40, 18, 3)) * (64, 48, 1))
        text = "a man walks#a/DET man/NOUN walk/VERB#0.0#0.0\n\nhe stops#he/PRON#nan#1.5\n"
        (folder / "texts" / f"{name}.txt").write_text(text)
    (folder / "train.txt").write_text("000001\n")
    (folder / "test.txt").write_text("M000001\n")
    return folder


def test_folders_of_others_are_read(tmp_path: Path) -> None:
    import_set(make_folder(tmp_path / "data"), tmp_path / "back", "humanml3d", fps=20)
    rows = all_rows(tmp_path / "back")
    assert {name: row["split"] for name, row in rows.items()} == {
        "000001": "train", "M000001": "test",
    }  # fmt: skip
    texts = [(c["text"], c["detail"]) for c in rows["000001"]["captions"]]
    assert texts == [("a man walks", "{}"), ("he stops", '{"start_s":0.0,"end_s":1.5}')]
    assert (rows["000001"]["fps"], rows["000001"]["width"]) == (20, 64)


def test_names_from_lists_stay_in_the_folder(tmp_path: Path) -> None:
    np.save(tmp_path / "secret.npy", np.ones((40, 18, 3)))
    folder = make_folder(tmp_path / "data")
    names = ("../../secret", str(tmp_path / "secret"), "..", "a\\b", "x" * 300, "missing", "000001")
    (folder / "train.txt").write_text("\n".join(names))
    left_out: Counter[str] = Counter()
    rows = list(read_humanml(folder, left_out, fps=20))
    assert [row["sample_id"] for row in rows] == ["000001", "M000001"]
    assert left_out == {"bad-name": 4, "array-unreadable": 2}


def test_3d_folders_and_empty_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "new_joint_vecs").mkdir()
    (tmp_path / "all.txt").write_text("1\n")
    with pytest.raises(InputError) as caught:
        list(read_humanml(tmp_path, Counter(), fps=20))
    assert caught.value.code == "humanml-unreadable"
    assert "3D" in str(caught.value.hint)
    (tmp_path / "joints2d").mkdir()
    (tmp_path / "all.txt").write_text("\n")
    with pytest.raises(InputError, match="lists no names"):
        list(read_humanml(tmp_path, Counter(), fps=20))


def test_the_lineage_of_a_round_trip_is_kept(tmp_path: Path) -> None:
    export_set(make_set(tmp_path / "set", [person(1)]), tmp_path / "out", "humanml3d")
    import_set(tmp_path / "out", tmp_path / "back", "humanml3d")
    (sample,) = open_shards(tmp_path / "back").samples()
    assert sample.lineage["keypoints"]["backend"] == "mediapipe"
