"""SAM 2 for video: our masks against transformers' documented calls, on random weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit import devices
from motionkit.backends.sam2 import Sam2Segmenter
from motionkit.stage import Chunk
from motionkit.weights import find
from tests.backends.clips import ClipInMemory, clip_of, mask_of, noise
from tests.backends.random_models import save_sam2

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
transformers = pytest.importorskip("transformers")

NAME = "random/sam2"
#: Odd sizes, one upright, and boxes at and beyond the edges.
SHAPES = [(211, 119, [120, -5, 215.5, 121]), (97, 160, [0, 3.25, 40, 157])]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    assert save_sam2(folder, NAME) == f"sam2:{NAME}"
    return folder


@pytest.fixture(autouse=True)
def _models_folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(models))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def clip_with(
    count: int, width: int, height: int, box: list[float], unseen: tuple[int, ...] = ()
) -> ClipInMemory:
    boxes = np.tile(np.array(box, np.float32), (count, 1))
    boxes[list(unseen)] = 0
    return clip_of(noise(count, width, height, seed=width), boxes)


def segment(clip: ClipInMemory, **settings: Any) -> list[np.ndarray]:
    segmenter = Sam2Segmenter(NAME, **settings)
    segmenter.setup_reader()
    segmenter.setup()
    found = segmenter.follow(clip, segmenter.read(clip))
    return [mask_of(counts, clip.width, clip.height) for counts in found]


class Documented:
    """transformers' own calls, as its page on SAM 2 for video has them."""

    def __init__(self) -> None:
        folder = find(f"sam2:{NAME}").path
        self.processor = transformers.Sam2VideoProcessor.from_pretrained(folder)
        self.model = transformers.Sam2VideoModel.from_pretrained(folder).eval()

    def _mask(self, made: Any, clip: ClipInMemory) -> np.ndarray:
        masks = self.processor.post_process_masks(
            [made.pred_masks], original_sizes=[[clip.height, clip.width]], binarize=False
        )[0]
        return np.asarray(masks[0, 0].numpy() > 0)

    def _prompt(self, session: Any, clip: ClipInMemory, first: int) -> None:
        self.processor.add_inputs_to_inference_session(
            inference_session=session,
            frame_idx=first,
            obj_ids=1,
            input_boxes=[[clip.boxes[first].tolist()]],
            original_size=(clip.height, clip.width),
        )

    def whole_video(self, clip: ClipInMemory, first: int) -> dict[int, np.ndarray]:
        """All frames in memory, forward and then back."""
        session = self.processor.init_video_session(video=clip.frames)
        self._prompt(session, clip, first)
        self.model(inference_session=session, frame_idx=first)
        found = {}
        for reverse in (False, True):
            for made in self.model.propagate_in_video_iterator(
                session, start_frame_idx=first, reverse=reverse
            ):
                found[made.frame_idx] = self._mask(made, clip)
        return found

    def stream(self, clip: ClipInMemory) -> list[np.ndarray]:
        """Frame by frame, nothing forgotten."""
        session = self.processor.init_video_session()
        found = []
        for number, frame in enumerate(clip.frames):
            inputs = self.processor(images=frame, return_tensors="pt")
            if number == 0:
                self._prompt(session, clip, 0)
            made = self.model(inference_session=session, frame=inputs.pixel_values[0])
            found.append(self._mask(made, clip))
        return found


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.array_equal(found, expected), f"{(found != expected).sum()} pixels"


@pytest.mark.parametrize(("width", "height", "box"), SHAPES)
def test_masks_are_those_of_the_streaming_call(width: int, height: int, box: list[float]) -> None:
    clip = clip_with(5, width, height, box)
    expected = Documented().stream(clip)
    for mine, theirs in zip(segment(clip), expected, strict=True):
        assert_same(mine, theirs)
    shares = [mask.mean() for mask in expected]
    assert max(shares) > 0 and all(share < 1 for share in shares)
    other = segment(clip_with(5, width, height, [30, 30, 60, 90]))
    assert any(not np.array_equal(a, b) for a, b in zip(other, expected, strict=True))


def test_a_long_clip_forgets_nothing_that_matters_forward_or_back() -> None:
    """Longer than the memory's reach (16 frames), so that whole video and stream agree too."""
    width, height, box = SHAPES[0]
    clip = clip_with(40, width, height, box, unseen=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20))
    expected = Documented().whole_video(clip, 10)
    found = segment(clip, beyond_boxes=True)
    assert sorted(expected) == list(range(40))
    for number, mine in enumerate(found):
        assert_same(mine, expected[number])
    only_boxes = segment(clip)
    for number, mine in enumerate(only_boxes):
        if clip.seen[number]:
            assert_same(mine, expected[number])
        else:
            assert not mine.any()  # no box, no mask


def test_frames_that_are_not_asked_for_are_followed_and_not_kept() -> None:
    width, height, box = SHAPES[1]
    clip = clip_with(6, width, height, box)
    every = segment(clip)
    clip.wanted[:] = [False, False, True, False, True, False]
    some = segment(clip)
    assert [mask.any() for mask in some] == clip.wanted.tolist()
    assert_same(some[4], every[4])
    segmenter = Sam2Segmenter(NAME)
    assert [p for chunk in segmenter.read(clip) for p in chunk["place"]] == [0, 1, 2, 3, 4]


def test_without_any_box_nothing_is_read() -> None:
    clip = clip_with(4, 97, 160, [0, 0, 0, 0])
    for beyond in (False, True):
        segmenter = Sam2Segmenter(NAME, beyond_boxes=beyond)
        assert list(segmenter.read(clip)) == []
        assert not any(mask.any() for mask in segment(clip, beyond_boxes=beyond))


def test_the_session_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames and outputs held do not grow with the clip."""
    segmenter = Sam2Segmenter(NAME, beyond_boxes=True)
    segmenter.setup()
    sizes: list[tuple[int, int, bool]] = []
    forget = segmenter._forget

    def watched(session: Any, place: int, *rest: Any) -> None:
        forget(session, place, *rest)
        outputs = session.output_dict_per_obj[0]
        others = outputs["non_cond_frame_outputs"]
        heavy = any("high_res_masks" in o for kind in outputs.values() for o in kind.values())
        sizes.append((len(session.processed_frames), len(others), heavy))
        if place > 3:  # the next frame reads pointers of 15 before it, the prompted one among them
            assert set(range(max(4, place - 14), place + 1)) <= set(others)

    monkeypatch.setattr(segmenter, "_forget", watched)
    clip = clip_with(60, 97, 160, SHAPES[1][2], unseen=(0, 1, 2))
    segmenter.follow(clip, segmenter.read(clip))
    assert len(sizes) == 60
    assert max(frames for frames, _, _ in sizes) == 0
    assert max(held for _, held, _ in sizes) <= 2 * 16
    assert not any(heavy for _, _, heavy in sizes)


def test_half_precision_runs_and_hardly_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    width, height, box = SHAPES[0]
    clip = clip_with(3, width, height, box)
    whole = segment(clip)
    monkeypatch.setattr(devices, "_current", devices.Device(precision="bf16"))
    half = segment(clip)
    same = np.mean([(a == b).mean() for a, b in zip(whole, half, strict=True)])
    assert 0.9 < same < 1


def test_chunks_may_be_cut_anywhere() -> None:
    width, height, box = SHAPES[1]
    clip = clip_with(7, width, height, box)
    segmenter = Sam2Segmenter(NAME)
    segmenter.setup()

    def singly() -> Iterator[Chunk]:
        for chunk in segmenter.read(clip):
            for i in range(len(chunk["place"])):
                yield {name: values[i : i + 1].copy() for name, values in chunk.items()}

    assert segmenter.follow(clip, singly()) == segmenter.follow(clip, segmenter.read(clip))
