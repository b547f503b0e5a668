from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from motionkit.errors import TrainingError  # noqa: E402
from motionkit.shards.reader import open_shards  # noqa: E402
from motionkit.training.k2m_data import WindowSource, load_clips  # noqa: E402
from motionkit.training.shard_clips import ShardClips, open_clips  # noqa: E402
from tests.shards.shard_files import row, write_shards  # noqa: E402

COUNT = 40


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), [row(i) for i in range(COUNT)])


def test_clips_read_when_asked_for_are_those_in_memory(shards: Path) -> None:
    opened = open_shards(shards)
    memory = load_clips(opened.samples("train", tracks=False, kind="person"), down=1)
    lazy = open_clips(opened, "train", down=1, cache_mb=0.0)
    small = open_clips(opened, "train", down=1, cache_mb=1000.0)
    assert isinstance(lazy, ShardClips) and isinstance(small, list)
    assert len(memory) == len(lazy) == len(small) == COUNT
    assert lazy.lengths == [len(clip.m2d) for clip in memory]
    for a, b, c in zip(memory, lazy, small, strict=True):
        assert a.sample_id == b.sample_id == c.sample_id
        assert a.texts == b.texts == c.texts
        assert torch.equal(a.m2d, b.m2d) and torch.equal(a.m2d, c.m2d)
    assert [clip.sample_id for clip in lazy[3:5]] == [clip.sample_id for clip in memory[3:5]]


def test_the_same_seed_draws_the_same_windows_either_way(shards: Path) -> None:
    opened = open_shards(shards)
    drawn = []
    for cache_mb in (0.0, 1000.0):
        clips = open_clips(opened, "train", down=1, cache_mb=cache_mb)
        source = WindowSource(clips, 3, 1, True)
        torch.manual_seed(4)
        m2d, real, ids = source.windows(16)
        drawn.append((m2d.numpy().tobytes(), real.numpy().tobytes(), ids, source.sweep(9)[0]))
    assert drawn[0][:3] == drawn[1][:3]
    assert torch.equal(drawn[0][3], drawn[1][3])
    assert set(drawn[0][2]) <= {row(i)["sample_id"] for i in range(COUNT)}


def test_a_large_set_holds_a_bounded_number_of_row_groups(shards: Path) -> None:
    clips = ShardClips(open_shards(shards), "train", down=1, cache_mb=0.0)
    list(clips)
    assert len(clips._data._groups) == clips._data.cache_groups == 2


def test_a_clip_shorter_than_a_token_is_named(shards: Path) -> None:
    opened = open_shards(shards)
    short = int(np.argmin([row(i)["frames"] for i in range(COUNT)]))
    down = int(row(short)["frames"]) + 1
    with pytest.raises(TrainingError, match=rf"frames; a token needs {down}"):
        open_clips(opened, "train", down=down, cache_mb=0.0)
