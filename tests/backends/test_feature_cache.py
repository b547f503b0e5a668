"""Features are kept by encoder and content, whole or not at all."""

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from motionkit.backends.feature_cache import FeatureCache, key_of
from motionkit.errors import WorkspaceError


class Letters:
    """Features from the hash of a text; counts what it is asked."""

    dim = 6

    def __init__(self, name: str = "letters") -> None:
        self.name = name
        self.asked: list[str] = []

    def identity(self) -> dict[str, str]:
        return {"name": self.name}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.stack([self.of(text) for text in texts])

    def of(self, text: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256((self.name + text).encode()).digest()[:8], "little")
        return np.random.default_rng(seed).normal(size=self.dim).astype(np.float32)


class Brightness:
    dim = 1

    def identity(self) -> dict[str, str]:
        return {"name": "brightness"}

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([[image.mean()] for image in images], np.float32)


def parts(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def test_features_come_in_order_and_only_the_missing_ones_are_computed(tmp_path: Path) -> None:
    first = Letters()
    cache = FeatureCache(tmp_path, first, block=2)
    texts = ["b", "a", "b", "ü\n", "", "c"]
    expected = np.stack([first.of(text) for text in texts])
    np.testing.assert_array_equal(cache.encode(texts), expected)
    assert first.asked == ["b", "a", "ü\n", "", "c"] and cache.computed == 5
    assert len(parts(tmp_path)) == 3
    second = Letters()
    again = FeatureCache(tmp_path, second)
    np.testing.assert_array_equal(again.encode(["d", *texts[::-1]])[1:], expected[::-1])
    assert second.asked == ["d"] and again.computed == 1
    assert again.encode([]).shape == (0, 6)
    assert again.identity() == {"name": "letters"} and again.dim == 6


def test_another_encoder_has_its_own_features(tmp_path: Path) -> None:
    FeatureCache(tmp_path, Letters()).encode(["a"])
    other = Letters("other")
    found = FeatureCache(tmp_path, other).encode(["a"])
    np.testing.assert_array_equal(found[0], other.of("a"))
    assert other.asked == ["a"]


def test_pictures_are_kept_by_size_and_pixels(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, Brightness())
    flat = np.arange(12, dtype=np.uint8)
    images = [flat.reshape(2, 2, 3), flat.reshape(4, 1, 3), flat.reshape(2, 2, 3)[::-1]]
    found = cache.encode(images)
    assert cache.computed == 3 and found[0, 0] == 5.5
    assert cache.encode(images[:1])[0, 0] == 5.5 and cache.computed == 0
    assert key_of(images[0]) != key_of(images[1])
    assert key_of(np.asfortranarray(images[0])) == key_of(images[0])


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    FeatureCache(tmp_path, Letters()).encode(["a"])
    (part,) = parts(tmp_path)
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(WorkspaceError, match=part.name):
        FeatureCache(tmp_path, Letters()).encode(["a"])


def test_an_encoder_that_makes_nonsense_is_not_believed(tmp_path: Path) -> None:
    class Broken(Letters):
        def of(self, text: str) -> np.ndarray:
            return np.full(6, np.nan, np.float32)

    with pytest.raises(ValueError, match="not finite"):
        FeatureCache(tmp_path, Broken()).encode(["a"])
    assert parts(tmp_path) == []


def test_a_failure_in_the_middle_keeps_what_was_computed(tmp_path: Path) -> None:
    class Fails(Letters):
        def encode(self, texts: Sequence[str]) -> np.ndarray:
            if len(self.asked) >= 4:
                raise RuntimeError("out of memory")
            return super().encode(texts)

    texts = list("abcdefgh")
    with pytest.raises(RuntimeError):
        FeatureCache(tmp_path, Fails(), block=2).encode(texts)
    second = Letters()
    FeatureCache(tmp_path, second, block=2).encode(texts)
    assert second.asked == list("efgh")


def encode_some(folder: str, start: int) -> None:
    FeatureCache(Path(folder), Letters(), block=3).encode(
        [str(i) for i in range(start, start + 40)]
    )


def test_two_processes_at_once_agree(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=encode_some, args=(str(tmp_path), s)) for s in (0, 10)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    third = Letters()
    texts = [str(i) for i in range(50)]
    found = FeatureCache(tmp_path, third).encode(texts)
    assert third.asked == []
    np.testing.assert_array_equal(found, np.stack([third.of(text) for text in texts]))


def test_a_kill_leaves_only_whole_parts(tmp_path: Path) -> None:
    script = (
        "import sys, time, tests.backends.test_feature_cache as t\n"
        "class Slow(t.Letters):\n"
        "    def encode(self, texts):\n"
        "        if len(self.asked) >= 6: print('now', flush=True); time.sleep(60)\n"
        "        return super().encode(texts)\n"
        f"t.FeatureCache(t.Path({str(tmp_path)!r}), Slow(), block=2).encode(list('abcdefgh'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGKILL)
    second = Letters()
    FeatureCache(tmp_path, second).encode(list("abcdefgh"))
    assert second.asked == list("gh")
