import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from motionkit.errors import TrainingError  # noqa: E402
from motionkit.training.token_cache import (  # noqa: E402
    Entry,
    cache_key,
    make_tokens,
    open_tokens,
    token_cache,
)

TEXTS = [["a", "b"], ["b"], ["c", "a"]]


def entries() -> Iterator[Entry]:
    for number, texts in enumerate(TEXTS):
        tokens = torch.arange(3 * (number + 2)).reshape(-1, 3) + 100 * number
        yield Entry(tokens, texts, number, f"clip{number}")


def encode(texts: Sequence[str]) -> np.ndarray:
    return np.array([[ord(t), 1.0] for t in texts], np.float32)


def test_what_is_written_is_read_from_mapped_files(tmp_path: Path) -> None:
    make_tokens(tmp_path / "tokens" / "one", entries(), encode, 2)
    found = open_tokens(tmp_path / "tokens" / "one")
    assert found.tokens.dtype == torch.int16 and found.ids == ["clip0", "clip1", "clip2"]
    for number, entry in enumerate(entries()):
        assert torch.equal(found.entry(number), entry.tokens)
        assert int(found.views[number]) == entry.view
    named = [(int(e), chr(int(found.features[row, 0]))) for e, row in found.pairs]
    assert named == [(0, "a"), (0, "b"), (1, "b"), (2, "c"), (2, "a")]
    assert len(found.features) == 3  # each distinct text once
    rows = [[0, 1], [1], [2, 0]]
    memory = token_cache([e.tokens for e in entries()], rows, found.features, [0, 1, 2])
    assert torch.equal(memory.pairs, found.pairs) and torch.equal(memory.tokens, found.tokens)


def test_the_key_changes_with_weights_and_facts() -> None:
    model = torch.nn.Linear(2, 2)
    key = cache_key(model, {"data": "x"})
    assert cache_key(model, {"data": "x"}) == key != cache_key(model, {"data": "y"})
    with torch.no_grad():
        model.bias[0] += 1
    assert cache_key(model, {"data": "x"}) != key


def test_a_cache_is_whole_or_not_there_and_older_ones_go(tmp_path: Path) -> None:
    folder = tmp_path / "tokens"
    make_tokens(folder / "one", entries(), encode, 2)

    def fail(texts: Sequence[str]) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_tokens(folder / "two", entries(), fail, 2)
    assert list(folder.iterdir()) == []
    make_tokens(folder / "two", entries(), encode, 2)
    assert [path.name for path in folder.iterdir()] == ["two"]


def test_no_text_and_damage_are_said(tmp_path: Path) -> None:
    silent = (Entry(e.tokens, (), 0, e.clip) for e in entries())
    with pytest.raises(TrainingError, match="no training clip has a caption"):
        make_tokens(tmp_path / "t" / "one", silent, encode, 2)
    make_tokens(tmp_path / "t" / "one", entries(), encode, 2)
    (tmp_path / "t" / "one" / "views.npy").unlink()
    with pytest.raises(TrainingError, match="cannot be read"):
        open_tokens(tmp_path / "t" / "one")
    shutil.rmtree(tmp_path / "t")
