"""WebDataset tars: what the webdataset package sees, and tars of others."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.exchange.formats import export_set, import_set
from motionkit.exchange.webdataset import export_webdataset, read_webdataset
from motionkit.shards.reader import open_shards
from tests.exchange.sets import all_rows, make_set, person, thing


# The package leaves its file open.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_package_reads_every_sample(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    rows = [person(1), person(2), thing(3), person(5, sample_id="dots.and/slashes")]
    source = make_set(tmp_path / "set", rows)
    export_set(source, tmp_path / "out", "webdataset")
    (tar,) = (tmp_path / "out").glob("train-*.tar")
    data = webdataset.WebDataset(str(tar), shardshuffle=False).decode()
    found = {sample["json"]["sample_id"]: sample for sample in data}
    expected = {k: r for k, r in all_rows(source).items() if r["split"] == "train"}
    assert found.keys() == expected.keys()
    for name, row in expected.items():
        assert found[name]["txt"].splitlines() == [c["text"] for c in row["captions"]]
        for array in ("m2d", "track_points", "track_visible"):
            if row[array] is None:
                assert f"{array}.npy" not in found[name]
            else:
                np.testing.assert_array_equal(found[name][f"{array}.npy"], row[array])


def test_members_have_safe_names_and_no_times(tmp_path: Path) -> None:
    rows = [person(1, sample_id="../../etc/passwd"), person(2, sample_id="-rf ~"), person(5)]
    export_set(make_set(tmp_path / "set", rows), tmp_path / "out", "webdataset")
    for path in (tmp_path / "out").glob("*.tar"):
        with tarfile.open(path) as tar:
            for info in tar:
                stem, _, ending = info.name.partition(".")
                assert set(ending) <= set("abcdefghijklmnopqrstuvwxyz_.2")
                assert not set(stem) & set("/\\.~ ")
                assert not stem.startswith("-")
                assert (info.mtime, info.uid, info.gid, info.uname) == (0, 0, 0, "")


def test_tars_are_cut_at_a_number_of_samples(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", [person(n, split="train") for n in range(7)])
    export_webdataset(open_shards(source), tmp_path / "out", rows=3)
    names = sorted(p.name for p in (tmp_path / "out").glob("*.tar"))
    assert names == [f"train-{n:06d}.tar" for n in range(3)]
    made = import_set(tmp_path / "out", tmp_path / "back", "webdataset")
    assert made.samples["train"] == 7


def tar_of(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def npy(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def test_plain_tars_are_read(tmp_path: Path) -> None:
    points = np.random.default_rng(0).random((12, 17, 3)).astype(np.float32)
    meta = b'{"width": 64, "height": 48, "fps": 24, "colour": "red"}'
    members = {
        "a/000.npy": npy(points), "a/000.txt": b"a walk\n\n", "a/000.json": meta,
        "a/001.m2d.npy": npy(np.dstack([points[:, :, :2] * 9, points[:, :, 2:]]).reshape(12, 51)),
        "a/001.json": meta, "a/001.jpg": b"\xff\xd8",
    }  # fmt: skip
    import_set(tar_of(tmp_path / "val-0.tar", members), tmp_path / "back", "webdataset")
    samples = {s.sample_id: s for s in open_shards(tmp_path / "back").samples()}
    assert sorted(samples) == ["a/000", "a/001"]
    first = samples["a/000"]
    assert (first.split, first.fps, first.captions) == ("val", 24, [("a walk", "imported")])
    np.testing.assert_allclose(first.m2d[:, :17], points, atol=1 / 32)
    assert (first.m2d[:, 17] == (64, 48, 1)).all()


def test_bad_samples_are_counted_and_their_neighbours_read(tmp_path: Path) -> None:
    good = npy(np.full((5, 18, 3), (64, 48, 1), np.float32))
    huge = bytearray(npy(np.zeros((10, 17, 3))))
    at = huge.index(b"(10, 17, 3)")
    huge[at : at + 11] = b"(1<<40,3,) "
    lies = npy(np.zeros((10, 17, 3))).replace(b"(10, 17, 3), }  ", b"(10000000, 3), }")
    members = {
        "pickled.npy": npy(np.array([{"a": 1}], object), allow_pickle=True),
        "pickled.json": b'{"fps":30}',
        "huge.npy": bytes(huge),
        "lies.npy": lies,
        "short.npy": good[:-4],
        "shape.npy": npy(np.zeros((5, 25, 3))), "shape.json": b'{"fps":30}',
        "json.npy": good, "json.json": b"{",
        "types.npy": good, "types.json": b'{"fps":"fast"}',
        "norate.npy": good,
        "nan.npy": npy(np.full((5, 18, 3), np.nan)), "nan.json": b'{"fps":30,"width":3,"height":3}',
        "../../../../tmp/outside.npy": good, "../../../../tmp/outside.json": b'{"fps":30}',
        "good.npy": good, "good.json": b'{"fps":30}',
    }  # fmt: skip
    made = import_set(tar_of(tmp_path / "x.tar", members), tmp_path / "back", "webdataset")
    assert made.left_out == {"array-unreadable": 4, "malformed-sample": 4, "no-rate": 1}
    names = {s.sample_id for s in open_shards(tmp_path / "back").samples()}
    assert names == {"good", "../../../../tmp/outside"}  # an id, and never a path


def test_damaged_tars_are_named(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", [person(1)])
    export_set(source, tmp_path / "out", "webdataset")
    (tar,) = (tmp_path / "out").glob("*.tar")
    data = tar.read_bytes().rstrip(b"\0")  # what follows is padding
    cuts = [data[:end] for end in range(0, len(data), 256)]
    for number, bad in enumerate((*cuts, b"no tar at all" * 99, b"\0" * 9)):
        path = tmp_path / f"bad{number}.tar"
        path.write_bytes(bad)
        with pytest.raises(InputError) as caught:
            list(read_webdataset(path, Counter()))
        assert caught.value.code == "tar-unreadable"
        assert path.name in caught.value.message
