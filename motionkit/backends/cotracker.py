"""CoTracker3, offline and online, from a local checkout of its code and a local checkpoint.

The result is that of the library's own predictors on the same frames and queries (tested to
1e-3 px); what is done here beside the model is what they do: frames are brought to 384×512, the
offline model gets a 6×6 grid of supporting points, and points count as seen above the predictors'
own thresholds. Two things are kept that they throw away: the confidence of every point, and the
bound on memory. The offline model sees a whole clip at once; the online one follows windows of 16
frames, 8 by 8, and its state is cut to the last window.

Code and weights are CC BY-NC 4.0 (docs/tracks.md).
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionkit import devices, weights
from motionkit.backends.cotracker_code import Library, import_library
from motionkit.backends.cotracker_windows import (
    STEP,
    WINDOW,
    Frames,
    Windows,
    as_array,
    torch_module,
)
from motionkit.backends.tracking import Float, Frame, Tracks, Workload, checked_queries
from motionkit.errors import InputError, UsageError
from motionkit.stage import Chunk

#: Height and width that the model works at.
INNER = (384, 512)
#: Frames of the longest clip that the offline model was trained on: the length of its table of
#: times, which the checkpoint holds.
TRAINED = 60
#: Points a side of the grid that supports the offline model.
SUPPORT = 6
ITERATIONS = 6
#: Scores above which a point is seen: visibility of the offline model, visibility × confidence of
#: the online one.
SEEN = {"offline": 0.9, "online": 0.6}
#: Frames that go through the convolutions at once: 80 MB each, and more are not faster.
FRAMES_AT_ONCE = 8
#: How brightness goes into int16 for the offline model: steps of 1/257, an error of 0.002 levels.
#: A clip of 30 frames then has 35 MB, and fits what readers share with the device's process. The
#: online model takes float32, since an error would be carried from window to window.
STEPS, OFFSET = 257, 32768
#: What a file that is something else makes torch raise.
_UNREADABLE = (RuntimeError, AttributeError, TypeError, EOFError, pickle.UnpicklingError)


def offline_bytes(frames: int, points: int) -> float:
    """Most memory that the offline model takes for one clip in fp32, measured on a CPU:
    weights, one lot of convolutions, and the features of every frame and point."""
    return 0.7e9 + frames * (30e6 + 70e3 * (points + SUPPORT**2))


def choose_model(work: Workload) -> str:
    """``offline`` where the whole clip fits the memory, else ``online``."""
    fits = offline_bytes(work.frames, work.points) <= work.memory_gb * 1e9
    return "offline" if fits else "online"


def open_cotracker(model: str, work: Workload) -> CoTracker3:
    """The tracker of ``cotracker3``, ``cotracker3:offline`` or ``cotracker3:online``. Without a
    name, ``work`` alone decides."""
    if model not in ("", *SEEN):
        raise UsageError(
            f"CoTracker3 has no model '{model}'",
            hint="write cotracker3:offline, cotracker3:online, or cotracker3 for what fits",
        )
    return CoTracker3(model or choose_model(work))


@dataclasses.dataclass
class CoTracker3:
    """A `PointTracker`; ``model`` is offline or online. ``inner`` other than the default is for
    tests: the weights were trained at 384×512."""

    model: str = "offline"
    inner: tuple[int, int] = INNER

    _modes: ClassVar[dict[str, str]] = {"offline": "batches", "online": "streams"}

    def __post_init__(self) -> None:
        self._network: Any = None
        self._library: Library | None = None

    @property
    def mode(self) -> str:
        """How a stage runs it: clips in batches, or one clip as a stream."""
        return self._modes[self.model]

    @property
    def spec(self) -> str:
        """Name with the model, as `weights.find` takes it."""
        return f"cotracker3:{self.model}"

    def check(self) -> None:
        """MissingExtraError without torch, `weights.ModelMissing` without code or weights."""
        torch_module()
        weights.find("cotracker3:code")
        weights.find(self.spec)

    def identity(self) -> dict[str, Any]:
        """Hashes of code and weights, and settings. Loads nothing; raises like `check`."""
        torch_module()
        return {
            "name": "cotracker3",
            "method": 1,
            "model": self.model,
            "code": weights.find("cotracker3:code").sha256,
            "weights": weights.find(self.spec).sha256,
            "inner": list(self.inner),
            "iterations": ITERATIONS,
        }

    def setup_reader(self) -> None:
        """torch on one thread, to resize frames: the engine has a reader for every core."""
        torch_module().set_num_threads(1)

    def setup(self) -> None:
        """Load the model on the process's device. Raises like `check`; UsageError where the code
        or the checkpoint is of something else."""
        torch = torch_module()
        device = devices.current()
        device.prepare()
        self._library = import_library(str(weights.find("cotracker3:code").path))
        offline = self.model == "offline"
        network = self._library.build(
            offline=offline, window_len=TRAINED if offline else WINDOW, v2=False
        )
        found = weights.find(self.spec)
        try:
            state = torch.load(found.path, map_location="cpu", weights_only=True)
            network.load_state_dict(state.get("model", state))
        except _UNREADABLE as error:
            raise UsageError(
                f"{found.path} is no checkpoint of {self.spec}: {str(error)[:300]}",
                hint=f"motionkit models verify {self.spec}",
            ) from error
        network.model_resolution = self.inner
        self._network = network.eval().to(device.name)

    def resized(self, frames: Frame) -> Frames:
        """Frames [n, H, W, 3] RGB uint8 as model input [n, 3, h, w], brightness 0..255."""
        torch = torch_module()
        out = np.empty((len(frames), 3, *self.inner), np.float32)
        for frame, inner in zip(frames, out, strict=True):  # one by one: a large one has 25 MB
            picture = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float()
            picture = torch.nn.functional.interpolate(
                picture, self.inner, mode="bilinear", align_corners=True
            )
            inner[:] = picture[0].numpy()
        return out

    def prepare(self, frames: Iterable[Frame], queries: Float) -> Chunk:
        """One unit: a whole clip, for `infer`. ``frames`` and ``queries`` as in `track`.

        ``frames`` int16 [1, T, 3, h, w]; ``queries`` float32 [1, N, 3], pixels of the video;
        ``size`` int32 [1, 2], its height and width.
        """
        size, parts = None, []
        for some in _in_lots(frames):
            size = some.shape[1:3]
            inner = self.resized(some)
            parts.append((np.rint(inner * STEPS) - OFFSET).astype(np.int16))
        if size is None:
            raise InputError("no-frames", "there is no frame to track points in")
        whole = np.concatenate(parts)
        wanted = checked_queries(queries, len(whole), size[1], size[0])
        return {"frames": whole[None], "queries": wanted[None], "size": np.array([size], np.int32)}

    def infer(self, units: Chunk) -> list[Tracks]:
        """The tracks of every unit of `prepare`, by the offline model.

        Clip by clip: the library's code takes one only (it views a broadcast tensor in another
        shape, which fails for two), and a clip is enough to fill a device.
        """
        assert self.model == "offline" and self._network is not None
        return [
            self._offline(frames, queries, size)
            for frames, queries, size in zip(
                units["frames"], units["queries"], units["size"], strict=True
            )
        ]

    def _offline(self, frames: NDArray[np.int16], asked: Float, size: NDArray[np.int32]) -> Tracks:
        torch, device = torch_module(), devices.current()
        if not len(asked):
            return _nothing(len(frames))
        assert self._library is not None
        with device.inference():
            queries = torch.from_numpy(self._inwards(asked, size))[None].to(device.name)
            grid = self._library.grid(SUPPORT, self.inner, device=device.name)
            grid = torch.cat([torch.zeros_like(grid[..., :1]), grid], -1)
            video = torch.from_numpy(frames)[None].to(device.name).float()
            xy, seen, sure, _ = self._network(
                video=video.add_(OFFSET).div_(STEPS),
                queries=torch.cat([queries, grid], 1),
                iters=ITERATIONS,
                fmaps_chunk_size=FRAMES_AT_ONCE,
            )
        xy, seen, sure = (as_array(part)[0, :, : len(asked)] for part in (xy, seen, sure))
        points = xy * self._outwards(size)
        visible = seen > SEEN["offline"]
        # A query is where it was put, and seen there, whatever the model says.
        at = asked[:, 0].astype(int), np.arange(len(asked))
        points[at], visible[at] = asked[:, 1:], True
        return Tracks(points.astype(np.float32), visible, (seen * sure).astype(np.float32))

    def chunks(self, frames: Iterable[Frame]) -> Iterator[Frames]:
        """The frames of a clip as the input of `follow`, a few at a time."""
        for some in _in_lots(frames):
            yield self.resized(some)

    def follow(self, chunks: Iterable[Frames], queries: Float, size: tuple[int, int]) -> Tracks:
        """Follow ``queries`` (as in `track`; frame indices are checked at the end) through a clip
        of any length by the online model. ``chunks`` [n, 3, h, w] as `chunks` gives them,
        ``size`` the video's height and width."""
        assert self.model == "online" and self._network is not None
        asked = checked_queries(queries, None, size[1], size[0])
        sides = np.array(size, np.int32)
        windows = Windows(self._network, self._inwards(asked, sides)[None], self.inner, ITERATIONS)
        for some in chunks:
            for frame in some:
                windows.add(frame)
        length, xy, seen, sure = windows.finish()
        checked_queries(asked, length, size[1], size[0])
        points = (xy * self._outwards(sides)).astype(np.float32)
        score = (seen * sure).astype(np.float32)
        visible = seen * sure > SEEN["online"]
        # The online model cannot look back: before its query a point stands there, unseen.
        early = np.arange(length)[:, None] < asked[None, :, 0]
        points = np.where(early[..., None], asked[None, :, 1:], points)
        return Tracks(points, visible & ~early, np.where(early, np.float32(0), score))

    def track(self, frames: Iterable[Frame], queries: Float) -> Tracks:
        """See `PointTracker.track`; loads the model where `setup` was not called. The offline
        model takes memory for the whole of ``frames`` (`offline_bytes`), the online one for a
        window."""
        if self._network is None:
            self.setup()
        if self.model == "offline":
            return self.infer(self.prepare(frames, queries))[0]
        lots = _in_lots(frames)
        first = next(lots, None)
        if first is None:
            raise InputError("no-frames", "there is no frame to track points in")

        def chunks() -> Iterator[Frames]:
            yield self.resized(first)
            for some in lots:
                yield self.resized(some)

        return self.follow(chunks(), queries, first.shape[1:3])

    def _inwards(self, queries: Float, size: NDArray[np.int32]) -> NDArray[np.float32]:
        """Queries [N, 3] of a video of ``size`` (height, width) in pixels of the inner picture:
        corners lie on corners."""
        inner = queries.astype(np.float32)
        scale = (np.array(self.inner, np.float64) - 1) / (size - 1.0)
        inner[:, 1:] *= scale[::-1].astype(np.float32)
        return inner

    def _outwards(self, size: NDArray[np.int32]) -> NDArray[np.float32]:
        """Pixels, x and y, of a video of ``size`` (height, width) for one inner pixel."""
        inner = np.array(self.inner, np.float64) - 1
        return ((size - 1.0) / inner)[::-1].astype(np.float32)


def _in_lots(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Frames [H, W, 3] one by one, checked, in arrays [n, H, W, 3] of up to 8."""
    lot: list[Frame] = []
    size: tuple[int, ...] | None = None
    for at, frame in enumerate(frames):
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ValueError(f"frame {at} is {frame.dtype} {frame.shape}, not uint8 [H, W, 3]")
        if size is not None and frame.shape != size:
            raise ValueError(f"frame {at} is {frame.shape}, the one before {size}")
        if min(frame.shape[:2]) < 2:
            raise ValueError(f"frame {at} is {frame.shape}: CoTracker3 needs 2 pixels a side")
        size = frame.shape
        lot.append(frame)
        if len(lot) == STEP:
            yield np.stack(lot)
            lot = []
    if lot:
        yield np.stack(lot)


def _nothing(length: int) -> Tracks:
    """The tracks of no point: never those of every pixel, as the library reads it."""
    empty = np.zeros((length, 0), np.float32)
    return Tracks(np.zeros((length, 0, 2), np.float32), empty.astype(bool), empty)
