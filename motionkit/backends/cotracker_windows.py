"""The online model of CoTracker3, window by window: its memory does not grow with the clip."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit import devices
from motionkit.errors import InputError, MissingExtraError

Float = NDArray[np.floating]
#: [n, 3, h, w], brightness 0..255.
Frames = NDArray[np.float32]
#: Points, visibility and confidence.
Scores = tuple[NDArray[np.float32], ...]

#: Frames of a window, and how far it moves.
WINDOW, STEP = 16, 8


class Windows:
    """The online model's run through one clip.

    A window is run when its 16 frames are there, and its first half is final then; frames that
    are left at the end make a last window of 9 to 16 (of fewer where the clip is that short).
    """

    def __init__(
        self, network: Any, queries: NDArray[np.float32], inner: tuple[int, int], iterations: int
    ) -> None:
        torch = torch_module()
        self.network, self.iterations = network, iterations
        self.queries = torch.from_numpy(queries).to(devices.current().name)
        self.frames = np.empty((WINDOW, 3, *inner), np.float32)
        self.count = 0  # frames in there
        self.fresh = 0  # of these, those that no window has seen
        self.results = Results(queries.shape[1])
        self.last: Scores | None = None  # of the frames that are kept
        network.init_video_online_processing()

    def add(self, frame: Frames) -> None:
        """Take one more frame."""
        self.frames[self.count] = frame
        self.count += 1
        self.fresh += 1
        if self.count == WINDOW:
            found = self._run()
            self.results.add(tuple(part[:STEP] for part in found))
            self.last = tuple(part[STEP:] for part in found)
            self.frames[:STEP] = self.frames[STEP:]
            self.count, self.fresh = WINDOW - STEP, 0

    def finish(self) -> tuple[int, Float, Float, Float]:
        """Number of frames; points [T, N, 2] of the inner picture, visibility and confidence
        [T, N]."""
        if self.fresh:
            self.last = self._run()
        if self.last is None:
            raise InputError("no-frames", "there is no frame to track points in")
        self.results.add(self.last)
        self.network.init_video_online_processing()  # drops the last clip's features
        return self.results.taken()

    def _run(self) -> Scores:
        if self.queries.shape[1] == 0:
            empty = np.zeros((self.count, 0), np.float32)
            return np.zeros((self.count, 0, 2), np.float32), empty, empty
        device = devices.current()
        with device.inference():
            video = torch_module().from_numpy(self.frames[None, : self.count]).to(device.name)
            xy, seen, sure, _ = self.network(
                video=video, queries=self.queries, iters=self.iterations, is_online=True
            )
            self._forget()
        return tuple(as_array(part)[0, -self.count :] for part in (xy, seen, sure))

    def _forget(self) -> None:
        """Cut the model's state to what the next window reads, and move its clock back as far.

        The model keeps every frame's result and copies all of them for every window. It only
        reads the last window's, by the difference of its clock and the frames of the queries; and
        it treats the first window, at 0, otherwise, so that the clock stands at one step from the
        second on.
        """
        net = self.network
        if net.online_ind <= STEP:
            return
        for name in ("online_coords_predicted", "online_vis_predicted", "online_conf_predicted"):
            setattr(net, name, getattr(net, name)[:, STEP:].clone())
        net.online_ind -= STEP
        self.queries = self.queries.clone()
        self.queries[..., 0] -= STEP


class Results:
    """What is final of a clip, in three buffers that grow as one piece each: small arrays that
    stay, between large ones that go, would leave holes in the heap (1.8 GB after 3,000 frames)."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._buffers = (bytearray(), bytearray(), bytearray())
        self._frames = 0

    def add(self, scores: Scores) -> None:
        """Points [n, N, 2], visibility and confidence [n, N] of the next n frames."""
        for buffer, part in zip(self._buffers, scores, strict=True):
            buffer += np.ascontiguousarray(part, np.float32).tobytes()
        self._frames += len(scores[0])

    def taken(self) -> tuple[int, Float, Float, Float]:
        """As `Windows.finish`."""
        xy, seen, sure = (np.frombuffer(buffer, np.float32) for buffer in self._buffers)
        shape = (self._frames, self._points)
        return self._frames, xy.reshape(*shape, 2), seen.reshape(shape), sure.reshape(shape)


def as_array(tensor: Any) -> NDArray[np.float32]:
    """A tensor of any device and precision."""
    found: NDArray[np.float32] = tensor.float().cpu().numpy()
    return found


def torch_module() -> Any:
    """torch, imported where it is needed; MissingExtraError where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "train", needed_for="the tracker CoTracker3") from error
    return torch
