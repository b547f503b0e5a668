from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from motionkit.errors import ShardError, UsageError
from motionkit.keypoints import mirror_m2d
from motionkit.rle import pack_runs
from motionkit.shards.batches import collate
from motionkit.shards.loader import LoaderOptions, ShardDataset, ShardLoader
from tests.shards.shard_files import object_row, row, write_shards

COUNT = 75


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("set"), [row(i) for i in range(COUNT)])


def loader(path, **options):
    return ShardLoader(path, **{"batch_size": 4, "window": 4, "bucket_batches": 2, **options})


def names(batches):
    return [batch["sample_ids"] for batch in batches]


def test_dataset_gives_each_sample_as_it_was_written(shards):
    data = ShardDataset(shards, columns=("m2d", "captions", "caption_sources", "tracks", "fps"))
    assert len(data) == COUNT
    for number in (0, 74, 31, -1):
        truth, sample = row(number % COUNT), data[number]
        assert sample["sample_id"] == truth["sample_id"]
        assert np.array_equal(sample["m2d"].ravel(), truth["m2d"])
        assert sample["captions"] == [c["text"] for c in truth["captions"]]
        assert sample["caption_sources"] == ["sidecar", "kinematic"]
        assert sample["fps"] == 30.0
        if "track_grid" in truth:
            points = truth["track_points"].reshape(5, -1, 2)
            assert np.array_equal(sample["tracks"], points)
            assert np.array_equal(sample["visible"].ravel(), truth["track_visible"])
            assert sample["visible"].shape == points.shape[:2]
        else:
            assert sample["tracks"] is sample["visible"] is None
    with pytest.raises(IndexError):
        data[COUNT]


def test_dataset_keeps_the_row_groups_used_last(shards):
    data = ShardDataset(shards, cache_groups=2)
    reads = data._groups._files
    for number in (0, 1, 4, 2, 5):
        data[number]
    assert reads.reads == 2
    data[8]  # the third row group drives out the first, which was used before the second
    data[4], data[8]
    assert reads.reads == 3
    data[0]
    assert reads.reads == 4
    assert len(data._groups) == 2


def test_a_sample_may_be_changed_without_changing_the_next_read(shards):
    data = ShardDataset(shards)
    data[0]["m2d"][:] = 0
    assert np.array_equal(data[0]["m2d"].ravel(), row(0)["m2d"])


def test_columns_that_are_not_named_are_not_read(shards):
    data = ShardDataset(shards, columns=("captions",))
    assert set(data[0]) == {"sample_id", "frames", "mirrored", "captions"}
    assert "m2d" not in data._groups.get(0).lists
    with pytest.raises(UsageError, match="'pixels'"):
        ShardDataset(shards, columns=("pixels",))


def test_batches_are_padded_and_say_so(shards):
    seen = set()
    for batch in loader(shards, columns=("m2d", "tracks", "captions", "licence", "fps")):
        count = len(batch["sample_ids"])
        assert batch["m2d"].shape == (count, batch["lengths"].max(), 18, 3)
        assert batch["m2d"].dtype == np.float32
        assert batch["licence"] == [None] * count and batch["fps"].tolist() == [30.0] * count
        for i, name in enumerate(batch["sample_ids"]):
            truth, length = row(int(name[1:])), batch["lengths"][i]
            assert np.array_equal(batch["m2d"][i, :length].ravel(), truth["m2d"])
            assert not batch["m2d"][i, length:, :17].any()
            assert (batch["m2d"][i, length:, 17] == (640, 360, 1)).all()
            assert batch["text"][i] in batch["captions"][i]
            steps, grid = batch["track_lengths"][i], truth.get("track_grid", 0)
            assert steps == truth.get("track_frames", 0)
            points = batch["tracks"][i, :steps, : grid**2]
            assert np.array_equal(points.ravel(), truth.get("track_points", []))
            assert not batch["visible"][i, steps:].any()
            assert not batch["visible"][i, :, grid**2 :].any()
            seen.add(name)
    assert len(seen) == COUNT


def test_unpadded_samples_come_in_the_same_order(shards):
    padded, plain = list(loader(shards)), list(loader(shards, pad=False))
    assert names(padded) == [[s["sample_id"] for s in b["samples"]] for b in plain]
    for sample in plain[0]["samples"]:
        assert sample["m2d"].shape == (sample["frames"], 18, 3)


@pytest.mark.parametrize(("world", "lanes", "threads"), [(1, 0, 0), (3, 2, 1), (2, 3, 2)])
def test_all_ranks_together_see_each_sample_once(shards, world, lanes, threads):
    parts = [
        names(loader(shards, rank=r, world=world, lanes=lanes, threads=threads))
        for r in range(world)
    ]
    assert len({len(part) for part in parts}) == 1
    assert sorted(n for part in parts for b in part for n in b) == [
        f"s{i:05d}" for i in range(COUNT)
    ]


def test_workers_in_turn_give_the_batches_of_one(shards):
    one = names(loader(shards, lanes=2))
    parts = [list(loader(shards, lanes=2).batches(w, 3)) for w in range(3)]
    turns = [names(parts[k % 3])[k // 3] for k in range(len(one))]
    assert turns == one


def test_epochs_differ_and_come_again_with_the_seed(shards):
    first = loader(shards)
    epochs = [names(first) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    again = loader(shards)
    again.set_epoch(2)
    assert names(again) == epochs[2]


def contents(batches):
    return [(b["sample_ids"], b["text"], b["m2d"].tobytes()) for b in batches]


@pytest.mark.parametrize("taken", [0, 1, 7, 19])
def test_resume_gives_the_batches_of_an_uninterrupted_run(shards, taken):
    options = {"mirror": 0.5, "lanes": 2}
    whole = loader(shards, **options)
    whole.set_epoch(3)
    expected = contents(whole) + contents(whole)
    assert len(whole) == 19
    first = loader(shards, **options)
    first.set_epoch(3)
    before = contents(batch for _, batch in zip(range(taken), first, strict=False))
    state = json.loads(json.dumps(first.state_dict()))
    second = loader(shards, mirror=0.5)  # the lanes come from the state
    second.load_state_dict(state)
    after = contents(second)
    if taken < 19:
        after += contents(second)
        assert before + after == expected
    else:  # the state after the last batch is the start of the next epoch
        assert before + after == expected
    assert second.epoch == 5


def test_loader_and_dataset_travel_to_other_processes(shards):
    """As worker processes that are not forked ask for."""
    begun = loader(shards)
    next(iter(begun))
    assert names(pickle.loads(pickle.dumps(begun))) == names(begun)  # noqa: S301 - our own
    data = ShardDataset(shards)
    again = pickle.loads(pickle.dumps(data))  # noqa: S301 - our own
    assert np.array_equal(again[7]["m2d"], data[7]["m2d"])


def test_a_loop_that_was_left_goes_on(shards):
    expected, left = names(loader(shards)), loader(shards)
    begun = names(batch for _, batch in zip(range(5), left, strict=False))
    assert left.state_dict()["batches"] == 5
    assert begun + names(left) == expected


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "seed"), ({"batch_size": 5}, "batch_size"), ({"columns": ("m2d",)}, "columns")],
)
def test_a_state_of_other_options_is_refused(shards, change, named):
    state = loader(shards).state_dict()
    with pytest.raises(UsageError, match=named):
        loader(shards, **change).load_state_dict(state)


def test_a_state_of_other_data_or_ranks_is_refused(shards, tmp_path):
    state = loader(shards).state_dict()
    other = write_shards(tmp_path / "other", [row(i) for i in range(COUNT - 1)])
    with pytest.raises(UsageError, match="another shards"):
        loader(other).load_state_dict(state)
    with pytest.raises(UsageError, match="another world"):
        loader(shards, world=2).load_state_dict(state)
    with pytest.raises(UsageError, match="version None"):
        loader(shards).load_state_dict({})
    with pytest.raises(UsageError, match="batches"):
        loader(shards).load_state_dict({**state, "batches": 1000})


def test_mirrored_samples_swap_points_and_words(shards):
    batches = list(loader(shards, mirror=0.5, columns=("m2d", "tracks", "captions")))
    flags = np.concatenate([b["mirrored"] for b in batches])
    assert 0.25 < flags.mean() < 0.75
    for batch in batches:
        for i, name in enumerate(batch["sample_ids"]):
            truth, flip = row(int(name[1:])), batch["mirrored"][i]
            m2d = truth["m2d"].reshape(-1, 18, 3)
            found = batch["m2d"][i, : batch["lengths"][i]]
            assert np.array_equal(found, mirror_m2d(m2d) if flip else m2d)
            number, side = int(name[1:]), "right" if flip else "left"
            assert batch["captions"][i] == [
                f"{number} walks to the {side}",
                f"{number} turns right now",
            ]
            if "track_grid" in truth:
                points = truth["track_points"].reshape(5, -1, 2).copy()
                points[..., 0] = 640 - 1 - points[..., 0] if flip else points[..., 0]
                assert np.array_equal(batch["tracks"][i, :, : points.shape[1]], points)


def test_mirroring_does_not_change_the_order(shards):
    assert names(loader(shards, mirror=1.0)) == names(loader(shards))


def test_objects_are_left_out_where_keypoints_are_asked_for(tmp_path):
    rows = [row(i) if i % 2 else object_row(i) for i in range(20)]
    path = write_shards(tmp_path / "s", rows)
    assert len(ShardDataset(path)) == 10
    both = loader(path, kinds=("person", "object"), columns=("m2d", "masks", "height"))
    for batch in both:
        for i, name in enumerate(batch["sample_ids"]):
            is_object = int(name[1:]) % 2 == 0
            assert (batch["masks"][i] is not None) == is_object
            assert batch["m2d"][i].any() != is_object
    masks = ShardDataset(path, columns=("masks",), kinds=("object",))
    assert masks.sample(0)["masks"] == ["123", None]
    assert masks.sample(0, mirrored=True)["masks"] == [pack_runs(np.array([2, 1, 2, 1])), None]


def damage(path, change):
    file = path / "data" / "train-00001.parquet"
    raw = bytearray(file.read_bytes())
    file.write_bytes(change(raw))
    return file


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("at", ["middle", "end", "cut"])
def test_a_damaged_shard_is_named(tmp_path, at, threads):
    path = write_shards(tmp_path / "s", [row(i) for i in range(40)])

    def change(raw):
        if at == "middle":
            raw[len(raw) // 4 : len(raw) // 2] = bytes(len(raw) // 2 - len(raw) // 4)
        elif at == "end":
            raw[-20:-12] = b"\xff" * 8
        return raw[: len(raw) // 2] if at == "cut" else raw

    file = damage(path, change)
    with pytest.raises(ShardError, match=str(file)):
        list(loader(path, threads=threads))


def test_arrays_that_do_not_fit_the_frames_are_refused(tmp_path):
    rows = [row(i) for i in range(4)]
    rows[2]["m2d"] = rows[2]["m2d"][:-54]
    path = write_shards(tmp_path / "s", rows)
    with pytest.raises(ShardError, match=r"train-00000.parquet.*m2d do not fit"):
        ShardDataset(path)[0]


def test_a_manifest_of_more_samples_is_refused(tmp_path):
    path = write_shards(tmp_path / "s", [row(i) for i in range(4)])
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["shards"][0]["rows"] = 5
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ShardError, match=r"train-00000.parquet holds 4 rows"):
        ShardDataset(path)


def test_a_split_without_samples_is_refused(shards):
    with pytest.raises(UsageError, match="0 samples"):
        loader(shards, split="val")


@pytest.mark.parametrize(
    "wrong",
    [{"mirror": 2}, {"workers": -1}, {"pad": False, "tensors": True}, {"batch": 3}, {"window": 0}],
)
def test_wrong_options_are_refused(shards, wrong):
    with pytest.raises(UsageError):
        loader(shards, **wrong)
    with pytest.raises(UsageError):
        ShardLoader(shards, rank=2, world=2)


def test_collate_takes_samples_of_the_dataset(shards):
    data = ShardDataset(shards)
    batch = collate([data[3], data[40]])
    assert batch["sample_ids"] == ["s00003", "s00040"]
    assert batch["m2d"].shape[0] == 2


def test_every_option_is_explained():
    source = Path(sys.modules[LoaderOptions.__module__].__file__).read_text("utf-8")
    for name in LoaderOptions.__dataclass_fields__:
        assert f"    {name}: " in source


def test_loading_needs_pyarrow_and_numpy_alone(shards):
    code = (
        "import sys\n"
        "blocked = {'torch', 'duckdb', 'decord', 'av', 'cv2', 'mediapipe', 'typer', 'scipy',"
        " 'tqdm', 'pydantic', 'pandas'}\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in blocked: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "from motionkit.errors import MissingExtraError\n"
        "from motionkit.shards.loader import ShardDataset, ShardLoader\n"
        f"path = {str(shards)!r}\n"
        "assert ShardDataset(path)[1]['m2d'].shape[1:] == (18, 3)\n"
        "assert sum(len(b['sample_ids']) for b in ShardLoader(path, mirror=0.5)) == 75\n"
        "try: next(iter(ShardLoader(path, workers=1)))\n"
        "except MissingExtraError as error: assert 'train' in error.hint\n"
        "else: sys.exit('no error')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
