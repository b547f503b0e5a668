"""`overlays`: what a picture encoder sees of point tracks, drawn and encoded once.

Lang2Motion's overlay frames: the trails of a clip's points drawn on its frames, and CLIP's feature
of each. Frames are decoded and drawn in the readers, encoded on the device; training only reads
the features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.image_encoder import image_encoder
from motionkit.errors import InputError
from motionkit.records import unflatten
from motionkit.stage import Chunk, Item, Kept, Outcome, Tables, digest
from motionkit.video.trail_style import COLOURS, check_trails

#: Frames drawn and prepared at a time.
_CHUNK: Final = 8


@dataclasses.dataclass(frozen=True)
class Overlays:
    """Draw the tracks on their frames, and keep the picture features."""

    encoder: str = "clip:openai/clip-vit-base-patch32"
    """The CLIP whose picture features are taken; training takes its text features too."""
    colour: str = "cyan"
    """Of the trails: cyan (the paper's best), blue, white, red, green, yellow or black."""
    opacity: float = 0.5
    """Of the trails, 0 to 1 (the paper's best: 0.5)."""
    trail: int = 30
    """Frames behind that a trail shows; old pieces fade out."""

    name: ClassVar[str] = "overlays"
    version: ClassVar[int] = 1
    table: ClassVar[str] = "overlays"
    reads: ClassVar[tuple[str, ...]] = ("videos", "tracks")
    mode: ClassVar[str] = "batches"

    def __post_init__(self) -> None:
        check_trails(self.colour, self.opacity, self.trail)

    @property
    def drawing(self) -> dict[str, Any]:
        """How the frames are drawn; kept beside the features."""
        return {"colour": self.colour, "opacity": self.opacity, "trail": self.trail}

    def _tower(self) -> Any:
        """The encoder; its weights are loaded at first use."""
        if not hasattr(self, "_encoder"):
            object.__setattr__(self, "_encoder", image_encoder(self.encoder))
        return getattr(self, "_encoder")  # noqa: B009 - not a field: it is no parameter

    def check(self) -> None:
        """MissingExtraError or `weights.ModelMissing` where the encoder is not here."""
        image_encoder(self.encoder)

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Parameters, the encoder's weights, and the tracks."""
        return {
            **dataclasses.asdict(self),
            "encoder": self._tower().identity(),
            "tracks": tables.fingerprint("tracks"),
        }

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """The clips that have tracks."""
        for row in tables.rows("tracks", ["stamp"]):
            yield row["item_id"], self._stamp(row)

    def _stamp(self, row: dict[str, Any]) -> str:
        return digest(["tracks", row["stamp"]], 16)

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted clips, with their tracks."""
        videos = tables.lookup("videos", "video_id", ["path", "decoder"])
        only = None if wanted is None else ("item_id", wanted)
        columns = ["video_id", "clip_id", "frames", "grid", "ordinals", "points", "visible",
                   "stamp"]  # fmt: skip
        for row in tables.rows("tracks", columns, only=only):
            video = videos.get(row["video_id"]) or {"path": None, "decoder": None}
            count, points = int(row["frames"]), int(row["grid"]) ** 2
            data = {
                **{k: row[k] for k in ("video_id", "clip_id")},
                **{k: video[k] for k in ("path", "decoder")},
                "ordinals": np.asarray(row["ordinals"], np.int32),
                "points": unflatten(row["points"], count, points, 2),
                "visible": unflatten(row["visible"], count, points),
            }
            yield Item(row["item_id"], data, self._stamp(row))

    def batch_start(self, cuda: bool) -> int:
        """Frames in the first batch."""
        return 32 if cuda else 1

    def setup(self) -> None:
        """Nothing: the weights come with the first batch."""

    def setup_reader(self) -> None:
        """Nothing: the picture processor comes with the first frame."""

    def read(self, item: Item) -> Iterator[Chunk]:
        """The overlay frames as the encoder takes them, one a tracked frame. InputError
        ``video-missing``, and ``frames-missing`` where fewer frames come than were tracked."""
        encoder, prepared = self._tower(), []
        for frame in self._drawn(item.data):
            prepared.append(encoder.prepare([frame])[0])
            if len(prepared) == _CHUNK:
                yield {"pixels": np.stack(prepared)}
                prepared = []
        if prepared:
            yield {"pixels": np.stack(prepared)}

    def infer(self, units: Chunk) -> list[NDArray[np.float32]]:
        """A feature a frame."""
        return list(self._tower().features(units["pixels"]))

    def finish(self, item: Item, results: list[NDArray[np.float32]]) -> Outcome:
        """The clip's row. Features are kept in the precision of fp16."""
        data = item.data
        features = np.stack(results).astype(np.float16).astype(np.float32)
        return Kept(
            {
                "video_id": data["video_id"],
                "clip_id": data["clip_id"],
                "frames": len(features),
                "dim": features.shape[1],
                "features": features.ravel(),
                "colour": self.colour,
                "opacity": self.opacity,
                "backend": self.encoder,
                "precision": "fp32",  # always: features are compared (`backends.clip`)
            }
        )

    def _drawn(self, data: dict[str, Any]) -> Iterator[NDArray[np.uint8]]:
        """Every tracked frame with the trails up to it."""
        from motionkit.video.decode import read_frames
        from motionkit.video.draw import draw_tracks

        if data["path"] is None:
            raise InputError(
                "video-missing",
                f"the videos table has no kept row of {data['video_id']}",
                hint="ingest the video again, then run overlays",
            )
        unique = np.unique(data["ordinals"])
        shown = iter(range(len(data["ordinals"])))
        at, came = next(shown, None), 0
        for chunk in read_frames(data["path"], decoder=data["decoder"], ordinals=unique.tolist()):
            for frame in chunk.frames:
                while at is not None and data["ordinals"][at] == unique[came]:
                    yield draw_tracks(
                        frame,
                        data["points"][: at + 1],
                        data["visible"][: at + 1],
                        trail=self.trail,
                        colour=COLOURS[self.colour],
                        opacity=self.opacity,
                    )
                    at = next(shown, None)
                came += 1
        if at is not None:
            raise InputError(
                "frames-missing",
                f"{len(unique)} frames were asked of {data['path']}, {came} came",
            )
