"""The examples of docs/loader.md run as they stand there."""

from __future__ import annotations

import gc
import re
import runpy
from pathlib import Path

import pytest

from tests.shards.shard_files import row, write_shards

PAGE = Path(__file__).parents[2] / "docs" / "loader.md"
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture(autouse=True)
def _nothing_left():
    """Tensors that came from worker processes go before torch does, at the end of the run."""
    yield
    gc.collect()
    reductions = pytest.importorskip("torch.multiprocessing.reductions")
    reductions.shared_cache.free_dead_references()


def test_the_examples_run(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    write_shards(tmp_path / "motion" / "shards", [row(i) for i in range(24)])
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(examples) == 5
    script = tmp_path / "examples.py"
    script.write_text("\n".join(examples), "utf-8")
    names = runpy.run_path(str(script))
    for loaded in ("stream", "by_number"):
        assert sum(len(batch["sample_ids"]) for batch in names[loaded]) == 24


def test_every_option_is_on_the_page():
    from motionkit.shards.loader import LoaderOptions

    text = PAGE.read_text("utf-8")
    told = {name for name in LoaderOptions.__dataclass_fields__ if f"`{name}" in text}
    shown = {name for name in LoaderOptions.__dataclass_fields__ if f"{name}=" in text}
    rest = set(LoaderOptions.__dataclass_fields__) - told - shown
    assert rest <= {"shuffle"}
