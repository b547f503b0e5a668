"""The loader with torch: worker processes and tensors."""

from __future__ import annotations

import gc
import json

import numpy as np
import pytest

from motionkit.errors import ShardError
from motionkit.shards.batches import collate
from motionkit.shards.loader import ShardDataset, ShardLoader
from tests.shards.shard_files import row, write_shards

torch = pytest.importorskip("torch")
COUNT = 40
#: A machine with one processor is enough for the tests.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture(autouse=True)
def _nothing_left():
    """Tensors that came from worker processes go before torch does, at the end of the run."""
    yield
    gc.collect()
    reductions = pytest.importorskip("torch.multiprocessing.reductions")
    reductions.shared_cache.free_dead_references()


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("set"), [row(i) for i in range(COUNT)])


def loader(path, **options):
    return ShardLoader(path, **{"batch_size": 4, "window": 4, "mirror": 0.5, **options})


def contents(batches):
    return [(b["sample_ids"], b["text"], np.asarray(b["m2d"]).tobytes()) for b in batches]


def test_worker_processes_give_the_same_batches(shards):
    expected = contents(loader(shards, lanes=2))
    assert contents(loader(shards, lanes=2, workers=2)) == expected
    found = list(loader(shards, lanes=2, tensors=True))
    assert contents(found) == expected
    assert isinstance(found[0]["m2d"], torch.Tensor)
    assert isinstance(found[0]["captions"], list)


@pytest.mark.parametrize("workers", [0, 3])
def test_resume_with_another_number_of_workers(shards, workers):
    expected = contents(loader(shards, lanes=2))
    first = loader(shards, workers=2)  # lanes: one a worker
    begun = contents(batch for _, batch in zip(range(3), first, strict=False))
    state = json.loads(json.dumps(first.state_dict()))
    assert state["batches"] == 3  # given out, not read ahead
    second = loader(shards, workers=workers)
    second.load_state_dict(state)
    assert begun + contents(second) == expected


def test_a_damaged_shard_is_named_from_a_worker(tmp_path):
    path = write_shards(tmp_path / "s", [row(i) for i in range(COUNT)])
    file = path / "data" / "train-00001.parquet"
    ready = loader(path, workers=1)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ShardError, match=str(file)):
        list(ready)


def test_a_data_loader_of_your_own(shards):
    from torch.utils.data import DataLoader

    own = DataLoader(loader(shards, lanes=2).torch_dataset(), batch_size=None, num_workers=2)
    assert contents(own) == contents(loader(shards, lanes=2))


def test_the_map_style_dataset_in_a_data_loader(shards):
    from torch.utils.data import DataLoader

    data = DataLoader(ShardDataset(shards), batch_size=8, collate_fn=collate, num_workers=1)
    assert [n for b in data for n in b["sample_ids"]] == [f"s{i:05d}" for i in range(COUNT)]
